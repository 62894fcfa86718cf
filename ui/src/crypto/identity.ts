// The identity of a device: its two public keys and their fingerprint.

import type { AccountId, DeviceId } from "../protocol/wire";
import { type Bytes, equal, fromBase64url } from "./bytes";
import { Writer } from "./canonical";
import { importEncryptionKey, importSigningKey } from "./primitives";

export { RSA } from "./primitives";

export const SUITE = "rsa-aes-1";

/** A device as the server lists it. */
export interface ListedDevice {
  readonly device: DeviceId;
  readonly suite: string;
  readonly encryption_key: string;
  readonly signing_key: string;
}

/** A device with valid keys. */
export interface Identity {
  readonly account: AccountId;
  readonly device: DeviceId;
  readonly encryption: CryptoKey;
  readonly signing: CryptoKey;
  /** SHA-256 over account, device, suite and both keys. */
  readonly fingerprint: Bytes;
}

/** Undefined if the device uses a different suite or its keys are invalid. */
export async function readIdentity(
  account: AccountId,
  listed: ListedDevice,
): Promise<Identity | undefined> {
  const encryptionKey = fromBase64url(listed.encryption_key);
  const signingKey = fromBase64url(listed.signing_key);
  if (listed.suite !== SUITE || !encryptionKey || !signingKey) return undefined;
  try {
    const encryption = await importEncryptionKey(encryptionKey);
    const signing = await importSigningKey(signingKey);
    const { modulusLength, publicExponent } = encryption.algorithm as RsaHashedKeyAlgorithm;
    if (modulusLength !== 3072 || !equal(publicExponent, EXPONENT)) return undefined;
    const fingerprint = await fingerprintOf(account, listed.device, encryptionKey, signingKey);
    return { account, device: listed.device, encryption, signing, fingerprint };
  } catch {
    return undefined;
  }
}

/** 65537, big-endian. */
const EXPONENT = new Uint8Array([1, 0, 1]);

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
