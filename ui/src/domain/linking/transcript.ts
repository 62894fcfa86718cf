// What both devices of a link agree on before they trust each other.

import {
  type Bytes,
  type OwnKeys,
  SUITE,
  type Transcript,
  fromBase64url,
  linkFingerprint,
  publicKeys,
  rawSigningKey,
  readEncryptionKey,
  signingKeyOf,
} from "../../crypto";
import type { AccountId, DeviceId } from "../../protocol/wire";
import { LinkError } from "./failure";
import type { Hello, Offer } from "./messages";

const LENGTH = 32;
/** Ids of accounts and devices. */
const ID = /^[\w-]{1,64}$/;

/** The old device's offer. */
export interface Terms {
  readonly account: AccountId;
  /** The old device. */
  readonly device: DeviceId;
  readonly identityKey: Bytes;
  /** Hash of the last entry of the device log. */
  readonly head: Bytes;
  readonly nonce: Bytes;
}

/** The new device, as it presented itself. */
export interface Newcomer {
  readonly device: DeviceId;
  readonly encryptionKey: Bytes;
  /** 32 bytes. */
  readonly signingKey: Bytes;
  readonly fingerprint: Bytes;
  readonly commitment: Bytes;
}

export function readOffer(offer: Offer): Terms {
  const { account, device } = offer;
  if (!ID.test(account) || !ID.test(device)) throw new LinkError("wrong-answer");
  return {
    account,
    device,
    identityKey: bytesOf(offer.identity_key),
    head: bytesOf(offer.head),
    nonce: bytesOf(offer.nonce),
  };
}

export async function readHello(hello: Hello): Promise<Newcomer> {
  const { device, suite } = hello;
  const encryptionKey = fromBase64url(hello.encryption_key);
  const info = fromBase64url(hello.signing_key);
  const signingKey = info && signingKeyOf(info);
  const encryption = encryptionKey && (await readEncryptionKey(encryptionKey));
  if (suite !== SUITE || !ID.test(device) || !encryptionKey || !encryption || !signingKey)
    throw new LinkError("wrong-answer");
  return {
    device,
    encryptionKey,
    signingKey,
    fingerprint: await linkFingerprint(device, encryptionKey, signingKey),
    commitment: bytesOf(hello.commitment),
  };
}

/** As the new device sees the link. */
export function transcriptOf(fingerprint: Bytes, terms: Terms, newNonce: Bytes): Transcript {
  const { account, identityKey, nonce: oldNonce } = terms;
  return { fingerprint, account, identityKey, newNonce, oldNonce };
}

/** 32 bytes in base64url. */
export function bytesOf(text: string): Bytes {
  const bytes = fromBase64url(text);
  if (bytes?.length !== LENGTH) throw new LinkError("wrong-answer");
  return bytes;
}

/** The link fingerprint of this device. */
export async function fingerprintOf(keys: OwnKeys): Promise<Bytes> {
  const encryptionKey = fromBase64url((await publicKeys(keys, "")).encryption_key);
  if (!encryptionKey) throw new Error("own keys are base64url");
  return linkFingerprint(keys.device, encryptionKey, await rawSigningKey(keys.signing.publicKey));
}
