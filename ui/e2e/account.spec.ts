// The account of a browser: created by the first write, unaffected by other sites, ended only on
// purpose.

import { type Response, expect, test } from "@playwright/test";
import type { Me } from "../src/protocol/wire";
import { link } from "./link";
import {
  type Person,
  anotherPage,
  arrive,
  signUp,
  expectNoComplaints,
  expectOnlyComplaints,
  freshName,
  gatehouseUrl,
  send,
} from "./person";

const welcome = { name: "What can I help with?" };
const chooseName = { name: "Choose a username" };
const removed = { name: "This device was removed" };

/** A copied browser profile has the cookie and localStorage, but not the keys. */
async function copyProfile(from: Person, to: Person): Promise<void> {
  const { cookies, origins } = await from.context.storageState();
  await to.context.addCookies(cookies);
  await to.page.goto("/settings");
  await to.page.evaluate((items) => {
    for (const { name, value } of items) localStorage.setItem(name, value);
  }, origins[0]?.localStorage ?? []);
}

async function accountOf({ page }: Person): Promise<string> {
  const me = await page.evaluate(async () => (await (await fetch("/api/me")).json()) as Me);
  return me.account_id;
}

test("a visit creates no account; the first question creates one", async () => {
  const person = await arrive();
  const { page } = person;
  const requests: string[] = [];
  page.on("request", (request) =>
    requests.push(`${request.method()} ${new URL(request.url()).pathname}`),
  );
  const sent = () => requests.filter((request) => request.includes("/api/"));
  for (const [path, heading] of [
    ["/", welcome],
    ["/people", chooseName],
    ["/settings", { name: "Settings" }],
    ["/link", { name: "Link this browser to your account" }],
    ["/recover", { name: "Use your recovery code" }],
    ["/", welcome],
  ] as const) {
    await page.goto(path);
    await expect(page.getByRole("heading", heading)).toBeVisible();
    await expect.poll(sent).toContain("GET /api/models");
    expect(new Set(sent())).toEqual(new Set(["GET /api/models"]));
  }
  await expect(page.getByText("No chats yet")).toBeVisible();
  expect(await person.context.cookies()).toEqual([]);

  await page.getByRole("textbox", { name: "Message to the assistant" }).fill("Hello");
  await page.keyboard.press("Enter");
  await expect(page.getByRole("article", { name: "Assistant" })).toHaveAttribute(
    "data-state",
    "done",
  );
  const account = await accountOf(person);
  expect(sent().filter((request) => request.startsWith("POST"))).toEqual([
    "POST /api/me",
    "POST /api/chat",
  ]);
  await page.reload();
  await expect(page.getByRole("article", { name: "You" })).toHaveText("Hello");
  expect(await accountOf(person)).toBe(account);
  expectNoComplaints(person);
  await person.leave();
});

test("two tabs that write at the same time share one account", async () => {
  const person = await arrive();
  const tabs = [person.page, await anotherPage(person)];
  for (const page of tabs) {
    await page.goto("/");
    await page.getByRole("textbox", { name: "Message to the assistant" }).fill("Hello");
  }
  const answers: Promise<Me>[] = [];
  const note = (response: Response) => {
    if (response.url().endsWith("/api/me")) answers.push(response.json() as Promise<Me>);
  };
  for (const page of tabs) page.on("response", note);
  await Promise.all(tabs.map((page) => page.getByRole("button", { name: "Send" }).click()));
  for (const page of tabs) {
    await expect(page.getByRole("article", { name: "Assistant" })).toHaveAttribute(
      "data-state",
      "done",
    );
  }
  for (const page of tabs) page.off("response", note);
  const accounts = new Set((await Promise.all(answers)).map((me) => me.account_id));
  await person.page.reload();
  await expect(
    person.page.getByRole("complementary", { name: "Chats" }).getByRole("listitem"),
  ).toHaveCount(2);
  expect([...accounts]).toEqual([await accountOf(person)]);
  expectNoComplaints(person);
  await person.leave();
});

