// Drives a browser through Watchfire's pages. Reads a job (JSON) from standard input, does the tour
// it names, and prints what it saw as JSON; the test that sent the job judges it.
//
// A tour is a module of tours/ that exports `async (guide, job)`; see guide.js for what it is given.
"use strict";

const { Guide } = require("./guide");

async function main() {
  const job = JSON.parse(await text(process.stdin));
  const tour = require(`./tours/${job.tour}`);
  const guide = await Guide.start(job);
  try {
    await tour(guide, job);
  } catch (error) {
    await guide.broke(error);
  } finally {
    await guide.end();
  }
  process.stdout.write(JSON.stringify(guide.report));
}

async function text(stream) {
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

main().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
