// A page in headless Chromium plays a game with a player of the engine's own class.
//
// node browser.mjs --chromium=PROGRAM --certificates=FOLDER --output=FOLDER --game=URL...
//
// The server is tests/interop/godot/game_server.gd, the other player bot.gd. Of the test's
// certificates the browser knows the root only, so what it joins by wss:// has sent the
// intermediate.

import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import fs from "node:fs";
import http from "node:http";
import https from "node:https";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

import { WebSocketServer } from "ws";

import { Account } from "./account.mjs";
import { Browser } from "./chromium.mjs";
import { files, listen } from "./files.mjs";

const FOLDER = path.join(path.dirname(fileURLToPath(import.meta.url)), "page");

const { values: options } = parseArgs({
  options: {
    chromium: { type: "string" },
    certificates: { type: "string" },
    output: { type: "string" },
    game: { type: "string", multiple: true },
  },
});
const account = new Account();

function certificate(name) {
  return path.join(options.certificates, name);
}

function identity(chain, key) {
  return { cert: fs.readFileSync(certificate(chain)), key: fs.readFileSync(certificate(key)) };
}

async function play(page, url) {
  const scheme = new URL(url).protocol.slice(0, -1);
  const test = (name, body) => account.case(`${scheme} ${name}`, body);
  const text = (id) => page.evaluate(`document.getElementById("${id}").textContent`);

  const joined = await test("joins", async () => {
    await page.until(`Number(document.getElementById("id").textContent) >= 2`);
    assert.equal(await text("state"), "open");
  });
  if (!joined) {
    return;
  }

  await test("declines compression", async () => {
    const { request } = page.event("Network.webSocketWillSendHandshakeRequest");
    const { response } = page.event("Network.webSocketHandshakeResponseReceived");
    assert.match(request.headers["Sec-WebSocket-Extensions"], /permessage-deflate/);
    assert.equal(response.status, 101);
    assert.equal(response.headers["Sec-WebSocket-Extensions"], undefined);
    assert.equal(await text("extensions"), "none");
  });

  await test("meets the engine's player", () =>
    page.until(`document.getElementById("players").textContent.includes("Godot")`));

  await test("speaks with it", async () => {
    await page.evaluate(`document.getElementById("text").focus()`);
    await page.type("Hello from the browser, grüße!");
    const id = await text("id");
    await page.until(`document.getElementById("chat").textContent.includes("and you are ${id}")`);
    assert.match(await text("chat"), /Browser Hello from the browser, grüße!/);
  });

  await test("moves with it", async () => {
    // Along a curve, as a hand would.
    for (let i = 0; i <= 30; i += 1) {
      await page.mouse(150 + 8 * i, 200 + Math.round(120 * Math.sin(i / 8)));
    }
    // It goes where we are not: points that mirror each other add up to 100 on both axes.
    await page.until(`(() => {
      const [one, other] = ["Browser", "Godot"].map((name) =>
        document.querySelector('.player[data-name="' + name + '"]').style);
      const mirrored = (side) => parseInt(one[side]) + parseInt(other[side]) === 100;
      return one.left !== "50%" && mirrored("left") && mirrored("top");
    })()`);
  });

  await test("packets of all sizes", async () => {
    const wrong = await page.evaluate(`(${echoes})(${JSON.stringify(url)})`);
    assert.deepEqual(wrong, []);
  });

  await test("screenshot", async () => {
    const file = path.join(options.output, `browser-${scheme}.png`);
    await page.screenshot(file);
    assert.ok(fs.statSync(file).size > 10_000);
  });

  await test("leaves", async () => {
    await page.evaluate("leaveGame()");
    await page.until(`document.getElementById("state").textContent === "closed with 1000"`);
  });
}

// Runs in the page: the sizes that do not come back as they went.
async function echoes(url) {
  const socket = new WebSocket(url);
  socket.binaryType = "arraybuffer";
  const next = () =>
    new Promise((resolve, reject) => {
      socket.onmessage = ({ data }) => resolve(new Uint8Array(data));
      socket.onclose = ({ code }) => reject(new Error(`closed with ${code}`));
    });
  await next();
  const wrong = [];
  for (const size of [1, 125, 126, 127, 65535]) {
    const packet = Uint8Array.from({ length: size }, (_, i) => i * 7 + (i >> 8));
    socket.send(packet);
    const got = await next();
    if (got.length !== size || got.some((byte, i) => byte !== packet[i])) {
      wrong.push(size);
    }
  }
  socket.onclose = null;
  socket.close();
  return wrong;
}

// What only TLS has: which certificates came.
async function chain(browser, page, url) {
  const { host } = new URL(url);

  await account.case("wss server without its intermediate is refused", async () => {
    const server = https.createServer(identity("via_inter.crt", "via_inter.key"));
    server.on("tlsClientError", () => {});
    new WebSocketServer({ server });
    const address = `wss://localhost:${await listen(server)}`;
    const outcome = await page.evaluate(`new Promise((resolve) => {
      const socket = new WebSocket("${address}");
      socket.onopen = () => resolve("open");
      socket.onclose = ({ code }) => resolve(code);
    })`);
    assert.equal(outcome, 1006);
    server.close();
  });

  await account.case("wss chain has the intermediate", async () => {
    // As a page: the answer is a refusal, but a refusal by TLS all the same.
    const other = await browser.open(`https://${host}/`);
    await other.until(`document.readyState === "complete"`);
    const { response } = other.event("Network.responseReceived");
    assert.equal(response.securityState, "secure");
    assert.equal(response.securityDetails.protocol, "TLS 1.3");
    const { tableNames } = await other.call("Network.getCertificate", {
      origin: `https://${host}`,
    });
    const got = tableNames.map(
      (der) => new X509Certificate(Buffer.from(der, "base64")).fingerprint256,
    );
    const wanted = ["via_inter.crt", "inter.crt"].map(
      (name) => new X509Certificate(fs.readFileSync(certificate(name))).fingerprint256,
    );
    assert.deepEqual(got.slice(0, 2), wanted);
  });
}

const pages = {
  "ws:": ["http", http.createServer(files(FOLDER))],
  "wss:": ["https", https.createServer(identity("good.crt", "good.key"), files(FOLDER))],
};
fs.mkdirSync(options.output, { recursive: true });
const browser = await Browser.start(
  options.chromium,
  path.join(options.output, "chromium"),
  certificate("root.crt"),
);
try {
  for (const url of options.game) {
    const [scheme, server] = pages[new URL(url).protocol];
    const origin = `${scheme}://localhost:${await listen(server)}`;
    const page = await browser.open(`${origin}/?server=${encodeURIComponent(url)}`);
    await play(page, url);
    if (scheme === "https") {
      await chain(browser, page, url);
    }
  }
} finally {
  await browser.stop();
}
account.end();