test("a link on another site cannot replace a visitor's account", async () => {
  const ada = await arrive();
  const name = freshName("ada");
  await signUp(ada, name);
  const cookies = async () => (await ada.context.cookies(gatehouseUrl())).map(({ value }) => value);
  const before = await cookies();
  expect(before).toHaveLength(1);
  const account = await accountOf(ada);
  const page = await ada.context.newPage();
  const url = (path: string) => new URL(path, gatehouseUrl()).href;
  const foreign = `<a href="${url("/api/me")}">me</a> <a href="${url("/api/sessions")}">sessions</a>
    <form method="post" action="${url("/api/me")}" enctype="text/plain"><button>post</button></form>`;
  await page.route("https://elsewhere.example/", (route) =>
    route.fulfill({ contentType: "text/html", body: foreign }),
  );
  for (const origin of [
    "https://elsewhere.example/",
    `data:text/html,${encodeURIComponent(foreign)}`,
  ]) {
    for (const [role, what] of [
      ["link", "me"],
      ["link", "sessions"],
      ["button", "post"],
    ] as const) {
      await page.goto(origin);
      const answer = page.waitForResponse((response) => response.url().startsWith(url("/api/")));
      await page.getByRole(role, { name: what }).click();
      const response = await answer;
      expect([401, 403], `${what} from ${origin}`).toContain(response.status());
      expect(await response.headerValue("set-cookie"), `${what} from ${origin}`).toBeNull();
    }
  }
  expect(await cookies()).toEqual(before);
  // A link to the page itself opens it with its account.
  await page.route("https://elsewhere.example/page", (route) =>
    route.fulfill({ contentType: "text/html", body: `<a href="${url("/settings")}">settings</a>` }),
  );
  await page.goto("https://elsewhere.example/page");
  await page.getByRole("link").click();
  await expect(page.getByLabel("Username")).toHaveValue(name);
  await page.close();
  await ada.page.reload();
  await expect(ada.page.getByText(`Signed in as ${name}`)).toBeVisible();
  expect(await accountOf(ada)).toBe(account);
  expectNoComplaints(ada);
  await ada.leave();
});

test("a removed device stops and can start as a new one", async () => {
  const [ada, copy, bob] = await Promise.all([arrive(), arrive(), arrive()]);
  const names = { ada: freshName("ada"), bob: freshName("bob") };
  await signUp(ada, names.ada);
  await signUp(bob, names.bob);
  await ada.page
    .getByRole("list", { name: "Lobby" })
    .getByRole("link", { name: names.bob })
    .click();
  await send(ada, names.bob, "From the laptop.");
  await bob.page
    .getByRole("list", { name: "Conversations" })
    .getByRole("link", { name: names.ada })
    .click();
  await expect(bob.page.getByRole("log")).toContainText("From the laptop.");

  await link(copy, ada);
  await copy.page.goto("/people");
  await expect(copy.page.getByText(`Signed in as ${names.ada}`)).toBeVisible();
  await expect(bob.page.getByText(`${names.ada} added a device.`)).toBeVisible();

  await ada.page.goto(`/people/${names.bob}`);
  await expect(ada.page.getByRole("log")).toContainText("From the laptop.");
  await ada.page
    .getByRole("navigation", { name: "Main" })
    .getByRole("link", { name: "Settings" })
    .click();
  await ada.page.getByRole("button", { name: /^Remove / }).click();
  await ada.page.getByRole("dialog").getByRole("button", { name: "Remove" }).click();
  await expect(copy.page.getByRole("heading", removed)).toBeVisible();
  await expect(copy.page.getByRole("textbox")).toHaveCount(0);
  await expect(copy.page.getByRole("button")).toHaveCount(1);
  await expect(copy.page.getByRole("link")).toHaveCount(0);
  await expect(bob.page.getByText(`${names.ada} removed a device.`)).toBeVisible();
  await copy.page.reload();
  await expect(copy.page.getByRole("heading", removed)).toBeVisible();

  // The device that removed it is unaffected.
  await ada.page.goBack();
  await send(ada, names.bob, "Still here.");
  await expect(bob.page.getByRole("log")).toContainText("Still here.");
  await ada.page.reload();
  await expect(ada.page.getByRole("log")).toContainText("Still here.");

  const databases = () => copy.page.evaluate(async () => (await indexedDB.databases()).length);
  expect(await databases()).toBe(1);
  await copy.page.getByRole("button", { name: "Start as a new device" }).click();
  await copy.page
    .getByRole("dialog")
    .getByRole("button", { name: "Delete and start over" })
    .click();
  await expect(copy.page.getByRole("heading", welcome)).toBeVisible();
  await expect.poll(databases).toBe(0);
  expect(await copy.context.cookies()).toEqual([]);
  await signUp(copy, freshName("eve"));
  expect(await accountOf(copy)).not.toBe(await accountOf(ada));
  expectNoComplaints(ada, bob);
  expectOnlyComplaints(copy, /401/);
  await Promise.all([ada.leave(), copy.leave(), bob.leave()]);
});

