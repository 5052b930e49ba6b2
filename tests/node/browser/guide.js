// What every tour is given: a browser, visitors in it, and the report of what was seen.
"use strict";

const fs = require("node:fs");
const path = require("node:path");
const { chromium } = require("playwright-core");
const { watch } = require("./watch");

const CHROMIUM = process.env.CHROMIUM ?? "/usr/bin/chromium";
const FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  // Whatever asks for another host gets no answer, not even from a resolver.
  "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
  "--no-proxy-server",
];

const DESKTOP = { width: 1440, height: 900 };
const PHONE = { width: 390, height: 844 };
// Far more than any page takes, so that a busy machine fails nothing.
const PATIENCE_MS = 30_000;

class Guide {
  // A browser with a new, empty profile, which ends with it.
  static async start(job) {
    const browser = await chromium.launch({ executablePath: CHROMIUM, args: FLAGS, headless: true });
    return new Guide(job, browser);
  }

  constructor(job, browser) {
    this.job = job;
    this.browser = browser;
    // `findings`: all that is wrong. `steps`: what a tour did. `pages`: what a crawl saw.
    this.report = { findings: [], steps: [], pages: [], seen: {} };
    this.pages = [];
  }

  // A person with a browser of their own: no cookies but theirs.
  async visitor({ size = DESKTOP, scheme = "light", script = true } = {}) {
    const context = await this.browser.newContext({
      viewport: size,
      colorScheme: scheme,
      javaScriptEnabled: script,
      reducedMotion: "reduce",
      locale: "en-US",
      timezoneId: "UTC",
    });
    context.setDefaultTimeout(PATIENCE_MS);
    await watch(context, this);
    const page = await context.newPage();
    this.pages.push(page);
    return page;
  }

  // A visitor who signed in to the dashboard as people without a script do.
  async operator(options) {
    const page = await this.visitor(options);
    await page.goto(`${this.job.base}/dashboard/sign-in`);
    await page.fill("#credential", this.job.token);
    await page.click("button[type=submit]");
    await page.waitForURL(`${this.job.base}/dashboard`);
    return page;
  }

  // A visitor who came by a link to the portal.
  async customer(link, options) {
    const page = await this.visitor(options);
    await page.goto(link);
    await page.waitForURL(/\/portal\/app_/);
    return page;
  }

  // Something wrong: the kind of check, where, and what.
  find(check, where, what) {
    this.report.findings.push({ check, where: this.place(where), what: String(what).slice(0, 600) });
  }

  step(name) {
    this.report.steps.push(name);
  }

  // A fact for the test that asked.
  note(name, value) {
    this.report.seen[name] = value;
  }

  // An address without the part that differs between runs.
  place(url) {
    return String(url).replace(this.job.base, "");
  }

  // Pictures of the whole page at both sizes, light and dark, into the folder of the job; none if it names none.
  async picture(page, name) {
    if (!this.job.pictures) return;
    await page.evaluate(() => { document.activeElement?.blur(); window.scrollTo(0, 0); });
    const file = (size, scheme) => path.join(this.job.pictures, `${name}.${size}.${scheme}.png`);
    fs.mkdirSync(this.job.pictures, { recursive: true });
    for (const [size, viewport] of Object.entries({ desktop: DESKTOP, phone: PHONE })) {
      await page.setViewportSize(viewport);
      for (const scheme of ["light", "dark"]) {
        await page.emulateMedia({ colorScheme: scheme });
        await page.screenshot({ path: file(size, scheme), fullPage: true, timeout: PATIENCE_MS });
      }
    }
    await page.emulateMedia({ colorScheme: "light" });
    await page.setViewportSize(DESKTOP);
  }

  // The tour could not go on: say why and show where.
  async broke(error) {
    const page = this.pages.findLast((page) => !page.isClosed());
    const where = page?.url() ?? "";
    this.find("broken off", where, error.stack ?? error);
    if (!page || !this.job.pictures) return;
    fs.mkdirSync(this.job.pictures, { recursive: true });
    const file = path.join(this.job.pictures, `broken-off.${this.job.tour}.png`);
    await page.screenshot({ path: file }).catch(() => {});
  }

  async end() {
    await this.browser.close();
  }
}

module.exports = { Guide, DESKTOP, PHONE };
