// The identity of a device: its two public keys, the signed statement that connects them, and their
// fingerprint.

import type { AccountId, DeviceId, DeviceKeys } from "../protocol/wire";
import { type Bytes, equal, fromBase64url } from "./bytes";
import { Writer } from "./canonical";
import { signingKeyOf } from "./signing-key";

export const SUITE = "rsa-aes-1";

const STATEMENT = "gatehouse/device-keys/1";

/** A device as the server lists it. */
export interface ListedDevice extends DeviceKeys {
  readonly device: DeviceId;
}

/** A device with valid keys. */
export interface Identity {
  readonly account: AccountId;
  readonly device: DeviceId;
  /** Counts the device's encryption keys, from 1. */
  readonly generation: number;
  /** When the encryption key was generated, by the device's clock: milliseconds since 1970. */
  readonly createdAt: number;
  readonly encryption: CryptoKey;
  readonly signing: CryptoKey;
  /** The signing key as the device log has it: 32 bytes (RFC 8032 section 5.1.5). */
  readonly signingKey: Bytes;
  /** SHA-256 over account, device, suite and both keys. */
  readonly fingerprint: Bytes;
}

/**
 * Undefined if the device uses a different suite, its keys are invalid, or the statement is not
 * signed with its signing key.
 */
export async function readIdentity(
  account: AccountId,
  listed: ListedDevice,
): Promise<Identity | undefined> {
  const { device, generation, created_at: createdAt } = listed;
  const encryptionKey = fromBase64url(listed.encryption_key);
  const signingInfo = fromBase64url(listed.signing_key);
  const signature = fromBase64url(listed.signature);
  const signingKey = signingInfo && signingKeyOf(signingInfo);
  if (listed.suite !== SUITE || !encryptionKey || !signingInfo || !signingKey || !signature)
    return undefined;
  if (!Number.isSafeInteger(generation) || generation < 1) return undefined;
  if (!Number.isSafeInteger(createdAt) || createdAt < 0) return undefined;
  try {
    const signing = await crypto.subtle.importKey("raw", signingKey, "Ed25519", true, ["verify"]);
    const signed = keysStatement({
      account,
      device,
      generation,
      createdAt,
      encryptionKey,
      signingKey,
    });
    if (!(await crypto.subtle.verify("Ed25519", signing, signature, signed))) return undefined;
    const encryption = await readEncryptionKey(encryptionKey);
    if (!encryption) return undefined;
    const fingerprint = await fingerprintOf(account, device, encryptionKey, signingInfo);
    return {
      account,
      device,
      generation,
      createdAt,
      encryption,
      signing,
      signingKey,
      fingerprint,
    };
  } catch {
    return undefined;
  }
}

/** 65537, big-endian. */
const EXPONENT = new Uint8Array([1, 0, 1]);
const MODULUS_BITS = 3072;

export const RSA = { name: "RSA-OAEP", hash: "SHA-256" } as const;

/** `info`: SubjectPublicKeyInfo in DER. Undefined if it is not an encryption key of this suite. */
export async function readEncryptionKey(info: Bytes): Promise<CryptoKey | undefined> {
  try {
    const key = await crypto.subtle.importKey("spki", info, RSA, false, ["encrypt"]);
    const { modulusLength, publicExponent } = key.algorithm as RsaHashedKeyAlgorithm;
    const fits = modulusLength === MODULUS_BITS && equal(publicExponent, EXPONENT);
    return fits ? key : undefined;
  } catch {
    return undefined;
  }
}

/** What a device signs about one generation of its keys. */
export interface KeysStatement {
  readonly account: AccountId;
  readonly device: DeviceId;
  readonly generation: number;
  readonly createdAt: number;
  /** SubjectPublicKeyInfo in DER. */
  readonly encryptionKey: Bytes;
  /** 32 bytes. */
  readonly signingKey: Bytes;
}

export function keysStatement(statement: KeysStatement): Bytes {
  return new Writer()
    .text(STATEMENT)
    .text(SUITE)
    .text(statement.account)
    .text(statement.device)
    .u64(statement.generation)
    .u64(statement.createdAt)
    .bytes(statement.encryptionKey)
    .raw(statement.signingKey)
    .finish();
}

/** Both keys are SubjectPublicKeyInfo in DER. */
export async function fingerprintOf(
  account: AccountId,
  device: DeviceId,
  encryptionKey: Bytes,
  signingKey: Bytes,
): Promise<Bytes> {
  const named = new Writer()
    .text("gatehouse/device/1")
    .text(SUITE)
    .text(account)
    .text(device)
    .bytes(encryptionKey)
    .bytes(signingKey)
    .finish();
  return sha256(named);
}

export async function sha256(bytes: Bytes): Promise<Bytes> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
}
