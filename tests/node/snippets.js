// Runs the reference page's snippets for JavaScript. The environment is that of
// tests/python/snippets.py, and so is the idea.

const assert = require("node:assert/strict");
const http = require("node:http");

const BLOCK = /<pre class="javascript"[^>]*><code>(.*?)<\/code><\/pre>/gs;
const SERVER = "http://127.0.0.1:8071";
const EXPECTED_MIN = 40;

const unescaped = (text) =>
  text
    .replaceAll("&quot;", '"')
    .replaceAll("&lt;", "<")
    .replaceAll("&gt;", ">")
    .replaceAll("&amp;", "&");

async function main() {
  let taken = 0;
  const taker = http.createServer((request, response) => {
    request.resume().on("end", () => {
      taken += 1;
      response.writeHead(404, { "content-type": "application/json" });
      response.end('{"code":"not_found","detail":"Entity not found"}');
    });
  });
  await new Promise((resolve) => taker.listen(0, "127.0.0.1", resolve));
  const ours = `http://127.0.0.1:${taker.address().port}`;
  const page = await (await fetch(`${process.env.WATCHFIRE_URL}/docs`)).text();
  const snippets = [...page.matchAll(BLOCK)].map((found) => unescaped(found[1]));
  assert.ok(snippets.length >= EXPECTED_MIN, `${snippets.length}`);
  for (const snippet of snippets) {
    assert.ok(snippet.includes(SERVER), snippet);
    const before = taken;
    const code = `return (async () => { ${snippet.replace(SERVER, ours)} })()`;
    const called = new Function("require", "TOKEN", code)(require, "a key");
    const error = await called.then(() => null, (error) => error);
    if (snippet.includes("await")) {
      assert.equal(error?.code, 404, `${snippet}\n${error}`);
      assert.equal(taken, before + 1, snippet);
    }
  }
  taker.close();
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
