// Everything people do, with JavaScript switched off: each form is sent and does what it says.
"use strict";

module.exports = async (guide, job) => {
  guide.provokes = [/status of 40/];
  const page = await guide.operator({ script: false });
  const press = (text) => page.getByRole("button", { name: text, exact: true }).first().click();
  const follow = (text) => page.getByRole("link", { name: text, exact: true }).first().click();
  const says = async (text) => {
    await page.getByText(text).first().waitFor();
    guide.step(text);
  };

  // An application and an endpoint, from the empty form to the end.
  await page.goto(`${job.base}/dashboard/apps/new`);
  await page.getByLabel("Name").fill("Plain");
  await press("Create application");
  await says("No endpoints yet");
  const app = /app_[0-9A-Za-z]+/.exec(page.url())[0];
  await follow("New endpoint");
  await page.getByLabel("Address").fill(job.receiver);
  await press("Preview the request");
  await says("webhook-signature");
  await press("Create endpoint");
  await says("The endpoint was created");
  await follow("Edit");
  await page.getByLabel("Description").fill("By hand");
  await press("Save");
  await says("The endpoint was saved");

  // Its secret, a header, its health.
  await press("Show");
  await says("Keep this secret to the receiver");
  await press("Rotate");
  await page.getByLabel("The old one goes on signing for").selectOption("3600");
  await press("Replace it");
  await says("The secret was replaced");
  await press("Add header");
  await page.locator("#header").getByLabel("Name").fill("X-Team");
  await page.locator("#header").getByLabel("Value").fill("blue");
  await press("Save");
  await says("The headers were saved");
  await press("Deactivate");
  await page.locator("#deactivate").getByRole("button", { name: "Deactivate", exact: true }).click();
  await says("gets nothing until somebody activates it");
  await press("Activate");
  await says("active again");

  // An event, its delivery, and the same once more.
  await follow("Send test event");
  await press("Send");
  await page.waitForURL(/\/test\/msg_/);
  await page.goto(`${job.base}/dashboard/apps/${app}/deliveries`);
  await page.getByPlaceholder("Text in the payload, or an id").fill("success");
  await press("Search");
  await page.waitForURL(/q=success/);
  await page.locator("a.row-link").first().click();
  await press("Send again");
  await says("It is sent again now");
  await page.goto(`${job.base}/dashboard/apps/${app}/deliveries`);
  await page.locator("td.pick input").first().check();
  await press("Send again");
  await page.waitForURL(/done=/);
  guide.step("ticked ones");

  // A replay, a key, how it looks, and the way out.
  await page.goto(`${job.base}/dashboard/apps/${app}/replay`);
  await page.selectOption("[name=kind]", "all");
  await press("Preview");
  await says("It goes at most");
  await press("Start");
  await says("It has begun");
  await page.goto(`${job.base}/dashboard/keys/new`);
  await page.getByLabel("Name").fill("Scanner");
  await page.getByLabel("events:write").check();
  await press("Make the key");
  await says("Copy the key now");
  await press("Revoke");
  await page.getByRole("dialog").getByRole("button", { name: /Revoke/ }).click();
  await says("No keys yet");
  await page.goto(`${job.base}/dashboard`);
  await press("Dark");
  await page.locator("html[data-theme=dark]").waitFor();
  guide.step("dark");
  await press("Sign out");
  await page.waitForURL(/sign-in|sign-out/);
  guide.step("signed out");
};
