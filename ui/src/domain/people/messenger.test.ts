// Private chat of whole people against a server in memory: real keys, a real archive, and a server that misbehaves.

import "fake-indexeddb/auto";
import { IDBFactory } from "fake-indexeddb";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { type OwnKeys, createOwnKeys, publicKeys } from "../../crypto";
import { Api, Http } from "../../net";
import { browserArchives } from "../../platform/archive";
import type { Archive } from "../ports";
import { Messenger } from "./messenger";
import { TestServer } from "./server.testing";
import type { Line } from "./thread";

let server: TestServer;
const running: Messenger[] = [];

beforeEach(() => {
  vi.stubGlobal("indexedDB", new IDBFactory());
  vi.stubGlobal("navigator", {});
  server = new TestServer();
  for (const name of ["ada", "bob"]) server.join(name);
});

afterEach(async () => {
  await Promise.all(running.splice(0).map((messenger) => messenger.stop()));
});

/** Waits for a condition, not for a time. */
const until = (check: () => void) => vi.waitFor(check, { timeout: 10_000, interval: 10 });

/** RSA keys take long to make: each profile's are made once. */
const pool = new Map<string, Promise<OwnKeys>>();

function keysOf(profile: string): Promise<OwnKeys> {
  const keys = pool.get(profile) ?? createOwnKeys(`device-${profile}`);
  pool.set(profile, keys);
  return keys;
}

interface Person {
  readonly messenger: Messenger;
  readonly archive: Archive;
}

/** `profile`: another browser profile of the same account. */
async function start(account: string, profile = account): Promise<Person> {
  const archive = await browserArchives.open(profile);
  await archive.commit([{ table: "device", put: { id: "self", keys: await keysOf(profile) } }]);
  const api = new Api(new Http(server.fetchAs(account)));
  const { clock } = server;
  const parts = { api, archive, clock, random: () => 0, openSocket: server.socketAs(account) };
  const messenger = await Messenger.create(parts, account);
  running.push(messenger);
  messenger.start();
  await until(() => expect(messenger.connection.value.kind).toBe("online"));
  return { messenger, archive };
}

async function openWith({ messenger }: Person, peer: string): Promise<void> {
  await messenger.open({ account_id: peer, username: peer });
}

const lines = ({ messenger }: Person): readonly Line[] => messenger.thread.value?.lines ?? [];
const texts = (person: Person) => lines(person).flatMap((line) => (line.kind === "text" ? [line.text] : []));
const notices = (person: Person) => lines(person).flatMap((line) => (line.kind === "notice" ? [line.notice] : []));
const problems = (person: Person) => lines(person).flatMap((line) => (line.kind === "problem" ? [line.problem] : []));
const deliveries = (person: Person) =>
  lines(person).flatMap((line) => (line.kind === "text" && line.mine ? [line.delivery] : []));

async function expectTexts(person: Person, expected: string[]): Promise<void> {
  await until(() => expect(texts(person)).toEqual(expected));
}

async function adaAndBob(): Promise<[Person, Person]> {
  const [ada, bob] = [await start("ada"), await start("bob")];
  await openWith(ada, "bob");
  await openWith(bob, "ada");
  return [ada, bob];
}

const lastMessage = () => {
  const message = server.conversations.get("ada.bob")?.at(-1);
  if (!message) throw new Error("nothing was sent");
  return message;
};

