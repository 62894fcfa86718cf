// Everything that the page stored in this browser: IndexedDB and web storage, read by the page.

import type { Page } from "@playwright/test";

export interface StoredKey {
  /** `database/store/…`, down to the field. */
  readonly path: string;
  readonly type: string;
  readonly algorithm: string;
  readonly extractable: boolean;
  /** The formats in which `exportKey` or `wrapKey` returned the key. */
  readonly exported: readonly string[];
}

export interface Stored {
  readonly keys: readonly StoredKey[];
  /** All texts and bytes, one after the other. */
  readonly bytes: Uint8Array;
  readonly records: number;
}

/** Reads every record of every database. Fails on a value of a type that it does not know. */
export async function readStorage(page: Page): Promise<Stored> {
  const { keys, leaves, records } = await page.evaluate(walkStorage);
  const bytes = Buffer.concat(leaves.map((leaf) => Buffer.from(leaf, "base64")));
  return { keys, bytes, records };
}

/** Runs in the page. Returns texts (as UTF-8) and bytes in base64. */
async function walkStorage() {
  const keys: StoredKey[] = [];
  const leaves: string[] = [];
  let records = 0;

  const base64 = (bytes: Uint8Array) =>
    btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
  const keep = (text: string) => leaves.push(base64(new TextEncoder().encode(text)));
  const settled = <T>(request: IDBRequest<T>) =>
    new Promise<T>((resolve, reject) => {
      request.onsuccess = () => resolve(request.result);
      request.onerror = () => reject(request.error ?? new Error("a request failed"));
    });

  /** The formats of Web Cryptography and of its drafts. */
  const FORMATS = ["raw", "raw-secret", "raw-private", "raw-seed", "pkcs8", "spki", "jwk"];

  async function exports(key: CryptoKey): Promise<string[]> {
    const wrapping = await crypto.subtle.generateKey({ name: "AES-GCM", length: 256 }, false, [
      "wrapKey",
    ]);
    const wrap = { name: "AES-GCM", iv: new Uint8Array(12) };
    const found: string[] = [];
    for (const format of FORMATS as ("raw" | "pkcs8" | "spki")[]) {
      const exported = await crypto.subtle.exportKey(format, key).catch(() => undefined);
      if (exported) found.push(format);
      const wrapped = crypto.subtle.wrapKey(format, key, wrapping, wrap);
      if (await wrapped.catch(() => undefined)) found.push(`wrapped ${format}`);
    }
    return found;
  }

  async function walk(path: string, value: unknown): Promise<void> {
    if (value === null || typeof value !== "object") {
      if (typeof value === "string") keep(value);
    } else if (value instanceof CryptoKey) {
      const { type, extractable, algorithm } = value;
      const exported = await exports(value);
      keys.push({ path, type, algorithm: algorithm.name, extractable, exported });
    } else if (value instanceof ArrayBuffer) {
      leaves.push(base64(new Uint8Array(value)));
    } else if (ArrayBuffer.isView(value)) {
      leaves.push(base64(new Uint8Array(value.buffer)));
    } else if (value instanceof Blob) {
      leaves.push(base64(new Uint8Array(await value.arrayBuffer())));
    } else if (value instanceof Map || value instanceof Set) {
      await walk(path, [...value]);
    } else if (Array.isArray(value) || Object.getPrototypeOf(value) === Object.prototype) {
      for (const [name, inner] of Object.entries(value)) {
        keep(name);
        await walk(`${path}/${name}`, inner);
      }
    } else if (!(value instanceof Date)) {
      throw new Error(`${path}: expected a type that this test can search, found ${String(value)}`);
    }
  }

  for (const { name } of await indexedDB.databases()) {
    if (name === undefined) throw new Error("a database has no name");
    keep(name);
    const database = await settled(indexedDB.open(name));
    for (const store of database.objectStoreNames) {
      const all = database.transaction(store).objectStore(store);
      const [found, primary] = await Promise.all([
        settled(all.getAll()),
        settled(all.getAllKeys()),
      ]);
      records += found.length;
      await walk(`${name}/${store}`, primary);
      await walk(`${name}/${store}`, found);
    }
    database.close();
  }
  for (const storage of [localStorage, sessionStorage])
    for (const [name, text] of Object.entries(storage)) keep(`${name}=${String(text)}`);
  return { keys, leaves, records };
}
