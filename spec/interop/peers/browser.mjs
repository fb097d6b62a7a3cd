// SPDX-License-Identifier: MIT
// A person at a browser: headless Chromium. Reads JSON lines { open, fill, click, wait, shot }, does
// each, and prints what is on the page then.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { chromium } from "playwright-core";

const profile = mkdtempSync(join(tmpdir(), "arclua-chromium-"));
const browser = await chromium.launchPersistentContext(profile, {
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  headless: true,
  ignoreHTTPSErrors: true, // the emulator's authority is of one day
  viewport: { width: 900, height: 600 },
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync"],
});
const page = browser.pages()[0] ?? await browser.newPage();
const troubles = [];
page.on("console", (line) => troubles.push(line.text()));

async function act({ open, fill, click, wait, shot }) {
  if (open) await page.goto(open);
  for (const [label, text] of Object.entries(fill ?? {})) await page.getByLabel(label).fill(text);
  if (click) await page.getByRole("button", { name: click, exact: true }).click();
  if (wait) await page.waitForURL(wait);
  await page.waitForLoadState();
  if (shot) await page.screenshot({ path: shot });
  return { url: page.url(), title: await page.title(), text: await page.innerText("body"), troubles };
}

try {
  for await (const line of createInterface({ input: process.stdin })) {
    console.log(JSON.stringify(await act(JSON.parse(line))));
  }
} catch (err) {
  console.log(JSON.stringify({ error: err.message }));
} finally {
  await browser.close();
  rmSync(profile, { recursive: true, force: true });
}
