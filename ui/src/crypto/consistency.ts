// Compares what the header of a message states about device logs and about received messages with
// what this device knows. The header is signed by the other person's device: a server that shows two
// devices different logs or messages is noticed with the next message between them.

import type { DeviceId } from "../protocol/wire";
import { type Bytes, equal } from "./bytes";
import type { Header, LogHead, ReadReference } from "./header";

export type Contradiction =
  /** The sender's device knows entries of a device log that the server does not show here. */
  | "log-withheld"
  /** The sender's device has another log of the other person's devices. */
  | "log-fork"
  /** The sender's device has another log of the own devices. */
  | "own-log-fork"
  /** The sender's device received another message than the one that was sent. */
  | "read-mismatch"
  /** The sender's device received less than it stated before. */
  | "read-rollback";

/** A device log as this device knows it: the hash of each entry, from version 1. */
export interface KnownLog {
  readonly hashes: readonly Bytes[];
}

/**
 * Compares the heads of both logs. `log-withheld` also occurs if the list here is outdated: the
 * caller fetches the lists and checks again before it shows that warning.
 */
export function checkHeads(
  header: Pick<Header, "ownLog" | "peerLog">,
  /** Whether the message is from another device of the own account. */
  mine: boolean,
  known: { readonly own: KnownLog | undefined; readonly peer: KnownLog | undefined },
): Contradiction[] {
  const [own, peer] = mine ? [header.ownLog, header.peerLog] : [header.peerLog, header.ownLog];
  const found = [
    checkHead(own, known.own, "own-log-fork"),
    checkHead(peer, known.peer, "log-fork"),
  ].filter((contradiction) => contradiction !== undefined);
  return [...new Set(found)];
}

function checkHead(
  stated: LogHead,
  known: KnownLog | undefined,
  fork: "log-fork" | "own-log-fork",
): Contradiction | undefined {
  if (stated.version === 0) return undefined;
  const hash = known?.hashes[stated.version - 1];
  if (!hash) return "log-withheld";
  return equal(stated.head, hash) ? undefined : fork;
}

/** What this device knows about the envelopes of `read.device`. */
export interface KnownReads {
  /** By counter. Hashes of deleted messages may be missing. */
  readonly hashes: ReadonlyMap<number, Bytes>;
  /** The last counter, if `read.device` is this device: nothing later exists. */
  readonly last?: number;
  /** The highest reference to `read.device` in earlier messages of the sender's device. */
  readonly before?: ReadReference;
}

/** Compares the last envelope that the sender's device processed with the ones known here. */
export function checkRead(read: ReadReference, known: KnownReads): Contradiction[] {
  if (read.counter === 0) return [];
  const found: Contradiction[] = [];
  const { hashes, last, before } = known;
  const hash =
    hashes.get(read.counter) ?? (before?.counter === read.counter ? before.hash : undefined);
  const invented = last !== undefined && read.counter > last;
  if (invented || (hash && !equal(read.hash, hash))) found.push("read-mismatch");
  if (before && read.counter < before.counter) found.push("read-rollback");
  return found;
}

/**
 * The references to keep for the sender's device after a message with `read`: the highest one for
 * each device.
 */
export function highestRead(
  before: readonly ReadReference[],
  read: ReadReference,
): readonly ReadReference[] {
  if (read.counter === 0) return before;
  const same = (one: { device: DeviceId }) => one.device === read.device;
  const known = before.find(same);
  if (known && known.counter >= read.counter) return before;
  return [...before.filter((one) => !same(one)), read];
}
