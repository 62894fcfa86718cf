// Generates the valid logs of device-log.json, and those that are received after one of them.

import type { SignedEntry } from "../../protocol/wire";
import { fromBase64url, toHex } from "../bytes";
import { type DeviceLog, entriesOf, hashAt, replay, signEntry, startLog } from "../device-log";
import { NO_ENTRY } from "../log-entry";
import type { AccountVectors, LogVector, ReceivedLog } from "./account-shape";
import { type Keys, type Name } from "./fixed";
import { rejectedLogs } from "./make-rejected-logs";

const ACCOUNT = "alice";
const TIME = 1_800_000_000_000;
type Operation = "approve" | "remove";
/** Operation, device, and the signer: "" is the identity key. */
type Step = readonly [Operation, Name, Name | ""];

const STEPS: readonly Step[] = [
  ["approve", "laptop", ""],
  ["approve", "phone", "laptop"],
  ["approve", "tablet", "laptop"],
  ["remove", "tablet", "phone"],
];

async function extended(keys: Keys, log: DeviceLog, steps: readonly Step[]): Promise<DeviceLog> {
  let next = log;
  for (const [operation, device, by] of steps) {
    const signer = { device: by, key: keys[by === "" ? "identity" : by].pair.privateKey };
    const time = TIME + next.version * 60_000;
    const entry = await signEntry(next, operation, device, keys[device].raw, time, signer);
    const continued = await replay(next, [entry]);
    if ("fault" in continued) throw new Error(continued.fault);
    next = continued;
  }
  return next;
}

export async function makeLogs(
  keys: Keys,
): Promise<Pick<AccountVectors, "log" | "rejected_logs" | "received_logs">> {
  const start = startLog(ACCOUNT, keys.identity.raw);
  const log = await extended(keys, start, STEPS);
  return {
    log: describeLog(log),
    rejected_logs: await rejectedLogs(keys, log),
    received_logs: await receivedLogs(keys, start, log),
  };
}

function describeLog(log: DeviceLog): LogVector {
  const entries = entriesOf(log).map((entry, at) => {
    const signed = log.entries[at] ?? { entry: "", signature: "" };
    return {
      version: entry.version,
      previous: toHex(entry.previous),
      operation: entry.operation,
      device: entry.device,
      signing_key: toHex(entry.signingKey),
      time: entry.time,
      signer: entry.signer,
      bytes: toHex(fromBase64url(signed.entry) ?? NO_ENTRY),
      hash: toHex(hashAt(log, entry.version) ?? NO_ENTRY),
      signed,
    };
  });
  const devices = [...log.devices].map(([device, { signingKey, approvedIn, removedIn }]) => ({
    device,
    signing_key: toHex(signingKey),
    approved_in: approvedIn,
    ...(removedIn === undefined ? {} : { removed_in: removedIn }),
  }));
  devices.sort((a, b) => (a.device < b.device ? -1 : 1));
  return { account: log.account, identity_key: toHex(log.identityKey), entries, devices };
}

async function receivedLogs(keys: Keys, start: DeviceLog, log: DeviceLog): Promise<ReceivedLog[]> {
  const identity_key = toHex(log.identityKey);
  const longer = await extended(keys, log, [["approve", "ghost", "phone"]]);
  const other = await extended(keys, start, [
    ["approve", "ghost", ""],
    ["approve", "laptop", "ghost"],
    ["approve", "phone", "ghost"],
    ["approve", "tablet", "ghost"],
    ["approve", "server", "ghost"],
  ]);
  const third = await readPrefix(log, 3, keys);
  const backdated = await extended(keys, third, [["approve", "ghost", "tablet"]]);
  const [first, second] = log.entries;
  const received = (
    name: string,
    entries: readonly (SignedEntry | undefined)[],
    result: ReceivedLog["result"],
    key = identity_key,
  ): ReceivedLog => {
    const present = entries.filter((entry) => entry !== undefined);
    return { name, identity_key: key, entries: present, result };
  };
  return [
    received("the stored log", log.entries, "valid"),
    received("a longer log", longer.entries, "valid"),
    received("a log without its last entry", log.entries.slice(0, 3), "older"),
    received("no entries", [], "older"),
    received("another history, shorter", other.entries.slice(0, 1), "fork"),
    received("another history, as long", other.entries.slice(0, 4), "fork"),
    received("another history, longer", other.entries, "fork"),
    received("an approval by a device before it was removed", backdated.entries, "fork"),
    received("a log with an entry left out", [first, ...log.entries.slice(2)], "invalid"),
    received("a log with an entry repeated", [...log.entries, second], "invalid"),
    received("another identity key", log.entries, "identity-changed", toHex(keys.server.raw)),
  ];
}

async function readPrefix(log: DeviceLog, length: number, keys: Keys): Promise<DeviceLog> {
  return extended(keys, startLog(log.account, log.identityKey), STEPS.slice(0, length));
}
