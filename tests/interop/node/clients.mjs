// Node's `ws` as the client of our servers.
//
// node clients.mjs --ca=ROOT --game=URL... --echo=URL...
//
// The servers are tests/interop/godot/game_server.gd and echo_server.gd.

import assert from "node:assert/strict";
import fs from "node:fs";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";

import { WebSocket } from "ws";

import { Account, pattern } from "./account.mjs";

// Lengths around which a frame's header changes, up to the largest message that is accepted.
const SIZES = [1, 125, 126, 127, 65535];
const MANY = 2000;
const PROTOCOLS = ["nonsense", "game.v2", "chat"];

const { values: options } = parseArgs({
  options: {
    ca: { type: "string" },
    game: { type: "string", multiple: true },
    echo: { type: "string", multiple: true },
  },
});
const ca = fs.readFileSync(options.ca);
const account = new Account();

// A socket that keeps its messages until they are asked for. With the library's own defaults it
// offers permessage-deflate.
class Client {
  constructor(url, protocols = []) {
    this.messages = [];
    this.waiting = [];
    this.socket = new WebSocket(url, protocols, { ca });
    this.socket.on("message", (data, isBinary) => {
      const message = isBinary ? data : data.toString();
      const next = this.waiting.shift();
      if (next === undefined) {
        this.messages.push(message);
      } else {
        next(message);
      }
    });
    this.socket.on("upgrade", (response) => {
      this.answer = response.headers;
    });
    this.closed = new Promise((resolve) => {
      this.socket.on("close", (code, reason) => resolve([code, reason.toString()]));
    });
  }

  static async open(...how) {
    const client = new Client(...how);
    await once(client.socket, "open");
    // A failure later shows in what does not arrive.
    client.socket.on("error", () => {});
    return client;
  }

  // Joins a game: [client, id].
  static async join(url) {
    const client = await Client.open(url);
    const first = await client.receive();
    assert.ok(Buffer.isBuffer(first));
    assert.equal(first.length, 4);
    return [client, first.readInt32LE()];
  }

  receive() {
    if (this.messages.length > 0) {
      return Promise.resolve(this.messages.shift());
    }
    return new Promise((resolve) => this.waiting.push(resolve));
  }

  send(message, flags) {
    this.socket.send(message, flags);
  }

  async expect(wanted) {
    const got = await this.receive();
    if (typeof wanted === "string") {
      assert.equal(got.toString().slice(0, 300), wanted.slice(0, 300));
    }
    assert.ok(Buffer.from(wanted).equals(Buffer.from(got)), `other ${got.length} bytes`);
    return got;
  }

  async echo(message) {
    this.send(message);
    assert.equal(typeof (await this.expect(message)), typeof message);
  }

  async close(code = 1000, reason = "") {
    this.socket.close(code, reason);
    assert.deepEqual(await this.closed, [code, reason]);
  }

  async ping(payload) {
    const pong = once(this.socket, "pong");
    this.socket.ping(payload);
    assert.equal((await pong)[0].toString(), payload);
  }

  // Sends without waiting for answers, so that many messages share a segment.
  async inOrder() {
    for (let i = 0; i < MANY; i += 1) {
      this.send(Buffer.from(`message ${i}`));
    }
    for (let i = 0; i < MANY; i += 1) {
      await this.expect(`message ${i}`);
    }
  }
}

