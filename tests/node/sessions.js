// Sessions of the dashboard and the portal, judged without a browser: what opens, what does not,
// and when it ends.
"use strict";

const server = process.env.WATCHFIRE_URL;
const token = process.env.WATCHFIRE_TOKEN;
const assert = (holds, text) => { if (!holds) throw new Error(text); };

const api = async (method, where, body) => {
  const answer = await fetch(`${server}/api/v1${where}`, {
    method,
    headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
    body: body && JSON.stringify(body),
  });
  assert(answer.ok, `${method} ${where}: ${answer.status}`);
  return answer.status === 204 ? null : answer.json();
};

const get = (where, cookie) => fetch(server + where, { redirect: "manual", headers: cookie ? { cookie } : {} });
const post = (where, fields, { cookie, ...headers } = {}) => fetch(server + where, {
  method: "POST",
  redirect: "manual",
  headers: { "content-type": "application/x-www-form-urlencoded", ...(cookie && { cookie }), ...headers },
  body: new URLSearchParams(fields),
});
const cookieOf = (answer) => answer.headers.getSetCookie().map((line) => line.split(";")[0]).join("; ");

const signIn = async (credential) => {
  const answer = await post("/dashboard/sign-in", { credential });
  assert(answer.status === 303, `a sign-in is answered ${answer.status}`);
  const [line] = answer.headers.getSetCookie();
  for (const part of ["HttpOnly", "SameSite=Lax", "Path=/"]) assert(line.includes(part), `the cookie lacks ${part}`);
  assert(!line.includes(credential), "the cookie holds the credential");
  return cookieOf(answer);
};
const csrfOf = async (where, cookie) => /name="csrf" value="([^"]+)"/.exec(await (await get(where, cookie)).text())[1];
const isIn = async (cookie, where = "/dashboard/apps") => (await get(where, cookie)).status === 200;

async function headers() {
  const answer = await get("/dashboard/sign-in");
  const policy = answer.headers.get("content-security-policy");
  for (const part of ["default-src 'none'", "script-src 'self'", "style-src 'self'", "base-uri 'none'",
    "form-action 'self'", "frame-ancestors 'none'"]) assert(policy.includes(part), `the policy lacks ${part}`);
  assert(!policy.includes("unsafe"), "the policy has an exception");
  assert(answer.headers.get("x-content-type-options") === "nosniff", "types are guessed");
  assert(answer.headers.get("referrer-policy") === "no-referrer", "addresses leak");
  assert(answer.headers.get("cross-origin-opener-policy") === "same-origin", "windows are shared");
  assert(answer.headers.get("cache-control") === "no-store", "pages are kept");
  const style = /href="(\/assets\/[^"]+css)"/.exec(await answer.text())[1];
  const asset = await get(style);
  assert(asset.headers.get("cache-control").includes("immutable"), "files are not kept");
  const again = await fetch(server + style, { headers: { "if-none-match": asset.headers.get("etag") } });
  assert(again.status === 304, "a known file is sent again");
}

async function closed() {
  for (const where of ["/dashboard", "/dashboard/apps", "/dashboard/keys", "/dashboard/live", "/dashboard/components"]) {
    const answer = await get(where);
    assert(answer.status === 303, `${where} is answered ${answer.status} to strangers`);
    assert(!(await isIn("watchfire=AAAA", where)), `${where} opens to a made-up cookie`);
  }
  for (const wrong of ["", "nonsense", "wfk_x", "A".repeat(500)]) {
    assert((await post("/dashboard/sign-in", { credential: wrong })).status === 401, `${wrong} signs in`);
  }
}

async function endings() {
  const made = await api("POST", "/auth/key", { name: "operator", scopes: ["admin"] });
  const text = made.key ?? made.token ?? Object.values(made).find((value) => String(value).startsWith("wfk_"));
  const id = made.id ?? made.keyId;
  const cookie = await signIn(text);
  assert(await isIn(cookie), "a key does not sign in");
  await api("DELETE", `/auth/key/${id}`);
  assert(!(await isIn(cookie)), "a session outlives its key");
  const other = await signIn(token);
  const csrf = await csrfOf("/dashboard/apps", other);
  assert((await post("/dashboard/sign-out", { csrf }, { cookie: other })).status === 303, "nobody can sign out");
  assert(!(await isIn(other)), "a copy of the cookie outlives the sign-out");
}

async function forms() {
  const cookie = await signIn(token);
  const csrf = await csrfOf("/dashboard/apps", cookie);
  const name = "by a form";
  const create = (fields, more) => post("/dashboard/apps/new", { name, ...fields }, { cookie, ...more });
  assert((await create({})).status === 403, "a form without its token is taken");
  assert((await create({ csrf: csrf.slice(1) })).status === 403, "a form with a wrong token is taken");
  const foreign = await csrfOf("/dashboard/apps", await signIn(token));
  assert((await create({ csrf: foreign })).status === 403, "a form of another session is taken");
  assert((await create({ csrf }, { "sec-fetch-site": "cross-site" })).status === 403, "another site's form is taken");
  assert((await create({ csrf }, { origin: "https://evil.example" })).status === 403, "another origin's form is taken");
  assert((await create({ csrf })).status === 303, "our own form is not taken");
}

async function reach() {
  const app = await api("POST", "/app", { name: "Mine" });
  const other = await api("POST", "/app", { name: "Theirs" });
  const link = await api("POST", `/auth/app-portal-access/${app.id}`, { readOnly: true });
  const entered = await post("/portal/session", { token: link.token });
  assert(entered.headers.get("location") === `/portal/${app.id}`, "the portal does not open");
  const cookie = cookieOf(entered);
  assert(await isIn(cookie, `/portal/${app.id}/endpoints`), "the portal's session opens nothing");
  for (const where of [`/portal/${other.id}/endpoints`, "/dashboard/apps", `/dashboard/apps/${app.id}/endpoints`]) {
    assert(!(await isIn(cookie, where)), `a portal's session opens ${where}`);
  }
  // The value under the names of other places.
  const value = cookie.split("=").slice(1).join("=");
  assert(!(await isIn(`watchfire=${value}`)), "a portal's cookie opens the dashboard");
  assert(!(await isIn(`watchfire-portal-${other.id}=${value}`, `/portal/${other.id}/endpoints`)), "a portal's cookie opens another's");
  const csrf = await csrfOf(`/portal/${app.id}/endpoints`, cookie);
  for (const what of ["/endpoints/new", "/edit", "/delete"]) {
    const answer = await post(`/portal/${app.id}${what}`, { csrf, url: "https://example.com" }, { cookie });
    assert(answer.status === 403, `a reader's ${what} is answered ${answer.status}`);
  }
  assert((await post("/portal/session", { token })).status === 401, "an organization's token opens a portal");
  const kept = await api("GET", `/app/${app.id}`);
  assert(kept.name === "Mine", "a reader changed something");
}

async function main() {
  for (const part of [headers, closed, endings, forms, reach]) {
    await part();
    console.log(part.name);
  }
}

main().catch((error) => { console.error(error); process.exitCode = 1; });
