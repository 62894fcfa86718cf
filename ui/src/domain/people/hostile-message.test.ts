// A hostile server, or a stolen device, sends messages: what the receiver refuses, and what it warns
// about.

import { describe, expect, test } from "vitest";
import { NO_LOG, equal } from "../../crypto";
import { browserArchives } from "../../platform/archive";
import type { PrivateMessage } from "../../protocol/wire";
import { addGhost, forged, headerOf, numberOf } from "./hostile.testing";
import {
  type Person,
  adaAndBob,
  approve,
  expectTexts,
  lastMessage,
  lines,
  logOf,
  notices,
  problems,
  server,
  signed,
  startLinked,
  texts,
  until,
  warnings,
  withPeople,
} from "./person.testing";

withPeople(browserArchives);

const deliver = (message: PrivateMessage) => server.deliver("ada", { kind: "message", ...message });
const knownVersion = async ({ messenger }: Person) =>
  (await messenger.directory.known("bob"))?.log?.version;
const phoneToAda = [
  ["ada", "ada"],
  ["bob", "bob"],
  ["bob", "bob-phone"],
] as const;

describe("a message of a device that its account did not approve", () => {
  test("is shown with a warning", async () => {
    const [ada] = await adaAndBob();
    await addGhost("bob");
    deliver(await forged("bob", "ghost", "I am Bob."));
    await expectTexts(ada, ["I am Bob."]);
    expect(warnings(ada)).toEqual(["unapproved"]);
  });

  test("is refused if the contact is verified", async () => {
    const [ada] = await adaAndBob();
    await ada.messenger.decisions.verify("bob", await numberOf(ada, "bob"));
    await addGhost("bob");
    deliver(await forged("bob", "ghost", "I am Bob."));
    await until(() => expect(problems(ada)).toEqual(["unapproved-device"]));
    expect(texts(ada)).toEqual([]);
  });

  test("does not change what this device says it has read", async () => {
    const [ada, bob] = await adaAndBob();
    await addGhost("bob");
    await bob.messenger.write("From Bob.");
    await expectTexts(ada, ["From Bob."]);
    const { envelope } = lastMessage();
    deliver(await forged("bob", "ghost", "I am Bob.", { seq: 2 }));
    await expectTexts(ada, ["From Bob.", "I am Bob."]);
    await ada.messenger.write("To Bob.");
    await expectTexts(bob, ["From Bob.", "To Bob."]);
    expect(headerOf(lastMessage().envelope).read).toMatchObject({
      device: "device-bob",
      counter: headerOf(envelope).counter,
    });
    expect(warnings(bob)).toEqual([]);
  });
});

describe("a message of a device that its account removed", () => {
  /** Bob removed his phone, and Ada knows it. */
  async function removed(): Promise<Person> {
    const [ada, bob] = await adaAndBob();
    const phone = await startLinked("bob", "bob-phone");
    await phone.messenger.stop();
    await bob.messenger.removeDevice("device-bob-phone");
    server.announce("bob");
    await until(async () => expect(await knownVersion(ada)).toBe(3));
    return ada;
  }

  test("is refused if it was written after the removal", async () => {
    const ada = await removed();
    deliver(await forged("bob", "bob-phone", "Still me.", { to: phoneToAda }));
    await until(() => expect(problems(ada)).toEqual(["removed-device"]));
    expect(texts(ada)).toEqual([]);
  });

  test("is shown with a warning if it was written before the removal", async () => {
    const ada = await removed();
    const { hashes } = await logOf("bob");
    const ownLog = { version: 2, head: hashes[1] ?? NO_LOG.head };
    deliver(
      await forged("bob", "bob-phone", "On its way.", { to: phoneToAda, position: { ownLog } }),
    );
    await expectTexts(ada, ["On its way."]);
    expect(warnings(ada)).toEqual(["since-removed"]);
  });
});

