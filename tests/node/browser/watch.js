// Listens to everything a browser complains about, in every page of a visitor.
"use strict";

// What hostile texts call if one of them is ever run; tests/e2e/browser/hostile.rs writes them.
const TRAP = "watchfireTrap";

// Runs before any script of a page, in frames as well.
function listen() {
  document.addEventListener("securitypolicyviolation", (event) => {
    const { effectiveDirective, blockedURI, sourceFile, lineNumber } = event;
    window.watchfireViolation?.(`${effectiveDirective} ${blockedURI} ${sourceFile}:${lineNumber}`);
  });
}

async function watch(context, guide) {
  await context.exposeBinding("watchfireViolation", ({ frame }, what) => {
    guide.find("content security policy", frame.url(), what);
  });
  await context.exposeBinding(TRAP, ({ frame }, what) => {
    guide.find("script injected", frame.url(), what);
  });
  await context.addInitScript(listen);
  context.on("console", (message) => {
    if (!["error", "warning"].includes(message.type())) return;
    const where = message.page()?.url() ?? "";
    if (expected(guide, message)) return;
    guide.find("console", where, `${message.text()} ${guide.place(message.location().url)}`);
  });
  context.on("weberror", (error) => {
    guide.find("uncaught error", error.page()?.url() ?? "", error.error().stack);
  });
  context.on("dialog", (dialog) => {
    guide.find("dialog", dialog.page()?.url() ?? "", dialog.message());
    dialog.dismiss().catch(() => {});
  });
  context.on("request", (request) => {
    const url = new URL(request.url());
    const ours = ["127.0.0.1", "localhost"].includes(url.hostname);
    if (!ours && ["http:", "https:", "ws:", "wss:"].includes(url.protocol)) {
      guide.find("request to a stranger", request.frame()?.url() ?? "", request.url());
    }
  });
}

// A tour may say which complaints it provokes: `guide.provokes = [/401/]`.
function expected(guide, message) {
  return (guide.provokes ?? []).some((pattern) => pattern.test(message.text()));
}

module.exports = { watch, TRAP };
