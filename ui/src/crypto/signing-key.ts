// Ed25519 public keys: 32 bytes in device logs and safety numbers, SubjectPublicKeyInfo in device
// lists.

import { type Bytes, equal } from "./bytes";

export const SIGNING_KEY_LENGTH = 32;

/** SubjectPublicKeyInfo in front of the 32 bytes of the key (RFC 8410 section 4). */
const INFO = Uint8Array.of(0x30, 0x2a, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 3, 0x21, 0);

/** Undefined if the bytes are not the one SubjectPublicKeyInfo of an Ed25519 key. */
export function signingKeyOf(info: Bytes): Bytes | undefined {
  const matches =
    info.length === INFO.length + SIGNING_KEY_LENGTH && equal(info.subarray(0, INFO.length), INFO);
  return matches ? info.slice(INFO.length) : undefined;
}

/** The 32 bytes of a public key. */
export async function rawSigningKey(key: CryptoKey): Promise<Bytes> {
  return new Uint8Array(await crypto.subtle.exportKey("raw", key));
}

/** A public key that verifies signatures. Rejects if the bytes are not a key. */
export function importSigningKey(raw: Bytes): Promise<CryptoKey> {
  return crypto.subtle.importKey("raw", raw, "Ed25519", true, ["verify"]);
}
