// A person who looks for something: one delivery among many, why a record waits, what a replay
// does, and who changed what. Complaints end it with an error.
"use strict";
const fs = require("node:fs");
const { chromium } = require("playwright-core");
const { FLAGS, complaints, assert, open, visit } = require("./judging");

const server = process.env.WATCHFIRE_URL;
const app = `/dashboard/apps/${process.env.APPLICATION}`;

const text = (page) => page.locator("main").innerText();

async function main() {
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM || "/usr/bin/chromium", args: FLAGS });
  const page = await open(browser, { acceptDownloads: true });
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
  await page.getByRole("button", { name: "Pause", exact: true }).click();
  await page.getByText("Paused").first().waitFor();
  await visit(page, "replay");
  await page.getByRole("button", { name: "Resume", exact: true }).click();
  await page.getByRole("button", { name: "Pause", exact: true }).waitFor();
  assert(!(await text(page)).includes("Paused"), "a replay goes on where it rested");
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
  // 5,005 messages, all of today.
  await page.goto(`${server}${app}/events`);
  assert(/threat\.created\s+A threat\s+5\s005\s/.test(await text(page)), `the catalogue says how many came: ${await text(page)}`);
  await page.getByRole("link", { name: "threat.created" }).click();
  await page.getByText("Last 24 hours").waitFor();
  await visit(page, "event");

  await page.goto(`${server}/dashboard/audit`);
  assert((await text(page)).includes("A background task was started"), "the log knows of the replay");

  await browser.close();
  if (complaints.length) throw new Error(`${complaints.length} complaints`);
}

main().then(() => console.log("fine"), (error) => { console.error(error); process.exit(1); });
