// The safety number: 60 digits derived from the identity keys of two accounts, for two people to
// compare.

import type { AccountId } from "../protocol/wire";
import { type Bytes } from "./bytes";
import { Writer } from "./canonical";

const LABEL = "gatehouse/safety/2";
/** The same as Signal: a chosen collision of 100 bits stays infeasible. */
const ITERATIONS = 5200;
const GROUPS = 6;
const GROUP_BYTES = 5;

interface Side {
  readonly account: AccountId;
  /** The Ed25519 key of the account: 32 bytes. */
  readonly identityKey: Bytes;
}

/** 60 digits, the same for both people. */
export async function safetyNumber(a: Side, b: Side): Promise<string> {
  const halves = await Promise.all([half(a), half(b)]);
  return halves.sort().join("");
}

async function half({ account, identityKey }: Side): Promise<string> {
  const start = new Writer().text(LABEL).text(account).bytes(identityKey).finish();
  let hash = new Uint8Array(await crypto.subtle.digest("SHA-512", start));
  const next = new Uint8Array(hash.length + identityKey.length);
  next.set(identityKey, hash.length);
  for (let i = 1; i < ITERATIONS; i += 1) {
    next.set(hash);
    hash = new Uint8Array(await crypto.subtle.digest("SHA-512", next));
  }
  return digits(hash);
}

function digits(hash: Bytes): string {
  let text = "";
  for (let group = 0; group < GROUPS; group += 1) {
    const bytes = hash.subarray(group * GROUP_BYTES, (group + 1) * GROUP_BYTES);
    const number = bytes.reduce((sum, byte) => sum * 256 + byte, 0);
    text += String(number % 100_000).padStart(5, "0");
  }
  return text;
}
