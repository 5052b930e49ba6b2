// A person at a browser: goes through the dashboard and the portal as its users would, and judges
// every page it comes by. Complaints end it with an error.
"use strict";
const http = require("node:http");
const { chromium } = require("playwright-core");
const { FLAGS, PAGE_BYTES_MAX, complaints, complain, assert, open, visit: look, audit } = require("./judging");

const server = process.env.WATCHFIRE_URL;
const token = process.env.WATCHFIRE_TOKEN;
const ticket = process.env.SIGN_IN_KEY;

// What people type that must stay text.
const HOSTILE = [
  `<script>window.fired=1</script>`,
  `"><img src=x onerror="window.fired=1">`,
  `'"><svg onload=window.fired=1>`,
  `javascript:window.fired=1//`,
  `</title><script>window.fired=1</script>`,
  `{{constructor.constructor('window.fired=1')()}}`,
];

// A receiver that can be mended, and pages that frame the portal.
const receiver = { broken: true, framed: "" };
const listener = http.createServer((request, response) => {
  request.resume();
  if (request.url === "/parent") {
    response.setHeader("content-type", "text/html");
    response.end(`<!doctype html><title>Product</title><iframe width="900" height="700" src="${receiver.framed}"></iframe>`);
  } else if (request.url === "/forger") {
    response.setHeader("content-type", "text/html");
    response.end(`<!doctype html><title>Forger</title><form method="post" action="${server}/dashboard/apps/new">
      <input name="name" value="forged"><button>Go</button></form>`);
  } else {
    response.statusCode = request.url === "/flaky" && receiver.broken ? 500 : 204;
    response.end();
  }
});

const api = async (method, where, body) => {
  const answer = await fetch(`${server}/api/v1${where}`, {
    method,
    headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
    body: body && JSON.stringify(body),
  });
  assert(answer.ok, `${method} ${where}: ${answer.status} ${await answer.clone().text()}`);
  return answer.status === 204 ? null : answer.json();
};

// Judges a page, and what a first visit to it loads.
async function visit(page, name, { reload = true } = {}) {
  await look(page, name, { again: reload });
  if (reload) await weigh(page, name);
}

// Nothing of a first visit is cached.
async function weigh(page, name) {
  const client = await page.context().newCDPSession(page);
  await client.send("Network.clearBrowserCache");
  let bytes = 0;
  const count = async (response) => {
    if (response.request().resourceType() === "eventsource") return;
    bytes += (await response.body().catch(() => Buffer.alloc(0))).length;
  };
  page.on("response", count);
  await page.reload({ waitUntil: "load" });
  await page.waitForTimeout(50);
  page.off("response", count);
  if (bytes > PAGE_BYTES_MAX) complain(`${name} weighs ${bytes} bytes`);
}

const press = (page, text) => page.getByRole("button", { name: text, exact: true }).click();
const follow = (page, text) => page.getByRole("link", { name: text, exact: true }).click();

// From the link that a new server prints to the first received event.
async function firstRun(browser) {
  const page = await open(browser, {}, ["401"]);
  await page.goto(`${server}/dashboard/sign-in`);
  await visit(page, "sign-in");
  await page.goto(`${server}/dashboard/sign-in#key=${ticket}`);
  await page.getByText("Welcome to Watchfire").waitFor();
  assert(!page.url().includes(ticket), "the code stays in the address");
  await visit(page, "welcome");
  await follow(page, "Start");
  await visit(page, "start-1");
  await press(page, "Create application");
  await press(page, "Create endpoint");
  await press(page, "Send a test event");
  await page.getByText("What came").waitFor();
  const came = await page.locator("pre").innerText();
  for (const header of ["webhook-id", "webhook-timestamp", "webhook-signature"]) {
    assert(came.includes(header), `the received request has no ${header}`);
  }
  await visit(page, "start-3");
  // The link worked once.
  const second = await open(browser, {}, ["401"]);
  await second.goto(`${server}/dashboard/sign-in#key=${ticket}`);
  await second.getByText("This is not valid").waitFor();
  await second.context().close();
  return page;
}

