// A hostile server answers the device, directory and inbox calls: what each attack achieves.

import { describe, expect, test, vi } from "vitest";
import {
  type MessagePosition,
  NOTHING_READ,
  NO_LOG,
  type OwnKeys,
  START,
  publicKeys,
  readIdentity,
  seal,
} from "../../crypto";
import { fromBase64url } from "../../crypto/bytes";
import { decodeHeader } from "../../crypto/header";
import { browserArchives } from "../../platform/archive";
import type { AccountId, DeviceKeys, Envelope } from "../../protocol/wire";
import {
  type Person,
  adaAndBob,
  deliveries,
  expectTexts,
  keysOf,
  lastMessage,
  lines,
  notices,
  openWith,
  problems,
  server,
  start,
  texts,
  until,
  withPeople,
} from "./person.testing";

withPeople(browserArchives);

const GHOST = "device-ghost";

/** The keys of a profile, as a device of any account and name. */
const keysAs = async (profile: string, account: string, device: string): Promise<DeviceKeys> =>
  publicKeys({ ...(await keysOf(profile)), device }, account);
const ghostKeys = (account: string, device = GHOST) => keysAs("ghost", account, device);
const holdOf = ({ messenger }: Person, peer: string) => messenger.outbox.holds.value.get(peer);
const numberOf = ({ messenger }: Person, peer: string) => messenger.directory.safetyNumber(peer);
const sentKeys = () => lastMessage().envelope.keys.map(({ device }) => device);
const sentCount = () => server.conversations.get("ada.bob")?.length ?? 0;

async function expectHeld(person: Person, hold: string): Promise<void> {
  await person.messenger.write("A secret.");
  await until(() => expect(holdOf(person, "bob")).toBe(hold));
  await until(() => expect(deliveries(person).at(-1)).toBe("sending"));
  await person.messenger.outbox.recheck();
  await new Promise((resolve) => setTimeout(resolve, 100));
  expect(holdOf(person, "bob")).toBe(hold);
  expect(sentCount()).toBe(0);
}

