// Keys and bytes for tests, each from the name of its purpose, so that they are the same in each run.

import { type Bytes, fromBase64url, toHex, utf8 } from "../bytes";
import { sha256 } from "../identity";

/** PKCS #8 of Ed25519 in front of the 32 bytes of the private key (RFC 8410 section 7). */
const PRIVATE_INFO = "302e020100300506032b657004220420";

export async function fixed(purpose: string, length = 32): Promise<Bytes> {
  return (await sha256(utf8(purpose))).slice(0, length);
}

export interface TestKey {
  readonly pair: CryptoKeyPair;
  readonly pkcs8: Bytes;
  readonly raw: Bytes;
}

async function fixedKey(purpose: string): Promise<TestKey> {
  const pkcs8 = fromHex(PRIVATE_INFO + toHex(await fixed(purpose)));
  const privateKey = await crypto.subtle.importKey("pkcs8", pkcs8, "Ed25519", true, ["sign"]);
  const { x } = await crypto.subtle.exportKey("jwk", privateKey);
  const raw = fromBase64url(x ?? "");
  if (!raw) throw new Error("an Ed25519 key in JWK form has its public key");
  const publicKey = await crypto.subtle.importKey("raw", raw, "Ed25519", true, ["verify"]);
  return { pair: { privateKey, publicKey }, pkcs8, raw };
}

const NAMES = ["identity", "laptop", "phone", "tablet", "ghost", "server"] as const;

export type Name = (typeof NAMES)[number];
/** The identity key of an account, its devices, and two attackers. */
export type Keys = Record<Name, TestKey>;

export async function fixedKeys(): Promise<Keys> {
  const made = await Promise.all(
    NAMES.map(async (name) => [name, await fixedKey(`key of the ${name}`)] as const),
  );
  return Object.fromEntries(made) as Keys;
}

export function fromHex(text: string): Bytes {
  return Uint8Array.from(text.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}

/** Flips one bit in the middle. */
export function flip(bytes: Bytes): Bytes {
  const middle = Math.floor(bytes.length / 2);
  return bytes.map((byte, at) => (at === middle ? byte ^ 1 : byte));
}
