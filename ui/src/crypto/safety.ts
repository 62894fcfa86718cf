// The safety number: 60 digits derived from the keys of all devices of two people, for them to
// compare.

import type { AccountId } from "../protocol/wire";
import { type Bytes, utf8 } from "./bytes";
import { Writer } from "./canonical";
import { inOrder } from "./header";

/** The same as Signal: a chosen collision of 100 bits stays infeasible. */
const ITERATIONS = 5200;
const GROUPS = 6;
const GROUP_BYTES = 5;

interface Named {
  readonly account: AccountId;
  readonly device: string;
  readonly fingerprint: Bytes;
}

/** 60 digits, the same for both people. */
export async function safetyNumber(
  a: { account: AccountId; devices: readonly Named[] },
  b: { account: AccountId; devices: readonly Named[] },
): Promise<string> {
  const halves = await Promise.all([half(a.account, a.devices), half(b.account, b.devices)]);
  return halves.sort().join("");
}

async function half(account: AccountId, devices: readonly Named[]): Promise<string> {
  const writer = new Writer();
  for (const { fingerprint } of inOrder(devices)) writer.raw(fingerprint);
  const set = writer.finish();
  const start = new Writer().text("gatehouse/safety/1").bytes(utf8(account)).bytes(set).finish();
  let hash = new Uint8Array(await crypto.subtle.digest("SHA-512", start));
  const next = new Uint8Array(hash.length + set.length);
  next.set(set, hash.length);
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
