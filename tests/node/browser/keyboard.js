// Everything that can be done on a page can be done with the Tab key, and one sees where one is.
"use strict";

const STOPS_MAX = 400;

async function keyboard(guide, page) {
  const all = await page.evaluate(mark);
  await page.evaluate(() => { document.activeElement?.blur(); window.scrollTo(0, 0); });
  const reached = new Set();
  for (let stops = 0; stops < Math.min(all.length + 20, STOPS_MAX); stops += 1) {
    await page.keyboard.press("Tab");
    const stop = await page.evaluate(focus);
    if (!stop) continue;
    if (reached.has(stop.number)) break;
    reached.add(stop.number);
    if (!stop.seen) guide.find("keyboard", page.url(), `the focus can't be seen: ${stop.html}`);
  }
  if (all.length > STOPS_MAX) return;
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

// Where the focus is, and whether that shows.
function focus() {
  const element = document.activeElement;
  if (!element || element === document.body || !("stop" in element.dataset)) return null;
  const style = getComputedStyle(element);
  const box = element.getBoundingClientRect();
  const ring = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 1;
  const seen = ring && box.width > 0 && box.height > 0;
  return { number: Number(element.dataset.stop), seen, html: element.outerHTML.slice(0, 160) };
}

module.exports = { keyboard };
