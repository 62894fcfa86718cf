// A name is shown, an account is written to: renames, a name that passes to another person, names with odd signs.

import { type Page, expect, test } from "@playwright/test";
import type { Me, User } from "../src/protocol/wire";
import {
  type Person,
  arrive,
  comeIn,
  expectNoComplaints,
  expectOnlyComplaints,
  freshName,
  say,
} from "./person";

const ACCOUNT = /\/people\/[0-9a-f]{32}$/;
const log = ({ page }: Person) => page.getByRole("log");
const lobby = ({ page }: Person) => page.getByRole("list", { name: "Lobby" });
const conversations = ({ page }: Person) => page.getByRole("list", { name: "Conversations" });

async function rename({ page }: Person, name: string): Promise<void> {
  await page
    .getByRole("navigation", { name: "Main" })
    .getByRole("link", { name: "Settings" })
    .click();
  await page.getByLabel("Username").fill(name);
  await page.getByRole("button", { name: "Save" }).click();
  await expect(page.getByText(`People see you as ${name} now.`)).toBeVisible();
}

async function lookUp(page: Page, name: string): Promise<void> {
  const field = page.getByRole("textbox", { name: "Find a person by name" });
  await field.fill(name);
  await field.press("Enter");
}

/** Ada has talked with Bob; Mallory is there, too. */
async function adaTalksWithBob() {
  const [ada, bob, mallory] = await Promise.all([arrive(), arrive(), arrive()]);
  const names = {
    ada: freshName("ada"),
    bob: freshName("bob"),
    robert: freshName("robert"),
    mallory: freshName("mal"),
  };
  await comeIn(ada, names.ada);
  await comeIn(bob, names.bob);
  await comeIn(mallory, names.mallory);
  await lookUp(ada.page, names.bob);
  await expect(ada.page).toHaveURL(ACCOUNT);
  await say(ada, names.bob, "Is it you?");
  await conversations(bob).getByRole("link", { name: names.ada }).click();
  await expect(log(bob)).toContainText("Is it you?");
  return { ada, bob, mallory, names };
}

test("a rename is shown in the conversation, the list and the lobby at once, and stays in the history", async () => {
  const { ada, bob, mallory, names } = await adaTalksWithBob();
  await expect(lobby(mallory).getByRole("link", { name: names.bob })).toBeVisible();
  await rename(bob, names.robert);
  const line = log(ada).getByText(`${names.bob} is now called ${names.robert}.`);
  await expect(line).toBeVisible();
  await expect(ada.page.getByRole("heading", { name: names.robert })).toBeVisible();
  await expect(conversations(ada).getByRole("link", { name: names.robert })).toBeVisible();
  await expect(lobby(mallory).getByRole("link", { name: names.robert })).toBeVisible();
  await expect(lobby(mallory).getByRole("link", { name: names.bob })).toHaveCount(0);
  await ada.page.reload();
  await expect(line).toHaveCount(1);
  await say(ada, names.robert, "So it is you.");
  await bob.page.goBack();
  await expect(log(bob)).toContainText("So it is you.");
  expectNoComplaints(ada, bob, mallory);
  await Promise.all([ada.leave(), bob.leave(), mallory.leave()]);
});

test("a name that was given up is held back from others, and its owner can take it again", async () => {
  const { ada, bob, mallory, names } = await adaTalksWithBob();
  await rename(bob, names.robert);
  await mallory.page.goto("/settings");
  await mallory.page.getByLabel("Username").fill(names.bob);
  await mallory.page.getByRole("button", { name: "Save" }).click();
  await expect(mallory.page.getByRole("alert")).toBeVisible();
  await expect(lobby(ada).getByRole("link", { name: names.mallory })).toBeVisible();
  await bob.page.getByLabel("Username").fill(names.bob);
  await bob.page.getByRole("button", { name: "Save" }).click();
  await expect(bob.page.getByText(`People see you as ${names.bob} now.`)).toBeVisible();
  await expect(ada.page.getByRole("heading", { name: names.bob })).toBeVisible();
  expectNoComplaints(ada, bob);
  expectOnlyComplaints(mallory, /409/);
  await Promise.all([ada.leave(), bob.leave(), mallory.leave()]);
});

