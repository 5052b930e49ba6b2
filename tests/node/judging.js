// What every browser tour judges pages by: where it opens them, and what it complains about.
"use strict";
const fs = require("node:fs");
const path = require("node:path");

const axe = fs.readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
const SIZES = { desktop: { width: 1440, height: 900 }, phone: { width: 390, height: 844 } };
const FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
  "--disable-background-networking", "--disable-component-update", "--disable-sync"];
const PAGE_BYTES_MAX = 100 * 1000;
// Where pictures go, if any are taken; tests/e2e/harness/judge.rs says it.
const pictures = process.env.PICTURES;

const complaints = [];
const complain = (text) => { complaints.push(text); console.log(`COMPLAINT ${text}`); };
const assert = (holds, text) => { if (!holds) throw new Error(text); };

// A browser window whose every page is judged.
async function open(browser, options = {}, expected = []) {
  const context = await browser.newContext({
    viewport: SIZES.desktop,
    // A colour on its way to another has no contrast worth judging.
    reducedMotion: "reduce",
    ...options,
  });
  await context.addInitScript(() => {
    addEventListener("securitypolicyviolation", (event) => {
      console.error(`violation of ${event.violatedDirective} by ${event.blockedURI}`);
    });
  });
  const page = await context.newPage();
  page.on("console", (message) => {
    const text = message.text();
    if (message.type() === "error" && !expected.some((known) => text.includes(known))) {
      complain(`${page.url()}: the console says ${text}`);
    }
  });
  page.on("pageerror", (error) => complain(`${page.url()}: ${error.message}`));
  page.on("dialog", (dialog) => { complain(`${page.url()}: a dialog opened`); dialog.dismiss(); });
  return page;
}

// Judges a page at both widths, light and dark, and takes its pictures. What only a form's answer
// shows can't be asked for again.
async function visit(page, name, { again = true } = {}) {
  if (again) await served(page, name);
  for (const colorScheme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme });
    for (const [size, viewport] of Object.entries(SIZES)) {
      await page.setViewportSize(viewport);
      const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      if (wide > 0) complain(`${name} at ${size} is ${wide} pixels too wide`);
      if (pictures) {
        fs.mkdirSync(pictures, { recursive: true });
        const file = path.join(pictures, `tour-${name}.${size}.${colorScheme}.png`);
        await page.screenshot({ path: file, fullPage: true });
      }
    }
    await audit(page, `${name} ${colorScheme}`);
  }
  await page.emulateMedia({ colorScheme: "light" });
  await page.setViewportSize(SIZES.desktop);
}

// The page as it is served: what judges add to it is not in that.
async function served(page, name) {
  const text = await page.evaluate(() => fetch(location.href).then((answer) => answer.text()));
  if (Buffer.byteLength(text) > PAGE_BYTES_MAX) complain(`${name} has ${Buffer.byteLength(text)} bytes`);
  const inline = text.match(/\sstyle=|<style|<script(?![^>]*\ssrc=)|\son[a-z]+=/gi);
  if (inline) complain(`${name}: inline ${inline.slice(0, 3)}`);
}

// What axe finds serious on a page, and ids that stand there twice.
async function audit(page, name) {
  const twice = await page.evaluate(() => {
    const ids = [...document.querySelectorAll("[id]")].map(({ id }) => id);
    return ids.filter((id, place) => ids.indexOf(id) !== place);
  });
  if (twice.length) complain(`${name}: twice there: ${twice}`);
  await page.evaluate(axe);
  const found = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
  for (const one of found.violations.filter((one) => ["serious", "critical"].includes(one.impact))) {
    complain(`${name}: ${one.id}: ${one.help}: ${one.nodes.map((node) => node.html).slice(0, 2).join(" ")}`);
  }
}

module.exports = { FLAGS, PAGE_BYTES_MAX, complaints, complain, assert, open, visit, audit };
