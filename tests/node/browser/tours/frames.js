// Pages in frames of other pages: the portal where the operator lists the parent, and nothing else.
"use strict";

module.exports = async (guide, job) => {
  guide.provokes = [/frame-ancestors/, /Refused to/, /Framing/, /status of 40/];
  for (const [parent, inside, shows] of [
    [job.listed, job.link, true],
    [job.other, job.link, false],
    [job.listed, `${job.base}/dashboard/sign-in`, false],
    [job.other, `${job.base}/dashboard/sign-in`, false],
  ]) {
    const page = await guide.visitor();
    // The browser blocks in report, not in an answer: whether anything is shown tells.
    await page.goto(parent, { waitUntil: "load" });
    await page.evaluate((src) => { document.querySelector("iframe").src = src; }, inside);
    const frame = page.frames()[1];
    if (shows) await frame.waitForURL(/\/portal\/app_.*\/endpoints/);
    const heading = await frame.locator("h1").first().textContent({ timeout: shows ? 30_000 : 2_000 }).catch(() => null);
    const text = frame.url().startsWith("chrome-error") ? null : heading;
    if (shows !== (text !== null)) guide.find("frame", inside, `in ${parent}: ${text}`);
    if (shows && guide.job.pictures) await guide.picture(page, "framed");
    guide.step(`${parent === job.listed ? "listed" : "other"} ${shows}`);
    await page.close();
  }
};
