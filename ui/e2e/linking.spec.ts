// A second browser is linked, a wiped one recovers, and one that lost its keys is told why.

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Page, expect, test } from "@playwright/test";
import { expectSameEmoji, link, showCode } from "./link";
import {
  type Person,
  arrive,
  expectNoComplaints,
  expectOnlyComplaints,
  freshName,
  saveCode,
  send,
  signUp,
} from "./person";
import { cameraFlags, readQr, showToCamera } from "./qr";
import { screenshot } from "./screenshot";

const log = ({ page }: Person) => page.getByRole("log");

async function openChat({ page }: Person, name: string): Promise<void> {
  await page.goto("/people");
  await page.getByRole("list", { name: "Conversations" }).getByRole("link", { name }).click();
}

/** Removes what a browser evicts: databases, but neither cookies nor localStorage. */
async function evict(page: Page): Promise<void> {
  // A file of the site without the page's script, which would keep a database open.
  await page.goto("/app.webmanifest");
  await page.evaluate(async () => {
    for (const { name } of await indexedDB.databases()) {
      await new Promise<void>((done, failed) => {
        const request = indexedDB.deleteDatabase(name ?? "");
        request.onsuccess = () => done();
        request.onerror = request.onblocked = () => failed(new Error(`cannot delete ${name}`));
      });
    }
  });
}

test("a second browser is linked: it receives the history, and messages reach both", async () => {
  const [ada, phone, bob] = await Promise.all([arrive(), arrive(), arrive()]);
  const names = { ada: freshName("ada"), bob: freshName("bob") };
  await signUp(ada, names.ada);
  await signUp(bob, names.bob);
  await ada.page.goto(`/people/${names.bob}`);
  await send(ada, names.bob, "Before the phone.");
  await openChat(bob, names.ada);
  await send(bob, names.ada, "I remember.");
  await expect(log(ada)).toContainText("I remember.");

  await link(phone, ada);
  await phone.page.getByRole("link", { name: "Open private chat" }).click();
  await expect(phone.page.getByText(`Signed in as ${names.ada}`)).toBeVisible();
  await openChat(phone, names.bob);
  await expect(log(phone)).toContainText("Before the phone.");
  await expect(log(phone)).toContainText("I remember.");
  await expect(bob.page.getByText(`${names.ada} added a device.`)).toBeVisible();
  await screenshot(bob, "new-device-of-a-contact");

  await openChat(ada, names.bob);
  await send(bob, names.ada, "To both of you.");
  for (const person of [ada, phone]) await expect(log(person)).toContainText("To both of you.");
  await send(phone, names.bob, "From the phone.");
  for (const person of [ada, bob]) await expect(log(person)).toContainText("From the phone.");
  // No message is rejected, and none has a warning.
  for (const person of [ada, phone, bob]) {
    await expect(log(person)).not.toContainText(/blocked|missing|can’t|isn’t|doesn’t/);
    await expect(person.page.getByRole("alert")).toHaveCount(0);
  }

  await ada.page.goto("/settings");
  const devices = ada.page.getByRole("list", { name: "Your devices" }).getByRole("listitem");
  await expect(devices).toHaveCount(2);
  await expect(devices.last()).toContainText("by this device");
  await ada.page.getByRole("button", { name: /^Remove / }).click();
  await ada.page.getByRole("dialog").getByRole("button", { name: "Remove" }).click();
  await expect(phone.page.getByRole("heading", { name: "This device was removed" })).toBeVisible();
  await expect(devices).toHaveCount(1);
  await ada.page.getByText("Removed devices (1)").click();
  await expect(ada.page.getByRole("list", { name: "Removed devices" })).toContainText(
    "removed by this device",
  );
  expectNoComplaints(ada, bob);
  expectOnlyComplaints(phone, /401|410/);
  await Promise.all([ada.leave(), phone.leave(), bob.leave()]);
});

