// Two customers and one who may only look: everything the portal of one offers, asked for by
// another.
"use strict";

const { crawl } = require("../crawl");

// All addresses and all forms of a portal.
async function offered(guide, page) {
  const [paths, forms] = [new Set(), new Set()];
  await crawl(guide, page, page.url(), async (page) => {
    paths.add(new URL(page.url()).pathname);
    const found = await page.evaluate(() => [...document.querySelectorAll("form[method=post]")].map((form) => new URL(form.action).pathname));
    for (const form of found) forms.add(form);
  });
  return { paths: [...paths], forms: [...forms].filter((path) => !path.endsWith("/sign-out")) };
}

module.exports = async (guide, job) => {
  guide.provokes = [/status of 40/];
  const [own, other, looking] = [await guide.customer(job.own), await guide.customer(job.other), await guide.customer(job.looking)];
  const app = (page) => /app_[0-9A-Za-z]+/.exec(page.url())[0];
  const [mine, theirs] = [app(own), app(other)];
  const csrf = (page) => page.getAttribute("input[name=csrf]", "value");
  const [token, lookingToken] = [await csrf(own), await csrf(looking)];
  const get = (path) => own.request.get(`${job.base}${path}`, { maxRedirects: 0 });
  const post = (page, path, csrf) => page.request.post(`${job.base}${path}`, { form: { csrf }, maxRedirects: 0 });
  const refused = (what, path, answer, allowed) => {
    if (!allowed.includes(answer.status())) guide.find(what, path, answer.status());
  };
  const theirsOffered = await offered(guide, other);
  const ownOffered = await offered(guide, own);
  guide.note("tried", [...theirsOffered.paths, ...theirsOffered.forms, ...ownOffered.forms]);

  // Their portal, with our cookie: not even whether it exists.
  for (const path of theirsOffered.paths) {
    const answer = await get(path);
    refused("a stranger's page", path, answer, [303, 401, 404]);
    if (answer.status() === 303 && !/^\/portal\b/.test(answer.headers().location)) guide.find("a stranger's page", path, answer.headers().location);
  }
  // Our session's cookie under the name of theirs.
  const cookies = await own.context().cookies();
  const held = cookies.find(({ name }) => name.endsWith(mine));
  await own.context().addCookies([{ ...held, name: held.name.replace(mine, theirs) }]);
  for (const path of theirsOffered.paths) refused("a renamed cookie", path, await get(path), [303, 401, 404]);
  // Their things below our own address.
  const within = (paths) => paths.map((path) => path.replace(theirs, mine)).filter((path) => /\/(ep|msg|atmpt|task|qtask)_/.test(path));
  for (const path of within(theirsOffered.paths)) refused("a stranger's thing", path, await get(path), [404]);
  for (const path of within(theirsOffered.forms)) refused("a stranger's form", path, await post(own, path, token), [404]);
  guide.step("strangers");

  // Who may only look is offered no form, and refused what others are offered.
  const lookingOffered = await offered(guide, looking);
  for (const path of lookingOffered.forms) guide.find("offered to who may only look", path, "a form");
  for (const path of ownOffered.forms) refused("done by who may only look", path, await post(looking, path, lookingToken), [403]);
  guide.step("looking");
};