describe("a ghost device that the server adds to the own account", () => {
  async function enrolWithGhost(): Promise<[Person, Person]> {
    server.addGhost("ada", GHOST, await ghostKeys("ada"));
    return adaAndBob();
  }

  test("at enrolment: nothing is sent, and the safety numbers differ", async () => {
    const [ada, bob] = await enrolWithGhost();
    await expectHeld(ada, "own-device-new");
    expect(await numberOf(ada, "bob")).not.toBe(await numberOf(bob, "ada"));
  });

  test("later: nothing is sent, and the user is told", async () => {
    const [ada] = await adaAndBob();
    server.addGhost("ada", GHOST, await ghostKeys("ada"));
    server.announce("ada");
    await until(() => expect(ada.messenger.ownChanges.value?.added).toEqual([GHOST]));
    await expectHeld(ada, "own-device-new");
  });

  test("refused on this device: messages are sent without it, also after a reload", async () => {
    const [ada, bob] = await enrolWithGhost();
    await ada.messenger.decide(GHOST, "refused");
    await ada.messenger.write("Not for the ghost.");
    await expectTexts(bob, ["Not for the ghost."]);
    expect(sentKeys()).toEqual(["device-ada", "device-bob"]);
    await ada.messenger.stop();
    const again = await start("ada");
    await openWith(again, "bob");
    await again.messenger.write("Still not.");
    await expectTexts(bob, ["Not for the ghost.", "Still not."]);
    expect(sentKeys()).toEqual(["device-ada", "device-bob"]);
    expect(await numberOf(again, "bob")).not.toBe(await numberOf(bob, "ada"));
  });

  test("confirmed on this device: it is a device of the account", async () => {
    const [ada, bob] = await enrolWithGhost();
    await expectHeld(ada, "own-device-new");
    await ada.messenger.decide(GHOST, "confirmed");
    await expectTexts(bob, ["A secret."]);
    expect(holdOf(ada, "bob")).toBeUndefined();
    expect(sentKeys()).toEqual(["device-ada", GHOST, "device-bob"]);
    expect(await numberOf(ada, "bob")).toBe(await numberOf(bob, "ada"));
  });

  test("a confirmation does not cover keys that the server lists later", async () => {
    const [ada] = await enrolWithGhost();
    await ada.messenger.decide(GHOST, "confirmed");
    const [, own] = server.devices.get("ada") ?? [];
    const other = await keysAs("other", "ada", GHOST);
    server.lie("ada", "ada", [...(own ? [own] : []), { device: GHOST, ...other }]);
    server.announce("ada");
    await until(() => expect(ada.messenger.ownChanges.value?.conflict).toBe(true));
    await expectHeld(ada, "keys-conflict");
  });

  test("removed by the user and listed again: messages are sent without it", async () => {
    const [ada, bob] = await enrolWithGhost();
    await ada.messenger.decide(GHOST, "confirmed");
    const listed = [...(server.devices.get("ada") ?? [])];
    await ada.messenger.removeDevice(GHOST);
    server.lie("ada", "ada", listed);
    server.announce("ada");
    await ada.messenger.write("Only for my own device.");
    await expectTexts(bob, ["Only for my own device."]);
    expect(sentKeys()).toEqual(["device-ada", "device-bob"]);
  });

  test("cannot write in the user's name unnoticed", async () => {
    const [ada] = await enrolWithGhost();
    server.deliver("ada", {
      kind: "message",
      ...(await written("ada", GHOST, await keysOf("ghost"))),
    });
    await until(() => expect(texts(ada)).toEqual(["Written by a ghost."]));
    expect(lines(ada).at(-1)).toMatchObject({ mine: true, warnings: [{ kind: "unconfirmed" }] });
  });

  /** A message to both people that the ghost signs. */
  async function written(sender: AccountId, device: string, keys: OwnKeys) {
    const recipients = await Promise.all(
      ["ada", "bob"].map(async (account) =>
        readIdentity(account, {
          device: `device-${account}`,
          ...(await publicKeys(await keysOf(account), account)),
        }),
      ),
    );
    const position: MessagePosition = {
      conversation: "ada.bob",
      account: sender,
      cid: "ghost-1",
      counter: 1,
      previous: START.hash,
      lifetime: 0,
      ownLog: NO_LOG,
      peerLog: NO_LOG,
      read: NOTHING_READ,
    };
    const { envelope } = await seal(
      keys,
      position,
      recipients.filter((identity) => identity !== undefined),
      { kind: "text", writtenAt: 0, text: "Written by a ghost." },
    );
    return { conversation: "ada.bob", seq: 1, cid: "ghost-1", sender, device, at: "", envelope };
  }
});

describe("a device list of the own account that contradicts this device", () => {
  test("other keys under its id, from enrolment on: nothing is sent, and the numbers differ", async () => {
    const exchanged = { device: "device-ada", ...(await ghostKeys("ada", "device-ada")) };
    for (const viewer of ["ada", "bob"]) server.lie(viewer, "ada", [exchanged]);
    const [ada, bob] = await adaAndBob();
    await expectHeld(ada, "own-keys-changed");
    expect(await numberOf(ada, "bob")).not.toBe(await numberOf(bob, "ada"));
  });

  test("other keys under its id, later: nothing is sent, and the user is told", async () => {
    const [ada] = await adaAndBob();
    server.lie("ada", "ada", [{ device: "device-ada", ...(await ghostKeys("ada", "device-ada")) }]);
    server.announce("ada");
    await until(() => expect(ada.messenger.ownChanges.value?.conflict).toBe(true));
    await expectHeld(ada, "own-keys-changed");
  });

  test("without this device: nothing is sent until the server lists it", async () => {
    const [ada, bob] = await adaAndBob();
    server.lie("ada", "ada", []);
    server.announce("ada");
    await expectHeld(ada, "own-device-missing");
    server.lie("ada", "ada", server.devices.get("ada") ?? []);
    server.announce("ada");
    await expectTexts(bob, ["A secret."]);
    expect(holdOf(ada, "bob")).toBeUndefined();
  });

  test("other keys under its id: messages to this device still open", async () => {
    const [ada, bob] = await adaAndBob();
    server.lie("ada", "ada", [{ device: "device-ada", ...(await ghostKeys("ada", "device-ada")) }]);
    server.announce("ada");
    await bob.messenger.write("For the real Ada.");
    await expectTexts(ada, ["For the real Ada."]);
    expect(lines(ada).at(-1)).toMatchObject({ warnings: [] });
  });
});

