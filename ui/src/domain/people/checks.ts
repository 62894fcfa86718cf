// What a verified message reveals about the server: whether its device may write, and whether both
// people see the same device logs and the same messages.

import {
  type DeviceLog,
  type Header,
  type KnownReads,
  type ReadReference,
  checkHeads,
  checkRead,
  entriesOf,
} from "../../crypto";
import type { AccountId, PrivateMessage } from "../../protocol/wire";
import type { Archive } from "../ports";
import type { Directory } from "./directory";
import type { Keyring } from "./keyring";
import type { ChainRecord, ConversationRecord, MessageProblem, Warning } from "./records";
import { approves } from "./trust";

export interface CheckParts {
  readonly archive: Archive;
  readonly directory: Directory;
  readonly me: AccountId;
  readonly keyring: Keyring;
}

/** Both device logs, at least as new as the sender knows them if the server has them. */
export interface Logs {
  readonly sender: DeviceLog | undefined;
  /** Of the other person of the conversation. */
  readonly other: DeviceLog | undefined;
}

/** Whether the sender's device may write in its account's name. */
export interface Standing {
  readonly problem?: MessageProblem;
  readonly warnings: readonly Warning[];
}

/** The largest difference between two clocks that is not reported, in milliseconds. */
const CLOCK_TOLERANCE = 300_000;

export async function logsOf(
  { directory }: CheckParts,
  sender: AccountId,
  other: AccountId,
  header: Header,
): Promise<Logs> {
  return {
    sender: await directory.log(sender, header.ownLog.version),
    other: await directory.log(other, header.peerLog.version),
  };
}

export async function standingOf(
  { directory }: CheckParts,
  log: DeviceLog | undefined,
  header: Header,
): Promise<Standing> {
  const logged = log?.devices.get(header.device);
  if (!logged) {
    const contact = await directory.known(header.sender);
    return contact?.verified === undefined
      ? { warnings: [{ kind: "unapproved" }] }
      : { problem: "unapproved-device", warnings: [] };
  }
  if (logged.removedIn === undefined) return { warnings: [] };
  return header.ownLog.version >= logged.removedIn
    ? { problem: "removed-device", warnings: [] }
    : { warnings: [{ kind: "since-removed" }] };
}

/** Compares the sender's view of both logs and of received messages with what is known here. */
export async function contradictions(
  parts: CheckParts,
  header: Header,
  logs: Logs,
  { conversation, chain }: { conversation: ConversationRecord; chain: ChainRecord | undefined },
): Promise<Warning[]> {
  const mine = header.sender === parts.me;
  const known = mine
    ? { own: logs.sender, peer: logs.other }
    : { own: logs.other, peer: logs.sender };
  const reader = mine ? conversation.peer : parts.me;
  const reads = await knownReads(parts, conversation, reader, header.read, chain?.reads ?? []);
  const kinds = [...checkHeads(header, mine, known), ...checkRead(header.read, reads)];
  return kinds.map((kind) => ({ kind }));
}

/** Envelopes of a device of `account`, the one that received them from `read.device`. */
async function knownReads(
  { archive, keyring }: CheckParts,
  conversation: ConversationRecord,
  account: AccountId,
  { device, counter }: ReadReference,
  before: readonly ReadReference[],
): Promise<KnownReads> {
  const earlier = before.find((read) => read.device === device);
  const hashes = new Map<number, ReadReference["hash"]>();
  const isSelf = device === keyring.device;
  const sent = isSelf && (await archive.get("sent", [conversation.id, counter]));
  if (sent) hashes.set(sent.counter, sent.hash);
  const chain = isSelf
    ? undefined
    : await archive.get("chains", [conversation.id, account, device]);
  if (chain) hashes.set(chain.link.counter, chain.link.hash);
  return {
    hashes,
    ...(isSelf ? { last: conversation.sent.counter } : {}),
    ...(earlier ? { before: earlier } : {}),
  };
}

/** A recipient that neither account approved, in the logs as the sender knew them. */
export function strangers(header: Header, logs: Logs): Warning[] {
  const members = header.conversation.split(".");
  const isKnown = ({ account, device }: Header["recipients"][number]) =>
    members.includes(account) &&
    (account === header.sender
      ? approves(logs.sender, device, header.ownLog.version)
      : approves(logs.other, device, header.peerLog.version));
  return header.recipients.every(isKnown) ? [] : [{ kind: "stranger" }];
}

/**
 * An own device that was removed well before the message was written: the server may hide the
 * removal from the sender.
 */
export function removedRecipients(
  me: AccountId,
  header: Header,
  logs: Logs,
  writtenAt: number,
): Warning[] {
  const log = header.sender === me ? logs.sender : logs.other;
  const stated = header.sender === me ? header.ownLog.version : header.peerLog.version;
  const isHidden = ({ account, device }: Header["recipients"][number]) => {
    const removedIn = account === me ? log?.devices.get(device)?.removedIn : undefined;
    const removal = log && removedIn ? entriesOf(log)[removedIn - 1] : undefined;
    if (!removal || stated >= removal.version) return false;
    return writtenAt - removal.time > CLOCK_TOLERANCE;
  };
  return header.recipients.some(isHidden) ? [{ kind: "removed-recipient" }] : [];
}

export function clockWarnings(
  { at }: PrivateMessage,
  writtenAt: number,
): Extract<Warning, { kind: "clock" }>[] {
  const difference = Math.abs(Date.parse(at) - writtenAt);
  if (difference <= CLOCK_TOLERANCE) return [];
  return [{ kind: "clock", written: timeOf(writtenAt), received: at }];
}

/** RFC 3339. The largest time that JavaScript can format replaces later ones. */
export function timeOf(milliseconds: number): string {
  return new Date(Math.min(milliseconds, 8_640_000_000_000_000)).toISOString();
}
