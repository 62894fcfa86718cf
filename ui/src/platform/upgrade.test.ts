// An archive of version 1 is upgraded: nothing is lost, and what has another format now is made new.

import "fake-indexeddb/auto";
import { IDBFactory } from "fake-indexeddb";
import { openDB } from "idb";
import { beforeEach, expect, test, vi } from "vitest";
import { START, createOwnKeys, lock, unlock } from "../crypto";
import { browserArchives } from "./archive";

beforeEach(() => {
  vi.stubGlobal("indexedDB", new IDBFactory());
  vi.stubGlobal("navigator", {});
});

const keys = createOwnKeys("laptop");
const sent = { counter: 3, hash: new Uint8Array(32).fill(7) };

/** The database as the first version of the page left it. */
async function firstVersion(): Promise<void> {
  const database = await openDB("gatehouse-ada", 1, {
    upgrade(fresh) {
      fresh.createObjectStore("device", { keyPath: "id" });
      fresh.createObjectStore("position", { keyPath: "id" });
      fresh.createObjectStore("conversations", { keyPath: "id" });
      const messages = fresh.createObjectStore("messages", { keyPath: ["conversation", "id"] });
      messages.createIndex("order", ["conversation", "order"]);
      fresh.createObjectStore("chains", { keyPath: ["conversation", "sender", "device"] });
      fresh.createObjectStore("contacts", { keyPath: "account" });
      fresh.createObjectStore("outbox", { keyPath: "cid" });
    },
  });
  const { device: name, encryption, signing, history } = await keys;
  const stored = { device: name, encryption: encryption.pair, signing, history };
  await database.put("device", { id: "self", keys: stored });
  await database.put("position", { id: "inbox", position: 12 });
  await database.put("conversations", {
    id: "ada.bob",
    peer: "bob",
    username: "bob",
    lastSeq: 4,
    readUpto: 4,
    peerReceivedUpto: 3,
    peerReadUpto: 2,
    updatedAt: "2026-01-01T00:00:00.000Z",
    sent,
  });
  await database.put("chains", {
    conversation: "ada.bob",
    sender: "bob",
    device: "phone",
    link: START,
  });
  const device = { device: "phone", suite: "rsa-aes-1", encryption_key: "", signing_key: "" };
  await database.put("contacts", {
    account: "bob",
    username: "bob",
    devices: [{ ...device, listed: true }],
    conflict: false,
    verified: "1234",
  });
  await database.put("outbox", {
    cid: "unsent",
    conversation: "ada.bob",
    to: "bob",
    order: 2 ** 40 + 1,
    writtenAt: 5,
    sealed: { envelope: { suite: "rsa-aes-1" } },
  });
  const text = { conversation: "ada.bob", sender: "ada", device: "laptop", at: "" };
  const locked = await lock(history, "ada.bob/ada/one", "Kept.");
  const body = { kind: "text", locked, warnings: [] };
  await database.put("messages", { ...text, id: "ada/one", order: 1, body });
  const notice = { kind: "notice", notice: "device-conflict", count: 1 };
  await database.put("messages", { ...text, id: "notice/1", order: 1.5, body: notice });
  database.close();
}

test("keys, history, chains, position and the compared number stay", async () => {
  await firstVersion();
  const archive = await browserArchives.open("ada");
  const device = await archive.get("device", "self");
  const known = await keys;
  expect(device?.keys).toMatchObject({
    device: "laptop",
    encryption: { generation: 1 },
    retired: [],
  });
  const sign = (key: CryptoKey) => crypto.subtle.sign("Ed25519", key, new Uint8Array(1));
  const signing = device?.keys.signing.privateKey ?? known.signing.privateKey;
  expect(await sign(signing)).toEqual(await sign(known.signing.privateKey));
  expect(await archive.get("position", "inbox")).toEqual({ id: "inbox", position: 12 });
  expect(await archive.get("chains", ["ada.bob", "bob", "phone"])).toMatchObject({ link: START });
  expect(await archive.get("conversations", "ada.bob")).toMatchObject({
    lastSeq: 4,
    sent,
  });
  expect(await archive.get("contacts", "bob")).toEqual({
    account: "bob",
    username: "bob",
    devices: [],
    verified: "1234",
  });
  const [first, second] = await archive.latest("ada.bob", 10);
  if (first?.body.kind !== "text" || !device) throw new Error("the text is kept");
  expect(await unlock(device.keys.history, "ada.bob/ada/one", first.body.locked)).toBe("Kept.");
  expect(second?.body).toEqual({ kind: "notice", notice: "keys-rejected", count: 1 });
});

test("an unsent message is sealed again", async () => {
  await firstVersion();
  const archive = await browserArchives.open("ada");
  expect(await archive.all("outbox")).toEqual([
    { cid: "unsent", conversation: "ada.bob", to: "bob", order: 2 ** 40 + 1, writtenAt: 5 },
  ]);
});

test("a new archive, and one that was upgraded, find what expires first", async () => {
  await firstVersion();
  for (const account of ["ada", "bob"]) {
    const archive = await browserArchives.open(account);
    expect(await archive.firstToExpire()).toBeUndefined();
    const common = { conversation: "ada.bob", order: 1, sender: "bob", device: "", at: "" };
    const body = { kind: "problem", problem: "replay" } as const;
    await archive.commit([
      { table: "messages", put: { ...common, id: "late", body, expires: 20 } },
      { table: "messages", put: { ...common, id: "early", body, expires: 10 } },
      { table: "messages", put: { ...common, id: "never", body } },
    ]);
    expect(await archive.firstToExpire()).toMatchObject({ id: "early" });
    archive.close();
  }
});
