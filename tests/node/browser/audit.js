// What must hold for any page, whatever it shows.
"use strict";

const fs = require("node:fs");
const { DESKTOP, PHONE } = require("./guide");

const PAGE_BYTES_MAX = 100_000;
const AXE = fs.readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

// Looks at the page that is shown. `answer` is what the server sent.
async function audit(guide, page, answer) {
  const where = page.url();
  const html = await answer.text();
  const bytes = Buffer.byteLength(html);
  if (answer.status() !== 200) guide.find("status", where, answer.status());
  if (bytes > PAGE_BYTES_MAX) guide.find("weight", where, `${bytes} bytes`);
  for (const what of await page.evaluate(sourceFaults, html)) guide.find("markup", where, what);
  for (const what of await page.evaluate(pageFaults)) guide.find("page", where, what);
  await layout(guide, page);
  return bytes;
}

// Nothing may stick out at the side, on a desk or on a phone.
async function layout(guide, page) {
  for (const [name, size] of [["phone", PHONE], ["desktop", DESKTOP]]) {
    await page.setViewportSize(size);
    for (const what of await page.evaluate(overflows)) {
      guide.find("layout", page.url(), `${name}: ${what}`);
    }
  }
}

// What axe-core finds serious, in light or in dark.
async function accessible(guide, page, scheme = "light") {
  await page.emulateMedia({ colorScheme: scheme });
  if (!(await page.evaluate(() => "axe" in window))) await page.evaluate(AXE);
  const violations = await page.evaluate(async (scheme) => {
    const tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
    // In the dark only the colours are others.
    const runOnly = scheme === "dark" ? ["color-contrast"] : tags;
    return (await axe.run(document, { runOnly, resultTypes: ["violations"] })).violations;
  }, scheme);
  for (const { id, impact, help, nodes } of violations) {
    if (!["serious", "critical"].includes(impact)) continue;
    const first = `${nodes[0].html} ${nodes[0].failureSummary}`.replace(/\s+/g, " ");
    guide.find("axe", page.url(), `${scheme}: ${id} (${help}), ${nodes.length} times: ${first}`);
  }
  await page.emulateMedia({ colorScheme: "light" });
}

// --- Below: run inside the page, so each stands alone. ---

// What the HTML as it was sent must not contain.
function sourceFaults(html) {
  const faults = [];
  const sent = new DOMParser().parseFromString(html, "text/html");
  const short = (element) => element.outerHTML.slice(0, 160);
  for (const element of sent.querySelectorAll("[style], style, script:not([src])")) {
    faults.push(`inline style or script: ${short(element)}`);
  }
  for (const element of sent.querySelectorAll("*")) {
    const named = [...element.attributes];
    const handler = named.find(({ name }) => name.startsWith("on"));
    if (handler) faults.push(`inline handler: ${short(element)}`);
    const target = named.find(({ name, value }) =>
      ["href", "src", "action", "formaction", "data-href"].includes(name) &&
      !/^([/?#]|https?:\/\/|mailto:|data:image\/)/.test(value));
    if (target && target.value !== "") faults.push(`leads nowhere we know: ${short(element)}`);
  }
  const ids = [...sent.querySelectorAll("[id]")].map(({ id }) => id);
  for (const id of new Set(ids.filter((id, place) => ids.indexOf(id) !== place))) {
    faults.push(`the id ${id} is there twice`);
  }
  for (const element of sent.querySelectorAll("[for], [aria-labelledby], [aria-describedby], [popovertarget]")) {
    for (const name of ["for", "aria-labelledby", "aria-describedby", "popovertarget"]) {
      for (const id of (element.getAttribute(name) ?? "").split(/\s+/).filter(Boolean)) {
        if (!ids.includes(id)) faults.push(`${name}="${id}" names nothing: ${short(element)}`);
      }
    }
  }
  // The tree the browser builds is the one that was written: nothing was closed, moved or added.
  const empty = new Set(["area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"]);
  const written = [], open = [];
  for (const [, close, name, rest] of html.matchAll(/<(\/?)([a-zA-Z][\w-]*)((?:"[^"]*"|[^">])*)>/g)) {
    if (close) {
      if (open.pop() !== name) faults.push(`</${name}> closes something else`);
    } else {
      written.push(`${open.length} ${name.toLowerCase()}`);
      if (!empty.has(name.toLowerCase()) && !rest.endsWith("/")) open.push(name);
    }
  }
  const built = [];
  const walk = (element, depth) => {
    built.push(`${depth} ${element.localName.toLowerCase()}`);
    for (const child of element.children) walk(child, depth + 1);
  };
  walk(sent.documentElement, 0);
  const differs = built.findIndex((line, place) => line !== written[place]);
  if (differs >= 0 || built.length !== written.length) {
    const at = Math.max(0, differs);
    faults.push(`the browser repairs the markup: ${written.slice(at, at + 3)} becomes ${built.slice(at, at + 3)}`);
  }
  return faults;
}

// What the page as it is shown must have.
function pageFaults() {
  const faults = [];
  const short = (element) => element.outerHTML.slice(0, 160);
  const headings = document.querySelectorAll("h1");
  if (headings.length !== 1) faults.push(`${headings.length} headings of the first level`);
  if (!document.title.trim()) faults.push("no title");
  if (!document.documentElement.lang) faults.push("no language");
  for (const field of document.querySelectorAll("input, select, textarea")) {
    if (field.type === "hidden") continue;
    const named = field.labels?.length || field.getAttribute("aria-label") || field.getAttribute("aria-labelledby");
    if (!named) faults.push(`no label: ${short(field)}`);
  }
  for (const form of document.querySelectorAll("form")) {
    // A form around a list that is empty now asks for nothing.
    const asks = form.querySelector("input:not([type=hidden]), select, textarea");
    const sends = !asks || form.querySelector("button[type=submit], button:not([type]), input[type=submit]");
    if (!sends) faults.push(`no button sends this form: ${short(form)}`);
    const carries = form.querySelector("input[name=csrf]")?.value;
    const open = ["/dashboard/sign-in", "/portal/session"].includes(form.getAttribute("action"));
    if (form.method === "post" && !open && !carries) faults.push(`a form without a token: ${short(form)}`);
  }
  for (const link of document.querySelectorAll("a[target=_blank]")) {
    if (!link.relList.contains("noopener")) faults.push(`opens a page that can reach back: ${short(link)}`);
  }
  return faults;
}

// What makes the page wider than the screen, and texts that run out of their box.
function overflows() {
  const root = document.documentElement;
  const faults = [];
  const room = root.clientWidth;
  const name = (element) => `${element.localName}.${element.className?.baseVal ?? element.className} ${(element.textContent ?? "").trim().slice(0, 60)}`;
  const scrolls = (element) => {
    for (let parent = element; parent && parent !== document.body; parent = parent.parentElement) {
      const { overflowX } = getComputedStyle(parent);
      if (overflowX !== "visible") return true;
    }
    return false;
  };
  if (root.scrollWidth > room) {
    faults.push(`scrolls sideways by ${root.scrollWidth - room}`);
    const wide = [...document.body.querySelectorAll("*")].filter((element) => {
      const box = element.getBoundingClientRect();
      return box.width > 0 && box.right > room + 1 && !scrolls(element.parentElement);
    });
    if (wide.length) faults.push(`the first too far out: ${name(wide[0])}, the innermost: ${name(wide.at(-1))}`);
  }
  return faults;
}

module.exports = { audit, accessible, layout };