test("a copy of a profile without its keys does not become a device", async () => {
  const [ada, copy, bob] = await Promise.all([arrive(), arrive(), arrive()]);
  const names = { ada: freshName("ada"), bob: freshName("bob") };
  await signUp(ada, names.ada);
  await signUp(bob, names.bob);
  await ada.page.goto(`/people/${names.bob}`);
  await send(ada, names.bob, "From the laptop.");
  await bob.page.goto(`/people/${names.ada}`);
  await expect(bob.page.getByRole("log")).toContainText("From the laptop.");

  await copyProfile(ada, copy);
  await copy.page.goto("/people");
  await expect(copy.page.getByText("Your keys are gone from this browser")).toBeVisible();
  await copy.page.reload();
  await expect(copy.page.getByText("Your keys are gone from this browser")).toBeVisible();
  expect(await accountOf(copy)).toBe(await accountOf(ada));

  await send(ada, names.bob, "Still only here.");
  await expect(bob.page.getByRole("log")).toContainText("Still only here.");
  await expect(bob.page.getByText("added a device")).toHaveCount(0);
  await expect(ada.page.getByRole("alert")).toHaveCount(0);
  expectNoComplaints(ada, copy, bob);
  await Promise.all([ada.leave(), copy.leave(), bob.leave()]);
});

test("an account that the server no longer knows is reported once", async () => {
  const ada = await arrive();
  const { page } = ada;
  const name = freshName("ada");
  await signUp(ada, name);
  await ada.context.clearCookies();
  await page.reload();
  await expect(page.getByRole("heading", { name: "You’re signed out" })).toBeVisible();
  await expect(page.getByText(name)).toBeVisible();
  await page.getByRole("button", { name: "Start again" }).click();
  await expect(page.getByRole("heading", welcome)).toBeVisible();
  ada.complaints.splice(0).forEach((complaint) => expect(complaint).toContain("401"));
  await page.reload();
  await expect(page.getByRole("heading", welcome)).toBeVisible();
  await signUp(ada, freshName("ada"));
  expectNoComplaints(ada);
  await ada.leave();
});

test("signing out in one tab signs out the other", async () => {
  const person = await arrive();
  await signUp(person, freshName("ada"));
  const other = await anotherPage(person);
  await other.goto("/settings");
  await other.getByRole("button", { name: "Sign out" }).click();
  await other.getByRole("dialog").getByRole("button", { name: "Sign out" }).click();
  await expect(other.getByRole("heading", welcome)).toBeVisible();
  await expect(person.page.getByRole("heading", { name: "You’re signed out" })).toBeVisible();
  await person.page.getByRole("button", { name: "Start again" }).click();
  await expect(person.page.getByRole("heading", welcome)).toBeVisible();
  expectOnlyComplaints(person, /401/);
  await person.leave();
});