test("the scanned address opens the link; if the emoji differ, nothing is linked", async () => {
  const [ada, phone] = await Promise.all([arrive(), arrive()]);
  const name = freshName("ada");
  await signUp(ada, name);
  const code = await showCode(phone);
  const address = await readQr(phone.page.getByRole("img", { name: /QR code/ }));
  expect(address).toContain(`/link#code=${code.replace(" ", "")}&device=`);
  await ada.page.goto(address);
  await expect(ada.page.getByRole("heading", { name: /browser you scanned/ })).toBeVisible();
  await expect(ada.page.getByText(code)).toBeVisible();
  expect(new URL(ada.page.url()).hash).toBe("");
  await ada.page.getByRole("button", { name: "Continue" }).click();
  await expectSameEmoji(phone, ada);
  await phone.page.getByRole("button", { name: "They match" }).click();
  await ada.page.getByRole("button", { name: "They don’t match" }).click();
  await expect(
    ada.page.getByRole("heading", { name: "The emoji didn’t match", exact: true }),
  ).toBeVisible();
  await expect(
    phone.page.getByRole("heading", { name: "The emoji didn’t match on the other device" }),
  ).toBeVisible();
  expect(await phone.context.cookies()).toEqual([]);
  await ada.page.goto("/settings");
  await expect(
    ada.page.getByRole("list", { name: "Your devices" }).getByRole("listitem"),
  ).toHaveCount(1);
  // A device fingerprint that is not the new browser's.
  await showCode(phone);
  const again = await readQr(phone.page.getByRole("img", { name: /QR code/ }));
  await ada.page.goto(
    again.replace(/device=./, (start) => (start.endsWith("A") ? "device=B" : "device=A")),
  );
  await ada.page.getByRole("button", { name: "Continue" }).click();
  await expect(
    ada.page.getByRole("heading", { name: "This isn’t the browser you scanned" }),
  ).toBeVisible();
  expectNoComplaints(ada, phone);
  await Promise.all([ada.leave(), phone.leave()]);
});

test("linking says what it replaces, and a browser with a username must sign out first", async () => {
  const ada = await arrive();
  const { page } = ada;
  await page.goto("/");
  await page.getByRole("textbox", { name: "Message to the assistant" }).fill("Hello");
  await page.keyboard.press("Enter");
  await expect(page.getByRole("article", { name: "Assistant" })).toHaveAttribute(
    "data-state",
    "done",
  );
  for (const path of ["/link", "/recover"]) {
    await page.goto(path);
    await expect(page.getByText(/Your chats with the assistant .* aren’t part/)).toBeVisible();
  }
  await signUp(ada, freshName("ada"));
  await page.goto("/recover");
  await expect(page.getByText("sign out first")).toBeVisible();
  await page.goto("/link");
  await expect(page.getByRole("heading", { name: "Link a device" })).toBeVisible();
  await expect(page.getByText(/To use another account in this browser, sign out/)).toBeVisible();
  expectNoComplaints(ada);
  await ada.leave();
});

test("the camera scans the code of a new browser, and a contact's safety number", async () => {
  const folder = await mkdtemp(join(tmpdir(), "gatehouse-camera-"));
  const video = join(folder, "camera.y4m");
  await showToCamera(video, "nothing yet");
  const [ada, phone, bob] = await Promise.all([
    arrive({ flags: cameraFlags(video) }),
    arrive(),
    arrive(),
  ]);
  const names = { ada: freshName("ada"), bob: freshName("bob") };
  await signUp(ada, names.ada);
  await signUp(bob, names.bob);

  await showCode(phone);
  await showToCamera(video, await readQr(phone.page.getByRole("img", { name: /QR code/ })));
  await ada.page.goto("/settings");
  await ada.page.getByRole("link", { name: "Link a device" }).click();
  await ada.page.getByRole("button", { name: "Scan with the camera" }).click();
  await expectSameEmoji(phone, ada);
  await ada.page.getByRole("button", { name: "They don’t match" }).click();

  const account = await bob.page.evaluate(async () => {
    const me = (await (await fetch("/api/me")).json()) as { account_id: string };
    return me.account_id;
  });
  await bob.page.goto(`/people/${names.ada}`);
  await bob.page.getByRole("button", { name: "Safety number" }).click();
  await expect(bob.page.getByTestId("safety-number")).toBeVisible();
  const number = await readQr(bob.page.getByRole("img", { name: /QR code/ }));
  expect(number).toMatch(/^\d{60}$/);
  await showToCamera(video, `${number.slice(0, 59)}${(Number(number[59]) + 1) % 10}`);
  // This document may use the camera.
  await ada.page.goto(`/people/${account}`);
  await ada.page.getByRole("button", { name: "Safety number" }).click();
  await ada.page.getByRole("button", { name: /^Scan / }).click();
  await expect(ada.page.getByText("The numbers differ.")).toBeVisible();
  await expect(ada.page.getByText("Verified", { exact: true })).toHaveCount(0);
  await showToCamera(video, number);
  await ada.page.getByRole("button", { name: /^Scan / }).click();
  await expect(ada.page.getByText("The numbers are the same.")).toBeVisible();
  await expect(ada.page.getByText("Verified", { exact: true })).toBeVisible();

  // A document that was loaded at another path may not use it.
  await ada.page.goto("/people");
  await ada.page
    .getByRole("list", { name: "Lobby" })
    .getByRole("link", { name: names.bob })
    .click();
  await ada.page.getByRole("button", { name: "Safety number" }).click();
  await ada.page.getByRole("button", { name: /^Scan / }).click();
  await expect(ada.page.getByRole("alert")).toContainText("The camera is off on this page");
  expectOnlyComplaints(ada, /permissions policy/i);
  expectNoComplaints(phone, bob);
  await Promise.all([ada.leave(), phone.leave(), bob.leave()]);
  await rm(folder, { recursive: true });
});

