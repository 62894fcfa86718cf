// The identity key of an account. The device that creates it seals a copy for the recovery code and
// keeps the private key, which cannot be exported from then on.

import type { AccountId } from "../protocol/wire";
import { type Bytes, fromBase64url, toBase64url, utf8 } from "./bytes";
import { Writer } from "./canonical";
import { hkdf } from "./hkdf";
import { sha256 } from "./identity";
import { formatRecoveryCode, randomCode } from "./recovery-code";
import { rawSigningKey } from "./signing-key";

const LABEL = "gatehouse/identity/1";
const SEAL = "gatehouse/recovery/1/seal";
const OPEN = "gatehouse/recovery/1/open";
const NONCE_LENGTH = 12;
const KEY_LENGTH = 32;

export interface CreatedIdentity {
  readonly identity: CryptoKeyPair;
  /** 32 bytes. */
  readonly publicKey: Bytes;
  /** For the person to write down. It is not stored. */
  readonly code: string;
  /** The private key, sealed for the recovery code. For the server. */
  readonly sealed: string;
  /** SHA-256 of the recovery token. For the server. */
  readonly recovery: string;
}

export async function createAccountIdentity(account: AccountId): Promise<CreatedIdentity> {
  const pair = (await crypto.subtle.generateKey("Ed25519", true, [
    "sign",
    "verify",
  ])) as CryptoKeyPair;
  const publicKey = await rawSigningKey(pair.publicKey);
  const code = randomCode();
  const pkcs8 = new Uint8Array(await crypto.subtle.exportKey("pkcs8", pair.privateKey));
  try {
    const sealed = await sealIdentity(code, account, publicKey, pkcs8);
    const privateKey = await importPrivate(pkcs8);
    const token = await tokenOf(code);
    return {
      identity: { privateKey, publicKey: pair.publicKey },
      publicKey,
      code: await formatRecoveryCode(code),
      sealed: toBase64url(sealed),
      recovery: toBase64url(await sha256(token)),
    };
  } finally {
    pkcs8.fill(0);
    code.fill(0);
  }
}

/** What the server exchanges for the sealed identity. `code`: 16 bytes. */
export async function recoveryToken(code: Bytes): Promise<string> {
  return toBase64url(await tokenOf(code));
}

/**
 * Undefined if the code is another one, or if it was sealed for another account or another identity
 * key. `code`: 16 bytes; `identityKey`: 32 bytes; `sealed`: from the server.
 */
export async function restoreAccountIdentity(
  code: Bytes,
  account: AccountId,
  identityKey: Bytes,
  sealed: string,
): Promise<CryptoKeyPair | undefined> {
  const bytes = fromBase64url(sealed);
  const pkcs8 = bytes && (await unsealIdentity(code, account, identityKey, bytes));
  if (!pkcs8) return undefined;
  try {
    const publicKey = await crypto.subtle.importKey("raw", identityKey, "Ed25519", true, [
      "verify",
    ]);
    const pair = { privateKey: await importPrivate(pkcs8), publicKey };
    return (await belongs(pair)) ? pair : undefined;
  } catch {
    return undefined;
  } finally {
    pkcs8.fill(0);
  }
}

/** nonce ‖ ciphertext. `pkcs8`: the private key (RFC 8410 section 7). */
export async function sealIdentity(
  code: Bytes,
  account: AccountId,
  identityKey: Bytes,
  pkcs8: Bytes,
  nonce = crypto.getRandomValues(new Uint8Array(NONCE_LENGTH)),
): Promise<Bytes> {
  const key = await sealKey(code, "encrypt");
  const algorithm = { name: "AES-GCM", iv: nonce, additionalData: contextOf(account, identityKey) };
  const ciphertext = new Uint8Array(await crypto.subtle.encrypt(algorithm, key, pkcs8));
  return new Writer().raw(nonce).raw(ciphertext).finish();
}

async function unsealIdentity(
  code: Bytes,
  account: AccountId,
  identityKey: Bytes,
  sealed: Bytes,
): Promise<Bytes | undefined> {
  const key = await sealKey(code, "decrypt");
  const iv = sealed.slice(0, NONCE_LENGTH);
  const algorithm = { name: "AES-GCM", iv, additionalData: contextOf(account, identityKey) };
  const ciphertext = sealed.slice(NONCE_LENGTH);
  try {
    return new Uint8Array(await crypto.subtle.decrypt(algorithm, key, ciphertext));
  } catch {
    return undefined;
  }
}

function contextOf(account: AccountId, identityKey: Bytes): Bytes {
  return new Writer().text(LABEL).text(account).raw(identityKey).finish();
}

async function sealKey(code: Bytes, usage: "encrypt" | "decrypt"): Promise<CryptoKey> {
  const bytes = await derived(code, SEAL);
  try {
    return await crypto.subtle.importKey("raw", bytes, "AES-GCM", false, [usage]);
  } finally {
    bytes.fill(0);
  }
}

function tokenOf(code: Bytes): Promise<Bytes> {
  return derived(code, OPEN);
}

function derived(code: Bytes, purpose: string): Promise<Bytes> {
  return hkdf(code, new Uint8Array(), new Writer().text(purpose).finish(), KEY_LENGTH);
}

function importPrivate(pkcs8: Bytes): Promise<CryptoKey> {
  return crypto.subtle.importKey("pkcs8", pkcs8, "Ed25519", false, ["sign"]);
}

/** True if the private key belongs to the public one. */
async function belongs({ privateKey, publicKey }: CryptoKeyPair): Promise<boolean> {
  const probe = utf8("gatehouse/identity-check/1");
  const signature = await crypto.subtle.sign("Ed25519", privateKey, probe);
  return crypto.subtle.verify("Ed25519", publicKey, signature, probe);
}
