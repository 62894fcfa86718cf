// The archive in IndexedDB: one database per account.

import { type DBSchema, type IDBPDatabase, deleteDB, openDB } from "idb";
import type { Archive, Archives, Change, Table, Tables } from "../domain/ports";

type Schema = DBSchema & {
  [T in Table]: {
    key: Tables[T]["key"];
    value: Tables[T]["value"];
    indexes: T extends "messages" ? { order: [string, number] } : Record<never, never>;
  };
};

const VERSION = 1;
const PREFIX = "gatehouse-";
const nameOf = (account: string) => PREFIX + account;

export const browserArchives: Archives = {
  async open(account) {
    const database = await openDB<Schema>(nameOf(account), VERSION, {
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
    // Persistent storage: keys and history are not evicted when the disk is full.
    void navigator.storage?.persist?.();
    return archiveOf(database);
  },
  destroy: (account) => deleteDB(nameOf(account)),
  async list() {
    const names = (await indexedDB.databases()).flatMap(({ name }) => name ?? []);
    return names.filter((name) => name.startsWith(PREFIX)).map((name) => name.slice(PREFIX.length));
  },
};

function archiveOf(database: IDBPDatabase<Schema>): Archive {
  // Another tab is deleting the database (sign-out). Close it, or the deletion blocks.
  database.addEventListener("versionchange", () => database.close());
  return {
    get: (table, key) => database.get(table, key),
    all: (table) => database.getAll(table),
    latest: (conversation, limit) => latest(database, conversation, limit),
    commit: (changes) => commit(database, changes),
    close: () => database.close(),
  };
}

async function latest(database: IDBPDatabase<Schema>, conversation: string, limit: number) {
  const range = IDBKeyRange.bound([conversation, -Infinity], [conversation, Infinity]);
  const found = [];
  let cursor = await database
    .transaction("messages")
    .store.index("order")
    .openCursor(range, "prev");
  while (cursor && found.length < limit) {
    found.push(cursor.value);
    cursor = await cursor.continue();
  }
  return found.reverse();
}

async function commit(database: IDBPDatabase<Schema>, changes: readonly Change[]): Promise<void> {
  if (changes.length === 0) return;
  const tables = [...new Set(changes.map(({ table }) => table))];
  const transaction = database.transaction(tables, "readwrite", { durability: "strict" });
  const requests = changes.map((change) => {
    const store = transaction.objectStore(change.table);
    return "put" in change ? store.put(change.put) : store.delete(change.remove);
  });
  await Promise.all([...requests, transaction.done]);
}
