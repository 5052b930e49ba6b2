// A page with everything wrong, to show that the judge sees it: each fault is noted as the checks
// that fired. No server of ours would send it; the browser is told to answer with it.
"use strict";

const { audit, accessible } = require("../audit");
const { keyboard } = require("../keyboard");
const { TRAP } = require("../watch");

const GOOD = `<!DOCTYPE html><html lang="en"><head><title>t</title></head><body><main><h1>h</h1>
  <a href="/dashboard">A link</a></main></body></html>`;

// A fault, and what takes the place of the good page's parts to make it.
const FAULTS = {
  "inline style": ["<h1>", '<h1 style="color: red">'],
  "inline script": ["<h1>", "<script>1</script><h1>"],
  "inline handler": ["<h1>", '<h1 onclick="1">'],
  "script address": ["/dashboard", "javascript:1"],
  "script injected": ["<h1>", `<img src="data:image/png;base64," onerror="${TRAP}('img')" alt="x"><h1>`],
  "dialog": ["<h1>", "<script>alert(1)</script><h1>"],
  "uncaught error": ["<h1>", "<script>throw new Error('x')</script><h1>"],
  "console": ["<h1>", "<script>console.error('x')</script><h1>"],
  "request to a stranger": ["<h1>", '<img src="http://watchfire.example/x.png" alt="x"><h1>'],
  "two headings": ["</h1>", "</h1><h1>again</h1>"],
  "no heading": [/<h1>.*<\/h1>/, ""],
  "no label": ["</main>", "<input></main>"],
  "same id": ["</main>", '<p id="a"></p><p id="a"></p></main>'],
  "repaired markup": ["</main>", "<p><div></div></p></main>"],
  "form without a token": ["</main>", '<form method="post" action="/x"><button>x</button></form></main>'],
  "form without a button": ["</main>", '<form action="/x"><input aria-label="x"></form></main>'],
  "too wide": ["</main>", '<table><tr><td>' + "w".repeat(3000) + "</td></tr></table></main>"],
  "too heavy": ["</main>", `<p>${"word ".repeat(21_000)}</p></main>`],
  "bad contrast": ["</main>", '<p style="color: #ddd">Hardly to be read</p></main>'],
  "unreachable": ["</main>", '<button tabindex="-1">x</button></main>'],
  "invisible focus": ["</main>", '<button style="outline: none">x</button></main>'],
};

module.exports = async (guide, job) => {
  const page = await guide.visitor();
  let html = GOOD;
  await page.route("**/sick", (route) => route.fulfill({ contentType: "text/html", body: html }));
  const look = async () => {
    const before = guide.report.findings.length;
    const answer = await page.goto(`${job.base}/sick`);
    await audit(guide, page, answer);
    await accessible(guide, page);
    await keyboard(guide, page);
    const found = guide.report.findings.splice(before);
    return found.map(({ check, what }) => `${check}: ${what}`);
  };
  guide.note("good", await look());
  for (const [fault, [part, replacement]] of Object.entries(FAULTS)) {
    html = GOOD.replace(part, () => replacement);
    guide.note(fault, await look());
  }
  html = GOOD;
  await page.route("**/sick", (route) => route.fulfill({
    contentType: "text/html",
    headers: { "content-security-policy": "script-src 'none'" },
    body: GOOD.replace("<h1>", "<script>1</script><h1>"),
  }));
  guide.note("policy broken", await look());
};