describe("a device list that changes at the worst moment", () => {
  test("between the check of a verified contact and the sealing: not encrypted for the ghost", async () => {
    const [ada, bob] = await adaAndBob();
    await ada.messenger.verify("bob", await numberOf(ada, "bob"));
    const ghost = await ghostKeys("bob");
    const digest = crypto.subtle.digest.bind(crypto.subtle);
    let attacked = false;
    const spy = vi.spyOn(crypto.subtle, "digest").mockImplementation(async (algorithm, data) => {
      // The safety number is being computed: the list was read and is not used for sealing yet.
      if (algorithm === "SHA-512" && !attacked) {
        attacked = true;
        server.addGhost("bob", GHOST, ghost);
        server.deliver("ada", { kind: "key_change", account: "bob" });
        await until(() => expect(notices(ada)).toContain("device-added"));
      }
      return digest(algorithm, data);
    });
    await ada.messenger.write("Only for Bob.");
    await expectTexts(bob, ["Only for Bob."]);
    spy.mockRestore();
    expect(attacked).toBe(true);
    expect(sentKeys()).toEqual(["device-ada", "device-bob"]);
    await ada.messenger.write("Is it still you?");
    await until(() => expect(holdOf(ada, "bob")).toBe("safety-number-changed"));
    expect(sentCount()).toBe(1);
  });

  /** Holds the next read of Bob's record, as a slow disk would, until `release` is called. */
  function holdRead({ archive }: Person): { reached: Promise<void>; release: () => void } {
    const get = archive.get.bind(archive) as (table: string, key: unknown) => Promise<unknown>;
    let release: () => void = () => undefined;
    let reach: () => void = () => undefined;
    const gate = new Promise<void>((resolve) => (release = resolve));
    const reached = new Promise<void>((resolve) => (reach = resolve));
    let held = false;
    vi.spyOn(archive, "get").mockImplementation((async (table: string, key: unknown) => {
      const record = await get(table, key);
      if (table !== "contacts" || key !== "bob" || held) return record;
      held = true;
      reach();
      await gate;
      return record;
    }) as never);
    return { reached, release };
  }

  const settled = (task: Promise<unknown>) =>
    Promise.race([task, new Promise((resolve) => setTimeout(resolve, 300))]);

  test("while the contact is marked as verified: the mark stays", async () => {
    const [ada] = await adaAndBob();
    const number = await numberOf(ada, "bob");
    const { directory } = ada.messenger;
    const { reached, release } = holdRead(ada);
    directory.forget("bob");
    const fetched = directory.contact("bob");
    await reached;
    directory.forget("bob");
    const verified = ada.messenger.verify("bob", number);
    await settled(verified);
    release();
    await Promise.all([fetched, verified]);
    expect((await ada.archive.get("contacts", "bob"))?.verified).toBe(number);
    expect(await directory.contact("bob")).toMatchObject({ verified: number });
  });

  test("while the contact is renamed: a new device stays pinned", async () => {
    const [ada, bob] = await adaAndBob();
    await bob.messenger.write("Hello.");
    await expectTexts(ada, ["Hello."]);
    const { directory } = ada.messenger;
    const { reached, release } = holdRead(ada);
    server.rename("bob", "robert");
    await reached;
    server.addGhost("bob", GHOST, await ghostKeys("bob"));
    directory.forget("bob");
    const fetched = directory.contact("bob");
    await settled(fetched);
    release();
    await fetched;
    await until(() => expect(notices(ada)).toContain("renamed"));
    const devices = (await ada.archive.get("contacts", "bob"))?.devices ?? [];
    expect(devices.map(({ device }) => device)).toEqual(["device-bob", GHOST]);
  });

  test("an older answer that arrives late does not replace a newer one", async () => {
    const [ada] = await adaAndBob();
    const { directory } = ada.messenger;
    const old = server.delayLists();
    directory.forget("bob");
    const late = directory.contact("bob");
    server.addGhost("bob", GHOST, await ghostKeys("bob"));
    directory.forget("bob");
    await directory.contact("bob");
    old.release();
    await late;
    const listed = (await directory.contact("bob")).devices.filter((device) => device.listed);
    expect(listed.map(({ device }) => device)).toEqual(["device-bob", GHOST]);
    expect((await ada.archive.get("contacts", "bob"))?.devices).toEqual(listed);
  });
});

