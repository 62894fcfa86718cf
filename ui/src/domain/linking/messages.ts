// Messages between the two devices of a link: JSON texts, opaque to the server that relays them.
// What the server relays is checked like any foreign input.

import type { AccountId, DeviceId } from "../../protocol/wire";

/** Sent by the new device, first. The commitment hides its nonce until the offer is fixed. */
export interface Hello {
  readonly type: "hello";
  readonly device: DeviceId;
  readonly suite: string;
  /** SubjectPublicKeyInfo, base64url. */
  readonly encryption_key: string;
  readonly signing_key: string;
  readonly commitment: string;
}

/** The old device's answer. */
export interface Offer {
  readonly type: "offer";
  readonly account: AccountId;
  readonly device: DeviceId;
  readonly identity_key: string;
  /** Hash of the last entry of the device log. */
  readonly head: string;
  readonly nonce: string;
}

/** The new device opens its commitment. */
export interface Reveal {
  readonly type: "reveal";
  readonly nonce: string;
}

/** The user answered on the new device that the emoji match. */
export interface Confirmed {
  readonly type: "confirmed";
}

/** The new device checked its approval and uses the account. */
export interface JoinedMessage {
  readonly type: "joined";
}

/** A piece of the history. */
export interface HistoryChunk {
  readonly type: "history";
  readonly index: number;
  readonly total: number;
  readonly nonce: string;
  readonly ciphertext: string;
  readonly key: string;
  readonly signature: string;
}

/** Either device stops. `wrong-account`: the new device may only join another account. */
export interface Leave {
  readonly type: "leave";
  readonly reason: LeaveReason;
}

export type LeaveReason = "cancelled" | "mismatch" | "wrong-account";

const REASONS: readonly string[] = ["cancelled", "mismatch", "wrong-account"];

export type LinkMessage = Hello | Offer | Reveal | Confirmed | JoinedMessage | HistoryChunk | Leave;

/** The fields of each message, and the type of each field. */
const FIELDS: Record<LinkMessage["type"], Record<string, "string" | "number">> = {
  hello: {
    device: "string",
    suite: "string",
    encryption_key: "string",
    signing_key: "string",
    commitment: "string",
  },
  offer: {
    account: "string",
    device: "string",
    identity_key: "string",
    head: "string",
    nonce: "string",
  },
  reveal: { nonce: "string" },
  confirmed: {},
  joined: {},
  history: {
    index: "number",
    total: "number",
    nonce: "string",
    ciphertext: "string",
    key: "string",
    signature: "string",
  },
  leave: { reason: "string" },
};

/** Undefined if it is not a message, or has other fields. */
export function parseMessage(body: string): LinkMessage | undefined {
  const value = readJson(body);
  if (typeof value !== "object" || value === null || !("type" in value)) return undefined;
  const { type, ...rest } = value;
  if (typeof type !== "string" || !Object.hasOwn(FIELDS, type)) return undefined;
  const fields = FIELDS[type as LinkMessage["type"]];
  const given = Object.entries(rest);
  const isComplete =
    given.length === Object.keys(fields).length &&
    given.every(([name, field]) => Object.hasOwn(fields, name) && typeof field === fields[name]);
  if (!isComplete) return undefined;
  const message = value as LinkMessage;
  const isKnown = message.type !== "leave" || REASONS.includes(message.reason);
  return isKnown ? message : undefined;
}

function readJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
