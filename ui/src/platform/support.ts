// Whether this browser has what private chat needs. Uses a published test key, so no key is
// generated.

import { deleteDB, openDB } from "idb";
import type { CheckSupport } from "../domain/ports";

/** Not the prefix of the archives. */
const DATABASE = "support-check";
const STORE = "keys";

/** RFC 8032 section 7.1, test 1: the key in PKCS #8, and its signature of the empty message. */
const KEY =
  "302e020100300506032b657004220420" +
  "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
const SIGNATURE =
  "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155" +
  "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b";

export const checkBrowser: CheckSupport = async () => {
  // Browsers hide `subtle` from pages that are not served over HTTPS.
  const subtle = globalThis.crypto.subtle as SubtleCrypto | undefined;
  if (!subtle) return "https";
  const key = await subtle
    .importKey("pkcs8", fromHex(KEY), "Ed25519", false, ["sign"])
    .catch(() => undefined);
  if (!key || !(await canSign(key))) return "ed25519";
  const stored = await storeAndRead(key).catch(() => undefined);
  return stored && (await canSign(stored)) ? undefined : "key-storage";
};

async function canSign(key: CryptoKey): Promise<boolean> {
  try {
    const signature = await crypto.subtle.sign("Ed25519", key, new Uint8Array());
    return toHex(new Uint8Array(signature)) === SIGNATURE;
  } catch {
    return false;
  }
}

/** Private modes of some browsers refuse to open a database or to store a non-exportable key. */
async function storeAndRead(key: CryptoKey): Promise<CryptoKey> {
  const database = await openDB(DATABASE, 1, {
    upgrade: (fresh) => void fresh.createObjectStore(STORE),
  });
  try {
    await database.put(STORE, key, "key");
    return (await database.get(STORE, "key")) as CryptoKey;
  } finally {
    database.close();
    await deleteDB(DATABASE).catch(() => undefined);
  }
}

function fromHex(hex: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(hex.match(/../g) ?? [], (byte) => parseInt(byte, 16));
}

function toHex(bytes: Uint8Array): string {
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