test("a wiped browser opens its account with the recovery code", async () => {
  const [ada, wiped, bob] = await Promise.all([arrive(), arrive(), arrive()]);
  const names = { ada: freshName("ada"), bob: freshName("bob") };
  const code = await signUp(ada, names.ada);
  expect(code).toMatch(/^([0-9A-Z]{4}-){6}[0-9A-Z]{4}$/);
  await signUp(bob, names.bob);
  await bob.page.goto(`/people/${names.ada}`);
  await send(bob, names.ada, "Are you there?");

  await wiped.page.goto("/people");
  await wiped.page.getByRole("link", { name: "use your recovery code" }).click();
  const field = wiped.page.getByLabel("Recovery code");
  await field.fill(code.slice(0, 20));
  await wiped.page.getByRole("button", { name: "Open my account" }).click();
  await expect(wiped.page.getByRole("alert")).toContainText("too short");
  await field.fill(` ${code.toLowerCase().replaceAll("-", " ")}`);
  await wiped.page.getByRole("button", { name: "Open my account" }).click();
  await expect(wiped.page.getByRole("heading", { name: "Welcome back" })).toBeVisible();
  await expect(wiped.page.getByText(names.ada)).toBeVisible();

  await wiped.page.goto(`/people/${names.bob}`);
  await send(wiped, names.bob, "I am back.");
  await expect(log(bob)).toContainText("I am back.");
  await send(bob, names.ada, "Good.");
  await expect(log(wiped)).toContainText("Good.");
  // The account has the same identity: the contact sees a device, and no warning.
  await expect(bob.page.getByText(`${names.ada} added a device.`)).toBeVisible();
  await expect(bob.page.getByRole("alert")).toHaveCount(0);
  expectNoComplaints(wiped, bob);
  await Promise.all([ada.leave(), wiped.leave(), bob.leave()]);
});

test("a browser whose storage was evicted says so and offers three ways", async () => {
  const [ada, bob] = await Promise.all([arrive(), arrive()]);
  const names = { ada: freshName("ada"), bob: freshName("bob") };
  const code = await signUp(ada, names.ada);
  await signUp(bob, names.bob);
  await bob.page.goto(`/people/${names.ada}`);
  await send(bob, names.ada, "Hello.");

  const { page } = ada;
  const gone = page.getByRole("heading", { name: "Your keys are gone from this browser" });
  await evict(page);
  await page.goto("/people");
  await expect(gone).toBeVisible();
  await expect(page.getByText(names.ada)).toBeVisible();
  await expect(page.getByRole("link", { name: /^Link this browser/ })).toBeVisible();
  await page.getByRole("link", { name: /^Use your recovery code/ }).click();
  await page.getByLabel("Recovery code").fill(code);
  await page.getByRole("button", { name: "Open my account" }).click();
  await page.getByRole("link", { name: "Open private chat" }).click();
  await expect(page.getByText(`Signed in as ${names.ada}`)).toBeVisible();

  await evict(page);
  await page.goto("/people");
  await expect(gone).toBeVisible();
  await page.getByRole("button", { name: /^Start with new keys/ }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Start with new keys" }).click();
  expect(await saveCode(page)).not.toBe(code);
  await expect(page.getByText(`Signed in as ${names.ada}`)).toBeVisible();
  // The contact is told, and the next message waits for an answer.
  await expect(log(bob)).toContainText("has a new identity");
  await send(bob, names.ada, "Is it still you?");
  await expect(bob.page.getByRole("alert")).toContainText(/identity/i);
  expectNoComplaints(bob);
  // Browsers look for it next to a file that is not the page.
  expectOnlyComplaints(ada, /favicon\.ico/);
  await Promise.all([ada.leave(), bob.leave()]);
});
