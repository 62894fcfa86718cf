// Encrypts the local history with a key that cannot leave the browser profile.

import { type Bytes, fromUtf8, utf8 } from "./bytes";
import { NONCE_LENGTH, decrypt, encrypt } from "./primitives";

export interface Locked {
  readonly nonce: Bytes;
  readonly data: Bytes;
}

/** The text is bound to its context and cannot be decrypted in another. */
export async function lock(key: CryptoKey, context: string, text: string): Promise<Locked> {
  const nonce = crypto.getRandomValues(new Uint8Array(NONCE_LENGTH));
  return { nonce, data: await encrypt(key, nonce, utf8(context), utf8(text)) };
}

/** Undefined if it was locked with another key or for another context. */
export async function unlock(
  key: CryptoKey,
  context: string,
  locked: Locked,
): Promise<string | undefined> {
  try {
    return fromUtf8(await decrypt(key, locked.nonce, utf8(context), locked.data));
  } catch {
    return undefined;
  }
}
