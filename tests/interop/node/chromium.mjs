// A headless Chromium with a profile of its own, driven through its DevTools protocol.

import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

import { WebSocket } from "ws";

const START_LIMIT = 30_000;
const CALL_LIMIT = 15_000;

// `folder` is made anew; `root` is the only authority that the browser trusts beside its own.
export class Browser {
  static async start(program, folder, root) {
    fs.rmSync(folder, { recursive: true, force: true });
    const store = path.join(folder, ".pki/nssdb");
    fs.mkdirSync(store, { recursive: true });
    execFileSync("certutil", ["-d", `sql:${store}`, "-N", "--empty-password"]);
    execFileSync("certutil", ["-d", `sql:${store}`, "-A", "-n", "root", "-t", "C,,", "-i", root]);

    const browser = new Browser();
    const profile = path.join(folder, "profile");
    const flags = [
      "--headless",
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
      "--disable-dev-shm-usage",
      "--hide-scrollbars",
      "--window-size=1200,720",
      "--remote-debugging-port=0",
      `--user-data-dir=${profile}`,
      "about:blank",
    ];
    // Certificates of users are looked for in their home.
    const environment = {
      ...process.env,
      HOME: folder,
      XDG_DATA_HOME: path.join(folder, ".local/share"),
    };
    browser.process = spawn(program, flags, {
      env: environment,
      stdio: ["ignore", "ignore", "pipe"],
    });
    browser.process.stderr.resume();
    process.once("exit", () => browser.process.kill("SIGKILL"));
    await browser.connect(path.join(profile, "DevToolsActivePort"));
    return browser;
  }

  async connect(file) {
    const deadline = Date.now() + START_LIMIT;
    let lines = [];
    // Port and path, each on its line.
    while (lines.length < 2) {
      if (Date.now() > deadline || this.process.exitCode !== null) {
        throw new Error(`Chromium did not start, exit code ${this.process.exitCode}`);
      }
      await sleep(50);
      lines = fs.existsSync(file) ? fs.readFileSync(file, "utf8").split("\n") : [];
    }
    this.socket = new WebSocket(`ws://127.0.0.1:${lines[0]}${lines[1]}`);
    this.calls = new Map();
    this.pages = new Map();
    this.socket.on("message", (data) => this.handle(JSON.parse(data)));
    await once(this.socket, "open");
  }

  handle({ id, result, error, method, params, sessionId }) {
    if (id === undefined) {
      this.pages.get(sessionId)?.events.push({ method, params });
      return;
    }
    const { resolve, reject, timer } = this.calls.get(id);
    clearTimeout(timer);
    this.calls.delete(id);
    if (error === undefined) {
      resolve(result);
    } else {
      reject(new Error(error.message));
    }
  }

  call(method, params = {}, sessionId = undefined) {
    return new Promise((resolve, reject) => {
      const id = (this.last = (this.last ?? 0) + 1);
      const timer = setTimeout(() => reject(new Error(`no answer to ${method}`)), CALL_LIMIT);
      this.calls.set(id, { resolve, reject, timer });
      this.socket.send(JSON.stringify({ id, method, params, sessionId }));
    });
  }

  async open(url) {
    const { targetId } = await this.call("Target.createTarget", { url: "about:blank" });
    const { sessionId } = await this.call("Target.attachToTarget", { targetId, flatten: true });
    const page = new Page(this, sessionId);
    this.pages.set(sessionId, page);
    await page.call("Network.enable");
    await page.call("Page.enable");
    await page.call("Page.navigate", { url });
    return page;
  }

  async stop() {
    const gone = once(this.process, "exit");
    await this.call("Browser.close").catch(() => this.process.kill("SIGKILL"));
    await Promise.race([gone, sleep(3000).then(() => this.process.kill("SIGKILL"))]);
  }
}

class Page {
  constructor(browser, session) {
    this.browser = browser;
    this.session = session;
    this.events = [];
  }

  call(method, params) {
    return this.browser.call(method, params, this.session);
  }

  // The value of an expression; promises are awaited.
  async evaluate(expression) {
    const options = { expression, awaitPromise: true, returnByValue: true };
    const { result, exceptionDetails } = await this.call("Runtime.evaluate", options);
    if (exceptionDetails !== undefined) {
      throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text);
    }
    return result.value;
  }

  // Waits until the expression is true.
  async until(expression) {
    for (;;) {
      // While a page loads there is nothing to ask.
      if (await this.evaluate(expression).catch(() => false)) {
        return;
      }
      await sleep(30);
    }
  }

  // What the page has been told by the network so far.
  event(method) {
    return this.events.find((event) => event.method === method)?.params;
  }

  mouse(x, y) {
    return this.call("Input.dispatchMouseEvent", { type: "mouseMoved", x, y });
  }

  async type(text) {
    await this.call("Input.insertText", { text });
    const enter = { key: "Enter", code: "Enter", windowsVirtualKeyCode: 13, text: "\r" };
    await this.call("Input.dispatchKeyEvent", { type: "keyDown", ...enter });
    await this.call("Input.dispatchKeyEvent", { type: "keyUp", ...enter });
  }

  async screenshot(file) {
    const { data } = await this.call("Page.captureScreenshot", { format: "png" });
    fs.writeFileSync(file, Buffer.from(data, "base64"));
  }
}
