// Uses Watchfire through Svix's SDK for JavaScript: the package that SDK names, which is `svix` for
// the first generation and `svix2` for the second. The environment is that of tests/python/tour.py.

const assert = require("node:assert/strict");
const SDK = process.env.SDK ?? "svix";
const FIRST_GENERATION = SDK === "svix";
const { Svix, ApiException } = require(SDK);

const PATIENCE_MS = 60_000;
const PAUSE_MS = 20;
// More than the longest page of a list.
const MANY = 260;

// The names of what the generations call differently.
const put = FIRST_GENERATION ? "update" : "upsert";
const putHeaders = FIRST_GENERATION ? "updateHeaders" : "setHeaders";
const EVENT_TYPES = FIRST_GENERATION ? "filterTypes" : "eventTypes";

const receiver = process.env.RECEIVER_URL;
const client = (token) =>
  new Svix(token, { serverUrl: process.env.WATCHFIRE_URL, numRetries: 0 });

async function eventually(expectation, look) {
  const deadline = Date.now() + PATIENCE_MS;
  while (Date.now() < deadline) {
    const found = await look();
    if (found) return found;
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
  throw new Error(`waited in vain: ${expectation}`);
}

async function refused(status, code, act) {
  const error = await act().then(
    () => assert.fail(`was not refused: ${status} ${code}`),
    (error) => error,
  );
  assert.ok(error instanceof ApiException, error);
  assert.equal(error.code, status, JSON.stringify(error.body));
  if (code) assert.equal(error.body.code, code);
  return error.body;
}

async function applications(api) {
  const made = await api.application.create({ name: "Acme", uid: "acme" });
  assert.ok(made.id.startsWith("app_") && made.createdAt instanceof Date);
  await refused(409, "conflict", () => api.application.create({ name: "Other", uid: "acme" }));
  const found = await api.application.getOrCreate({ name: "Other", uid: "acme" });
  assert.equal(found.id, made.id);
  const changed = await api.application.patch("acme", { name: "Acme Ltd", metadata: { a: "b" } });
  assert.deepEqual([changed.name, changed.metadata], ["Acme Ltd", { a: "b" }]);
  const replaced = await api.application[put]("acme", { name: "Acme Inc", uid: "acme" });
  assert.deepEqual(replaced.metadata, {});
}

async function endpoints(api) {
  await api.eventType.create({ name: "threat.created", description: "A threat" });
  const made = await api.endpoint.create("acme", {
    url: `${receiver}/healthy`,
    uid: "healthy",
    [EVENT_TYPES]: ["threat.created"],
  });
  assert.deepEqual(made[EVENT_TYPES], ["threat.created"]);
  const secret = { url: "http://[::ffff:169.254.169.254]/" };
  const fault = await refused(422, null, () => api.endpoint.create("acme", secret));
  assert.deepEqual(fault.detail[0].loc, ["body", "url"]);
  await refused(404, "not_found", () => api.endpoint.get("acme", "nobody"));
  const changed = await api.endpoint.patch("acme", "healthy", { description: "One" });
  assert.equal(changed.description, "One");
  const replaced = await api.endpoint[put]("acme", "healthy", { url: made.url, uid: "healthy" });
  assert.equal(replaced.id, made.id);

  await api.endpoint[putHeaders]("acme", "healthy", { headers: { "X-Team": "soc" } });
  await api.endpoint.patchHeaders("acme", "healthy", { headers: { "X-More": "1" } });
  const known = await api.endpoint.getHeaders("acme", "healthy");
  assert.deepEqual(known.headers, { "X-Team": "soc", "X-More": "1" });
  const first = await api.endpoint.getSecret("acme", "healthy");
  await api.endpoint.rotateSecret("acme", "healthy", {});
  assert.notEqual((await api.endpoint.getSecret("acme", "healthy")).key, first.key);
}

async function messages(api) {
  const event = { eventType: "threat.created", eventId: "first", payload: { id: "thr_1" } };
  const sent = await api.message.create("acme", event);
  await refused(409, "conflict", () => api.message.create("acme", event));
  assert.deepEqual((await api.message.get("acme", "first", { withContent: true })).payload, event.payload);
  const attempts = async () => (await api.messageAttempt.listByMsg("acme", sent.id)).data;
  await eventually("the message is delivered", async () =>
    (await attempts()).some((one) => one.status === 0),
  );
  assert.equal((await api.endpoint.getStats("acme", "healthy")).success, 1);
  await api.messageAttempt.resend("acme", sent.id, "healthy");
  await eventually("the message is sent again", async () => (await attempts()).length === 2);
  const [again] = await attempts();
  assert.deepEqual([again.responseStatusCode, again.triggerType], [204, 1]);
  assert.ok(again.timestamp instanceof Date);
  const listed = await api.messageAttempt.listAttemptedMessages("acme", "healthy");
  assert.deepEqual(listed.data.map((one) => one.id), [sent.id]);
  const places = await api.messageAttempt.listAttemptedDestinations("acme", sent.id);
  assert.deepEqual(places.data.map((one) => [one.uid, one.status]), [["healthy", 0]]);
  const since = new Date(Date.now() - 3_600_000);
  const task = await api.endpoint.recover("acme", "healthy", { since });
  assert.equal(task.task, "endpoint.recover");
  await api.endpoint.sendExample("acme", "healthy", { eventType: "svix.ping" });
}

async function pages(api) {
  await api.application.create({ name: "Many", uid: "many" });
  const made = [];
  for (let number = 0; number < MANY; number += 1) {
    const event = { eventType: "threat.created", payload: { number } };
    made.push((await api.message.create("many", event)).id);
  }
  // Ids made within the same few milliseconds are in no order of time.
  made.sort().reverse();
  let page = await api.message.list("many", { limit: 100 });
  let seen = page.data.map((one) => one.id);
  while (!page.done) {
    page = await api.message.list("many", { limit: 100, iterator: page.iterator });
    seen.push(...page.data.map((one) => one.id));
  }
  assert.deepEqual(seen, made);
  let back = page.data.map((one) => one.id);
  while (back.length < made.length) {
    page = await api.message.list("many", { limit: 100, iterator: page.prevIterator });
    assert.ok(page.data.length > 0, "the way back ends before the beginning");
    back.unshift(...page.data.map((one) => one.id));
  }
  assert.deepEqual(back, made);
  await refused(422, null, () => api.message.list("many", { limit: 251 }));
}

async function tokens(api) {
  await refused(401, "authentication_failed", () => client("nonsense").application.list());
  const access = await api.authentication.appPortalAccess("acme", {});
  const tenant = client(access.token);
  assert.equal((await tenant.application.get("acme")).uid, "acme");
  await refused(404, "not_found", () => tenant.application.get("many"));
}

async function main() {
  const api = client(process.env.WATCHFIRE_TOKEN);
  await applications(api);
  await endpoints(api);
  await messages(api);
  await pages(api);
  await tokens(api);
  await api.application.delete("acme");
  await refused(404, "not_found", () => api.application.get("acme"));
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
