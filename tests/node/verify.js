// Judges deliveries with the Standard Webhooks verifier and with Svix's.
//
// Standard input is a list of {secret, headers, body, trusted}, the body in base64.

const assert = require("node:assert/strict");
const standard = require("standardwebhooks");
const svix = require("svix");

const cases = JSON.parse(require("node:fs").readFileSync(0, "utf8"));
assert.ok(cases.length > 0);
for (const one of cases) {
  const body = Buffer.from(one.body, "base64");
  for (const { Webhook } of [standard, svix]) {
    let fault = null;
    try {
      new Webhook(one.secret).verify(body, one.headers);
    } catch (error) {
      fault = error;
    }
    assert.equal(fault === null, one.trusted, `${one.about}: ${fault}`);
  }
}