describe("a device log that the sender sees differently", () => {
  test("newer, because the server hides an entry here: a warning", async () => {
    const [ada, bob] = await adaAndBob();
    server.lie("ada", "bob", server.truth("bob"));
    await approve("bob", "bob-phone");
    await until(async () =>
      expect((await bob.messenger.directory.known("bob"))?.log?.version).toBe(2),
    );
    await bob.messenger.write("With a newer log.");
    await expectTexts(ada, ["With a newer log."]);
    expect(warnings(ada)).toEqual(["log-withheld"]);
  });

  test("newer, because this device has not fetched it yet: no warning", async () => {
    const [ada, bob] = await adaAndBob();
    await approve("bob", "bob-phone", false);
    server.deliver("bob", { kind: "key_change", account: "bob" });
    await until(async () =>
      expect((await bob.messenger.directory.known("bob"))?.log?.version).toBe(2),
    );
    await bob.messenger.write("With a newer log.");
    await expectTexts(ada, ["With a newer log."]);
    expect(warnings(ada)).toEqual([]);
    expect(notices(ada)).toEqual(["device-added"]);
  });

  test("with other entries: a warning", async () => {
    const [ada] = await adaAndBob();
    const { version } = await logOf("bob");
    const ownLog = { version, head: new Uint8Array(32).fill(1) };
    deliver(await forged("bob", "bob", "With another log.", { position: { ownLog } }));
    await expectTexts(ada, ["With another log."]);
    expect(warnings(ada)).toEqual(["log-fork"]);
  });

  test("of the own account, because the server shows the sender a ghost: a warning", async () => {
    const [ada, bob] = await adaAndBob();
    await startLinked("ada", "ada-phone");
    const { log } = server.truth("ada");
    const stolen = await signed("ada", "approve", "ghost", "ada-phone");
    server.lie("bob", "ada", { log: [...log, stolen] });
    server.deliver("bob", { kind: "key_change", account: "ada" });
    await until(async () =>
      expect((await bob.messenger.directory.known("ada"))?.log?.version).toBe(3),
    );
    await ada.messenger.removeDevice("device-ada-phone");
    await bob.messenger.write("For all of you.");
    await expectTexts(ada, ["For all of you."]);
    // The phone was removed here, and the sender encrypted for it.
    expect(warnings(ada)).toEqual(["own-log-fork", "stranger"]);
  });

  test("a recipient that was removed in that log: a warning", async () => {
    const [ada, bob] = await adaAndBob();
    const phone = await startLinked("bob", "bob-phone");
    await phone.messenger.stop();
    await bob.messenger.removeDevice("device-bob-phone");
    deliver(await forged("bob", "bob", "For the phone too.", { to: phoneToAda }));
    await expectTexts(ada, ["For the phone too."]);
    expect(warnings(ada)).toEqual(["stranger"]);
  });
});

describe("the removal of an own device that the server hides from the sender", () => {
  /** Ada removed her phone; Bob still encrypts for it. */
  async function hidden(): Promise<[Person, Person]> {
    const [ada, bob] = await adaAndBob();
    const phone = await startLinked("ada", "ada-phone");
    await phone.messenger.stop();
    server.lie("bob", "ada", server.truth("ada"));
    server.announce("ada");
    await until(() => expect(notices(bob)).toContain("device-added"));
    await ada.messenger.removeDevice("device-ada-phone");
    return [ada, bob];
  }

  test("a message that was written long after it: a warning", async () => {
    const [ada, bob] = await hidden();
    server.clock.advance(301_000);
    await until(() => expect(bob.messenger.connection.value.kind).toBe("online"));
    await bob.messenger.write("For your phone too.");
    await expectTexts(ada, ["For your phone too."]);
    expect(warnings(ada)).toEqual(["removed-recipient"]);
  });

  test("a message that was on its way: no warning", async () => {
    const [ada, bob] = await hidden();
    await bob.messenger.write("On its way.");
    await expectTexts(ada, ["On its way."]);
    expect(warnings(ada)).toEqual([]);
  });
});

