// Changes of the own device log by this device.

import { extendLog, signEntry } from "../../crypto";
import { type Api, ProblemError } from "../../net";
import type { AccountId, DeviceId } from "../../protocol/wire";
import type { Clock } from "../ports";
import type { Directory } from "./directory";
import type { Keyring } from "./keyring";
import { approves } from "./trust";

export interface OwnLogParts {
  readonly api: Api;
  readonly clock: Clock;
  readonly directory: Directory;
  readonly keyring: Keyring;
  readonly me: AccountId;
}

/** Another device may append at the same time. */
const ATTEMPTS = 4;

/** Appends the removal of an approved device. Any other device is not in the log. */
export async function appendRemoval(parts: OwnLogParts, device: DeviceId): Promise<void> {
  const { api, clock, directory, keyring, me } = parts;
  for (let attempt = 1; ; attempt += 1) {
    directory.forget(me);
    const { log } = await directory.contact(me);
    const logged = log?.devices.get(device);
    if (!log || !logged || !approves(log, device)) return;
    const signer = { device: keyring.device, key: keyring.keys.signing.privateKey };
    const { signingKey } = logged;
    const entry = await signEntry(log, "remove", device, signingKey, clock.now(), signer);
    try {
      await api.appendEntry({ version: log.version + 1, entry });
    } catch (error) {
      const isConflict = error instanceof ProblemError && error.status === 409;
      if (!isConflict || attempt === ATTEMPTS) throw error;
      continue;
    }
    // Stored at once: a server that hides the removal shows an older log.
    const removed = await extendLog(log, log.identityKey, [...log.entries, entry]);
    if ("log" in removed) await directory.update(me, (own) => ({ ...own, log: removed.log }));
    return;
  }
}

/** Sends the entries again that the server lost. They are signed, so it cannot have others. */
export async function restoreLog({ api, directory, me }: OwnLogParts): Promise<void> {
  directory.forget(me);
  const { log, faulty } = await directory.contact(me);
  if (!log || faulty?.fault !== "older") return;
  for (const [at, entry] of log.entries.entries()) {
    if (at >= faulty.entries.length) await api.appendEntry({ version: at + 1, entry });
  }
  directory.forget(me);
  await directory.contact(me);
}
