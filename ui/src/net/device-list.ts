// Reads a device list as received: a server may send anything. What is malformed becomes a device
// with invalid keys, or an invalid log, so that it is rejected with its reason.

import type { AccountId, Device, DeviceList, SignedEntry } from "../protocol/wire";

/** Never throws. The list is about the account that was requested, whatever it states. */
export function readDeviceList(account: AccountId, received: unknown): DeviceList {
  const { username, devices, identity_key, log } = fieldsOf(received);
  return {
    account_id: account,
    ...(typeof username === "string" ? { username } : {}),
    devices: Array.isArray(devices) ? devices.flatMap(readDevice) : [],
    ...(identity_key === undefined ? {} : { identity_key: textOf(identity_key) }),
    log: Array.isArray(log) ? log.map(readEntry) : [INVALID],
  };
}

/** It is no entry of any log. */
const INVALID: SignedEntry = { entry: "", signature: "" };

/** Nothing can be said about a device without a name. */
function readDevice(received: unknown): Device[] {
  const fields = fieldsOf(received);
  if (typeof fields["device"] !== "string") return [];
  return [
    {
      device: fields["device"],
      suite: textOf(fields["suite"]),
      encryption_key: textOf(fields["encryption_key"]),
      signing_key: textOf(fields["signing_key"]),
      generation: numberOf(fields["generation"]),
      created_at: numberOf(fields["created_at"]),
      signature: textOf(fields["signature"]),
      registered_at: textOf(fields["registered_at"]),
    },
  ];
}

function readEntry(received: unknown): SignedEntry {
  const { entry, signature } = fieldsOf(received);
  return { entry: textOf(entry), signature: textOf(signature) };
}

function fieldsOf(received: unknown): Partial<Record<string, unknown>> {
  return typeof received === "object" && received !== null ? { ...received } : {};
}

function textOf(received: unknown): string {
  return typeof received === "string" ? received : "";
}

/** 0 is no valid generation. */
function numberOf(received: unknown): number {
  return typeof received === "number" ? received : 0;
}
