// A page in headless Chromium shows a token to a server that wants one: in the query, in a cookie and
// in a sub-protocol.
//
// node admission.mjs --chromium=PROGRAM --certificates=FOLDER --output=FOLDER --token=TOKEN
//     --admission=URL...
//
// The server is tests/interop/godot/admission_server.gd. A page can set no header of its own.

import assert from "node:assert/strict";
import fs from "node:fs";
import http from "node:http";
import https from "node:https";
import path from "node:path";
import { parseArgs } from "node:util";

import { Account } from "./account.mjs";
import { Browser } from "./chromium.mjs";
import { listen } from "./files.mjs";

const { values: options } = parseArgs({
  options: {
    chromium: { type: "string" },
    certificates: { type: "string" },
    output: { type: "string" },
    token: { type: "string" },
    admission: { type: "string", multiple: true },
  },
});
const account = new Account();
const { token } = options;

function certificate(name) {
  return path.join(options.certificates, name);
}

// The site logs its visitors in under one address.
function serve(request, response) {
  const headers = { "Content-Type": "text/html; charset=utf-8" };
  if (request.url === "/login") {
    headers["Set-Cookie"] = `session=${token}; HttpOnly; SameSite=Lax`;
  }
  response.writeHead(200, headers).end("<!doctype html><title>A site</title>");
}

// What the page's WebSocket comes to: its close code, or its sub-protocol and its second message.
function join(page, url, protocols = []) {
  return page.evaluate(`new Promise((resolve) => {
    const socket = new WebSocket(${JSON.stringify(url)}, ${JSON.stringify(protocols)});
    socket.binaryType = "arraybuffer";
    let count = 0;
    socket.onclose = ({ code }) => resolve(code);
    socket.onmessage = ({ data }) => {
      count += 1;
      if (count === 2) {
        resolve([socket.protocol, new TextDecoder().decode(data)]);
        socket.close();
      }
    };
  })`);
}

async function visit(browser, origin, url) {
  const scheme = new URL(url).protocol.slice(0, -1);
  const test = (name, body) => account.case(`${scheme} ${name}`, body);
  const facts = `${origin} ${scheme === "wss" ? "TLSv1.3 localhost" : "- -"}`;
  const page = await browser.open(`${origin}/`);
  await page.until(`document.readyState === "complete"`);

  await test("no token", async () => {
    assert.equal(await join(page, url), 1006);
    assert.equal(await join(page, `${url}/later`), 1006);
  });
  await test("wrong tokens", async () => {
    assert.equal(await join(page, `${url}/?token=${token}x`), 1006);
    assert.equal(await join(page, url, ["game", `token.${token}x`]), 1006);
  });
  await test("query", async () => {
    assert.deepEqual(await join(page, `${url}/?token=${token}`), ["", `query / ${facts}`]);
  });
  await test("query, answered later", async () => {
    const got = await join(page, `${url}/later?token=${token}`);
    assert.deepEqual(got, ["", `query /later ${facts}`]);
  });
  await test("sub-protocol", async () => {
    const got = await join(page, url, ["game", `token.${token}`]);
    assert.deepEqual(got, ["game", `protocol / ${facts}`]);
  });
  await test("cookie", async () => {
    const member = await browser.open(`${origin}/login`);
    await member.until(`document.readyState === "complete"`);
    assert.deepEqual(await join(member, url), ["", `cookie / ${facts}`]);
  });
}

fs.mkdirSync(options.output, { recursive: true });
const browser = await Browser.start(
  options.chromium,
  path.join(options.output, "chromium-admission"),
  certificate("root.crt"),
);
const identity = {
  cert: fs.readFileSync(certificate("good.crt")),
  key: fs.readFileSync(certificate("good.key")),
};
try {
  // Cookies know no ports, and those of a plain site may be sent by TLS: so that one comes last.
  const urls = options.admission.toSorted().reverse();
  for (const url of urls) {
    const isSecure = url.startsWith("wss:");
    const server = isSecure ? https.createServer(identity, serve) : http.createServer(serve);
    const origin = `${isSecure ? "https" : "http"}://localhost:${await listen(server)}`;
    const { hostname, port, protocol } = new URL(url);
    assert.ok(["localhost", "127.0.0.1"].includes(hostname));
    await browser.call("Storage.clearCookies");
    // By name, so that the cookies of the site are sent.
    await visit(browser, origin, `${protocol}//localhost:${port}`);
  }
} finally {
  await browser.stop();
}
account.end();