describe("a message that the server rejects and delivers all the same", () => {
  /** Ada's message as sent, although the server answered that it was rejected. */
  async function rejectedButKept(ada: Person): Promise<Envelope> {
    server.rejectSends = true;
    await ada.messenger.write("Rejected?");
    await until(() => expect(deliveries(ada)).toEqual(["failed"]));
    server.rejectSends = false;
    const { request } = server.frames.at(-1) ?? {};
    if (request?.type !== "send") throw new Error("nothing was sent");
    return request.envelope;
  }

  const kept = (envelope: Envelope) => {
    const header = decodeHeader(fromBase64url(envelope.header) ?? new Uint8Array());
    return { ...header, envelope };
  };

  test("its counter is not used again: both messages are shown, without a replay", async () => {
    const [ada, bob] = await adaAndBob();
    const { cid, counter, envelope } = kept(await rejectedButKept(ada));
    const from = { conversation: "ada.bob", sender: "ada", device: "device-ada", at: "" };
    const message = { ...from, seq: 1, cid, envelope };
    server.conversations.set("ada.bob", [message]);
    server.deliver("bob", { kind: "message", ...message });
    await expectTexts(bob, ["Rejected?"]);
    await ada.messenger.write("The next one.");
    await expectTexts(bob, ["Rejected?", "The next one."]);
    expect(kept(lastMessage().envelope).counter).toBe(counter + 1);
    expect(lines(bob)).toMatchObject([{ warnings: [] }, { warnings: [] }]);
  });

  test("the sender sees that it was delivered", async () => {
    const [ada] = await adaAndBob();
    const { cid, envelope } = kept(await rejectedButKept(ada));
    const message = { conversation: "ada.bob", sender: "ada", device: "device-ada", at: "" };
    server.deliver("ada", { kind: "message", ...message, seq: 1, cid, envelope });
    await until(() => expect(deliveries(ada)).toEqual(["sent"]));
    expect(lines(ada)).toMatchObject([{ failed: undefined }]);
  });
});

describe("a dropped message before one that cannot be opened", () => {
  const gap = [{ kind: "gap", missing: 1 }];

  test("not for this device, because the server hid it from the sender: the gap is shown", async () => {
    const [ada, bob] = await adaAndBob();
    server.holdEvents = true;
    await ada.messenger.write("Dropped.");
    await until(() => expect(deliveries(ada)).toEqual(["sent"]));
    server.inboxes.set("bob", []);
    server.lie("ada", "bob", [{ device: GHOST, ...(await ghostKeys("bob")) }]);
    server.holdEvents = false;
    server.announce("bob");
    await until(() => expect(notices(ada)).toContain("device-removed"));
    await ada.messenger.write("Not for Bob's device.");
    await until(() => expect(problems(bob)).toEqual(["not-for-this-device"]));
    expect(lines(bob).find(({ kind }) => kind === "problem")).toMatchObject({ warnings: gap });
  });

  test("encrypted for other keys of this device: the gap is shown", async () => {
    const exchanged = { device: "device-bob", ...(await ghostKeys("bob", "device-bob")) };
    server.lie("ada", "bob", [exchanged]);
    const [ada, bob] = await adaAndBob();
    server.holdEvents = true;
    await ada.messenger.write("Dropped.");
    await until(() => expect(deliveries(ada)).toEqual(["sent"]));
    server.inboxes.set("bob", []);
    server.holdEvents = false;
    await ada.messenger.write("For the ghost's keys.");
    await until(() => expect(problems(bob)).toEqual(["undecryptable"]));
    expect(lines(bob)).toMatchObject([{ warnings: gap }]);
  });
});

test("a list with two keys under one device id: nothing is sent", async () => {
  const other = await keysAs("other", "bob", GHOST);
  server.addGhost("bob", GHOST, await ghostKeys("bob"));
  server.addGhost("bob", GHOST, other);
  const [ada] = await adaAndBob();
  await expectHeld(ada, "keys-conflict");
});
