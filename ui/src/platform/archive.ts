// The archive in IndexedDB: one database per account.

import { type IDBPDatabase, deleteDB, openDB } from "idb";
import type { Archive, Archives, Change } from "../domain/ports";
import { type Schema, VERSION, upgrade } from "./upgrade";

const PREFIX = "gatehouse-";
const nameOf = (account: string) => PREFIX + account;

export const browserArchives: Archives = {
  async open(account) {
    const database = await openDB<Schema>(nameOf(account), VERSION, {
      upgrade: (opened, from, _, transaction) => upgrade(opened, from, transaction, Date.now()),
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
    firstToExpire: async () => {
      const { store } = database.transaction("messages");
      return (await store.index("expires").openCursor())?.value;
    },
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
