// Node's `ws` as the server of our clients.
//
// node servers.mjs --certificates=FOLDER --port-file=PATH
//
// Speaks as python/servers.py does: writes the ports as JSON and runs until that file is taken
// away.

import fs from "node:fs";
import http from "node:http";
import https from "node:https";
import path from "node:path";
import { parseArgs } from "node:util";

import { WebSocketServer } from "ws";

import { pattern } from "./account.mjs";

const LIMIT = 240_000;
const ID = 0x12345678;
const PROTOCOLS = ["chat", "game.v2"];

// Name, certificate, key and TLS version of each echo server with TLS.
const TLS = [
  ["good", "good.crt", "good.key"],
  ["tls12", "good.crt", "good.key", "TLSv1.2"],
  ["tls13", "good.crt", "good.key", "TLSv1.3"],
  ["chain", "via_inter.chain.crt", "via_inter.key"],
  ["leaf_only", "via_inter.crt", "via_inter.key"],
  ["wrong_name", "wrong_name.crt", "wrong_name.key"],
  ["expired", "expired.crt", "expired.key"],
  ["unknown", "unknown.crt", "unknown.key"],
];

const { values: options } = parseArgs({
  options: { certificates: { type: "string" }, "port-file": { type: "string" } },
});
const ports = {};

// Sends back what comes, as it came, except for the texts that are commands.
function echo(socket, request) {
  socket.on("error", () => {});
  socket.on("message", (data, isBinary) => {
    if (isBinary) {
      socket.send(data);
      return;
    }
    const text = data.toString();
    const words = text.split(" ");
    const tls = request.socket;
    switch (words[0]) {
      case "/close":
        socket.close(Number(words[1]), words.slice(2).join(" "));
        break;
      case "/drop":
        socket.terminate();
        break;
      case "/fragments":
        socket.send("one ", { fin: false });
        socket.ping("between");
        socket.send("two ", { fin: false });
        socket.send("three", { fin: true });
        break;
      case "/ping":
        socket.once("pong", (payload) =>
          socket.send(payload.toString() === "there?" ? "pong" : "wrong"),
        );
        socket.ping("there?");
        break;
      case "/many":
        for (let i = 0; i < Number(words[1]); i += 1) {
          socket.send(`message ${i}`);
        }
        break;
      case "/large":
        socket.send(pattern(Number(words[1])));
        break;
      case "/extensions":
        socket.send(socket.extensions);
        break;
      case "/header":
        socket.send(request.headers[words[1].toLowerCase()] ?? "");
        break;
      case "/path":
        socket.send(request.url);
        break;
      case "/sni":
        // `false` where none was sent.
        socket.send(tls.servername || "");
        break;
      case "/alpn":
        socket.send(tls.alpnProtocol || "");
        break;
      case "/tls":
        socket.send(tls.getProtocol());
        break;
      case "/reused":
        socket.send(tls.isSessionReused() ? "yes" : "no");
        break;
      default:
        socket.send(text);
    }
  });
}

// A multiplayer server for one client at a time. The path says how it behaves.
function game(socket, request) {
  const id = Buffer.alloc(4);
  id.writeInt32LE(ID);
  socket.on("error", () => {});
  switch (request.url) {
    case "/silent":
      break;
    case "/short":
      socket.send(id.subarray(0, 3));
      break;
    case "/fragmented":
      socket.send(id.subarray(0, 2), { fin: false });
      socket.send(id.subarray(2), { fin: true });
      break;
    default:
      socket.send(id);
  }
  socket.on("message", (packet) => {
    switch (packet.toString("latin1")) {
      case "/leave":
        socket.close();
        break;
      case "/drop":
        socket.terminate();
        break;
      case "/text":
        socket.send("grüße");
        break;
      default:
        socket.send(packet);
    }
  });
}

async function listen(name, handler, tls) {
  const server = tls === undefined ? http.createServer() : https.createServer(tls);
  // A refused handshake belongs to the cases.
  server.on("tlsClientError", () => {});
  const sockets = new WebSocketServer({
    server,
    // Never to be used: our clients do not offer it.
    perMessageDeflate: true,
    handleProtocols: (offered) => PROTOCOLS.find((each) => offered.has(each)) ?? false,
  });
  sockets.on("connection", handler);
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  ports[name] = server.address().port;
}

function secure([, certificate, key, version]) {
  const read = (name) => fs.readFileSync(path.join(options.certificates, name));
  const tls = { cert: read(certificate), key: read(key), ALPNProtocols: ["http/1.1"] };
  return version === undefined ? tls : { ...tls, minVersion: version, maxVersion: version };
}

await listen("echo", echo);
await listen("game", game);
for (const entry of TLS) {
  await listen(entry[0], echo, secure(entry));
}
await listen("game_tls", game, secure(TLS[0]));

const portFile = options["port-file"];
fs.writeFileSync(`${portFile}.part`, JSON.stringify(ports));
fs.renameSync(`${portFile}.part`, portFile);
const deadline = Date.now() + LIMIT;
setInterval(() => {
  if (!fs.existsSync(portFile) || Date.now() > deadline) {
    process.exit(0);
  }
}, 100);
