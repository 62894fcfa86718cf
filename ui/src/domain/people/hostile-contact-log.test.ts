// A hostile server shows another device log or another identity of the other person.

import { describe, expect, test } from "vitest";
import { browserArchives } from "../../platform/archive";
import {
  GHOST,
  confessAboutBob,
  expectHeld,
  falseIdentity,
  holdOf,
  lieAboutBob,
  listed,
  numberOf,
  sentCount,
  sentKeys,
} from "./hostile.testing";
import {
  type Person,
  adaAndBob,
  approve,
  expectTexts,
  notices,
  openWith,
  problems,
  server,
  signed,
  start,
  startLinked,
  until,
  warnings,
  withPeople,
} from "./person.testing";
import { altered } from "./registry.testing";

withPeople(browserArchives);

const knownVersion = async ({ messenger }: Person) =>
  (await messenger.directory.known("bob"))?.log?.version;

describe("a false log of the other person", () => {
  test("none, or a gap in it: held until the server shows the real one", async () => {
    const [ada, bob] = await adaAndBob();
    await approve("bob", "bob-phone");
    await until(async () => expect(await knownVersion(ada)).toBe(2));
    const [, second] = server.truth("bob").log;
    lieAboutBob({ log: second ? [second] : [] });
    await until(() => expect(notices(ada)).toContain("log-invalid"));
    await expectHeld(ada, "invalid-log", "One.");
    lieAboutBob({ log: [] });
    await expectHeld(ada, "older-log", "Two.");
    confessAboutBob();
    await expectTexts(bob, ["One.", "Two."]);
  });

  test("at first contact, with a wrong signature: nothing is sent", async () => {
    const [first] = server.truth("bob").log;
    expect(first).toBeUndefined();
    const bob = await start("bob");
    const [entry] = server.truth("bob").log;
    if (!entry) throw new Error("Bob's device made the first entry");
    server.lie("ada", "bob", { log: [{ ...entry, signature: altered(entry.signature) }] });
    const ada = await start("ada");
    await openWith(ada, "bob");
    await openWith(bob, "ada");
    expect(notices(ada)).toEqual(["log-invalid"]);
    await expectHeld(ada, "invalid-log");
    confessAboutBob();
    await expectTexts(bob, ["A secret."]);
  });

  test("an older one: held until the user keeps the known devices", async () => {
    const [ada, bob] = await adaAndBob();
    const phone = await startLinked("bob", "bob-phone");
    const { log, devices } = server.truth("bob");
    await phone.messenger.stop();
    await bob.messenger.removeDevice("device-bob-phone");
    server.announce("bob");
    await until(async () => expect(await knownVersion(ada)).toBe(3));
    lieAboutBob({ log, devices });
    await until(() => expect(notices(ada)).toContain("log-older"));
    await expectHeld(ada, "older-log");
    await ada.messenger.decisions.resolveConflict("bob", "accept");
    expect(holdOf(ada)).toBe("older-log");
    await ada.messenger.decisions.resolveConflict("bob", "keep");
    await expectTexts(bob, ["A secret."]);
    expect(sentKeys()).toEqual(["device-ada", "device-bob"]);
    expect(notices(ada)).toContain("log-kept");
  });

  /** Ada has seen that Bob removed his phone; the server shows what the phone signed instead. */
  async function forked(): Promise<[Person, Person]> {
    const [ada, bob] = await adaAndBob();
    await startLinked("bob", "bob-phone");
    const { log } = server.truth("bob");
    const stolen = await signed("bob", "approve", "ghost", "bob-phone");
    await bob.messenger.removeDevice("device-bob-phone");
    server.announce("bob");
    await until(async () => expect(await knownVersion(ada)).toBe(3));
    const devices = [...server.truth("bob").devices, await listed("bob", "ghost")];
    lieAboutBob({ log: [...log, stolen], devices });
    await until(() => expect(notices(ada)).toContain("log-fork"));
    await expectHeld(ada, "fork-log");
    return [ada, bob];
  }

  test("another history: held until the user keeps the known devices", async () => {
    const [ada, bob] = await forked();
    await ada.messenger.decisions.resolveConflict("bob", "keep");
    await expectTexts(bob, ["A secret."]);
    expect(sentKeys()).toEqual(["device-ada", "device-bob"]);
  });

  test("another history: held until the user accepts it", async () => {
    const [ada, bob] = await forked();
    await ada.messenger.decisions.resolveConflict("bob", "accept");
    await expectTexts(bob, ["A secret."]);
    expect(sentKeys()).toEqual(["device-ada", "device-bob", GHOST]);
    await until(() => expect(warnings(bob)).toContain("own-log-fork"));
    expect(notices(ada)).toContain("log-accepted");
  });

  test("a decision does not cover another false log", async () => {
    const [ada] = await forked();
    await ada.messenger.decisions.resolveConflict("bob", "keep");
    await ada.messenger.outbox.idle();
    await until(() => expect(sentCount()).toBe(1));
    lieAboutBob({ log: server.truth("bob").log.slice(0, 1) });
    await expectHeld(ada, "older-log", "Another secret.");
  });
});