// An endpoint that fails: see why, mend it, recover.
async function failing(page) {
  const app = await api("POST", "/app", { name: "Acme SOC", uid: "acme" });
  const receives = `http://127.0.0.1:${listener.address().port}`;
  await page.goto(`${server}/dashboard/apps`);
  await visit(page, "applications");
  await page.getByRole("link", { name: /Acme SOC/ }).click();
  await page.getByText("No endpoints yet").waitFor();
  await page.getByRole("link", { name: "New endpoint" }).first().click();
  await page.getByLabel("Address").fill("http://169.254.169.254/");
  await page.getByText("This can't be saved").waitFor();
  await page.getByLabel("Address").fill(`${receives}/flaky`);
  await page.getByText("This can be saved").waitFor();
  await page.getByLabel("Description").fill("Ticket system");
  await press(page, "Preview the request");
  await page.getByText("webhook-signature").waitFor();
  await visit(page, "endpoint-new", { reload: false });
  await press(page, "Create endpoint");
  await page.getByText("The endpoint was created").waitFor();
  await follow(page, "Send test event");
  await visit(page, "endpoint-test");
  await press(page, "Send");
  await page.getByText("Not received").waitFor();
  await page.getByText("refused with status 500").first().waitFor();
  await visit(page, "endpoint-test-failed", { reload: false });
  await follow(page, "Back to the endpoint");
  await page.getByText(/Failing since/).waitFor();
  await visit(page, "endpoint-failing");
  receiver.broken = false;
  await page.getByText("All is well").or(page.getByRole("button", { name: "Activate" })).first().waitFor();
  await press(page, "Activate");
  await page.getByText("active again").waitFor();
  await press(page, "Recover failed");
  await press(page, "Recover");
  await page.getByText("is being sent again").waitFor();
  await page.locator("#recent").getByText("204").first().waitFor();
  await visit(page, "endpoint-recovered");
  return app;
}

// A secret: shown, replaced with an overlap, shown again.
async function rotate(page) {
  const shown = async () => {
    await press(page, "Show");
    return (await page.locator("#secret pre").first().innerText()).trim();
  };
  const old = await shown();
  assert(old.startsWith("whsec_"), "no secret is shown");
  await visit(page, "secret", { reload: false });
  await page.getByRole("link", { name: "Endpoints", exact: true }).first().click();
  await page.locator("a.row-link").first().click();
  assert(!(await page.content()).includes(old), "the secret is shown without being asked for");
  await press(page, "Rotate");
  await page.getByRole("dialog").getByText("The old one goes on signing for").waitFor();
  await visit(page, "rotate", { reload: false });
  if (!(await page.getByRole("button", { name: "Replace it" }).isVisible())) await press(page, "Rotate");
  await press(page, "Replace it");
  await page.getByText("The secret was replaced").waitFor();
  await page.getByText("The replaced one signs too").waitFor();
  assert((await shown()) !== old, "the secret stayed the same");
}

async function keys(page) {
  await page.goto(`${server}/dashboard/keys/new`);
  await page.getByLabel("Name").fill("Scanner");
  await page.getByLabel("events:write").check();
  await press(page, "Make the key");
  const key = (await page.locator("pre").first().innerText()).trim();
  assert(/^wfk_/.test(key), "no key is shown");
  await visit(page, "key-made", { reload: false });
  await page.goto(`${server}/dashboard/keys`);
  assert(!(await page.content()).includes(key), "the key is shown twice");
  await visit(page, "keys");
}

// The portal in a frame of the customer's product, and in none of a stranger's.
async function portal(browser, app) {
  const { url } = await api("POST", `/auth/app-portal-access/${app.id}`, {});
  receiver.framed = url;
  const port = listener.address().port;
  const page = await open(browser);
  await page.goto(`http://127.0.0.1:${port}/parent`);
  const frame = page.frameLocator("iframe");
  await frame.getByRole("heading", { name: "Endpoints" }).waitFor();
  assert((await frame.getByText("Applications").count()) === 0, "the portal shows other applications");
  const stranger = await open(browser, {}, ["frame-ancestors", "Framing", "violation"]);
  await stranger.goto(`http://localhost:${port}/parent`);
  await stranger.waitForTimeout(500);
  const inside = stranger.frames().find((one) => one !== stranger.mainFrame());
  assert(!(await inside.content()).includes("Endpoints"), "a stranger frames the portal");
  await page.goto(`${url.split("#")[0]}?primaryColor=28bb93&darkMode=false#${url.split("#")[1]}`);
  await page.getByRole("heading", { name: "Endpoints" }).waitFor();
  const logo = page.getByRole("img", { name: "Acme webhooks" }).first();
  assert(await logo.evaluate((image) => image.complete && image.naturalWidth > 0), "the logo is not shown");
  await visit(page, "portal");
  await page.locator("a.row-link").first().click();
  await visit(page, "portal-endpoint");
  const other = await page.goto(`${server}/dashboard/apps`);
  assert(other.url().includes("sign-in"), "the portal's session opens the dashboard");
  // A link that only looks offers nothing to change.
  const looking = await api("POST", `/auth/app-portal-access/${app.id}`, { readOnly: true });
  const reader = await open(browser);
  await reader.goto(looking.url);
  await reader.getByRole("heading", { name: "Endpoints" }).waitFor();
  assert((await reader.getByText("New endpoint").count()) === 0, "a reader may create");
  await reader.locator("a.row-link").first().click();
  await reader.getByText("Signing secret").waitFor();
  for (const forbidden of ["Show", "Rotate", "Edit", "Deactivate", "Delete endpoint", "Recover failed"]) {
    const there = await reader.getByText(forbidden, { exact: true }).count();
    assert(there === 0, `a reader is offered ${forbidden}`);
  }
}

