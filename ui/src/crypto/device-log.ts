// The device log of an account: signed entries, each with the hash of the one before, that approve
// and remove devices. The server stores and delivers it, but cannot change it. The format and the
// rules V1 to V6 are defined in docs/E2E.md.

import type { AccountId, DeviceId, SignedEntry } from "../protocol/wire";
import { type Bytes, equal, fromBase64url, toBase64url, toHex } from "./bytes";
import { sha256 } from "./identity";
import {
  type EntryFields,
  type LogEntry,
  NO_ENTRY,
  type Operation,
  decodeEntry,
  encodeEntry,
} from "./log-entry";

/** What an account's log says about one device. */
export interface LoggedDevice {
  /** 32 bytes. */
  readonly signingKey: Bytes;
  /** The version that approved it. */
  readonly approvedIn: number;
  /** The version that removed it. It never returns. */
  readonly removedIn?: number;
}

/** A valid log. Plain data: it can be stored. */
export interface DeviceLog {
  readonly account: AccountId;
  /** The Ed25519 key of the account: 32 bytes. */
  readonly identityKey: Bytes;
  readonly entries: readonly SignedEntry[];
  /** Number of entries. */
  readonly version: number;
  /** Hash of the last entry. */
  readonly head: Bytes;
  /** Hash of each entry: the one of version 1 is first. */
  readonly hashes: readonly Bytes[];
  readonly devices: ReadonlyMap<DeviceId, LoggedDevice>;
}

/** Why an entry does not continue a log. */
export type EntryFault =
  /** Not canonical, trailing bytes, or an unknown operation. */
  | "encoding"
  /** Of another account, or under another identity key. */
  | "account"
  /** Not the next version, or the hash of the one before is another. */
  | "order"
  /** The first entry is not an approval by the identity key. */
  | "first"
  /** The signer is neither the identity key nor an approved device. */
  | "signer"
  | "signature"
  /** The approved device, or its signing key, occurred before. */
  | "reused"
  /** The removed device is not approved, or has another signing key. */
  | "not-approved";

/** Why a list of entries does not continue the stored log. */
export type LogFault =
  /** A valid log, but without the latest stored entries. */
  | "older"
  /** A valid log with another history. */
  | "fork"
  | "invalid"
  | "identity-changed";

/** The log of an account before its first entry. It is valid to sign for, but not to receive. */
export function startLog(account: AccountId, identityKey: Bytes): DeviceLog {
  const nothing = { entries: [], version: 0, head: NO_ENTRY, hashes: [], devices: new Map() };
  return { account, identityKey, ...nothing };
}

/** Undefined if the entries are no valid log of the account under this identity key. */
export async function readLog(
  account: AccountId,
  identityKey: Bytes,
  entries: readonly SignedEntry[],
): Promise<DeviceLog | undefined> {
  const read = await replay(startLog(account, identityKey), entries);
  return "fault" in read || read.version === 0 ? undefined : read;
}

/** Compares a received log with the stored one. The stored log does not change. */
export async function extendLog(
  stored: DeviceLog,
  identityKey: Bytes,
  entries: readonly SignedEntry[],
): Promise<{ log: DeviceLog } | { fault: LogFault }> {
  if (!equal(identityKey, stored.identityKey)) return { fault: "identity-changed" };
  // Signatures are not compared: an Ed25519 signer may use randomness, and the stored ones are valid.
  const known = entries.slice(0, stored.version);
  if (known.some(({ entry }, at) => entry !== stored.entries[at]?.entry)) {
    const other = await readLog(stored.account, identityKey, entries);
    return { fault: other ? "fork" : "invalid" };
  }
  if (known.length < stored.version) return { fault: "older" };
  const log = await replay(stored, entries.slice(stored.version));
  return "fault" in log ? { fault: "invalid" } : { log };
}

/** The log continued by these entries, or the first one that does not continue it. */
export async function replay(
  log: DeviceLog,
  added: readonly SignedEntry[],
): Promise<DeviceLog | { version: number; fault: EntryFault }> {
  const devices = new Map(log.devices);
  const hashes = [...log.hashes];
  const usedKeys = new Set([log.identityKey, ...keysOf(devices)].map(toHex));
  let before = { version: log.version, head: log.head };
  for (const signed of added) {
    const version = before.version + 1;
    const entry = fromBase64url(signed.entry);
    const signature = fromBase64url(signed.signature);
    const read = entry && decodeEntry(entry);
    if (!read || !signature) return { version, fault: "encoding" };
    const fault =
      placeFault(log, before, read) ??
      (await signerFault(log, devices, read, entry, signature)) ??
      operationFault(devices, usedKeys, read);
    if (fault) return { version, fault };
    const { device, signingKey } = read;
    const known = devices.get(device);
    devices.set(
      device,
      known ? { ...known, removedIn: version } : { signingKey, approvedIn: version },
    );
    usedKeys.add(toHex(signingKey));
    before = { version, head: await sha256(entry) };
    hashes.push(before.head);
  }
  return { ...log, ...before, entries: [...log.entries, ...added], hashes, devices };
}