const GAME = {
  async id(url) {
    const [client, id] = await Client.join(url);
    assert.ok(id >= 2, `id ${id}`);
    await client.close();
  },

  async "no extension"(url) {
    const [client] = await Client.join(url);
    assert.equal(client.answer["sec-websocket-extensions"], undefined);
    assert.equal(client.socket.extensions, "");
    // Long enough for the library to compress it if it could.
    await client.echo(Buffer.alloc(5000, "x"));
    await client.close();
  },

  async sizes(url) {
    const [client] = await Client.join(url);
    for (const size of SIZES) {
      await client.echo(pattern(size));
    }
    await client.close();
  },

  async "text is a packet"(url) {
    const [client] = await Client.join(url);
    client.send("grüße");
    assert.ok(Buffer.isBuffer(await client.expect("grüße")));
    await client.close();
  },

  async fragments(url) {
    const [client] = await Client.join(url);
    const data = pattern(3000);
    client.send(data.subarray(0, 1000), { fin: false });
    await client.ping("between");
    client.send(data.subarray(1000, 1001), { fin: false });
    client.send(Buffer.alloc(0), { fin: false });
    client.send(data.subarray(1001), { fin: true });
    await client.expect(data);
    await client.close();
  },

  async "many in order"(url) {
    const [client] = await Client.join(url);
    await client.inOrder();
    await client.close();
  },

  async "comes and goes"(url) {
    const [witness] = await Client.join(url);
    witness.send("/hello witness");
    await witness.receive();
    for (const leave of [
      (guest) => guest.close(4001, "enough"),
      (guest) => guest.socket.terminate(),
    ]) {
      const [guest, id] = await Client.join(url);
      guest.send("/hello guest");
      await witness.expect(`joined ${id} guest`);
      await leave(guest);
      await witness.expect(`left ${id}`);
    }
    await witness.close();
  },

  async kick(url) {
    const [client] = await Client.join(url);
    client.send("/kick");
    assert.equal((await client.closed)[0], 1000);
  },

  async "too large"(url) {
    const [client] = await Client.join(url);
    client.send(pattern(65536));
    assert.equal((await client.closed)[0], 1009);
  },

  async crowd(url) {
    const visit = async () => {
      const [client, id] = await Client.join(url);
      await client.echo(Buffer.from(String(id)));
      await client.close();
      return id;
    };
    const ids = await Promise.all(Array.from({ length: 30 }, visit));
    assert.equal(new Set(ids).size, 30);
  },
};

const ECHO = {
  async protocol(url) {
    const client = await Client.open(url, PROTOCOLS);
    assert.equal(client.socket.protocol, "game.v2");
    assert.equal(client.answer["x-interop"], "yes");
    assert.equal(client.answer["sec-websocket-extensions"], undefined);
    await client.close();
  },

  async "no protocol"(url) {
    await assert.rejects(Client.open(url), /Unexpected server response: 400/);
  },

  async text(url) {
    const client = await Client.open(url, PROTOCOLS);
    for (const text of ["a", "", "grüße, 你好, 🎲", "x".repeat(65535)]) {
      await client.echo(text);
    }
    await client.close();
  },

  async binary(url) {
    const client = await Client.open(url, PROTOCOLS);
    for (const size of [0, ...SIZES]) {
      await client.echo(pattern(size));
    }
    await client.close();
  },

  async fragments(url) {
    const client = await Client.open(url, PROTOCOLS);
    client.send("one ", { fin: false });
    await client.ping("between");
    client.send("two ", { fin: false });
    client.send("three", { fin: true });
    await client.expect("one two three");
    await client.close();
  },

  async "many in order"(url) {
    const client = await Client.open(url, PROTOCOLS);
    await client.inOrder();
    await client.close();
  },

  async heartbeat(url) {
    const client = await Client.open(url, PROTOCOLS);
    let pings = 0;
    client.socket.on("ping", () => {
      pings += 1;
    });
    client.send("/heartbeat 0.1");
    await client.expect("beating");
    while (pings < 3) {
      await sleep(20);
    }
    await client.echo("still here");
    await client.close();
  },

  async "client closes"(url) {
    for (const [code, reason] of [
      [1000, ""],
      [1001, "going"],
      [3000, "ü".repeat(61)],
      [4999, "x".repeat(123)],
    ]) {
      const client = await Client.open(url, PROTOCOLS);
      await client.close(code, reason);
    }
    // Without a code, which `ws` tells as 1005.
    const client = await Client.open(url, PROTOCOLS);
    client.socket.close();
    assert.deepEqual(await client.closed, [1005, ""]);
  },

  async "server closes"(url) {
    for (const [code, reason] of [
      [1000, "done"],
      [4002, "no more seats"],
    ]) {
      const client = await Client.open(url, PROTOCOLS);
      client.send(`/close ${code} ${reason}`);
      assert.deepEqual(await client.closed, [code, reason]);
    }
  },
};

for (const [kind, cases, urls] of [
  ["game", GAME, options.game],
  ["echo", ECHO, options.echo],
]) {
  for (const url of urls) {
    for (const [name, body] of Object.entries(cases)) {
      await account.case(`${kind} ${new URL(url).protocol} ${name}`, () => body(url));
    }
  }
}
account.end();