// Everything that can be typed, typed by somebody hostile.
async function hostile(page) {
  for (const [place, text] of HOSTILE.entries()) {
    const app = await api("POST", "/app", { name: text, uid: `hostile-${place}` });
    const endpoint = await api("POST", `/app/${app.id}/endpoint`, {
      url: `http://127.0.0.1:${listener.address().port}/ok?x=${encodeURIComponent(text)}`,
      description: text,
      metadata: { [text]: text },
    });
    await api("PUT", `/app/${app.id}/endpoint/${endpoint.id}/headers`, { headers: { "x-note": text } });
    await api("POST", `/app/${app.id}/endpoint/${endpoint.id}/deactivate`, { note: text });
    const base = `${server}/dashboard/apps/${app.id}`;
    for (const where of ["/endpoints", `/endpoints/${endpoint.id}`, `/endpoints/${endpoint.id}/edit`, "/edit",
      `/endpoints?q=${encodeURIComponent(text)}`]) {
      await page.goto(base + where);
      const fired = await page.evaluate(() => window.fired);
      if (fired) complain(`${where}: ${text} has run`);
    }
  }
  await page.goto(`${server}/dashboard/apps`);
  assert(await page.getByText(HOSTILE[0]).count(), "what was typed is not shown as it was typed");
  assert(!(await page.evaluate(() => window.fired)), "what somebody typed has run");
  await audit(page, "hostile");
}

// Another site can't act for somebody who is signed in.
async function forged(page) {
  await page.goto(`http://localhost:${listener.address().port}/forger`);
  await press(page, "Go");
  await page.getByText("This form is out of date").or(page.getByText("Sign in")).first().waitFor();
  const { data } = await api("GET", "/app?limit=250");
  assert(!data.some((app) => app.name === "forged"), "another site created an application");
}

// Everything works without a script.
async function plain(browser) {
  const page = await open(browser, { javaScriptEnabled: false });
  await page.goto(`${server}/dashboard/apps`);
  await page.getByLabel("API key, token or sign-in code").fill(token);
  await press(page, "Sign in");
  await page.getByRole("heading", { name: "Applications" }).waitFor();
  await page.getByRole("link", { name: /Acme SOC/ }).click();
  await page.locator("a.row-link").first().click();
  await press(page, "Rotate");
  await page.getByRole("button", { name: "Replace it" }).waitFor();
  await press(page, "Cancel");
  await press(page, "Sign out");
  await page.getByRole("heading", { name: "Sign in" }).waitFor();
  await page.context().close();
}

async function main() {
  await new Promise((ready) => listener.listen(Number(process.env.PARENT_PORT), "127.0.0.1", ready));
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM || "/usr/bin/chromium", args: FLAGS });
  try {
    const page = await firstRun(browser);
    const app = await failing(page);
    await rotate(page);
    await keys(page);
    await page.goto(`${server}/dashboard`);
    await visit(page, "overview");
    await page.goto(`${server}/dashboard/apps/${app.id}/endpoints`);
    await visit(page, "endpoints");
    await page.goto(`${server}/dashboard/components`);
    await visit(page, "components");
    await portal(browser, app);
    await hostile(page);
    await forged(await open(browser, {}, ["403"]));
    await plain(browser);
  } finally {
    await browser.close();
    listener.close();
  }
  assert(complaints.length === 0, `${complaints.length} complaints`);
}

main().catch((error) => { console.error(error); process.exitCode = 1; });
