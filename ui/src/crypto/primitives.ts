// The algorithms of suite rsa-aes-1. All other code of this layer encrypts, wraps and signs through
// these functions, so the Wycheproof vectors test exactly what the page uses.

import type { Bytes } from "./bytes";
import { MalformedError } from "./canonical";

/** RFC 8017 section 7.1, with MGF1 over the same hash and an empty label. */
export const RSA = { name: "RSA-OAEP", hash: "SHA-256" } as const;

export const MESSAGE_KEY_LENGTH = 32;
export const NONCE_LENGTH = 12;

/** A key for AES-256-GCM. Throws `MalformedError` unless it has 32 bytes. */
export async function importMessageKey(raw: Bytes, use: "encrypt" | "decrypt"): Promise<CryptoKey> {
  if (raw.length !== MESSAGE_KEY_LENGTH)
    throw new MalformedError(
      `a message key has ${MESSAGE_KEY_LENGTH} bytes, this one has ${raw.length}`,
    );
  return crypto.subtle.importKey("raw", raw, "AES-GCM", false, [use]);
}

/** AES-GCM (NIST SP 800-38D). The result ends with the tag of 16 bytes. */
export async function encrypt(
  key: CryptoKey,
  nonce: Bytes,
  additional: Bytes,
  plaintext: Bytes,
): Promise<Bytes> {
  return new Uint8Array(await crypto.subtle.encrypt(aead(nonce, additional), key, plaintext));
}

/** Throws if the key, the nonce or the additional data differ, or a bit was changed. */
export async function decrypt(
  key: CryptoKey,
  nonce: Bytes,
  additional: Bytes,
  ciphertext: Bytes,
): Promise<Bytes> {
  return new Uint8Array(await crypto.subtle.decrypt(aead(nonce, additional), key, ciphertext));
}

function aead(nonce: Bytes, additional: Bytes): AesGcmParams {
  if (nonce.length !== NONCE_LENGTH)
    throw new MalformedError(`a nonce has ${NONCE_LENGTH} bytes, this one has ${nonce.length}`);
  return { name: "AES-GCM", iv: nonce, additionalData: additional, tagLength: 128 };
}

/** Throws if the bytes are not the SPKI of an RSA key. */
export function importEncryptionKey(spki: Bytes): Promise<CryptoKey> {
  return crypto.subtle.importKey("spki", spki, RSA, false, ["encrypt"]);
}

export async function wrap(recipient: CryptoKey, messageKey: Bytes): Promise<Bytes> {
  return new Uint8Array(await crypto.subtle.encrypt(RSA, recipient, messageKey));
}

/** Throws if it was wrapped for another key, or a bit was changed. */
export async function unwrap(privateKey: CryptoKey, wrapped: Bytes): Promise<Bytes> {
  return new Uint8Array(await crypto.subtle.decrypt(RSA, privateKey, wrapped));
}

/** RFC 8032 section 5.1.6. */
export async function sign(privateKey: CryptoKey, bytes: Bytes): Promise<Bytes> {
  return new Uint8Array(await crypto.subtle.sign("Ed25519", privateKey, bytes));
}

export function isSigned(signingKey: CryptoKey, signature: Bytes, bytes: Bytes): Promise<boolean> {
  return crypto.subtle.verify("Ed25519", signingKey, signature, bytes);
}
