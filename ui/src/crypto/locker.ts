// Encrypts the local history with a key that cannot leave the browser profile.

import { type Bytes, fromUtf8, utf8 } from "./bytes";

export interface Locked {
  readonly nonce: Bytes;
  readonly data: Bytes;
}

/** The text is bound to its context and cannot be decrypted in another. */
export async function lock(key: CryptoKey, context: string, text: string): Promise<Locked> {
  const nonce = crypto.getRandomValues(new Uint8Array(12));
  const algorithm = { name: "AES-GCM", iv: nonce, additionalData: utf8(context) };
  return { nonce, data: new Uint8Array(await crypto.subtle.encrypt(algorithm, key, utf8(text))) };
}

/** Undefined if it was locked with another key or for another context. */
export async function unlock(
  key: CryptoKey,
  context: string,
  locked: Locked,
): Promise<string | undefined> {
  const algorithm = { name: "AES-GCM", iv: locked.nonce, additionalData: utf8(context) };
  try {
    return fromUtf8(new Uint8Array(await crypto.subtle.decrypt(algorithm, key, locked.data)));
  } catch {
    return undefined;
  }
}
