// The keys of this device. Private keys and the key of the local history cannot be exported.

import type { DeviceId, DeviceKeys } from "../protocol/wire";
import { toBase64url } from "./bytes";
import { RSA, SUITE } from "./identity";

export interface OwnKeys {
  readonly device: DeviceId;
  readonly encryption: CryptoKeyPair;
  readonly signing: CryptoKeyPair;
  /** AES-256-GCM key for the local history. */
  readonly history: CryptoKey;
}

export async function createOwnKeys(device: DeviceId): Promise<OwnKeys> {
  const [encryption, signing, history] = await Promise.all([
    crypto.subtle.generateKey(
      { ...RSA, modulusLength: 3072, publicExponent: Uint8Array.of(1, 0, 1) },
      false,
      ["encrypt", "decrypt"],
    ),
    crypto.subtle.generateKey("Ed25519", false, ["sign", "verify"]) as Promise<CryptoKeyPair>,
    crypto.subtle.generateKey({ name: "AES-GCM", length: 256 }, false, ["encrypt", "decrypt"]),
  ]);
  return { device, encryption, signing, history };
}

/** The public keys as listed by the server. */
export async function publicKeys(own: OwnKeys): Promise<DeviceKeys> {
  const spki = async (key: CryptoKey) =>
    toBase64url(new Uint8Array(await crypto.subtle.exportKey("spki", key)));
  return {
    suite: SUITE,
    encryption_key: await spki(own.encryption.publicKey),
    signing_key: await spki(own.signing.publicKey),
  };
}

/** A unique id: 128 random bits. */
export function randomId(): string {
  return toBase64url(crypto.getRandomValues(new Uint8Array(16)));
}