test("a server that gives the name to another account does not get Ada's message to it", async () => {
  const { ada, bob, mallory, names } = await adaTalksWithBob();
  await rename(bob, names.robert);
  await expect(log(ada)).toContainText("is now called");
  const impostor = await mallory.page.evaluate(
    async () => ((await (await fetch("/api/me")).json()) as Me).account_id,
  );
  // From now on the server says that Mallory is Bob, wherever Ada asks.
  await ada.page.route(`**/api/users/${names.bob}`, (route) =>
    route.fulfill({ json: { account_id: impostor, username: names.bob } satisfies User }),
  );
  await ada.page.goto("/people");
  await conversations(ada).getByRole("link", { name: names.robert }).click();
  await say(ada, names.robert, "Then meet me at noon.");
  await expect(ada.page.locator('[data-delivery="received"]').last()).toContainText(
    "Then meet me at noon.",
  );
  await bob.page.goBack();
  await expect(log(bob)).toContainText("Then meet me at noon.");

  // By name: she is told before anything is sent, be it a look-up or an old bookmark.
  for (const go of [
    () => lookUp(ada.page, names.bob),
    () => ada.page.goto(`/people/${names.bob}`),
  ]) {
    await go();
    await expect(
      ada.page.getByRole("heading", { name: `Another person is called ${names.bob} now` }),
    ).toBeVisible();
    await expect(
      ada.page.getByText(`The ${names.bob} you talked with is called ${names.robert} now.`),
    ).toBeVisible();
    await expect(ada.page.getByRole("textbox", { name: /^Message to/ })).toHaveCount(0);
  }
  await ada.page.getByRole("main").getByRole("link", { name: names.robert }).click();
  await expect(log(ada)).toContainText("Then meet me at noon.");
  await expect(conversations(mallory)).toHaveCount(0);
  expectNoComplaints(ada, bob, mallory);
  await Promise.all([ada.leave(), bob.leave(), mallory.leave()]);
});

test("an old address with a name is replaced by the account's", async () => {
  const [ada, bob] = await Promise.all([arrive(), arrive()]);
  const names = { ada: freshName("ada"), bob: freshName("bob") };
  await comeIn(ada, names.ada);
  await comeIn(bob, names.bob);
  await ada.page.goto(`/people/${names.bob}`);
  await expect(ada.page.getByRole("heading", { name: names.bob })).toBeVisible();
  await expect(ada.page).toHaveURL(ACCOUNT);
  await ada.page.goBack();
  await expect(ada.page).toHaveURL(/\/people$/);
  await lookUp(ada.page, freshName("missing"));
  await expect(ada.page.getByRole("alert")).toContainText("No one is called");
  expectNoComplaints(bob);
  expectOnlyComplaints(ada, /404/);
  await Promise.all([ada.leave(), bob.leave()]);
});

test("a name with a dot inside works, also after a reload", async () => {
  const [ada, bob] = await Promise.all([arrive(), arrive()]);
  const names = { ada: freshName("ada.l"), bob: freshName("bob") };
  await comeIn(ada, names.ada);
  await comeIn(bob, names.bob);
  await lookUp(bob.page, names.ada);
  await expect(bob.page).toHaveURL(ACCOUNT);
  await say(bob, names.ada, "Dots and all.");
  await bob.page.reload();
  await expect(log(bob)).toContainText("Dots and all.");
  await expect(bob.page.getByRole("heading", { name: names.ada })).toBeVisible();
  expectNoComplaints(ada, bob);
  await Promise.all([ada.leave(), bob.leave()]);
});

test("a name that no address could hold is refused with the reason, and makes no account", async () => {
  const person = await arrive();
  const { page } = person;
  await page.goto("/people");
  for (const [name, reason] of [
    ["a/b", "none of the signs"],
    ["50%", "none of the signs"],
    ["..", "not at its beginning or end"],
    [".ada", "not at its beginning or end"],
    ["ada.", "not at its beginning or end"],
  ] as const) {
    await page.getByLabel("Username").fill(name);
    await page.getByRole("button", { name: "Come in" }).click();
    await expect(page.getByRole("alert")).toContainText(reason);
  }
  expect(await person.context.cookies()).toEqual([]);
  expectNoComplaints(person);
  await person.leave();
});
