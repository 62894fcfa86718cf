// Upgrades the archive's database step by step, from any earlier version.

import type { DBSchema, IDBPDatabase, IDBPTransaction, StoreNames } from "idb";
import type { Table, Tables } from "../domain/ports";

export type Schema = DBSchema & {
  [T in Table]: {
    key: Tables[T]["key"];
    value: Tables[T]["value"];
    indexes: T extends "messages"
      ? { order: [string, number]; expires: number }
      : Record<never, never>;
  };
};

type Upgrade = IDBPTransaction<Schema, StoreNames<Schema>[], "versionchange">;

export const VERSION = 2;

/** `now`: milliseconds since 1970. */
export async function upgrade(
  database: IDBPDatabase<Schema>,
  from: number,
  transaction: Upgrade,
  now: number,
): Promise<void> {
  if (from < 1) create(database);
  database.createObjectStore("identity", { keyPath: "id" });
  database.createObjectStore("sent", { keyPath: ["conversation", "counter"] });
  transaction.objectStore("messages").createIndex("expires", "expires");
  if (from === 1) await fromFirst(transaction, now);
}

function create(database: IDBPDatabase<Schema>): void {
  database.createObjectStore("device", { keyPath: "id" });
  database.createObjectStore("position", { keyPath: "id" });
  database.createObjectStore("conversations", { keyPath: "id" });
  const messages = database.createObjectStore("messages", { keyPath: ["conversation", "id"] });
  messages.createIndex("order", ["conversation", "order"]);
  database.createObjectStore("chains", { keyPath: ["conversation", "sender", "device"] });
  database.createObjectStore("contacts", { keyPath: "account" });
  database.createObjectStore("outbox", { keyPath: "cid" });
}

/** Version 1 had no account identities, device logs and key generations, and other envelopes. */
async function fromFirst(transaction: Upgrade, now: number): Promise<void> {
  const device = await transaction.objectStore("device").get("self");
  if (device) {
    const { encryption: pair, ...rest } = device.keys as unknown as FirstKeys;
    const keys = { ...rest, encryption: { generation: 1, createdAt: now, pair }, retired: [] };
    await transaction.objectStore("device").put({ id: "self", keys });
  }
  // Devices have no signed statement yet. A compared safety number differs from the new one, so
  // sending to a verified person waits until the new one is compared.
  const contacts = transaction.objectStore("contacts");
  for (const { account, username, verified } of await contacts.getAll())
    await contacts.put({ account, username, devices: [], verified });
  // An unsent message is sealed again, with the next counter.
  const outbox = transaction.objectStore("outbox");
  for (const { cid, conversation, to, order, writtenAt } of await outbox.getAll())
    await outbox.put({ cid, conversation, to, order, writtenAt });
  let cursor = await transaction.objectStore("messages").openCursor();
  for (; cursor; cursor = await cursor.continue()) {
    const { body } = cursor.value;
    const isFormer = body.kind === "notice" && (body.notice as string) === "device-conflict";
    const notice = { kind: "notice", notice: "keys-rejected", count: 1 } as const;
    if (isFormer) await cursor.update({ ...cursor.value, body: notice });
  }
}

interface FirstKeys {
  readonly device: string;
  readonly encryption: CryptoKeyPair;
  readonly signing: CryptoKeyPair;
  readonly history: CryptoKey;
}