/** Who signs an entry: a device, or "" for the identity key. */
export interface Signer {
  readonly device: DeviceId;
  readonly key: CryptoKey;
}

/**
 * The entry that continues the log. `time`: milliseconds since 1970. Throws if the log does not
 * accept it, so that no invalid entry leaves this device.
 */
export async function signEntry(
  log: DeviceLog,
  operation: Operation,
  device: DeviceId,
  signingKey: Bytes,
  time: number,
  signer: Signer,
): Promise<SignedEntry> {
  const { account, identityKey } = log;
  const place = { account, identityKey, version: log.version + 1, previous: log.head };
  const fields = { ...place, operation, device, signingKey, time, signer: signer.device };
  const entry = encodeEntry(fields);
  const signature = new Uint8Array(await crypto.subtle.sign("Ed25519", signer.key, entry));
  const signed = { entry: toBase64url(entry), signature: toBase64url(signature) };
  const continued = await replay(log, [signed]);
  if ("fault" in continued)
    throw new Error(`the device log does not accept this entry: ${continued.fault}`);
  return signed;
}

/** The entries of a valid log. */
export function entriesOf(log: DeviceLog): LogEntry[] {
  return log.entries.map(({ entry }) => {
    const bytes = fromBase64url(entry);
    const read = bytes && decodeEntry(bytes);
    if (!read) throw new Error("a valid log has valid entries");
    return read;
  });
}

/** The hash of the entry with this version; zeros for 0, undefined beyond the last one. */
export function hashAt(log: DeviceLog, version: number): Bytes | undefined {
  return version === 0 ? NO_ENTRY : log.hashes[version - 1];
}

/** True if the log approves this device with this signing key, and has not removed it. */
export function isApproved(
  log: DeviceLog,
  { device, signingKey }: { device: DeviceId; signingKey: Bytes },
): boolean {
  const known = log.devices.get(device);
  return (
    known !== undefined && known.removedIn === undefined && equal(known.signingKey, signingKey)
  );
}

/** V1 and V2. */
function placeFault(
  log: DeviceLog,
  before: { version: number; head: Bytes },
  entry: EntryFields,
): EntryFault | undefined {
  if (entry.account !== log.account || !equal(entry.identityKey, log.identityKey)) return "account";
  if (entry.version !== before.version + 1 || !equal(entry.previous, before.head)) return "order";
  const begins = entry.operation === "approve" && entry.signer === "";
  return entry.version === 1 && !begins ? "first" : undefined;
}

/** V3. */
async function signerFault(
  log: DeviceLog,
  devices: ReadonlyMap<DeviceId, LoggedDevice>,
  { signer }: EntryFields,
  entry: Bytes,
  signature: Bytes,
): Promise<EntryFault | undefined> {
  const device = devices.get(signer);
  const approved = device?.removedIn === undefined ? device?.signingKey : undefined;
  const signingKey = signer === "" ? log.identityKey : approved;
  if (!signingKey) return "signer";
  try {
    const key = await crypto.subtle.importKey("raw", signingKey, "Ed25519", false, ["verify"]);
    const valid = await crypto.subtle.verify("Ed25519", key, signature, entry);
    return valid ? undefined : "signature";
  } catch {
    // The approved bytes are not an Ed25519 key.
    return "signature";
  }
}

/** V4 and V5. */
function operationFault(
  devices: ReadonlyMap<DeviceId, LoggedDevice>,
  usedKeys: ReadonlySet<string>,
  { operation, device, signingKey }: EntryFields,
): EntryFault | undefined {
  const known = devices.get(device);
  if (operation === "approve")
    return known || usedKeys.has(toHex(signingKey)) ? "reused" : undefined;
  const approved = known?.removedIn === undefined && known !== undefined;
  return approved && equal(known.signingKey, signingKey) ? undefined : "not-approved";
}

function keysOf(devices: ReadonlyMap<DeviceId, LoggedDevice>): Bytes[] {
  return [...devices.values()].map(({ signingKey }) => signingKey);
}
