// When each device of an account was approved and removed, and by which device, from its device log.

import { type DeviceLog, entriesOf } from "../../crypto";
import type { DeviceId } from "../../protocol/wire";

export interface LoggedChange {
  /** By the signer's clock: milliseconds since 1970. */
  readonly time: number;
  /**
   * `first`: the device that set up the account. `identity`: the account's identity key, which a
   * device has that set it up or used the recovery code.
   */
  readonly by: "first" | "identity" | { readonly device: DeviceId };
}

export interface DeviceHistory {
  readonly device: DeviceId;
  readonly approved: LoggedChange;
  /** A removed device never returns. */
  readonly removed: LoggedChange | undefined;
}

/** In the order of approval. */
export function historyOf(log: DeviceLog): readonly DeviceHistory[] {
  const devices = new Map<DeviceId, DeviceHistory>();
  for (const { operation, device, time, signer, version } of entriesOf(log)) {
    const identity = version === 1 ? "first" : "identity";
    const change: LoggedChange = { time, by: signer === "" ? identity : { device: signer } };
    const known = devices.get(device);
    if (operation === "approve")
      devices.set(device, { device, approved: change, removed: undefined });
    else if (known) devices.set(device, { ...known, removed: change });
  }
  return [...devices.values()];
}
