// Receives messages that the server relays: verifies the sender, checks the position in the
// sender's chain, then decrypts. A rejected message leaves an error in the conversation, never a
// text.

import {
  type Content,
  type OwnKeys,
  RejectedError,
  START,
  type Step,
  type Verified,
  follow,
  lock,
  open,
  verify,
} from "../../crypto";
import type { AccountId, PrivateMessage } from "../../protocol/wire";
import type { Archive, Change } from "../ports";
import type { Directory } from "./directory";
import {
  type MessageProblem,
  type MessageRecord,
  type Warning,
  messageId,
  peerOf,
} from "./records";

export interface ReceiveParts {
  readonly archive: Archive;
  readonly directory: Directory;
  readonly me: AccountId;
  readonly keys: OwnKeys;
}

type Opened =
  | { readonly kind: "content"; readonly content: Content; readonly warnings: readonly Warning[] }
  | {
      readonly kind: "problem";
      readonly problem: MessageProblem;
      /** Set if the envelope has a place in the sender's chain. */
      readonly warnings?: readonly Warning[];
    };

/** Changes to apply for a message; empty if it is known or not for this account. */
export async function receive(parts: ReceiveParts, message: PrivateMessage): Promise<Change[]> {
  const { archive, me, keys } = parts;
  const peer = peerOf(message.conversation, me);
  if (peer === undefined || (message.sender !== me && message.sender !== peer)) return [];
  const id = messageId(message.sender, message.cid);
  const known = await archive.get("messages", [message.conversation, id]);
  if (known) {
    const confirmed =
      message.sender === me && message.device === keys.device && known.order !== message.seq;
    return confirmed ? confirm(known, message.seq, message.at, message.cid) : [];
  }
  const changes: Change[] = [];
  const opened = await verifyAndOpen(parts, message, changes);
  const { conversation, sender, device, at } = message;
  const record: MessageRecord = {
    conversation,
    id,
    order: message.seq,
    sender,
    device,
    at,
    body: opened.kind === "problem" ? opened : await lockContent(keys, conversation, id, opened),
  };
  return [...changes, { table: "messages", put: record }];
}

/**
 * The server assigned a `seq` to a message of this device, so it leaves the outbox. It may have been
 * rejected before.
 */
export function confirm(record: MessageRecord, seq: number, at: string, cid: string): Change[] {
  const { conversation, id, sender, device, body } = record;
  return [
    { table: "messages", put: { conversation, id, order: seq, sender, device, at, body } },
    { table: "outbox", remove: cid },
  ];
}

async function verifyAndOpen(
  parts: ReceiveParts,
  message: PrivateMessage,
  changes: Change[],
): Promise<Opened> {
  const { archive, directory } = parts;
  const { conversation, sender, device } = message;
  const identity = await directory.device(sender, device);
  if (!identity) return { kind: "problem", problem: "unknown-device" };
  try {
    const verified = await verify(message.envelope, message, identity);
    const chain = await archive.get("chains", [conversation, sender, device]);
    const step = follow(chain?.link ?? START, verified.header);
    if (step.kind === "replay") return { kind: "problem", problem: "replay" };
    const link = { counter: verified.header.counter, hash: verified.hash };
    changes.push({ table: "chains", put: { conversation, sender, device, link } });
    return await openInChain(parts, message, verified, step);
  } catch (error) {
    if (error instanceof RejectedError) return { kind: "problem", problem: error.reason };
    throw error;
  }
}

/** What is missing before an envelope is reported whether or not it can be opened. */
async function openInChain(
  { directory, me, keys }: ReceiveParts,
  message: PrivateMessage,
  verified: Verified,
  step: Step,
): Promise<Opened> {
  const inChain: Warning[] = step.kind === "gap" || step.kind === "fork" ? [step] : [];
  try {
    const content = await open(verified, me, keys);
    if (!content) return { kind: "problem", problem: "not-for-this-device", warnings: inChain };
    const others = await warnings(directory, me, message, verified.header.recipients);
    return { kind: "content", content, warnings: [...inChain, ...others] };
  } catch (error) {
    if (error instanceof RejectedError)
      return { kind: "problem", problem: error.reason, warnings: inChain };
    throw error;
  }
}

async function warnings(
  directory: Directory,
  me: AccountId,
  { conversation, sender, device: from }: PrivateMessage,
  recipients: readonly { account: AccountId; device: string; fingerprint: Uint8Array }[],
): Promise<Warning[]> {
  const found: Warning[] = [];
  if (!(await directory.confirmed(sender, from))) found.push({ kind: "unconfirmed" });
  const members = new Set([me, peerOf(conversation, me)]);
  for (const { account, device, fingerprint } of recipients) {
    if (members.has(account) && (await directory.knows(account, device, fingerprint))) continue;
    found.push({ kind: "stranger" });
    break;
  }
  return found;
}

async function lockContent(
  keys: OwnKeys,
  conversation: string,
  id: string,
  opened: Extract<Opened, { kind: "content" }>,
): Promise<Extract<MessageRecord["body"], { kind: "text" }>> {
  const locked = await lock(keys.history, `${conversation}/${id}`, opened.content.text);
  return { kind: "text", locked, warnings: opened.warnings };
}
