// Names are for display, messages go to accounts: renames, names that move, names with special
// characters.

import { type Page, expect, test } from "@playwright/test";
import type { Me, User } from "../src/protocol/wire";
import {
  type Person,
  arrive,
  signUp,
  expectNoComplaints,
  expectOnlyComplaints,
  freshName,
  send,
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
  await expect(page.getByText(`Your username is now ${name}.`)).toBeVisible();
}

async function lookUp(page: Page, name: string): Promise<void> {
  const field = page.getByRole("textbox", { name: "Find by username" });
  await field.fill(name);
  await field.press("Enter");
}

/** Ada and Bob have chatted; Mallory is online too. */
async function adaTalksWithBob() {
  const [ada, bob, mallory] = await Promise.all([arrive(), arrive(), arrive()]);
  const names = {
    ada: freshName("ada"),
    bob: freshName("bob"),
    robert: freshName("robert"),
    mallory: freshName("mal"),
  };
  await signUp(ada, names.ada);
  await signUp(bob, names.bob);
  await signUp(mallory, names.mallory);
  await lookUp(ada.page, names.bob);
  await expect(ada.page).toHaveURL(ACCOUNT);
  await send(ada, names.bob, "Is it you?");
  await conversations(bob).getByRole("link", { name: names.ada }).click();
  await expect(log(bob)).toContainText("Is it you?");
  return { ada, bob, mallory, names };
}

test("a rename appears in conversation, list and lobby, and stays in the history", async () => {
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
  await send(ada, names.robert, "So it is you.");
  await bob.page.goBack();
  await expect(log(bob)).toContainText("So it is you.");
  expectNoComplaints(ada, bob, mallory);
  await Promise.all([ada.leave(), bob.leave(), mallory.leave()]);
});

test("a former name is reserved for its owner, who can take it back", async () => {
  const { ada, bob, mallory, names } = await adaTalksWithBob();
  await rename(bob, names.robert);
  await mallory.page.goto("/settings");
  await mallory.page.getByLabel("Username").fill(names.bob);
  await mallory.page.getByRole("button", { name: "Save" }).click();
  await expect(mallory.page.getByRole("alert")).toBeVisible();
  await expect(lobby(ada).getByRole("link", { name: names.mallory })).toBeVisible();
  await bob.page.getByLabel("Username").fill(names.bob);
  await bob.page.getByRole("button", { name: "Save" }).click();
  await expect(bob.page.getByText(`Your username is now ${names.bob}.`)).toBeVisible();
  await expect(ada.page.getByRole("heading", { name: names.bob })).toBeVisible();
  expectNoComplaints(ada, bob);
  expectOnlyComplaints(mallory, /409/);
  await Promise.all([ada.leave(), bob.leave(), mallory.leave()]);
});

test("a username that is typed before the account is loaded is not overwritten", async () => {
  const ada = await arrive();
  const names = { before: freshName("ada"), after: freshName("ada") };
  await signUp(ada, names.before);
  let answer = () => {};
  const asked = new Promise<void>((loading) => {
    void ada.page.route(
      "**/api/me",
      async (route) => {
        loading();
        await new Promise<void>((resolve) => (answer = resolve));
        await route.continue();
      },
      { times: 1 },
    );
  });
  await ada.page.goto("/settings");
  await asked;
  await ada.page.getByLabel("Username").fill(names.after);
  answer();
  await expect(ada.page.getByRole("heading", { name: "Sign out" })).toBeVisible();
  await expect(ada.page.getByLabel("Username")).toHaveValue(names.after);
  await ada.page.getByRole("button", { name: "Save" }).click();
  await expect(ada.page.getByText(`Your username is now ${names.after}.`)).toBeVisible();
  expectNoComplaints(ada);
  await ada.leave();
});