describe("what the sender says it has read", () => {
  const readOf = (message: PrivateMessage) => headerOf(message.envelope).read;

  test("is the last message that it processed", async () => {
    const [ada, bob] = await adaAndBob();
    await ada.messenger.write("One.");
    await ada.messenger.write("Two.");
    await expectTexts(bob, ["One.", "Two."]);
    await bob.messenger.write("Three.");
    await expectTexts(ada, ["One.", "Two.", "Three."]);
    const sent = await ada.archive.get("sent", ["ada.bob", 2]);
    const read = readOf(lastMessage());
    expect(read).toMatchObject({ device: "device-ada", counter: 2 });
    expect(sent && equal(sent.hash, read.hash)).toBe(true);
    expect(warnings(ada)).toEqual([]);
  });

  test("another message than this device sent: a warning", async () => {
    const [ada, bob] = await adaAndBob();
    await ada.messenger.write("One.");
    await expectTexts(bob, ["One."]);
    const read = { device: "device-ada", counter: 1, hash: new Uint8Array(32).fill(1) };
    deliver(await forged("bob", "bob", "I read it.", { position: { read } }));
    await expectTexts(ada, ["One.", "I read it."]);
    expect(warnings(ada)).toEqual(["read-mismatch"]);
  });

  test("a message that this device never sent: a warning", async () => {
    const [ada] = await adaAndBob();
    const read = { device: "device-ada", counter: 7, hash: new Uint8Array(32).fill(1) };
    deliver(await forged("bob", "bob", "I read it.", { position: { read } }));
    await expectTexts(ada, ["I read it."]);
    expect(warnings(ada)).toEqual(["read-mismatch"]);
  });

  test("less than it said before: a warning", async () => {
    const [ada, bob] = await adaAndBob();
    await ada.messenger.write("One.");
    await ada.messenger.write("Two.");
    await expectTexts(bob, ["One.", "Two."]);
    await bob.messenger.write("Three.");
    await expectTexts(ada, ["One.", "Two.", "Three."]);
    const first = await ada.archive.get("sent", ["ada.bob", 1]);
    const chain = await ada.archive.get("chains", ["ada.bob", "bob", "device-bob"]);
    if (!first || !chain) throw new Error("both are stored");
    const position = {
      counter: 2,
      previous: chain.link.hash,
      read: { device: "device-ada", counter: 1, hash: first.hash },
    };
    deliver(await forged("bob", "bob", "Four.", { position }));
    await expectTexts(ada, ["One.", "Two.", "Three.", "Four."]);
    expect(warnings(ada)).toEqual(["read-rollback"]);
  });
});

describe("the time of a message", () => {
  const at = (offset: number) => new Date(server.clock.now() + offset).toISOString();

  test("is the signed one, and a difference to the server's is shown", async () => {
    const [ada] = await adaAndBob();
    const writtenAt = server.clock.now() - 400_000;
    deliver(await forged("bob", "bob", "Late?", { writtenAt }));
    await expectTexts(ada, ["Late?"]);
    const written = new Date(writtenAt).toISOString();
    expect(lines(ada)).toMatchObject([
      { at: written, warnings: [{ kind: "clock", written, received: at(0) }] },
    ]);
  });

  test("is not reported if the difference is small", async () => {
    const [ada] = await adaAndBob();
    deliver(await forged("bob", "bob", "On time.", { at: at(299_000) }));
    await expectTexts(ada, ["On time."]);
    expect(warnings(ada)).toEqual([]);
  });

  test("may be beyond what a date can hold", async () => {
    const [ada] = await adaAndBob();
    deliver(await forged("bob", "bob", "Far.", { writtenAt: Number.MAX_SAFE_INTEGER, at: "" }));
    await expectTexts(ada, ["Far."]);
    expect(ada.messenger.connection.value.kind).toBe("online");
  });
});
