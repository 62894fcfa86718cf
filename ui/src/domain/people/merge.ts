// Merges a fetched device list into the stored record: the device log first, then the keys. Nothing
// in a list replaces what this device already knows to be valid.

import {
  type DeviceLog,
  type Identity,
  type LogFault,
  equal,
  extendLog,
  fromBase64url,
  readIdentity,
  readLog,
} from "../../crypto";
import type { AccountId, Device, DeviceId, DeviceKeys, DeviceList } from "../../protocol/wire";
import type { ContactRecord, FaultyLog, PinnedDevice } from "./records";
import { approves, openFault } from "./trust";

/** What the user is told about a fetched list. */
export interface DeviceChanges {
  readonly account: AccountId;
  /** Approved or removed by the account since the last list. */
  readonly added: readonly DeviceId[];
  readonly removed: readonly DeviceId[];
  /** No longer listed, although the account did not remove them. */
  readonly unlisted: readonly DeviceId[];
  /** Listed from now on, although the account did not approve them. */
  readonly unapproved: readonly DeviceId[];
  /** Listed from now on with older or invalid keys. */
  readonly rejected: readonly DeviceId[];
  /** The log does not continue the stored one from now on. */
  readonly fault: LogFault | undefined;
}

export interface Fetched {
  readonly list: DeviceList;
  /** Undefined if the name in the list may be outdated. */
  readonly username: string | undefined;
  /** The account was deleted: nothing is listed, and its log is not contradicted. */
  readonly deleted: boolean;
}

export async function merge(
  before: ContactRecord | undefined,
  { list, username, deleted }: Fetched,
): Promise<{ contact: ContactRecord; changes: DeviceChanges }> {
  const account = list.account_id;
  const { log, faulty } = deleted
    ? { log: before?.log, faulty: undefined }
    : await mergeLog(account, before?.log, list);
  const devices = await mergeDevices(account, before?.devices ?? [], list.devices, log);
  const ignored = before?.ignored;
  const contact: ContactRecord = {
    account,
    username: username ?? before?.username,
    ...(log ? { log } : {}),
    ...(faulty ? { faulty } : {}),
    ...(ignored === undefined ? {} : { ignored }),
    devices,
    verified: before?.verified,
  };
  return { contact, changes: changesOf(before, contact) };
}

/** Without a stored log, the first valid one is believed. */
async function mergeLog(
  account: AccountId,
  stored: DeviceLog | undefined,
  { identity_key: listedKey, log: entries }: DeviceList,
): Promise<{ log: DeviceLog | undefined; faulty: FaultyLog | undefined }> {
  const faulty = (fault: LogFault) => ({
    log: stored,
    faulty: { fault, identityKey: listedKey, entries },
  });
  if (listedKey === undefined && entries.length === 0)
    return stored ? faulty("older") : { log: undefined, faulty: undefined };
  const identityKey = fromBase64url(listedKey ?? "");
  if (identityKey?.length !== 32) return faulty("invalid");
  if (!stored) {
    const log = await readLog(account, identityKey, entries);
    return log ? { log, faulty: undefined } : faulty("invalid");
  }
  const extended = await extendLog(stored, identityKey, entries);
  if ("log" in extended) return { log: extended.log, faulty: undefined };
  if (extended.fault !== "identity-changed") return faulty(extended.fault);
  // Only an identity with a valid log can be accepted.
  const isValid = (await readLog(account, identityKey, entries)) !== undefined;
  return faulty(isValid ? "identity-changed" : "invalid");
}

async function mergeDevices(
  account: AccountId,
  known: readonly PinnedDevice[],
  listed: readonly Device[],
  log: DeviceLog | undefined,
): Promise<PinnedDevice[]> {
  const ids = new Set([...known, ...listed].map(({ device }) => device));
  const merged = [...ids].sort(compareIds).map((device) => {
    const before = known.find((one) => one.device === device) ?? { device, listed: false };
    const offered = listed.filter((one) => one.device === device);
    return mergeDevice(account, before, offered, log);
  });
  return Promise.all(merged);
}

async function mergeDevice(
  account: AccountId,
  before: PinnedDevice,
  offered: readonly Device[],
  log: DeviceLog | undefined,
): Promise<PinnedDevice> {
  const { device } = before;
  const approvedKey = log?.devices.get(device)?.signingKey;
  const pinned = before.keys && (await readIdentity(account, { device, ...before.keys }));
  // Keys that were listed before the approval may have been another device's.
  const isUsable = pinned && (!approvedKey || equal(pinned.signingKey, approvedKey));
  const kept = isUsable ? pinned : undefined;
  const base: PinnedDevice = {
    device,
    listed: offered.length > 0,
    ...(kept && before.keys ? { keys: before.keys } : {}),
    ...(before.refused && !approvedKey ? { refused: true } : {}),
  };
  const [first, second] = offered;
  if (!first) return base;
  // A list with two keys under one id.
  if (second) return { ...base, rejected: "invalid" };
  const identity = await readIdentity(account, first);
  const signingKey = approvedKey ?? kept?.signingKey;
  if (!identity || (signingKey && !equal(identity.signingKey, signingKey)))
    return { ...base, rejected: "invalid" };
  const order = kept ? compareGenerations(identity, kept) : "newer";
  if (order === "newer") return { ...base, keys: keysOf(first) };
  return order === "same" ? base : { ...base, rejected: order };
}

function compareGenerations(
  listed: Identity,
  kept: Identity,
): "newer" | "same" | "older" | "invalid" {
  if (listed.generation > kept.generation) return "newer";
  if (listed.generation < kept.generation) return "older";
  const isSame = equal(listed.fingerprint, kept.fingerprint) && listed.createdAt === kept.createdAt;
  return isSame ? "same" : "invalid";
}

function keysOf(listed: Device): DeviceKeys {
  const { suite, encryption_key, signing_key, generation, created_at, signature } = listed;
  return { suite, encryption_key, signing_key, generation, created_at, signature };
}

function changesOf(before: ContactRecord | undefined, after: ContactRecord): DeviceChanges {
  const approvals = (contact: ContactRecord | undefined) =>
    [...(contact?.log?.devices.keys() ?? [])].filter((id) => approves(contact?.log, id));
  const [old, now] = [approvals(before), approvals(after)];
  const previous = (device: DeviceId) => before?.devices.find((one) => one.device === device);
  const ids = (matches: (device: PinnedDevice) => boolean) =>
    after.devices.filter(matches).map(({ device }) => device);
  const fault = openFault(after);
  const faultBefore = before && openFault(before);
  return {
    account: after.account,
    added: before?.log ? now.filter((device) => !old.includes(device)) : [],
    removed: old.filter((device) => !now.includes(device)),
    unlisted: ids(
      ({ device, listed }) =>
        !listed && previous(device)?.listed === true && approves(after.log, device),
    ),
    unapproved: ids(
      ({ device, listed }) =>
        listed &&
        after.log !== undefined &&
        !approves(after.log, device) &&
        !(before?.log && previous(device)?.listed),
    ),
    rejected: ids(
      ({ device, rejected }) => rejected !== undefined && previous(device)?.rejected !== rejected,
    ),
    fault: fault && fault.fault !== faultBefore?.fault ? fault.fault : undefined,
  };
}

export function hasChanges(changes: DeviceChanges): boolean {
  const { added, removed, unlisted, unapproved, rejected, fault } = changes;
  const lists = [added, removed, unlisted, unapproved, rejected];
  return fault !== undefined || lists.some((list) => list.length > 0);
}

function compareIds(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
