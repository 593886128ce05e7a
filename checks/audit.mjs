// axe-core on every view of the page for auditors, in both languages, light and dark, wide and narrow: nothing is found.
// The one argument is the demo.json of a running demonstration.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { browser } from "./webdriver.mjs";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const { base_url: base } = JSON.parse(readFileSync(process.argv[2], "utf8"));
const page = await browser();
const found = [];
let rules = 0;

async function look(name) {
  await page.run("window.found = null; axe.run().then((found) => { window.found = found; })");
  await page.wait("window.found !== null");
  const { violations, passes } = await page.run("return { violations: window.found.violations, passes: window.found.passes.length }");
  rules = Math.max(rules, passes);
  for (const { id, impact, nodes } of violations) found.push(`${name}: ${impact} ${id}: ${nodes.map((node) => node.html.slice(0, 200)).join("\n    ")}`);
}

/** What matches is clicked, and something comes of it. */
async function click(selector, outcome) {
  await page.wait(`document.querySelector(${JSON.stringify(selector)}) !== null`);
  await page.run(`document.querySelector(${JSON.stringify(selector)}).click()`);
  await page.wait(`document.querySelector(${JSON.stringify(outcome)}) !== null`);
}

async function views(name) {
  await page.open(`${base}/audit#/events`);
  await click("[data-position] button", ".details");
  await click("[data-act=verify-event]", ".verdict.ok");
  await look(`${name}, events`);
  await click(".of-record a", ".timeline li");
  await click("[data-act=verify-history]", ".verdict.ok");
  await look(`${name}, record`);
  await click("#pages a[href='#/checkpoint']", "#newest .verdict.ok");
  await look(`${name}, checkpoint`);
  await click("#pages a[href='#/files']", ".drop");
  await look(`${name}, files`);
  await page.open(`${base}/audit#/events?type=nothing.ever`);
  await page.wait("document.querySelector('#list .problem') !== null");
  await look(`${name}, a problem`);
}

try {
  for (const [width, scheme, language] of [[1280, "light", "vi"], [320, "dark", "en"]]) {
    await page.tell("Emulation.setDeviceMetricsOverride", { width, height: 900, deviceScaleFactor: 1, mobile: false });
    await page.tell("Emulation.setEmulatedMedia", { features: [{ name: "prefers-color-scheme", value: scheme }] });
    await page.open(`${base}/audit`);
    await page.wait("document.querySelector('.events') !== null");
    await page.run(axe);
    await click(`#speak-${language}`, `html[lang=${language}]`);
    await views(`${width} ${scheme} ${language}`);
    await click("#reader button", "#token");
    await look(`${width} ${scheme} ${language}, no token`);
    await page.run("sessionStorage.clear()");
    await page.open("about:blank");
  }
  // Whoever finds nothing has to be able to.
  await page.tell("Emulation.setEmulatedMedia", { features: [{ name: "prefers-color-scheme", value: "light" }] });
  await page.open(`${base}/audit`);
  await page.wait("document.querySelector('.events') !== null");
  await page.run(axe);
  await page.run("document.querySelector('h1').style.color = '#ddd'; document.body.append(document.createElement('img'))");
  const before = found.length;
  await look("a fault of ours");
  const own = found.splice(before).join();
  if (!own.includes("image-alt") || !own.includes("color-contrast")) throw new Error(`axe-core does not see faults: ${own}`);
} finally {
  await page.end();
}
console.log(`axe-core: ${rules} rules held, ${found.length} findings`);
if (found.length > 0) {
  console.error(found.join("\n"));
  process.exitCode = 1;
}