test("a server that gives the name to another account cannot redirect Ada's messages", async () => {
  const { ada, bob, mallory, names } = await adaTalksWithBob();
  await rename(bob, names.robert);
  await expect(log(ada)).toContainText("is now called");
  const impostor = await mallory.page.evaluate(
    async () => ((await (await fetch("/api/me")).json()) as Me).account_id,
  );
  // From now on the server resolves Bob's name to Mallory's account for Ada.
  await ada.page.route(`**/api/users/${names.bob}`, (route) =>
    route.fulfill({ json: { account_id: impostor, username: names.bob } satisfies User }),
  );
  await ada.page.goto("/people");
  await conversations(ada).getByRole("link", { name: names.robert }).click();
  await send(ada, names.robert, "Then meet me at noon.");
  await expect(ada.page.locator('[data-delivery="received"]').last()).toContainText(
    "Then meet me at noon.",
  );
  await bob.page.goBack();
  await expect(log(bob)).toContainText("Then meet me at noon.");

  // Finding the name, or opening an old bookmark, shows a warning before anything is sent.
  for (const go of [
    () => lookUp(ada.page, names.bob),
    () => ada.page.goto(`/people/${names.bob}`),
  ]) {
    await go();
    await expect(
      ada.page.getByRole("heading", { name: `Another person is now called ${names.bob}` }),
    ).toBeVisible();
    await expect(
      ada.page.getByText(`The ${names.bob} you chatted with is now called ${names.robert}.`),
    ).toBeVisible();
    await expect(ada.page.getByRole("textbox", { name: /^Message to/ })).toHaveCount(0);
  }
  await ada.page.getByRole("main").getByRole("link", { name: names.robert }).click();
  await expect(log(ada)).toContainText("Then meet me at noon.");
  await expect(conversations(mallory)).toHaveCount(0);
  expectNoComplaints(ada, bob, mallory);
  await Promise.all([ada.leave(), bob.leave(), mallory.leave()]);
});

test("a URL with a username redirects to the account's URL", async () => {
  const [ada, bob] = await Promise.all([arrive(), arrive()]);
  const names = { ada: freshName("ada"), bob: freshName("bob") };
  await signUp(ada, names.ada);
  await signUp(bob, names.bob);
  await ada.page.goto(`/people/${names.bob}`);
  await expect(ada.page.getByRole("heading", { name: names.bob })).toBeVisible();
  await expect(ada.page).toHaveURL(ACCOUNT);
  await ada.page.goBack();
  await expect(ada.page).toHaveURL(/\/people$/);
  await lookUp(ada.page, freshName("missing"));
  await expect(ada.page.getByRole("alert")).toContainText("No user is named");
  expectNoComplaints(bob);
  expectOnlyComplaints(ada, /404/);
  await Promise.all([ada.leave(), bob.leave()]);
});

test("a name with a dot works, also after a reload", async () => {
  const [ada, bob] = await Promise.all([arrive(), arrive()]);
  const names = { ada: freshName("ada.l"), bob: freshName("bob") };
  await signUp(ada, names.ada);
  await signUp(bob, names.bob);
  await lookUp(bob.page, names.ada);
  await expect(bob.page).toHaveURL(ACCOUNT);
  await send(bob, names.ada, "Dots and all.");
  await bob.page.reload();
  await expect(log(bob)).toContainText("Dots and all.");
  await expect(bob.page.getByRole("heading", { name: names.ada })).toBeVisible();
  expectNoComplaints(ada, bob);
  await Promise.all([ada.leave(), bob.leave()]);
});

test("a name that a URL cannot contain is rejected and creates no account", async () => {
  const person = await arrive();
  const { page } = person;
  await page.goto("/people");
  for (const [name, reason] of [
    ["a/b", "can’t contain"],
    ["50%", "can’t contain"],
    ["..", "start or end with a dot"],
    [".ada", "start or end with a dot"],
    ["ada.", "start or end with a dot"],
  ] as const) {
    await page.getByLabel("Username").fill(name);
    await page.getByRole("button", { name: "Continue" }).click();
    await expect(page.getByRole("alert")).toContainText(reason);
  }
  expect(await person.context.cookies()).toEqual([]);
  expectNoComplaints(person);
  await person.leave();
});
