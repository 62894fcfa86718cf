// What people see when a server lists devices or keys of its own, and when a contact starts over.

import { expect, test } from "@playwright/test";
import { Attacker } from "./attacker";
import { encodingsIn } from "./encodings";
import {
  type Person,
  arrive,
  closeDialog,
  expectNoComplaints,
  expectOnlyComplaints,
  freshName,
  safetyNumber,
  saveCode,
  send,
  signUp,
} from "./person";
import { screenshot } from "./screenshot";

const SECRET = "The key is under the third flowerpot.";

const log = ({ page }: Person) => page.getByRole("log");
const alert = ({ page }: Person) => page.getByRole("alert");
const message = (person: Person, text: string) =>
  person.page.locator("[data-delivery]", { hasText: text });

interface Contact {
  readonly person: Person;
  readonly name: string;
  readonly account: string;
}

async function signedUp(stem: string): Promise<Contact> {
  const [person, name] = [await arrive(), freshName(stem)];
  await signUp(person, name);
  const account = await person.page.evaluate(async () => {
    const me = (await (await fetch("/api/me")).json()) as { account_id: string };
    return me.account_id;
  });
  return { person, name, account };
}

/** Opens the conversation and exchanges one message, so that the devices are known. */
async function talk(from: Contact, to: Contact, text: string): Promise<void> {
  await from.person.page.goto(`/people/${to.name}`);
  await send(from.person, to.name, text);
  await to.person.page.goto(`/people/${from.name}`);
  await expect(log(to.person)).toContainText(text);
  await expect(message(from.person, text)).toHaveAttribute("data-delivery", /received|read/);
}

async function verify(person: Person): Promise<void> {
  const number = await safetyNumber(person);
  await person.page.getByRole("button", { name: /verified/i }).click();
  await expect(person.page.getByTestId("safety-number")).toHaveText(
    new RegExp(number.replaceAll(/(\d{5})/g, "$1\\s*")),
  );
  await closeDialog(person);
}

/** Expects that the attacker cannot read what this page sent since frame number `before`. */
async function expectUnreadable(attacker: Attacker, { person }: Contact, before: number) {
  const frames = person.frames.slice(before);
  expect(frames.filter(({ direction }) => direction === "sent").length).toBeGreaterThan(0);
  expect(await attacker.canRead([...frames, await attacker.readableFrame()])).toBe(true);
  expect(await attacker.canRead(frames)).toBe(false);
  const wire = Buffer.from(frames.map(({ text }) => text).join("\n"));
  expect(encodingsIn(wire, SECRET)).toEqual([]);
}

/** Sends the secret, and expects that the page holds it and says why. */
async function expectHeld(attacker: Attacker, from: Contact, to: Contact): Promise<void> {
  const { person } = from;
  const before = person.frames.length;
  await send(person, to.name, SECRET);
  await expect(alert(person)).toBeVisible();
  // A reload sends everything that waits.
  await person.page.reload();
  await expect(alert(person)).toBeVisible();
  await expect(message(person, SECRET)).toHaveAttribute("data-delivery", "sending");
  await expectUnreadable(attacker, from, before);
  const sent = person.frames.slice(before).map(({ text }) => text);
  expect(sent.join("\n")).not.toContain('"type":"send"');
  await expect(log(to.person)).not.toContainText(SECRET);
}

for (const verified of [true, false])
  test(`a device that the server adds to ${verified ? "a verified" : "an unverified"} contact receives nothing`, async () => {
    const [ada, bob] = [await signedUp("ada"), await signedUp("bob")];
    await talk(ada, bob, "Hello Bob.");
    if (verified) await verify(ada.person);
    const attacker = await Attacker.create();
    await attacker.addGhost(ada.person.page, bob.account);
    await ada.person.page.reload();
    await expect(log(ada.person)).toContainText("haven’t approved");
    const before = ada.person.frames.length;
    await send(ada.person, bob.name, SECRET);
    await expect(log(bob.person)).toContainText(SECRET);
    await expectUnreadable(attacker, ada, before);
    await expect(alert(ada.person)).toHaveCount(0);
    await screenshot(
      ada.person,
      `ghost-device-of-${verified ? "a-verified" : "an-unverified"}-contact`,
    );
    expectNoComplaints(ada.person, bob.person);
    await Promise.all([ada.person.leave(), bob.person.leave()]);
  });

