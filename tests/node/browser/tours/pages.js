// Every page of the dashboard and of a portal, with all checks and pictures.
"use strict";

const { audit, accessible } = require("../audit");
const { crawl } = require("../crawl");
const { keyboard } = require("../keyboard");

module.exports = async (guide, job) => {
  const titles = new Map();
  const judged = new Set();
  const see = (place) => async (page, answer, shape, first) => {
    const bytes = await audit(guide, page, answer);
    guide.report.pages.push({ shape, where: guide.place(page.url()), bytes });
    if (first) unique(guide, titles, await page.title(), shape);
    // Filters change what a page lists, not what it is.
    const [path] = shape.split("?");
    if (judged.has(path)) return;
    judged.add(path);
    await accessible(guide, page, "light");
    await accessible(guide, page, "dark");
    await keyboard(guide, page);
    await guide.picture(page, `${place}${named(path)}`);
  };
  if (job.link) {
    const page = await guide.customer(job.link);
    await crawl(guide, page, page.url(), see("portal"));
  } else {
    const page = await guide.operator();
    await crawl(guide, page, "/dashboard", see(job.name ?? "dashboard"));
  }
};

// Whoever has many tabs open tells them apart by their titles. Filters don't change what a page is.
function unique(guide, titles, title, shape) {
  const [path] = shape.split("?");
  const other = titles.get(title);
  if (other && other !== path) guide.find("title", shape, `${title} is also the title of ${other}`);
  titles.set(title, path);
}

function named(shape) {
  const name = shape.replace(/^\/(dashboard|portal)/, "").replace(/[{}]/g, "");
  return name.replaceAll("/", "-");
}
