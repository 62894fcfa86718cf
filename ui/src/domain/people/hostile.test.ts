// A hostile server lies about the devices of the own account: what each attack achieves.

import { describe, expect, test } from "vitest";
import { browserArchives } from "../../platform/archive";
import { ProblemError } from "../../net";
import {
  GHOST,
  addGhost,
  exchanged,
  expectHeld,
  falseIdentity,
  forged,
  holdOf,
  identityOf,
  listed,
  numberOf,
  sentKeys,
} from "./hostile.testing";
import {
  type Person,
  adaAndBob,
  approve,
  expectTexts,
  lines,
  logOf,
  openWith,
  server,
  signed,
  start,
  startLinked,
  texts,
  until,
  withPeople,
} from "./person.testing";
import { altered } from "./registry.testing";

withPeople(browserArchives);

/** Ada and Bob, after `prepare` changed what the server answers at their first start. */
async function adaAndBobAfter(prepare: () => Promise<void>): Promise<[Person, Person]> {
  await prepare();
  return adaAndBob();
}

describe("a ghost device that the server lists for the own account", () => {
  test("at enrolment: nothing is sent until the user refuses it", async () => {
    const [ada, bob] = await adaAndBobAfter(() => addGhost("ada"));
    await expectHeld(ada, "own-device-unapproved");
    await ada.messenger.decisions.refuseDevice(GHOST);
    await expectTexts(bob, ["A secret."]);
    expect(sentKeys()).toEqual(["device-ada", "device-bob"]);
  });

  test("later: nothing is sent, and the user is told", async () => {
    const [ada] = await adaAndBob();
    await addGhost("ada");
    server.announce("ada");
    await until(() => expect(ada.messenger.ownChanges.value?.unapproved).toEqual([GHOST]));
    await expectHeld(ada, "own-device-unapproved");
  });

  test("with invalid keys: it is reported all the same", async () => {
    const [ada] = await adaAndBob();
    const ghost = await listed("ada", "ghost");
    server.devices.get("ada")?.push({ ...ghost, signature: altered(ghost.signature) });
    server.announce("ada");
    await expectHeld(ada, "own-device-unapproved");
  });

  test("refused on this device: messages are sent without it, also after a reload", async () => {
    const [ada, bob] = await adaAndBobAfter(() => addGhost("ada"));
    await ada.messenger.decisions.refuseDevice(GHOST);
    await ada.messenger.write("Not for the ghost.");
    await expectTexts(bob, ["Not for the ghost."]);
    await ada.messenger.stop();
    const again = await start("ada");
    await openWith(again, "bob");
    await again.messenger.write("Still not.");
    await expectTexts(bob, ["Not for the ghost.", "Still not."]);
    expect(sentKeys()).toEqual(["device-ada", "device-bob"]);
  });

  test("does not receive what contacts send, and the numbers stay equal", async () => {
    const [ada, bob] = await adaAndBobAfter(() => addGhost("ada"));
    await bob.messenger.write("Only for Ada.");
    await expectTexts(ada, ["Only for Ada."]);
    expect(sentKeys()).toEqual(["device-ada", "device-bob"]);
    expect(await numberOf(ada, "bob")).toBe(await numberOf(bob, "ada"));
  });

  test("cannot write in the user's name unnoticed", async () => {
    const [ada] = await adaAndBobAfter(() => addGhost("ada"));
    server.deliver("ada", { kind: "message", ...(await forged("ada", "ghost", "I am Ada.")) });
    await until(() => expect(texts(ada)).toEqual(["I am Ada."]));
    expect(lines(ada).at(-1)).toMatchObject({ mine: true, warnings: [{ kind: "unapproved" }] });
  });
});

describe("a list of the own account that contradicts this device", () => {
  test("other keys under its id, from the first list on: nothing is sent", async () => {
    const devices = [await exchanged("ada", "device-ada")];
    for (const viewer of ["ada", "bob"]) server.lie(viewer, "ada", { devices });
    const [ada, bob] = await adaAndBob();
    await expectHeld(ada, "own-keys-changed");
    server.confess("ada", "ada");
    server.announce("ada");
    await expectTexts(bob, ["A secret."]);
  });

  test("other keys under its id, later: nothing is sent, and the user is told", async () => {
    const [ada] = await adaAndBob();
    server.lie("ada", "ada", { devices: [await exchanged("ada", "device-ada")] });
    server.announce("ada");
    await until(() => expect(ada.messenger.ownChanges.value?.rejected).toEqual(["device-ada"]));
    await expectHeld(ada, "own-keys-changed");
  });

  test("without this device: nothing is sent until the server lists it", async () => {
    const [ada, bob] = await adaAndBob();
    server.lie("ada", "ada", { devices: [] });
    server.announce("ada");
    await expectHeld(ada, "own-device-missing");
    server.confess("ada", "ada");
    server.announce("ada");
    await expectTexts(bob, ["A secret."]);
    expect(holdOf(ada)).toBeUndefined();
  });

  test("other keys under its id: messages to this device still open", async () => {
    const [ada, bob] = await adaAndBob();
    server.lie("ada", "ada", { devices: [await exchanged("ada", "device-ada")] });
    server.announce("ada");
    await bob.messenger.write("For the real Ada.");
    await expectTexts(ada, ["For the real Ada."]);
    expect(lines(ada).at(-1)).toMatchObject({ warnings: [] });
  });
});

