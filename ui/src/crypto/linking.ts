// Linking a new device: what both devices compare, and the history that the old one sends. The
// format is defined in docs/E2E.md.

import type { AccountId, DeviceId } from "../protocol/wire";
import { type Bytes, equal } from "./bytes";
import { Writer } from "./canonical";
import { EMOJI, type Emoji } from "./emoji";
import { sha256 } from "./identity";

/** Hashes, keys and nonces. */
const PART_LENGTH = 32;
/** Six bits each. */
const EMOJI_COUNT = 6;

/**
 * Names a new device and both of its keys, before it has an account. `encryptionKey`:
 * SubjectPublicKeyInfo in DER; `signingKey`: 32 bytes.
 */
export function linkFingerprint(
  device: DeviceId,
  encryptionKey: Bytes,
  signingKey: Bytes,
): Promise<Bytes> {
  const named = new Writer()
    .text("gatehouse/link-device/1")
    .text(device)
    .bytes(encryptionKey)
    .raw(signingKey)
    .finish();
  return sha256(named);
}

/** One device's random part of a transcript. */
export function linkNonce(): Bytes {
  return crypto.getRandomValues(new Uint8Array(PART_LENGTH));
}

/**
 * The new device sends it before it sees the old device's nonce, and the old device sends its nonce
 * before it sees the new one's: neither nonce can be chosen for the emoji it leads to.
 */
export function linkCommitment(nonce: Bytes, fingerprint: Bytes): Promise<Bytes> {
  const committed = new Writer()
    .text("gatehouse/link-commitment/1")
    .raw(nonce)
    .raw(fingerprint)
    .finish();
  return sha256(committed);
}

/** True if the new device committed to this nonce and these keys. */
export async function checkReveal(
  commitment: Bytes,
  nonce: Bytes,
  fingerprint: Bytes,
): Promise<boolean> {
  return (
    nonce.length === PART_LENGTH && equal(await linkCommitment(nonce, fingerprint), commitment)
  );
}

/** What both devices of a link must have seen. */
export interface Transcript {
  /** The new device's link fingerprint: 32 bytes. */
  readonly fingerprint: Bytes;
  readonly account: AccountId;
  /** The account's identity key: 32 bytes. */
  readonly identityKey: Bytes;
  /** The new device's nonce: 32 bytes. */
  readonly newNonce: Bytes;
  /** The old device's nonce: 32 bytes. */
  readonly oldNonce: Bytes;
}

/** Names one link: 32 bytes. The history of a link is bound to it. */
export async function linkHash(transcript: Transcript): Promise<Bytes> {
  const { fingerprint, account, identityKey, newNonce, oldNonce } = transcript;
  const parts = [fingerprint, identityKey, newNonce, oldNonce];
  if (parts.some(({ length }) => length !== PART_LENGTH))
    throw new Error(`every part of a transcript has ${PART_LENGTH} bytes`);
  const seen = new Writer()
    .text("gatehouse/link-sas/1")
    .raw(fingerprint)
    .text(account)
    .raw(identityKey)
    .raw(newNonce)
    .raw(oldNonce)
    .finish();
  return sha256(seen);
}

/** Six emoji, the same on both devices if nothing was exchanged on the way. */
export async function emojiOf(transcript: Transcript): Promise<readonly Emoji[]> {
  const hash = await linkHash(transcript);
  const bits = hash.subarray(0, 5).reduce((sum, byte) => sum * 256 + byte, 0);
  return Array.from({ length: EMOJI_COUNT }, (_, at) => {
    const value = Math.floor(bits / 2 ** (40 - 6 * (at + 1))) % 64;
    const emoji = EMOJI[value];
    if (!emoji) throw new Error("the table has 64 emoji");
    return emoji;
  });
}
