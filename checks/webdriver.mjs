// As much of the WebDriver protocol as it takes to open a page and run something in it. Needs chromium and chromedriver.

import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

const sleep = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

const freePort = () => new Promise((resolve) => {
  const server = createServer().listen(0, "127.0.0.1", () => {
    const { port } = server.address();
    server.close(() => resolve(port));
  });
});

/** A browser with a profile of its own. */
export async function browser() {
  const base = `http://127.0.0.1:${await freePort()}`;
  const driver = spawn("chromedriver", [`--port=${new URL(base).port}`], { stdio: "ignore" });
  const profile = mkdtempSync(join(tmpdir(), "thidua-browser-"));
  const call = async (method, path, body) => {
    const answer = await fetch(`${base}${path}`, { method, body: body && JSON.stringify(body) });
    const { value } = await answer.json();
    if (value?.error) throw new Error(`${path}: ${value.message}`);
    return value;
  };
  for (let tries = 0; tries < 200; tries += 1) {
    if (await call("GET", "/status").then(() => true, () => false)) break;
    await sleep(50);
  }
  const args = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-dev-shm-usage", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-proxy-server", `--user-data-dir=${profile}`];
  const capabilities = { alwaysMatch: { "goog:chromeOptions": { args } } };
  const session = `/session/${(await call("POST", "/session", { capabilities })).sessionId}`;
  const run = (script, ...given) => call("POST", `${session}/execute/sync`, { script, args: given });
  return {
    open: (url) => call("POST", `${session}/url`, { url }),
    run,
    tell: (cmd, params) => call("POST", `${session}/goog/cdp/execute`, { cmd, params }),
    wait: async (expression) => {
      for (let tries = 0; tries < 400; tries += 1) {
        const value = await run(`return ${expression}`);
        if (value) return value;
        await sleep(100);
      }
      throw new Error(`still not ${expression}: ${await run("return location.href + document.body.innerText.slice(0,1500)")}`);
    },
    end: async () => {
      await call("DELETE", session).catch(() => {});
      driver.kill();
      await sleep(300);
      rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}
