// Merges a fetched device list into the stored one. Keys of a device never change: the first ones
// stay pinned, and different ones are a conflict.

import type { AccountId, Device, DeviceId, DeviceKeys } from "../../protocol/wire";
import type { ContactRecord, PinnedDevice } from "./records";

export interface DeviceChanges {
  readonly account: AccountId;
  readonly added: readonly DeviceId[];
  readonly removed: readonly DeviceId[];
  readonly conflict: boolean;
}

/** `self`: this device, from its own storage, in a list of its own account. */
export function merge(
  account: AccountId,
  before: ContactRecord | undefined,
  listed: readonly Device[],
  username: string | undefined,
  self: ({ device: DeviceId } & DeviceKeys) | undefined,
): { contact: ContactRecord; changes: DeviceChanges } {
  const pinned = before?.devices ?? [];
  const old = self ? withSelf(pinned, self) : pinned;
  const added = listed
    .filter(({ device }) => !old.some((known) => known.device === device))
    .filter(({ device }, at, all) => all.findIndex((first) => first.device === device) === at)
    .map((device) => pin(device));
  const kept = old.map((known) => ({
    ...known,
    listed: listed.some(({ device }) => device === known.device),
  }));
  const removed = old.filter((known, at) => known.listed && !kept[at]?.listed);
  const changed = listed.filter((device) =>
    [...old, ...added].some((known) => known.device === device.device && !same(known, device)),
  );
  // This device has its own keys, so that a false list cannot do lasting damage to it.
  const selfChanged = changed.some(({ device }) => device === self?.device);
  const conflict = changed.some(({ device }) => device !== self?.device);
  const devices = [...kept, ...added].sort((a, b) => order(a.device, b.device));
  const contact = {
    account,
    username: username ?? before?.username,
    devices,
    conflict: conflict || (before?.conflict ?? false),
    ...(selfChanged ? { selfChanged } : {}),
    verified: before?.verified,
  };
  const changes = {
    account,
    added: added.map(({ device }) => device),
    removed: removed.map(({ device }) => device),
    conflict: (conflict && !before?.conflict) || (selfChanged && !before?.selfChanged),
  };
  return { contact, changes };
}

/** Before the first list, this device counts as not listed. */
function withSelf(
  pinned: readonly PinnedDevice[],
  self: { device: DeviceId } & DeviceKeys,
): readonly PinnedDevice[] {
  const known = pinned.find(({ device }) => device === self.device);
  const others = pinned.filter(({ device }) => device !== self.device);
  return [...others, { ...pin(self), listed: known?.listed ?? false }];
}

function pin(device: { device: DeviceId } & DeviceKeys): PinnedDevice {
  return { ...device, listed: true };
}

function same(pinned: PinnedDevice, device: Device): boolean {
  return (
    pinned.suite === device.suite &&
    pinned.encryption_key === device.encryption_key &&
    pinned.signing_key === device.signing_key
  );
}

function order(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
