// Live pages while events arrive: what somebody looks at stays where it is.
"use strict";

// Chromium's own measure, cumulative layout shift; 0.1 counts as good.
const SHIFT_MAX = 0.02;
const EVENTS = 5;

// Runs in every page, before its own script.
function measure() {
  window.watchfireShifts = [];
  new PerformanceObserver((list) => {
    for (const { value, hadRecentInput, sources } of list.getEntries()) {
      const moved = sources.map(({ node }) => node?.outerHTML?.slice(0, 120) ?? node?.nodeName);
      if (!hadRecentInput) window.watchfireShifts.push({ value, moved });
    }
  }).observe({ type: "layout-shift", buffered: true });
}

module.exports = async (guide, job) => {
  const page = await guide.operator();
  await page.context().addInitScript(measure);
  const app = `/dashboard/apps/${job.app}`;
  for (const place of ["/dashboard", `${app}/deliveries`, `${app}/endpoints`, `${app}/endpoints/${job.endpoint}`]) {
    await page.goto(`${job.base}${place}`, { waitUntil: "load" });
    const text = () => page.locator("[data-live]").allInnerTexts().then((texts) => texts.join());
    const before = await text();
    await send(job);
    await page.waitForFunction((before) => {
      const texts = [...document.querySelectorAll("[data-live]")].map((part) => part.innerText);
      return texts.join() !== before;
    }, before);
    await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => setTimeout(done, 100))));
    const shifts = await page.evaluate(() => window.watchfireShifts);
    const sum = shifts.reduce((sum, { value }) => sum + value, 0);
    if (sum > SHIFT_MAX) guide.find("layout shift", place, `${sum.toFixed(3)}: ${JSON.stringify(shifts)}`);
    guide.step(place.replace(job.app, "app").replace(job.endpoint, "endpoint"));
  }
};

async function send(job) {
  for (let number = 0; number < EVENTS; number += 1) {
    const answer = await fetch(`${job.base}/api/v1/app/${job.app}/msg`, {
      method: "POST",
      headers: { authorization: `Bearer ${job.token}`, "content-type": "application/json" },
      body: JSON.stringify({ eventType: "threat.created", payload: { number } }),
    });
    if (!answer.ok) throw new Error(`an event was not accepted: ${answer.status}`);
  }
}
