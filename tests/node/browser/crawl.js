// Follows every link from where a visitor stands. Pages that differ only in whose they are (the same
// path with other ids, the same filters with other values) are of one shape; of each shape a few
// are seen.
"use strict";

const PER_SHAPE = 2;
const PAGES_MAX = 300;
// Not pages: streams and files.
const NO_PAGE = /\/live$|^\/assets\/|\/export|\.(csv|json|ndjson|css)$|^\/(api|docs|openapi|metrics)/;

// The shape of an address: `/dashboard/apps/{app}/endpoints?order&q`.
function shape(url) {
  const { pathname, searchParams } = new URL(url);
  const path = pathname.split("/").map((step) => {
    const id = /^([a-z]+)_[0-9A-Za-z]{16,}$/.exec(step);
    if (id) return `{${id[1]}}`;
    return step;
  }).join("/").replace(/\/(events|contracts)\/[^/]+/, "/$1/{name}");
  const names = [...new Set(searchParams.keys())].sort();
  return path + (names.length ? `?${names.join("&")}` : "");
}

// Visits pages from `start` on and calls `see(page, answer, shape, first)` on each; `first` says
// whether it is the first of its shape. Returns the shapes.
async function crawl(guide, page, start, see, { perShape = PER_SHAPE } = {}) {
  const { origin } = new URL(guide.job.base);
  const waiting = [new URL(start, origin).href];
  const known = new Set(waiting);
  const shapes = new Map();
  let visited = 0;
  while (waiting.length) {
    const url = waiting.shift();
    const count = shapes.get(shape(url)) ?? 0;
    if (count >= perShape) continue;
    if (++visited > PAGES_MAX) {
      guide.find("crawl", url, `more than ${PAGES_MAX} pages; shapes: ${[...shapes.keys()]}`);
      break;
    }
    shapes.set(shape(url), count + 1);
    const answer = await page.goto(url, { waitUntil: "load" });
    // A page that sends on to another is seen where it leads.
    if (shape(page.url()) === shape(url)) await see(page, answer, shape(url), count === 0);
    else if (!known.has(page.url())) waiting.push(page.url());
    for (const link of await page.evaluate(links)) {
      const to = new URL(link, page.url());
      to.hash = "";
      if (to.origin !== origin || known.has(to.href) || NO_PAGE.test(to.pathname)) continue;
      known.add(to.href);
      waiting.push(to.href);
    }
  }
  return shapes;
}

function links() {
  const links = [...document.querySelectorAll("a[href]:not([download])")].map((link) => link.getAttribute("href"));
  const rows = [...document.querySelectorAll("[data-href]")].map((row) => row.dataset.href);
  return [...links, ...rows];
}

module.exports = { crawl, shape };
