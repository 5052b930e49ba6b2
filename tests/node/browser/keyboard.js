// Everything that can be done on a page can be done with the Tab key, and one sees where one is.
"use strict";

const STOPS_MAX = 400;

async function keyboard(guide, page) {
  const all = await page.evaluate(mark);
  await page.evaluate(() => { document.activeElement?.blur(); window.scrollTo(0, 0); });
  if (all.length > STOPS_MAX) guide.find("keyboard", page.url(), `${all.length} stops`);
  await page.evaluate(follow);
  // The links of a chart are stops on the way to what follows.
  const inCharts = await page.locator("svg a[href]").count();
  const presses = Math.min(all.length + inCharts, STOPS_MAX) + 3;
  await Promise.all(Array.from({ length: presses }, () => page.keyboard.press("Tab")));
  const stops = await page.evaluate(() => window.watchfireStops);
  const reached = new Set(stops.map(({ number }) => number));
  for (const { html } of stops.filter(({ seen }) => !seen)) {
    guide.find("keyboard", page.url(), `the focus can't be seen: ${html}`);
  }
  const missed = all.filter(({ number }) => !reached.has(number));
  for (const { html } of missed) guide.find("keyboard", page.url(), `Tab doesn't get there: ${html}`);
}

// Numbers all that can be worked on the page. Of a group of radio buttons one is a stop, and a
// part of a chart is named in a list beside it.
function mark() {
  const controls = "a[href], button, input:not([type=hidden]), select, textarea, summary, [tabindex='0']";
  const groups = new Set();
  const is = (element) => {
    if (element.disabled || element.closest("svg, [inert]") || !element.checkVisibility({ visibilityProperty: true })) return false;
    if (element.type === "radio") {
      const group = `${element.form?.id}/${element.name}`;
      const any = document.querySelector(`input[type=radio][name="${CSS.escape(element.name)}"]:checked`);
      if (groups.has(group) || (any && any !== element)) return false;
      groups.add(group);
    }
    return true;
  };
  return [...document.querySelectorAll(controls)].filter(is).map((element, number) => {
    element.dataset.stop = number;
    return { number, html: element.outerHTML.slice(0, 160) };
  });
}

// Notes where the focus goes, and whether that shows.
function follow() {
  const stops = window.watchfireStops = [];
  document.addEventListener("focusin", ({ target }) => {
    if (!("stop" in target.dataset)) return;
    const style = getComputedStyle(target);
    const box = target.getBoundingClientRect();
    const ring = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 1;
    const seen = ring && box.width > 0 && box.height > 0;
    stops.push({ number: Number(target.dataset.stop), seen, html: target.outerHTML.slice(0, 160) });
  });
}

module.exports = { keyboard };
