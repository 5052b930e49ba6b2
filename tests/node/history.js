// A person who looks for something: one delivery among many, why a record waits, what a replay
// does, and who changed what. Complaints end it with an error.
"use strict";
const fs = require("node:fs");
const path = require("node:path");
const { chromium } = require("playwright-core");

const server = process.env.WATCHFIRE_URL;
const app = `/dashboard/apps/${process.env.APPLICATION}`;
const pictures = process.env.WATCHFIRE_SCREENSHOTS;
const axe = fs.readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

const WEIGHT_MAX = 100 * 1000;
const SIZES = { desktop: { width: 1440, height: 900 }, phone: { width: 390, height: 844 } };
const FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
  "--disable-background-networking", "--disable-component-update", "--disable-sync"];

const complaints = [];
const complain = (text) => { complaints.push(text); console.log(`COMPLAINT ${text}`); };
const assert = (holds, text) => { if (!holds) throw new Error(text); };

async function open(browser) {
  const context = await browser.newContext({
    viewport: SIZES.desktop,
    acceptDownloads: true,
    // A colour on its way to another has no contrast worth judging.
    reducedMotion: "reduce",
  });
  await context.addInitScript(() => {
    addEventListener("securitypolicyviolation", (event) => {
      console.error(`violation of ${event.violatedDirective} by ${event.blockedURI}`);
    });
  });
  const page = await context.newPage();
  page.on("console", (message) => {
    if (message.type() === "error") complain(`${page.url()}: the console says ${message.text()}`);
  });
  page.on("pageerror", (error) => complain(`${page.url()}: ${error.message}`));
  return page;
}

// Judges the page at both widths, light and dark.
async function visit(page, name) {
  const served = await page.evaluate(() => fetch(location.href).then((answer) => answer.text()));
  if (served.length > WEIGHT_MAX) complain(`${name} has ${served.length} bytes`);
  const inline = served.match(/\sstyle=|<style|<script(?![^>]*\ssrc=)|\son[a-z]+=/gi);
  if (inline) complain(`${name}: inline ${inline.slice(0, 3)}`);
  for (const colorScheme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme });
    for (const [size, viewport] of Object.entries(SIZES)) {
      await page.setViewportSize(viewport);
      const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      if (wide > 0) complain(`${name} at ${size} is ${wide} pixels too wide`);
      if (pictures) {
        const file = path.join(pictures, `${name}-${size}-${colorScheme}.png`);
        await page.screenshot({ path: file, fullPage: true });
      }
    }
    await page.evaluate(axe);
    const found = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
    for (const one of found.violations.filter((one) => ["serious", "critical"].includes(one.impact))) {
      complain(`${name} ${colorScheme}: ${one.id}: ${one.help}: ${one.nodes.map((node) => node.html).slice(0, 2).join(" ")}`);
    }
  }
  await page.emulateMedia({ colorScheme: "light" });
  await page.setViewportSize(SIZES.desktop);
}

const text = (page) => page.locator("main").innerText();

async function main() {
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM || "/usr/bin/chromium", args: FLAGS });
  const page = await open(browser);
  await page.goto(`${server}/dashboard/sign-in#key=${process.env.SIGN_IN_KEY}`);
  await page.waitForURL((url) => !url.pathname.includes("sign-in"));

  // One delivery among a hundred thousand, in three steps: the list, the search, the row.
  await page.goto(`${server}${app}/endpoints`);
  await page.getByRole("link", { name: "Deliveries", exact: true }).first().click();
  await page.waitForURL(/deliveries/);
  await visit(page, "deliveries");
  await page.getByPlaceholder("Text in the payload, or an id").fill("NEEDLE-4711");
  await page.keyboard.press("Enter");
  await page.waitForURL(/q=NEEDLE-4711/);
  const rows = page.locator("table tbody tr");
  assert(await rows.count() === 1, `the search finds one delivery, not ${await rows.count()}`);
  await rows.first().locator("a.row-link").click();
  await page.waitForURL(/messages\/msg_\w+\/ep_\w+/);
  assert((await text(page)).includes("needle-4711"), "the request shows what was looked for");
  await visit(page, "delivery");

  // A signature is checked in place.
  const value = await page.locator("dl.headers dt", { hasText: "webhook-signature" })
    .locator("xpath=following-sibling::dd").innerText();
  await page.getByLabel("What the receiver got as webhook-signature").fill(value);
  await page.getByRole("button", { name: "Check", exact: true }).click();
  await page.waitForURL(/signature=/);
  assert((await text(page)).includes("It is genuine"), "our own signature is genuine");
  await page.goto(page.url().replace(/signature=[^&]*/, "signature=v1%2CAAAA"));
  assert((await text(page)).includes("It is not ours"), "another is not");

  // The message: whom it matched, and why the others did not.
  await page.getByRole("link", { name: "Message", exact: true }).click();
  assert((await text(page)).includes("It was created after the message was accepted"), "why others did not get it");
  await visit(page, "message");

  // The same list by keyboard.
  await page.goto(`${server}${app}/deliveries?status=waiting`);
  await page.keyboard.press("j");
  await page.keyboard.press("j");
  await page.keyboard.press("k");
  await page.keyboard.press("Enter");
  await page.waitForURL(/messages\/msg_\w+\/ep_\w+/);

  // What is found can be taken along.
  await page.goto(`${server}${app}/deliveries?q=needle-4711`);
  const [download] = await Promise.all([
    page.waitForEvent("download"), page.getByRole("link", { name: "CSV", exact: true }).click(),
  ]);
  const csv = fs.readFileSync(await download.path(), "utf8").trim().split("\r\n");
  assert(csv.length === 2 && csv[1].includes("delivered"), `an export of one row: ${csv}`);

  // A record says what waits, and behind what.
  await page.goto(`${server}${app}/record?key=T-7`);
  assert((await text(page)).includes("3 later messages stand behind it"), "the record says what waits");
  await visit(page, "record");

  // A replay: looked at before, then followed to its end.
  await page.goto(`${server}${app}/replay`);
  await visit(page, "replay-new");
  await page.selectOption("#kind", "all");
  await page.selectOption("#endpoint", { label: await page.locator("#endpoint option", { hasText: "/siem" }).innerText() });
  await page.getByRole("button", { name: "Preview", exact: true }).click();
  await page.waitForURL(/kind=all/);
  assert(/5.001 deliveries/.test(await text(page)) || /5.005 deliveries/.test(await text(page)), `the preview counts: ${await text(page)}`);
  await page.getByRole("button", { name: "Start", exact: true }).click();
  await page.waitForURL(/done=/);
  await page.locator("progress").first().waitFor();
  await visit(page, "replay");
  await page.getByRole("button", { name: "End", exact: true }).click();
  await page.getByRole("button", { name: "End it", exact: true }).click();
  await page.waitForURL(/done=/);
  assert((await text(page)).includes("Ended early"), "a replay can be ended");

  // Trying an event, the inbox, the log, the system.
  for (const [name, where] of [["events", `${app}/events`], ["notices", "/dashboard/notices?show=all"],
    ["audit", "/dashboard/audit"], ["system", "/dashboard/system"]]) {
    await page.goto(`${server}${where}`);
    await visit(page, name);
  }
  await page.goto(`${server}/dashboard/audit`);
  assert((await text(page)).includes("A background task was started"), "the log knows of the replay");

  await browser.close();
  if (complaints.length) throw new Error(`${complaints.length} complaints`);
}

main().then(() => console.log("fine"), (error) => { console.error(error); process.exit(1); });
