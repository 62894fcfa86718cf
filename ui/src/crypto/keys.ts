// The keys of this device: one signing key for its whole life, and encryption keys that are replaced
// regularly. Private keys and the key of the local history cannot be exported.

import type { AccountId, DeviceId, DeviceKeys } from "../protocol/wire";
import { type Bytes, equal, toBase64url } from "./bytes";
import { RSA, SUITE, fingerprintOf, keysStatement } from "./identity";
import { rawSigningKey } from "./signing-key";

/** One generation of the encryption key. */
export interface EncryptionKey {
  /** From 1, without gaps. */
  readonly generation: number;
  /** By this device's clock: milliseconds since 1970. */
  readonly createdAt: number;
  readonly pair: CryptoKeyPair;
}

/** An earlier generation, kept to open messages that were sealed for it. */
export interface RetiredKey extends EncryptionKey {
  /** By this device's clock: milliseconds since 1970. */
  readonly replacedAt: number;
}

export interface OwnKeys {
  readonly device: DeviceId;
  readonly signing: CryptoKeyPair;
  /** AES-256-GCM key for the local history. */
  readonly history: CryptoKey;
  readonly encryption: EncryptionKey;
  /** Latest first. */
  readonly retired: readonly RetiredKey[];
}

/** `now`: milliseconds since 1970. */
export async function createOwnKeys(device: DeviceId, now = Date.now()): Promise<OwnKeys> {
  const [pair, signing, history] = await Promise.all([
    encryptionPair(),
    crypto.subtle.generateKey("Ed25519", false, ["sign", "verify"]) as Promise<CryptoKeyPair>,
    crypto.subtle.generateKey({ name: "AES-GCM", length: 256 }, false, ["encrypt", "decrypt"]),
  ]);
  return {
    device,
    signing,
    history,
    encryption: { generation: 1, createdAt: now, pair },
    retired: [],
  };
}

/** The same device with a new encryption key. `now`: milliseconds since 1970. */
export async function rotate(own: OwnKeys, now: number): Promise<OwnKeys> {
  const pair = await encryptionPair();
  return {
    ...own,
    encryption: { generation: own.encryption.generation + 1, createdAt: now, pair },
    retired: [{ ...own.encryption, replacedAt: now }, ...own.retired],
  };
}

/** Without the encryption keys that were replaced at least `retention` milliseconds ago. */
export function withoutExpired(own: OwnKeys, now: number, retention: number): OwnKeys {
  const retired = own.retired.filter(({ replacedAt }) => now - replacedAt < retention);
  return retired.length === own.retired.length ? own : { ...own, retired };
}

/** The public keys as listed by the server, with the statement of this device about them. */
export async function publicKeys(
  own: Pick<OwnKeys, "device" | "signing" | "encryption">,
  account: AccountId,
): Promise<DeviceKeys> {
  const { generation, createdAt, pair } = own.encryption;
  const [encryptionKey, signingInfo, signingKey] = await Promise.all([
    infoOf(pair.publicKey),
    infoOf(own.signing.publicKey),
    rawSigningKey(own.signing.publicKey),
  ]);
  const { device } = own;
  const statement = { account, device, generation, createdAt, encryptionKey, signingKey };
  const signature = await crypto.subtle.sign(
    "Ed25519",
    own.signing.privateKey,
    keysStatement(statement),
  );
  return {
    suite: SUITE,
    encryption_key: toBase64url(encryptionKey),
    signing_key: toBase64url(signingInfo),
    generation,
    created_at: createdAt,
    signature: toBase64url(new Uint8Array(signature)),
  };
}

/** The kept private key, of any generation, that this fingerprint belongs to. */
export async function decryptionKey(
  own: Pick<OwnKeys, "device" | "signing" | "encryption" | "retired">,
  account: AccountId,
  fingerprint: Bytes,
): Promise<CryptoKey | undefined> {
  const signingInfo = await infoOf(own.signing.publicKey);
  for (const { pair } of [own.encryption, ...own.retired]) {
    const info = await infoOf(pair.publicKey);
    if (equal(await fingerprintOf(account, own.device, info, signingInfo), fingerprint))
      return pair.privateKey;
  }
  return undefined;
}

/** A unique id: 128 random bits. */
export function randomId(): string {
  return toBase64url(crypto.getRandomValues(new Uint8Array(16)));
}

function encryptionPair(): Promise<CryptoKeyPair> {
  const algorithm = { ...RSA, modulusLength: 3072, publicExponent: Uint8Array.of(1, 0, 1) };
  return crypto.subtle.generateKey(algorithm, false, ["encrypt", "decrypt"]);
}

/** SubjectPublicKeyInfo in DER. */
async function infoOf(key: CryptoKey): Promise<Bytes> {
  return new Uint8Array(await crypto.subtle.exportKey("spki", key));
}