describe("a list that is no list", () => {
  test.each([
    ["null", null],
    ["a number", 7],
    ["an array", []],
    ["an empty object", {}],
    ["fields of other types", { devices: null, identity_key: 7, log: {} }],
    ["elements of other types", { devices: [null, 5, { device: 7 }], log: [null, 7, {}] }],
  ])("%s: held with its reason until the server shows the real one", async (_, answer) => {
    const [ada, bob] = await adaAndBob();
    server.garble("ada", "bob", answer);
    server.announce("bob");
    await until(() => expect(notices(ada)).toContain("log-invalid"));
    await expectHeld(ada, "invalid-log");
    confessAboutBob();
    await expectTexts(bob, ["A secret."]);
  });
});

describe("an identity that the server exchanges", () => {
  test("at first contact: the numbers differ, and the person's devices notice it", async () => {
    const bob = await start("bob");
    server.lie("ada", "bob", await falseIdentity("bob", "ghost"));
    const ada = await start("ada");
    await openWith(ada, "bob");
    await openWith(bob, "ada");
    expect(await numberOf(ada, "bob")).not.toBe(await numberOf(bob, "ada"));
    await ada.messenger.write("For the ghost.");
    await until(() => expect(problems(bob)).toEqual(["not-for-this-device"]));
    expect(warnings(bob)).toContain("own-log-fork");
  });

  test("later: held until the user accepts it", async () => {
    const [ada, bob] = await adaAndBob();
    await ada.messenger.write("One.");
    await expectTexts(bob, ["One."]);
    lieAboutBob(await falseIdentity("bob", "ghost"));
    await until(() => expect(notices(ada)).toContain("identity-changed"));
    await expectHeld(ada, "identity-changed");
    await ada.messenger.decisions.resolveConflict("bob", "keep");
    await ada.messenger.decisions.resolveConflict("bob", "accept");
    expect(holdOf(ada)).toBe("identity-changed");
    await ada.messenger.decisions.acceptIdentity("bob");
    await until(() => expect(sentCount()).toBe(2));
    expect(sentKeys()).toEqual(["device-ada", GHOST]);
    expect(notices(ada)).toContain("identity-accepted");
  });

  test("later, of a verified person: held until the new number is compared too", async () => {
    const [ada, bob] = await adaAndBob();
    await ada.messenger.decisions.verify("bob", await numberOf(ada, "bob"));
    lieAboutBob(await falseIdentity("bob", "ghost"));
    await expectHeld(ada, "identity-changed");
    await ada.messenger.decisions.acceptIdentity("bob");
    await until(() => expect(holdOf(ada)).toBe("safety-number-changed"));
    await ada.messenger.outbox.idle();
    expect(sentCount()).toBe(0);
    expect(await numberOf(ada, "bob")).not.toBe(await numberOf(bob, "ada"));
    await ada.messenger.decisions.verify("bob", await numberOf(ada, "bob"));
    await until(() => expect(sentCount()).toBe(1));
  });

  test("with an invalid log: it cannot be accepted", async () => {
    const [ada] = await adaAndBob();
    const other = await falseIdentity("bob", "ghost");
    const [entry] = other.log;
    if (!entry) throw new Error("a log has an entry");
    lieAboutBob({ ...other, log: [{ ...entry, signature: altered(entry.signature) }] });
    await expectHeld(ada, "invalid-log");
    await ada.messenger.decisions.acceptIdentity("bob");
    expect(holdOf(ada)).toBe("invalid-log");
  });
});