describe("two people", () => {
  test("read each other, in order, and nobody else does", async () => {
    const [ada, bob] = await adaAndBob();
    await ada.messenger.write("The heron lands at noon.");
    await ada.messenger.write("Tell nobody.");
    await expectTexts(bob, ["The heron lands at noon.", "Tell nobody."]);
    await bob.messenger.write("Understood.");
    await expectTexts(ada, ["The heron lands at noon.", "Tell nobody.", "Understood."]);
    const seen = JSON.stringify([server.frames, [...server.conversations], [...server.inboxes]]);
    expect(seen).toContain("rsa-aes-1");
    for (const secret of ["heron", "nobody", "Understood"]) expect(seen).not.toContain(secret);
  });

  test("see how far their messages have come", async () => {
    const [ada] = await adaAndBob();
    await ada.messenger.write("Hello?");
    await until(() => expect(deliveries(ada)).toEqual(["sent"]));
    const receipt = { kind: "receipt", conversation: "ada.bob", account: "bob", upto: 1 } as const;
    server.deliver("ada", { ...receipt, state: "received" });
    await until(() => expect(deliveries(ada)).toEqual(["received"]));
    server.deliver("ada", { ...receipt, state: "read" });
    await until(() => expect(deliveries(ada)).toEqual(["read"]));
  });

  test("keep their history under lock", async () => {
    const [ada, bob] = await adaAndBob();
    await ada.messenger.write("The heron lands at noon.");
    await expectTexts(bob, ["The heron lands at noon."]);
    for (const { archive } of [ada, bob]) {
      const [record] = await archive.latest("ada.bob", 10);
      expect(record?.body.kind).toBe("text");
      expect(Buffer.from(JSON.stringify(record)).toString("latin1")).not.toContain("heron");
    }
  });

  test("come back to where they were", async () => {
    const [ada, bob] = await adaAndBob();
    await ada.messenger.write("Before.");
    await expectTexts(bob, ["Before."]);
    await bob.messenger.stop();
    await ada.messenger.write("Meanwhile.");
    await until(() => expect(deliveries(ada)).toEqual(["sent", "sent"]));
    const again = await start("bob");
    await openWith(again, "ada");
    await expectTexts(again, ["Before.", "Meanwhile."]);
    expect(
      server.frames.filter(({ account, request }) => account === "bob" && request.type === "hello").at(-1),
    ).toEqual({
      account: "bob",
      request: expect.objectContaining({ resume: expect.any(Number) as number }) as unknown,
    });
  });

  test("sync by pages when the gap cannot be replayed, without a message twice", async () => {
    const [ada, bob] = await adaAndBob();
    await ada.messenger.write("One.");
    await expectTexts(bob, ["One."]);
    server.holdEvents = true;
    await ada.messenger.write("Two.");
    await until(() => expect(deliveries(ada)).toEqual(["sent", "sent"]));
    server.recovers = false;
    server.cut("bob");
    server.clock.advance(60_000);
    await expectTexts(bob, ["One.", "Two."]);
  });
});

describe("the outbox", () => {
  test("sends the same envelope under the same cid until it is answered", async () => {
    const [ada, bob] = await adaAndBob();
    server.loseAnswers = true;
    server.holdEvents = true;
    await ada.messenger.write("Did you get this?");
    await until(() => expect(ada.messenger.connection.value.kind).toBe("waiting"));
    await until(() => expect(deliveries(ada)).toEqual(["sending"]));
    server.loseAnswers = false;
    server.inboxes.set("ada", []);
    server.clock.advance(60_000);
    await until(() => expect(deliveries(ada)).toEqual(["sent"]));
    const sends = server.frames.flatMap(({ request }) => (request.type === "send" ? [request] : []));
    expect(sends).toHaveLength(2);
    expect(sends[1]).toEqual(sends[0]);
    server.holdEvents = false;
    server.cut("bob");
    server.clock.advance(60_000);
    await expectTexts(bob, ["Did you get this?"]);
  });

  test("survives a reload", async () => {
    const [ada, bob] = await adaAndBob();
    server.cut("ada");
    await ada.messenger.write("Written in a tunnel.");
    await until(() => expect(deliveries(ada)).toEqual(["sending"]));
    await ada.messenger.stop();
    const again = await start("ada");
    await openWith(again, "bob");
    await expectTexts(bob, ["Written in a tunnel."]);
    await until(() => expect(deliveries(again)).toEqual(["sent"]));
  });

  test("a message that is refused for good says so, and leaves no gap behind", async () => {
    const [ada, bob] = await adaAndBob();
    server.refuseSends = true;
    await ada.messenger.write("Refused.");
    await until(() => expect(deliveries(ada)).toEqual(["failed"]));
    server.refuseSends = false;
    await ada.messenger.write("Taken.");
    await expectTexts(bob, ["Taken."]);
    expect(lines(bob)).toMatchObject([{ kind: "text", warnings: [] }]);
  });
});

