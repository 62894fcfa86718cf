// One browser profile: two tabs, signing out, themes.

import { expect, test } from "@playwright/test";
import { arrive, expectNoComplaints } from "./person";

test("private chat runs in one tab at a time, and can move to another tab", async () => {
  const person = await arrive();
  const { page, context } = person;
  await page.goto("/people");
  await page.getByLabel("Username").fill(`ada-${Date.now()}`);
  await page.getByRole("button", { name: "Continue" }).click();
  const running = { name: "People", exact: true };
  const elsewhere = { name: "Chat is open in another tab" };
  await expect(page.getByRole("heading", running)).toBeVisible();

  const second = await context.newPage();
  await second.goto("/people");
  await expect(second.getByRole("heading", elsewhere)).toBeVisible();
  await second.getByRole("button", { name: "Use here" }).click();
  await expect(second.getByRole("heading", running)).toBeVisible();
  await expect(page.getByRole("heading", elsewhere)).toBeVisible();

  await second.close();
  await expect(page.getByRole("heading", running)).toBeVisible();
  expectNoComplaints(person);
  await person.leave();
});

test("signing out deletes the account, its keys and its name", async () => {
  const person = await arrive();
  const { page } = person;
  await page.goto("/people");
  await page.getByLabel("Username").fill(`ada-${Date.now()}`);
  await page.getByRole("button", { name: "Continue" }).click();
  await expect(page.getByRole("heading", { name: "People", exact: true })).toBeVisible();
  await page.goto("/settings");
  await expect(page.getByText("This device", { exact: true })).toBeVisible();
  const databases = () =>
    page.evaluate(async () => (await indexedDB.databases()).map(({ name }) => name));
  const before = await databases();
  expect(before).toHaveLength(1);
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Sign out" }).click();
  await expect(page.getByRole("heading", { name: "What can I help with?" })).toBeVisible();
  await expect.poll(databases).not.toContain(before[0]);
  await page.goto("/people");
  await expect(page.getByRole("heading", { name: "Choose a username" })).toBeVisible();
  expectNoComplaints(person);
  await person.leave();
});

test("a chosen theme survives a reload", async () => {
  const person = await arrive({ colorScheme: "light" });
  const { page } = person;
  await page.goto("/settings");
  await page.getByText("Dark", { exact: true }).click();
  await page.reload();
  await expect(page.locator("html")).toHaveAttribute("data-theme", "dark");
  await expect(page.getByRole("radio", { name: "Dark" })).toBeChecked();
  expectNoComplaints(person);
  await person.leave();
});
