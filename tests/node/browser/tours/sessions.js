// A session: what its cookie allows, and what ends it.
"use strict";

const REDIRECTS = ["https://evil.example/", "//evil.example/", "/\\evil.example", "/dashboard/../..//evil.example\\", "javascript:alert(1)"];

module.exports = async (guide, job) => {
  guide.provokes = [/status of 40[0-9]/, /ERR_/];
  const page = await guide.operator();
  const context = page.context();
  const expect = (what, ok, seen) => { if (!ok) guide.find("session", what, JSON.stringify(seen)); };

  const [cookie] = (await context.cookies()).filter(({ name }) => name === "watchfire");
  expect("the cookie is kept from scripts and other sites", cookie?.httpOnly && cookie.sameSite === "Lax" && cookie.path === "/", cookie);
  expect("no script can read it", (await page.evaluate(() => document.cookie)) === "", "document.cookie");

  const answer = await page.request.get(`${job.base}/dashboard`);
  const headers = answer.headers();
  expect("no page is kept", headers["cache-control"] === "no-store", headers);
  expect("types are not guessed", headers["x-content-type-options"] === "nosniff", headers);
  expect("addresses are not told", headers["referrer-policy"] === "no-referrer", headers);
  expect("nobody frames it", /frame-ancestors 'none'/.test(headers["content-security-policy"]), headers);
  expect("no inline code", !/unsafe/.test(headers["content-security-policy"]), headers);
  expect("no other site reads it", !("access-control-allow-origin" in headers), headers);
  guide.step("cookie and headers");

  const form = { name: "Forged" };
  const forged = await page.request.post(`${job.base}/dashboard/apps/new`, { form });
  expect("a form without a token is refused", forged.status() === 403, forged.status());
  const csrf = await page.getAttribute("input[name=csrf]", "value");
  const foreign = await page.request.post(`${job.base}/dashboard/apps/new`, {
    form: { ...form, csrf }, headers: { origin: "http://127.0.0.1:3111" },
  });
  expect("a form of another origin is refused", foreign.status() === 403, foreign.status());
  const evil = await context.newPage();
  await evil.route("http://127.0.0.1:3111/**", (route) => route.fulfill({
    contentType: "text/html",
    body: `<form method="post" action="${job.base}/dashboard/apps/new"><input name="name" value="Forged">
      <input name="csrf" value="${csrf}"></form><script>document.forms[0].submit()</script>`,
  }));
  const sent = evil.waitForResponse((response) => response.request().method() === "POST");
  await evil.goto("http://127.0.0.1:3111/");
  expect("a page of another origin can't send a form", (await sent).status() === 403, (await sent).status());
  await evil.close();
  const apps = await (await page.request.get(`${job.base}/dashboard/apps`)).text();
  expect("nothing was made", !apps.includes("Forged"), "an application");
  guide.step("forged forms");

  for (const next of REDIRECTS) {
    const entered = await page.request.post(`${job.base}/dashboard/sign-in`, {
      form: { credential: job.token, next }, maxRedirects: 0,
    });
    const to = entered.headers().location;
    expect("a sign-in leads to our pages only", to === "/dashboard", { next, to });
  }
  const [held] = (await context.cookies()).filter(({ name }) => name === "watchfire");
  await page.reload();
  await page.click(".sidebar form[action$='/sign-out'] button");
  await page.waitForURL(/sign-in/);
  await context.addCookies([held]);
  await page.goto(`${job.base}/dashboard`);
  expect("a copy of the cookie ends with the session", /sign-in/.test(page.url()), page.url());
  guide.step("signed out");
};