describe("a false log of the own account", () => {
  async function lied(list: Parameters<typeof server.lie>[2]): Promise<[Person, Person]> {
    const [ada, bob] = await adaAndBob();
    server.lie("ada", "ada", list);
    server.announce("ada");
    return [ada, bob];
  }

  test("none: held, and sent when the server shows it again", async () => {
    const [ada, bob] = await adaAndBob();
    server.lie("ada", "ada", { log: [] });
    server.announce("ada");
    await expectHeld(ada, "own-older-log");
    server.confess("ada", "ada");
    server.announce("ada");
    await expectTexts(bob, ["A secret."]);
  });

  test("an entry that is not signed correctly: held until the user keeps the known devices", async () => {
    const [ada, bob] = await adaAndBob();
    const { log } = server.truth("ada");
    const entry = await signed("ada", "approve", "ghost");
    const invalid = { ...entry, signature: altered(entry.signature) };
    server.lie("ada", "ada", { log: [...log, invalid] });
    server.announce("ada");
    await expectHeld(ada, "own-invalid-log");
    await ada.messenger.decisions.resolveConflict("ada", "keep");
    await expectTexts(bob, ["A secret."]);
    expect(sentKeys()).toEqual(["device-ada", "device-bob"]);
  });

  test("another identity that approves this device and a ghost: held", async () => {
    const other = await falseIdentity("ada", "ada");
    const [ada, bob] = await lied(other);
    await until(() => expect(ada.messenger.ownChanges.value?.fault).toBe("identity-changed"));
    await expectHeld(ada, "own-identity-changed");
    await ada.messenger.decisions.resolveConflict("ada", "keep");
    await ada.messenger.decisions.resolveConflict("ada", "accept");
    await ada.messenger.outbox.idle();
    expect(holdOf(ada)).toBe("own-identity-changed");
    server.confess("ada", "ada");
    server.announce("ada");
    await expectTexts(bob, ["A secret."]);
  });

  test("another history, signed by a stolen device: held until the user keeps the known one", async () => {
    const [ada, bob] = await adaAndBob();
    await startLinked("ada", "ada-phone");
    await until(async () =>
      expect((await ada.messenger.directory.known("ada"))?.log?.version).toBe(2),
    );
    const stolen = await signed("ada", "approve", "ghost", "ada-phone");
    const before = server.truth("ada").log;
    await ada.messenger.removeDevice("device-ada-phone");
    server.lie("ada", "ada", { log: [...before, stolen] });
    server.announce("ada");
    await expectHeld(ada, "own-fork-log");
    await ada.messenger.decisions.resolveConflict("ada", "keep");
    await expectTexts(bob, ["A secret."]);
    expect(sentKeys()).toEqual(["device-ada", "device-bob"]);
  });
});

describe("removing an own device", () => {
  async function withPhone(): Promise<[Person, Person]> {
    const [ada, bob] = await adaAndBob();
    const phone = await startLinked("ada", "ada-phone");
    await phone.messenger.stop();
    await until(async () =>
      expect((await ada.messenger.directory.known("ada"))?.log?.version).toBe(2),
    );
    return [ada, bob];
  }

  test("listed again by the server: messages are sent without it", async () => {
    const [ada, bob] = await withPhone();
    const { devices } = server.truth("ada");
    await ada.messenger.removeDevice("device-ada-phone");
    for (const viewer of ["ada", "bob"]) server.lie(viewer, "ada", { devices });
    server.announce("ada");
    await ada.messenger.write("Only for my own device.");
    await expectTexts(bob, ["Only for my own device."]);
    expect(sentKeys()).toEqual(["device-ada", "device-bob"]);
    await bob.messenger.write("Neither do I.");
    await expectTexts(ada, ["Only for my own device.", "Neither do I."]);
    expect(sentKeys()).toEqual(["device-ada", "device-bob"]);
  });

  test("while another device appends: it is signed again for the new position", async () => {
    const [ada, bob] = await withPhone();
    let raced = false;
    server.before = (method, what) => {
      if (raced || method !== "POST" || what !== "devices") return;
      raced = true;
      server.rejectAppends = 1;
    };
    await ada.messenger.removeDevice("device-ada-phone");
    expect(raced).toBe(true);
    expect((await logOf("ada")).devices.get("device-ada-phone")).toMatchObject({ removedIn: 3 });
    await ada.messenger.write("Without the phone.");
    await expectTexts(bob, ["Without the phone."]);
    expect(sentKeys()).toEqual(["device-ada", "device-bob"]);
  });

  test("always rejected with 409: it fails, and the device stays until it can be removed", async () => {
    const [ada] = await withPhone();
    server.rejectAppends = 100;
    await expect(ada.messenger.removeDevice("device-ada-phone")).rejects.toThrow(ProblemError);
    expect(server.appends).toBeLessThan(10);
    expect(server.devices.get("ada")?.map(({ device }) => device)).toContain("device-ada-phone");
    server.rejectAppends = 0;
    await ada.messenger.removeDevice("device-ada-phone");
    expect((await logOf("ada")).devices.get("device-ada-phone")).toMatchObject({ removedIn: 3 });
  });

  test("and hidden by the server: held, and the entry can be sent again", async () => {
    const [ada, bob] = await withPhone();
    await ada.messenger.removeDevice("device-ada-phone");
    server.logs.get("ada")?.pop();
    server.announce("ada");
    await expectHeld(ada, "own-older-log");
    await ada.messenger.decisions.restoreOwnLog();
    await expectTexts(bob, ["A secret."]);
    expect((await logOf("ada")).devices.get("device-ada-phone")).toMatchObject({ removedIn: 3 });
  });
});

test("a device that was approved but has not registered keys receives nothing", async () => {
  const [ada, bob] = await adaAndBob();
  await approve("ada", "ada-phone");
  await ada.messenger.write("Not for the phone yet.");
  await expectTexts(bob, ["Not for the phone yet."]);
  expect(sentKeys()).toEqual(["device-ada", "device-bob"]);
  expect((await identityOf("ada", "ada-phone")).device).toBe("device-ada-phone");
});
