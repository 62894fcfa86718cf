// What this device believes about the devices of an account: its device log decides, the server's
// list only adds keys.

import type { DeviceLog } from "../../crypto";
import type { DeviceId } from "../../protocol/wire";
import type { ContactRecord, FaultyLog, PinnedDevice } from "./records";

/** True if the log approves the device and did not remove it up to `version`. */
export function approves(
  log: DeviceLog | undefined,
  device: DeviceId,
  version = log?.version ?? 0,
): boolean {
  const logged = log?.devices.get(device);
  if (!logged || logged.approvedIn > version) return false;
  return logged.removedIn === undefined || logged.removedIn > version;
}

/** Devices that messages may be encrypted for. */
export function recipientsOf({ log, devices }: ContactRecord): PinnedDevice[] {
  return devices.filter(({ device, listed, keys }) => listed && keys && approves(log, device));
}

/**
 * Listed devices that were never approved, once the account has a log. A removed one that is listed
 * again is not one of them.
 */
export function unapproved({ log, devices }: ContactRecord): PinnedDevice[] {
  return log ? devices.filter(({ device, listed }) => listed && !log.devices.has(device)) : [];
}

/** Listed devices of the own account that are not approved and that the user did not refuse. */
export function undecided(own: ContactRecord | undefined): PinnedDevice[] {
  return own ? unapproved(own).filter(({ refused }) => refused !== true) : [];
}

/** Approved devices whose latest listed keys are invalid. */
export function conflicting({ log, devices }: ContactRecord): PinnedDevice[] {
  return devices.filter(
    ({ device, listed, rejected }) => listed && rejected === "invalid" && approves(log, device),
  );
}

/** The faulty log that the user has not decided about. */
export function openFault(contact: ContactRecord): FaultyLog | undefined {
  const { faulty, ignored } = contact;
  return faulty && idOf(faulty) !== ignored ? faulty : undefined;
}

/** Identifies a faulty log: another one is another decision. */
export function idOf({ fault, identityKey, entries }: FaultyLog): string {
  return `${fault}/${identityKey ?? ""}/${entries.length}/${entries.at(-1)?.signature ?? ""}`;
}
