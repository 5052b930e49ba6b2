// Hands on what happens: a live list rests while it is paused or rows are ticked, an event is tried,
// and what is ticked is cancelled or sent again.
"use strict";

// Two from before the tour, two while a list is held, one that is tried.
const MESSAGES = 5;

module.exports = async (guide, job) => {
  const app = `/dashboard/apps/${job.app}`;
  const list = `${job.base}${app}/deliveries`;
  await holding(guide, job, list);

  const page = await guide.operator();
  await page.goto(`${job.base}${app}/events/threat.created`);
  await page.getByLabel("Payload").fill('{"tried":true}');
  await page.getByRole("button", { name: "Send it", exact: true }).click();
  await page.waitForURL(/\/messages\/msg_/);
  guide.step("tried an event");

  await ticked(page, `${list}?status=waiting`, "Cancel what waits");
  await page.goto(`${list}?status=waiting`);
  const left = await page.locator("table tbody tr").count();
  if (left) guide.find("not cancelled", page.url(), `${left} still wait`);
  guide.step("cancelled what waits");

  await ticked(page, `${list}?status=delivered`, "Send again");
  guide.step("sent again");
};

// Two people look at the same list, and one of them holds it: with the button, then with a tick.
async function holding(guide, job, list) {
  const [held, live] = [await guide.operator(), await guide.operator()];
  for (const page of [held, live]) await page.goto(list, { waitUntil: "load" });
  const press = (name) => () => held.getByRole("button", { name, exact: true }).click();
  // What has come for the two endpoints meanwhile stands on the button.
  await rests(guide, job, { held, live, record: "R-paused", hold: press("Pause"), release: press("Resume (2 new)") });
  await held.getByRole("button", { name: "Pause", exact: true }).waitFor();
  const ticks = held.locator("tbody .pick :checked");
  const key = (...keys) => async () => { for (const key of keys) await held.keyboard.press(key); };
  await held.locator("h1").click();
  await rests(guide, job, { held, live, record: "R-ticked", hold: key("j", "x"), release: async () => {
    if (await ticks.count() !== 1) guide.find("a tick was lost", held.url(), `${await ticks.count()} rows are ticked`);
    await held.keyboard.press("x");
  } });
}

async function rests(guide, job, { held, live, record, hold, release }) {
  const row = (page) => page.locator("tr", { hasText: record });
  await hold();
  await send(job, record);
  await row(live).first().waitFor();
  if (await row(held).count()) guide.find("a held list moved", held.url(), `it shows ${record}`);
  await release();
  await row(held).first().waitFor();
  guide.step(`a list was held: ${record}`);
}

// Ticks all rows of a list, once they are there, and presses a button below it.
async function ticked(page, list, button) {
  await page.goto(list);
  await page.locator("table tbody tr").nth(MESSAGES - 1).waitFor();
  await page.getByLabel("Tick all on this page").check();
  await page.getByRole("button", { name: button, exact: true }).click();
  await page.waitForURL(/done=/);
}

async function send(job, recordKey) {
  const answer = await fetch(`${job.base}/api/v1/app/${job.app}/msg`, {
    method: "POST",
    headers: { authorization: `Bearer ${job.token}`, "content-type": "application/json" },
    body: JSON.stringify({ eventType: "threat.created", recordKey, payload: {} }),
  });
  if (!answer.ok) throw new Error(`an event was not accepted: ${answer.status}`);
}
