// Why messages to a person are held back. A hold ends when the reason does, and then the messages
// are sent.

import { type LogFault, type OwnKeys, equal, rawSigningKey } from "../../crypto";
import { type Lists, safetyNumberOf } from "./directory";
import type { ContactRecord } from "./records";
import { conflicting, approves, openFault, undecided } from "./trust";

type OwnFault = `own-${Exclude<LogFault, "identity-changed">}-log` | "own-identity-changed";
type PeerFault = `${Exclude<LogFault, "identity-changed">}-log` | "identity-changed";

export type Hold =
  /** The server shows another device log than before. */
  | OwnFault
  | PeerFault
  /** The own account removed this device, or another device has its name. */
  | "own-device-removed"
  /** The server lists other keys under this device's id. */
  | "own-keys-changed"
  /** The server does not list this device. */
  | "own-device-missing"
  /** The server lists a device of this account that no other one approved. */
  | "own-device-unapproved"
  /** The server lists invalid keys for an approved device. */
  | "keys-conflict"
  | "no-device"
  | "safety-number-changed";

/** True if it is in doubt whose keys the server lists: a compared safety number counts no more. */
export function doubtsKeys(hold: Hold | undefined): boolean {
  return hold !== undefined && hold !== "no-device" && hold !== "own-device-missing";
}

/** The first reason, if any. The own account comes first: its holds apply to everyone. */
export async function holdOf(lists: Lists, keys: OwnKeys): Promise<Hold | undefined> {
  const { peer, peerDevices } = lists;
  const own = await ownHold(lists.own, keys);
  if (own) return own;
  const fault = openFault(peer)?.fault;
  if (fault === "identity-changed") return fault;
  if (fault) return `${fault}-log`;
  if (conflicting(peer).length > 0) return "keys-conflict";
  if (peerDevices.length === 0) return "no-device";
  if (peer.verified !== undefined && peer.verified !== (await safetyNumberOf(lists)))
    return "safety-number-changed";
  return undefined;
}

async function ownHold(own: ContactRecord, keys: OwnKeys): Promise<Hold | undefined> {
  const fault = openFault(own)?.fault;
  if (fault === "identity-changed") return "own-identity-changed";
  if (fault) return `own-${fault}-log`;
  const logged = own.log?.devices.get(keys.device);
  const signingKey = await rawSigningKey(keys.signing.publicKey);
  if (!logged || !equal(logged.signingKey, signingKey) || !approves(own.log, keys.device))
    return "own-device-removed";
  const listed = own.devices.find(({ device }) => device === keys.device);
  if (listed?.rejected === "invalid") return "own-keys-changed";
  if (!listed?.listed) return "own-device-missing";
  if (undecided(own).length > 0) return "own-device-unapproved";
  return conflicting(own).length > 0 ? "keys-conflict" : undefined;
}
