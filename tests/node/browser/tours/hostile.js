// A server full of hostile texts: each is shown as a text, on every page, and nothing runs.
"use strict";

const { audit } = require("../audit");
const { crawl } = require("../crawl");

module.exports = async (guide, job) => {
  const missing = new Set(job.texts);
  const page = job.link ? await guide.customer(job.link) : await guide.operator();
  const start = job.link ? page.url() : "/dashboard";
  await crawl(guide, page, start, async (page, answer, shape) => {
    guide.report.pages.push({ shape });
    await audit(guide, page, answer);
    const { injected, text } = await page.evaluate(shown);
    for (const element of injected) guide.find("element injected", page.url(), element);
    for (const one of missing) if (text.includes(flat(one))) missing.delete(one);
  }, { perShape: 3 });
  for (const text of missing) guide.find("not shown as it is", page.url(), text);
};

const flat = (text) => text.replace(/\s+/g, " ").trim();

// What hostile markup would have made, and all texts a person can see or copy.
function shown() {
  const injected = [...document.querySelectorAll("[data-hostile]")].map((element) => element.outerHTML.slice(0, 160));
  const fields = [...document.querySelectorAll("input, textarea")].map(({ value }) => value);
  const titles = [...document.querySelectorAll("[title]")].map(({ title }) => title);
  const text = [document.title, document.body.textContent, ...fields, ...titles].join(" ");
  return { injected, text: text.replace(/\s+/g, " ") };
}