describe("a server that misbehaves", () => {
  test("drops a message: the next one says that one is missing", async () => {
    const [ada, bob] = await adaAndBob();
    await ada.messenger.write("One.");
    await expectTexts(bob, ["One."]);
    const inbox = server.inboxes.get("bob");
    server.holdEvents = true;
    await ada.messenger.write("Two.");
    await until(() => expect(inbox).toHaveLength(2));
    inbox?.pop();
    server.holdEvents = false;
    await ada.messenger.write("Three.");
    await expectTexts(bob, ["One.", "Three."]);
    expect(lines(bob).at(-1)).toMatchObject({ warnings: [{ kind: "gap", missing: 1 }] });
  });

  test("sends a message again under another number: refused, nothing shown", async () => {
    const [ada, bob] = await adaAndBob();
    await ada.messenger.write("Yes.");
    await expectTexts(bob, ["Yes."]);
    server.deliver("bob", { kind: "message", ...lastMessage(), seq: 2, cid: "another" });
    await until(() => expect(problems(bob)).toEqual(["misdirected"]));
    server.deliver("bob", { kind: "message", ...lastMessage() });
    await ada.messenger.write("No.");
    await expectTexts(bob, ["Yes.", "No."]);
  });

  test("changes a message: refused, nothing shown", async () => {
    const [ada, bob] = await adaAndBob();
    server.holdEvents = true;
    await ada.messenger.write("Pay Bob.");
    await until(() => expect(server.inboxes.get("bob")).toHaveLength(1));
    const { envelope } = lastMessage();
    const ciphertext = `${envelope.ciphertext.startsWith("A") ? "B" : "A"}${envelope.ciphertext.slice(1)}`;
    server.inboxes.set("bob", [{ kind: "message", ...lastMessage(), envelope: { ...envelope, ciphertext } }]);
    server.cut("bob");
    server.clock.advance(60_000);
    await until(() => expect(problems(bob)).toEqual(["forged"]));
    expect(texts(bob)).toEqual([]);
  });

  test("adds a device to a verified contact: nothing is sent until a person has looked", async () => {
    const [ada, bob] = await adaAndBob();
    await ada.messenger.verify("bob", await ada.messenger.directory.safetyNumber("ada", "bob"));
    await ada.messenger.write("Trusted.");
    await expectTexts(bob, ["Trusted."]);
    const ghost = await publicKeys(await createOwnKeys("ghost"));
    server.devices.get("bob")?.push({ device: "ghost", ...ghost, created_at: "" });
    server.deliver("ada", { kind: "key_change", account: "bob" });
    await until(() => expect(notices(ada)).toContain("device-added"));
    await ada.messenger.write("Is it still you?");
    await until(() => expect(ada.messenger.outbox.holds.value.get("bob")).toBe("safety-number-changed"));
    await until(() => expect(deliveries(ada)).toEqual(["sent", "sending"]));
    expect(server.conversations.get("ada.bob")).toHaveLength(1);

    await ada.messenger.verify("bob", await ada.messenger.directory.safetyNumber("ada", "bob"));
    await expectTexts(bob, ["Trusted.", "Is it still you?"]);
  });

  test("exchanges the keys of a known device: the first ones stay, and nothing is sent", async () => {
    const [ada, bob] = await adaAndBob();
    await ada.messenger.write("One.");
    await expectTexts(bob, ["One."]);
    const [device] = server.devices.get("bob") ?? [];
    const other = await publicKeys(await createOwnKeys("other"));
    if (device) server.devices.set("bob", [{ ...device, ...other }]);
    server.deliver("ada", { kind: "key_change", account: "bob" });
    await until(() => expect(notices(ada)).toContain("device-conflict"));
    await ada.messenger.write("Two.");
    await until(() => expect(ada.messenger.outbox.holds.value.get("bob")).toBe("keys-conflict"));
    expect(server.conversations.get("ada.bob")).toHaveLength(1);
  });
});

describe("a second device", () => {
  test("reads what comes from now on and what the first one writes, not what was before", async () => {
    const [ada, bob] = await adaAndBob();
    await bob.messenger.write("Before the phone.");
    await expectTexts(ada, ["Before the phone."]);
    const phone = await start("ada", "ada-phone");
    await openWith(phone, "bob");
    await until(() => expect(problems(phone)).toEqual(["not-for-this-device"]));
    for (const person of ["ada", "bob"]) server.deliver(person, { kind: "key_change", account: "ada" });
    await until(() => expect(notices(bob)).toContain("device-added"));
    await bob.messenger.write("To both.");
    await expectTexts(phone, ["To both."]);
    await ada.messenger.write("From the laptop.");
    await expectTexts(phone, ["To both.", "From the laptop."]);
    expect(lines(phone).at(-1)).toMatchObject({ mine: true, warnings: [] });
  });
});
