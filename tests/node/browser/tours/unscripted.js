// The same pages with JavaScript switched off: all that is offered can be reached and used.
"use strict";

const { crawl } = require("../crawl");

module.exports = async (guide) => {
  const page = await guide.operator({ script: false });
  await crawl(guide, page, "/dashboard", async (page, answer, shape) => {
    guide.report.pages.push({ shape, where: guide.place(page.url()) });
    if (answer.status() !== 200) guide.find("status", page.url(), answer.status());
    for (const what of await page.evaluate(faults)) guide.find("without script", page.url(), what);
  }, { perShape: 1 });
};

function faults() {
  const faults = [];
  const visible = (element) => element?.checkVisibility({ visibilityProperty: true });
  if (!visible(document.querySelector("h1"))) faults.push("no heading can be seen");
  for (const form of document.querySelectorAll("form")) {
    // A form in a dialog or behind a fold is there once that is open.
    if (!visible(form) || !form.querySelector("input:not([type=hidden]), select, textarea")) continue;
    const sends = form.querySelectorAll("button[type=submit], button:not([type])");
    if (![...sends].some(visible)) faults.push(`nothing sends ${form.outerHTML.slice(0, 160)}`);
  }
  for (const button of document.querySelectorAll("button[type=button]")) {
    if (visible(button) && !button.hasAttribute("popovertarget")) {
      faults.push(`does nothing: ${button.outerHTML.slice(0, 160)}`);
    }
  }
  return faults;
}
