// A hostile server lies about the devices of the other person: what each attack achieves.

import { describe, expect, test } from "vitest";
import { publicKeys, rotate } from "../../crypto";
import { browserArchives } from "../../platform/archive";
import type { Device } from "../../protocol/wire";
import {
  GHOST,
  addGhost,
  confessAboutBob,
  exchanged,
  expectHeld,
  lieAboutBob,
  listed,
  numberOf,
  sentKeys,
} from "./hostile.testing";
import {
  type Person,
  adaAndBob,
  expectTexts,
  keysOf,
  notices,
  openWith,
  server,
  start,
  startLinked,
  until,
  warnings,
  withPeople,
} from "./person.testing";

withPeople(browserArchives);

describe("a ghost device that the server lists for the other person", () => {
  test("at first contact: it receives nothing, and the user is told", async () => {
    await addGhost("bob");
    const [ada, bob] = await adaAndBob();
    expect(notices(ada)).toEqual(["device-unapproved"]);
    await bob.messenger.decisions.refuseDevice(GHOST);
    await ada.messenger.write("Only for Bob.");
    await expectTexts(bob, ["Only for Bob."]);
    expect(sentKeys()).toEqual(["device-ada", "device-bob"]);
  });

  test("later, of a verified person: it receives nothing, and nothing is held", async () => {
    const [ada, bob] = await adaAndBob();
    await ada.messenger.decisions.verify("bob", await numberOf(ada, "bob"));
    await addGhost("bob");
    server.announce("bob");
    await until(() => expect(notices(ada)).toContain("device-unapproved"));
    await ada.messenger.write("Only for Bob.");
    await expectTexts(bob, ["Only for Bob."]);
    expect(sentKeys()).toEqual(["device-ada", "device-bob"]);
    expect(await numberOf(ada, "bob")).toBe(await numberOf(bob, "ada"));
  });
});

describe("keys that the server exchanges under real ids", () => {
  test("at first contact: held until the server lists the real ones", async () => {
    server.lie("ada", "bob", { devices: [await exchanged("bob", "device-bob")] });
    const [ada, bob] = await adaAndBob();
    expect(notices(ada)).toEqual(["keys-rejected"]);
    await expectHeld(ada, "keys-conflict");
    confessAboutBob();
    await expectTexts(bob, ["A secret."]);
  });

  test("later: held, and the known ones stay", async () => {
    const [ada, bob] = await adaAndBob();
    lieAboutBob({ devices: [await exchanged("bob", "device-bob")] });
    await until(() => expect(notices(ada)).toContain("keys-rejected"));
    await expectHeld(ada, "keys-conflict");
    confessAboutBob();
    await expectTexts(bob, ["A secret."]);
  });

  test("only the encryption key, with the real signing key: held", async () => {
    const [ada] = await adaAndBob();
    const [real] = server.truth("bob").devices;
    const ghost = await listed("bob", "ghost");
    const { encryption_key, signature } = ghost;
    lieAboutBob({ devices: [{ ...(real as Device), encryption_key, signature, generation: 2 }] });
    await expectHeld(ada, "keys-conflict");
  });

  test("two under one id: held", async () => {
    const [ada] = await adaAndBob();
    const [real] = server.truth("bob").devices;
    lieAboutBob({ devices: [real as Device, await exchanged("bob", "device-bob")] });
    await expectHeld(ada, "keys-conflict");
  });
});

describe("generations of a device's keys", () => {
  /** Bob's device lists its second generation, and Ada has seen it. */
  async function rotated(): Promise<[ada: Person, bob: Person, first: Device, second: Device]> {
    const [ada, bob] = await adaAndBob();
    const [first] = server.truth("bob").devices;
    const keys = await rotate(await keysOf("bob"), server.clock.now() + 1);
    await bob.messenger.stop();
    await bob.archive.commit([{ table: "device", put: { id: "self", keys } }]);
    const again = await start("bob");
    await openWith(again, "ada");
    const statement = await publicKeys(keys, "bob");
    const second = { device: "device-bob", ...statement, registered_at: "" };
    server.announce("bob");
    await until(async () =>
      expect((await ada.messenger.directory.known("bob"))?.devices).toMatchObject([
        { keys: { generation: 2 } },
      ]),
    );
    return [ada, again, first as Device, second];
  }

  test("a newer one is used, and messages for the older one still open", async () => {
    const [ada, bob, first] = await rotated();
    await ada.messenger.write("For the second key.");
    await expectTexts(bob, ["For the second key."]);
    const late = await startLinked("ada", "ada-phone");
    server.lie("ada", "bob", { devices: [first] });
    late.messenger.directory.forget();
    await openWith(late, "bob");
    await late.messenger.write("For the first key.");
    await expectTexts(bob, ["For the second key.", "For the first key."]);
    expect(warnings(bob)).toEqual([]);
  });

  test("an older one is not used, and the user is told", async () => {
    const [ada, bob, first, second] = await rotated();
    lieAboutBob({ devices: [first] });
    await until(() => expect(notices(ada)).toContain("keys-rejected"));
    await ada.messenger.write("Still for the second key.");
    await expectTexts(bob, ["Still for the second key."]);
    const known = await ada.messenger.directory.known("bob");
    expect(known?.devices).toMatchObject([
      { rejected: "older", keys: { encryption_key: second.encryption_key } },
    ]);
    expect(warnings(bob)).toEqual([]);
  });
});

test("a removed device that the server lists again: it receives nothing", async () => {
  const [ada, bob] = await adaAndBob();
  const phone = await startLinked("bob", "bob-phone");
  const { devices } = server.truth("bob");
  await phone.messenger.stop();
  await bob.messenger.removeDevice("device-bob-phone");
  server.announce("bob");
  await until(() => expect(notices(ada)).toContain("device-removed"));
  lieAboutBob({ devices });
  await until(() => expect(notices(ada)).toContain("device-unapproved"));
  await ada.messenger.write("Not for the phone.");
  await expectTexts(bob, ["Not for the phone."]);
  expect(sentKeys()).toEqual(["device-ada", "device-bob"]);
});

test("a device that the server hides: the user is told that it gets nothing", async () => {
  const [ada] = await adaAndBob();
  lieAboutBob({ devices: [] });
  await until(() => expect(notices(ada)).toContain("device-unlisted"));
  await expectHeld(ada, "no-device");
});
