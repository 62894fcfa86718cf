// Every page, light and dark, on desktop and phone: no serious axe-core violations.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { type Page, expect, test } from "@playwright/test";
import type { AxeResults } from "axe-core";
import {
  type Person,
  arrive,
  signUp,
  expectNoComplaints,
  expectOnlyComplaints,
  freshName,
} from "./person";
import type { Problem, User } from "../src/protocol/wire";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const LOOKS = [
  { name: "desktop, light", viewport: { width: 1440, height: 900 }, colorScheme: "light" },
  { name: "desktop, dark", viewport: { width: 1440, height: 900 }, colorScheme: "dark" },
  { name: "phone, light", viewport: { width: 390, height: 844 }, colorScheme: "light" },
  { name: "phone, dark", viewport: { width: 390, height: 844 }, colorScheme: "dark" },
] as const;

/** The names of running animations and transitions that have an end. */
function runningAnimations(): string[] {
  return document
    .getAnimations()
    .filter(({ effect, playState }) => {
      const ends = effect?.getComputedTiming().endTime !== Infinity;
      return playState === "running" && ends;
    })
    .map((animation) => animation.constructor.name);
}

async function expectAccessible(page: Page, what: string): Promise<void> {
  // Contrast is undefined during colour transitions. Polling ends even if the browser draws no
  // frames for this page, which a promise of an animation does not.
  await expect
    .poll(() => page.evaluate(runningAnimations), { message: `${what}: animations end` })
    .toEqual([]);
  // Injected through the debugger, which bypasses the content security policy.
  await page.evaluate(axe);
  const results = await page.evaluate<AxeResults>(
    "axe.run(document, { resultTypes: ['violations'] })",
  );
  const serious = results.violations
    .filter(({ impact }) => impact === "serious" || impact === "critical")
    .map(
      ({ id, nodes }) =>
        `${id}: ${nodes.map(({ target, failureSummary }) => `${target.join(" ")} (${failureSummary})`).join("; ")}`,
    );
  expect(serious, what).toEqual([]);
}

async function expectNoSidewaysScroll(page: Page, what: string): Promise<void> {
  const overflow = await page.evaluate(
    () => document.documentElement.scrollWidth - document.documentElement.clientWidth,
  );
  expect(overflow, what).toBe(0);
}

async function inEveryLook(person: Person, what: string): Promise<void> {
  for (const { name, ...look } of LOOKS) {
    await person.page.setViewportSize(look.viewport);
    await person.page.emulateMedia({ colorScheme: look.colorScheme, reducedMotion: "reduce" });
    await expectAccessible(person.page, `${what} on ${name}`);
    await expectNoSidewaysScroll(person.page, `${what} on ${name}`);
  }
  await person.page.setViewportSize(LOOKS[0].viewport);
}

test("the assistant and the settings are accessible", async () => {
  const person = await arrive();
  const { page } = person;
  await page.goto("/");
  await expect(page.getByRole("heading", { name: "What can I help with?" })).toBeVisible();
  await inEveryLook(person, "the welcome");
  await page.getByRole("textbox", { name: "Message to the assistant" }).fill("Hello");
  await page.keyboard.press("Enter");
  await expect(page.getByRole("article", { name: "Assistant" })).toHaveAttribute(
    "data-state",
    "done",
  );
  await inEveryLook(person, "an answer");
  await page.goto("/settings");
  await expect(page.getByRole("heading", { name: "Settings" })).toBeVisible();
  await inEveryLook(person, "the settings");
  expectNoComplaints(person);
  await person.leave();
});

test("people and private chat are accessible", async () => {
  const [ada, bob] = await Promise.all([arrive(), arrive()]);
  const names = { ada: freshName("ada"), bob: freshName("bob") };
  await ada.page.goto("/people");
  await expect(ada.page.getByRole("heading", { name: "Choose a username" })).toBeVisible();
  await inEveryLook(ada, "choosing a name");
  await ada.page.getByLabel("Username").fill("a/b");
  await ada.page.getByRole("button", { name: "Continue" }).click();
  await expect(ada.page.getByRole("alert")).toBeVisible();
  await inEveryLook(ada, "a rejected name");
  await signUp(ada, names.ada);
  await signUp(bob, names.bob);
  await ada.page
    .getByRole("list", { name: "Lobby" })
    .getByRole("link", { name: names.bob })
    .click();
  await ada.page.getByRole("textbox", { name: `Message to ${names.bob}` }).fill("Hello");
  await ada.page.keyboard.press("Enter");
  await expect(ada.page.locator('[data-delivery="received"]')).toBeVisible();
  await inEveryLook(ada, "a private chat");
  await ada.page.getByRole("button", { name: "Safety number" }).click();
  await expect(ada.page.getByTestId("safety-number")).toBeVisible();
  await inEveryLook(ada, "the safety number");
  await ada.page.keyboard.press("Escape");
  await ada.page.getByRole("button", { name: "What’s protected?" }).click();
  await expect(ada.page.getByRole("dialog")).toContainText(
    "The server cannot read messages it relays",
  );
  await inEveryLook(ada, "what is protected");
  await ada.page.keyboard.press("Escape");
  await ada.page.goto("/people");
  await inEveryLook(ada, "the people");
  expectNoComplaints(ada, bob);
  await Promise.all([ada.leave(), bob.leave()]);
});

test("a name that moved to another account, and an ended account, are accessible", async () => {
  const [ada, bob] = await Promise.all([arrive(), arrive()]);
  const names = { ada: freshName("ada"), bob: freshName("bob"), robert: freshName("robert") };
  await signUp(ada, names.ada);
  await signUp(bob, names.bob);
  const { page } = ada;
  await page.getByRole("list", { name: "Lobby" }).getByRole("link", { name: names.bob }).click();
  await page.getByRole("textbox", { name: `Message to ${names.bob}` }).fill("Hello");
  await page.keyboard.press("Enter");
  await expect(page.locator('[data-delivery="received"]')).toBeVisible();
  await bob.page.goto("/settings");
  await bob.page.getByLabel("Username").fill(names.robert);
  await bob.page.getByRole("button", { name: "Save" }).click();
  await expect(page.getByText("is now called")).toBeVisible();
  await inEveryLook(ada, "a rename");
  const stranger = { account_id: "0".repeat(32), username: names.bob } satisfies User;
  await page.route(`**/api/users/${names.bob}`, (route) => route.fulfill({ json: stranger }));
  await page.goto(`/people/${names.bob}`);
  await expect(page.getByRole("heading", { name: /^Another person/ })).toBeVisible();
  await inEveryLook(ada, "a name that moved to another account");
  expectNoComplaints(ada, bob);

  for (const type of ["unauthenticated", "device-removed"] as const) {
    const problem = { type, title: type, status: 401 } satisfies Problem;
    await page.route("**/api/me", (route) => route.fulfill({ status: 401, json: problem }));
    await page.reload();
    await expect(page.getByRole("button", { name: /^Start/ })).toBeVisible();
    await inEveryLook(ada, type);
    await page.unroute("**/api/me");
  }
  await page.getByRole("button", { name: "Start as a new device" }).click();
  await expect(page.getByRole("dialog")).toBeVisible();
  await inEveryLook(ada, "starting as a new device");
  expectOnlyComplaints(ada, /401/);
  await Promise.all([ada.leave(), bob.leave()]);
});