test("keys that the server exchanges later are never used", async () => {
  const [ada, bob] = [await signedUp("ada"), await signedUp("bob")];
  await talk(ada, bob, "Hello Bob.");
  const attacker = await Attacker.create();
  await attacker.exchangeKeys(ada.person.page, bob.account);
  await ada.person.page.reload();
  await expectHeld(attacker, ada, bob);
  await screenshot(ada.person, "exchanged-keys-of-a-contact");
  expectNoComplaints(ada.person, bob.person);
  await Promise.all([ada.person.leave(), bob.person.leave()]);
});

test("keys that the server exchanges from the start are never used", async () => {
  const [ada, bob] = [await signedUp("ada"), await signedUp("bob")];
  const attacker = await Attacker.create();
  await attacker.exchangeKeys(ada.person.page, bob.account);
  await ada.person.page.goto(`/people/${bob.name}`);
  await bob.person.page.goto(`/people/${ada.name}`);
  await expectHeld(attacker, ada, bob);
  await screenshot(ada.person, "exchanged-keys-from-the-start");
  expectNoComplaints(ada.person, bob.person);
  await Promise.all([ada.person.leave(), bob.person.leave()]);
});

test("contacts of a wiped browser that starts over must accept its new identity", async () => {
  const [ada, bob, eve] = [await signedUp("ada"), await signedUp("bob"), await signedUp("eve")];
  await talk(eve, bob, "Hello from Eve.");
  await talk(ada, bob, "Hello from Ada.");
  await verify(ada.person);

  const mark = ada.person.page.getByText("verified", { exact: true });
  await expect(mark).toHaveCount(1);

  const { page } = bob.person;
  await wipe(bob.person);
  await page.goto("/people");
  await screenshot(bob.person, "wiped-browser");
  await page.getByRole("button", { name: /^Start with new keys/ }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Start with new keys" }).click();
  await saveCode(page);
  await page.goto(`/people/${ada.name}`);
  await expect(log(bob.person)).toBeVisible();
  await expect(log(bob.person)).not.toContainText("Hello from Ada.");

  // Eve did not compare numbers. Both must accept, and Ada must compare again.
  for (const { person } of [eve, ada]) {
    await expect(log(person)).toContainText("has a new identity");
    await send(person, bob.name, SECRET);
    await expect(alert(person)).toBeVisible();
    await person.page.reload();
    await expect(message(person, SECRET)).toHaveAttribute("data-delivery", "sending");
  }
  await screenshot(eve.person, "new-identity-of-a-contact");
  await expect(mark).toHaveCount(0);
  await screenshot(ada.person, "new-identity-of-a-verified-contact");
  await alert(eve.person).getByRole("button", { name: "Accept" }).click();
  await expect(message(eve.person, SECRET)).toHaveAttribute("data-delivery", /sent|received|read/);
  await alert(ada.person).getByRole("button", { name: "Accept" }).click();
  await expect(alert(ada.person)).toContainText("safety number");
  await expect(mark).toHaveCount(0);
  await expect(message(ada.person, SECRET)).toHaveAttribute("data-delivery", "sending");
  await expect(log(bob.person)).not.toContainText(SECRET);
  expectNoComplaints(ada.person, eve.person);
  expectOnlyComplaints(bob.person, /favicon\.ico/);
  await Promise.all([ada.person.leave(), bob.person.leave(), eve.person.leave()]);
});

/** Deletes the databases, as a browser that runs out of space may do. The cookie stays. */
async function wipe({ page }: Person): Promise<void> {
  await page.route("**/blank", (route) =>
    route.fulfill({ contentType: "text/html", body: "<!doctype html>" }),
  );
  await page.goto("/blank");
  await page.evaluate(async () => {
    for (const { name } of await indexedDB.databases())
      await new Promise((done, failed) => {
        const deleting = indexedDB.deleteDatabase(name ?? "");
        deleting.onsuccess = done;
        deleting.onerror = failed;
      });
  });
}
