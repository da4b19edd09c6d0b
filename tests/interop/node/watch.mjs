// A browser watches a match of the game through its page for spectators.
//
// node watch.mjs --chromium=PROGRAM --certificates=FOLDER --output=FOLDER --page=FOLDER
//     --match=URL --players=N

import assert from "node:assert/strict";
import fs from "node:fs";
import http from "node:http";
import path from "node:path";
import { parseArgs } from "node:util";

import { Account } from "./account.mjs";
import { Browser } from "./chromium.mjs";
import { files, listen } from "./files.mjs";

const { values: options } = parseArgs({
  options: {
    chromium: { type: "string" },
    certificates: { type: "string" },
    output: { type: "string" },
    page: { type: "string" },
    match: { type: "string" },
    players: { type: "string" },
  },
});
const account = new Account();

async function watch(page) {
  await account.case("sees the players", () =>
    page.until(`document.getElementById("count").textContent === "${options.players}"`),
  );
  await account.case("says that it is live", async () => {
    assert.equal(await page.evaluate(`document.getElementById("state").textContent`), "live");
  });
  await account.case("sees somebody score", () =>
    page.until(`Number(document.querySelector("#scores b").textContent) > 2`),
  );
  await account.case("hears the chat", () =>
    page.until(`document.getElementById("chat").childElementCount > 3`),
  );
  await account.case("is told that all of them move", () => {
    const states = page.events
      .filter(({ method }) => method === "Network.webSocketFrameReceived")
      .map(({ params }) => JSON.parse(params.response.payloadData))
      .filter(({ type, players }) => type === "state" && String(players.length) === options.players);
    const [first, last] = [states[0], states.at(-1)];
    for (const [id, name, x, y] of first.players) {
      const [, , toX, toY] = last.players.find((player) => player[0] === id);
      assert.ok(x !== toX || y !== toY, `${name} stays at ${x}, ${y}`);
    }
  });
  await account.case("screenshot", async () => {
    const file = path.join(options.output, "watch.png");
    await page.screenshot(file);
    assert.ok(fs.statSync(file).size > 10_000);
  });
}

fs.mkdirSync(options.output, { recursive: true });
const server = http.createServer(files(options.page));
const browser = await Browser.start(
  options.chromium,
  path.join(options.output, "chromium-watch"),
  path.join(options.certificates, "root.crt"),
);
try {
  const origin = `http://127.0.0.1:${await listen(server)}`;
  await watch(await browser.open(`${origin}/?server=${encodeURIComponent(options.match)}`));
} finally {
  await browser.stop();
}
account.end();
