// Every page, light and dark, on desktop and phone: no serious axe-core violations.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { type Page, expect, test } from "@playwright/test";
import type { AxeResults } from "axe-core";
import {
  type Person,
  arrive,
  saveCode,
  signUp,
  expectNoComplaints,
  expectOnlyComplaints,
  freshName,
} from "./person";
import type { DeviceList, Me, Problem, User } from "../src/protocol/wire";

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

test("linking a device is accessible on both devices", async () => {
  const [ada, phone] = await Promise.all([arrive(), arrive()]);
  await signUp(ada, freshName("ada"));
  const code = async () => {
    await phone.page.getByRole("button", { name: "Link this browser" }).click();
    const shown = phone.page.getByTestId("link-code").locator("[aria-hidden]");
    await expect(shown).toBeVisible();
    return shown.innerText();
  };
  const join = async (typed: string) => {
    await ada.page.goto("/link");
    await ada.page.getByLabel("Or type the code").fill(typed);
    await ada.page.getByRole("button", { name: "Continue" }).click();
  };
  await phone.page.goto("/link");
  await expect(phone.page.getByRole("button", { name: "Link this browser" })).toBeVisible();
  await inEveryLook(phone, "linking this browser");
  const first = await code();
  await inEveryLook(phone, "the code of a new browser");
  await ada.page.goto("/link");
  await expect(ada.page.getByRole("heading", { name: "Link a device" })).toBeVisible();
  await inEveryLook(ada, "entering a code");
  await ada.page.getByRole("button", { name: "Scan with the camera" }).click();
  await expect(ada.page.getByRole("alert")).toContainText("camera");
  await inEveryLook(ada, "no camera");
  await join("1234");
  await expect(ada.page.getByRole("alert")).toContainText("eight digits");
  await inEveryLook(ada, "a code with a mistake");
  await join(first);
  for (const person of [phone, ada]) {
    await expect(person.page.getByRole("list", { name: "Emoji" })).toBeVisible();
    await inEveryLook(person, "the emoji");
  }
  await phone.page.getByRole("button", { name: "They match" }).click();
  await expect(phone.page.getByText("Now confirm on your other device.")).toBeVisible();
  await inEveryLook(phone, "waiting for the other device");
  await ada.page.getByRole("button", { name: "They don’t match" }).click();
  for (const person of [phone, ada]) {
    await expect(person.page.getByRole("heading", { name: /didn’t match/ })).toBeVisible();
    await inEveryLook(person, "emoji that differ");
  }
  await phone.page.goto("/link");
  const second = await code();
  await ada.page.goto(`/link#code=${second.replace(" ", "")}`);
  await expect(ada.page.getByRole("heading", { name: /browser you scanned/ })).toBeVisible();
  await inEveryLook(ada, "a scanned code");
  await ada.page.getByRole("button", { name: "Continue" }).click();
  for (const { page } of [phone, ada])
    await page.getByRole("button", { name: "They match" }).click();
  for (const person of [phone, ada]) {
    await expect(person.page.getByRole("heading", { name: /is linked$/ })).toBeVisible();
    await inEveryLook(person, "a linked browser");
  }
  await ada.page.goto("/settings");
  await expect(
    ada.page.getByRole("list", { name: "Your devices" }).getByRole("listitem"),
  ).toHaveCount(2);
  await inEveryLook(ada, "two devices");
  expectNoComplaints(ada, phone);
  await Promise.all([ada.leave(), phone.leave()]);
});

test("the recovery code, lost keys and an unknown device are accessible", async () => {
  const ada = await arrive();
  const { page } = ada;
  await page.goto("/people");
  await page.getByLabel("Username").fill(freshName("ada"));
  await page.getByRole("button", { name: "Continue" }).click();
  await expect(page.getByRole("dialog", { name: "Save your recovery code" })).toBeVisible();
  await inEveryLook(ada, "the recovery code");
  await page.getByRole("button", { name: "Later" }).click();
  await page.goto("/settings");
  await page.getByRole("button", { name: "Show the code" }).click();
  await saveCode(page);

  // The server lists a device that no device approved.
  const list = await page.evaluate(async () => {
    const me = (await (await fetch("/api/me")).json()) as Me;
    const devices = await fetch(`/api/accounts/${me.account_id}/devices`);
    return (await devices.json()) as DeviceList;
  });
  const ghosts = list.devices.map((own) => ({ ...own, device: "ghost-device" }));
  const json = { ...list, devices: [...list.devices, ...ghosts] } satisfies DeviceList;
  await page.route("**/api/accounts/*/devices", (route) => route.fulfill({ json }));
  await page.reload();
  await page.getByRole("button", { name: "Review ghost-de" }).click();
  await expect(page.getByRole("dialog", { name: "A device you haven’t approved" })).toBeVisible();
  await inEveryLook(ada, "an unknown device");
  await page.unroute("**/api/accounts/*/devices");

  // A file of the site without the page's script, which would keep a database open.
  await page.goto("/app.webmanifest");
  await page.evaluate(async () => {
    for (const { name } of await indexedDB.databases()) indexedDB.deleteDatabase(name ?? "");
  });
  await page.goto("/people");
  await expect(page.getByRole("heading", { name: /^Your keys are gone/ })).toBeVisible();
  await inEveryLook(ada, "lost keys");
  await page.getByRole("button", { name: /^Start with new keys/ }).click();
  await expect(page.getByRole("dialog")).toBeVisible();
  await inEveryLook(ada, "starting with new keys");
  await page.goto("/recover");
  await page.getByLabel("Recovery code").fill("ABC");
  await page.getByRole("button", { name: "Open my account" }).click();
  await expect(page.getByRole("alert")).toBeVisible();
  await inEveryLook(ada, "a recovery code with a mistake");
  // Browsers look for it next to a file that is not the page.
  expectOnlyComplaints(ada, /favicon\.ico/);
  await ada.leave();
});

test("an unsupported browser is told so accessibly", async () => {
  const ada = await arrive();
  await ada.context.addInitScript(() => {
    SubtleCrypto.prototype.importKey = () =>
      Promise.reject(new DOMException("no such algorithm", "NotSupportedError"));
  });
  for (const path of ["/people", "/link"]) {
    await ada.page.goto(path);
    await expect(ada.page.getByRole("heading", { name: /too old for private chat/ })).toBeVisible();
    await inEveryLook(ada, `an unsupported browser at ${path}`);
  }
  expectNoComplaints(ada);
  await ada.leave();
});
