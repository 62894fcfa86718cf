// Receives messages that the server relays: verifies the sender, checks the position in the
// sender's chain and the sender's view of the device logs, then decrypts. A rejected message leaves
// an error in the conversation, never a text.

import {
  type Content,
  RejectedError,
  START,
  type Step,
  type Verified,
  follow,
  highestRead,
  lock,
  open,
  verify,
} from "../../crypto";
import type { PrivateMessage } from "../../protocol/wire";
import type { Change, Clock } from "../ports";
import {
  type CheckParts,
  clockWarnings,
  contradictions,
  logsOf,
  removedRecipients,
  standingOf,
  strangers,
  timeOf,
} from "./checks";
import type { Keyring } from "./keyring";
import { expiryOf } from "./lifetimes";
import {
  type ConversationRecord,
  type MessageProblem,
  type MessageRecord,
  type Warning,
  messageId,
} from "./records";

export interface ReceiveParts extends CheckParts {
  readonly clock: Clock;
}

/** What a message changes. `conversation` is to be stored with the changes. */
export interface Received {
  readonly changes: readonly Change[];
  readonly conversation: ConversationRecord;
}

interface Opened {
  readonly content?: Content;
  readonly problem?: MessageProblem;
  readonly warnings: readonly Warning[];
  readonly verified?: Verified;
  /** Whether the sender's device may write in its account's name. */
  readonly approved?: boolean;
  readonly changes?: readonly Change[];
}

/** Undefined if the message is known or not of this conversation. */
export async function receive(
  parts: ReceiveParts,
  message: PrivateMessage,
  conversation: ConversationRecord,
): Promise<Received | undefined> {
  const { archive, me, keyring, clock } = parts;
  if (message.sender !== me && message.sender !== conversation.peer) return undefined;
  const id = messageId(message.sender, message.cid);
  const known = await archive.get("messages", [message.conversation, id]);
  if (known) {
    const confirmed =
      message.sender === me && message.device === keyring.device && known.order !== message.seq;
    return confirmed ? confirm(known, conversation, message, clock.now()) : undefined;
  }
  const opened = await verifyAndOpen(parts, message, conversation);
  const record = await recordOf(keyring, message, id, opened, clock.now());
  return {
    changes: [...(opened.changes ?? []), ...record],
    conversation: follows(conversation, message, opened),
  };
}

/**
 * The server assigned a `seq` to a message of this device, so it leaves the outbox. It may have been
 * rejected before.
 */
export function confirm(
  record: MessageRecord,
  conversation: ConversationRecord,
  { seq, cid }: { readonly seq: number; readonly cid: string },
  now: number,
): Received {
  const expires = expiryOf(record.lifetime ?? 0, Date.parse(record.at), now);
  const put = { ...record, order: seq, ...(expires === undefined ? {} : { expires }) };
  delete put.failed;
  const { lifetime } = conversation;
  const isLatest = lifetime !== undefined && lifetime.order === record.order;
  return {
    changes: [
      { table: "messages", put },
      { table: "outbox", remove: cid },
    ],
    conversation: isLatest
      ? { ...conversation, lifetime: { ...lifetime, order: seq } }
      : conversation,
  };
}

async function verifyAndOpen(
  parts: ReceiveParts,
  message: PrivateMessage,
  conversation: ConversationRecord,
): Promise<Opened> {
  const { archive, directory } = parts;
  const { sender, device } = message;
  const signer = await directory.sender(sender, device);
  if (!signer) return { problem: "unknown-device", warnings: [] };
  try {
    const verified = await verify(message.envelope, message, signer);
    const { header } = verified;
    const chain = await archive.get("chains", [conversation.id, sender, device]);
    const step = follow(chain?.link ?? START, header);
    if (step.kind === "replay") return { problem: "replay", warnings: [] };
    const link = { counter: header.counter, hash: verified.hash };
    const reads = highestRead(chain?.reads ?? [], header.read);
    const key = { conversation: conversation.id, sender, device };
    const other = sender === parts.me ? conversation.peer : parts.me;
    const logs = await logsOf(parts, sender, other, header);
    const { problem, warnings } = await standingOf(parts, logs.sender, header);
    const view = await contradictions(parts, header, logs, { conversation, chain });
    const inChain = [...gaps(step), ...warnings, ...view];
    const common = {
      verified,
      approved: problem === undefined && warnings.length === 0,
      changes: [{ table: "chains", put: { ...key, link, reads } } as const],
    };
    if (problem) return { ...common, problem, warnings: inChain };
    const opened = await openInChain(parts, message, verified);
    const rest = opened.content
      ? [
          ...strangers(header, logs),
          ...removedRecipients(parts.me, header, logs, opened.content.writtenAt),
        ]
      : [];
    return { ...common, ...opened, warnings: [...inChain, ...rest, ...opened.warnings] };
  } catch (error) {
    if (error instanceof RejectedError) return { problem: error.reason, warnings: [] };
    throw error;
  }
}

/** What is missing before an envelope is reported whether or not it can be opened. */
function gaps(step: Step): Warning[] {
  return step.kind === "gap" || step.kind === "fork" ? [step] : [];
}

async function openInChain(
  { me, keyring }: ReceiveParts,
  message: PrivateMessage,
  verified: Verified,
): Promise<Pick<Opened, "content" | "problem" | "warnings">> {
  try {
    const content = await open(verified, me, keyring.keys);
    if (!content) return { problem: "not-for-this-device", warnings: [] };
    return { content, warnings: clockWarnings(message, content.writtenAt) };
  } catch (error) {
    if (error instanceof RejectedError) return { problem: error.reason, warnings: [] };
    throw error;
  }
}

/** Empty if the message has expired already. */
async function recordOf(
  keyring: Keyring,
  { conversation, seq, sender, device, at }: PrivateMessage,
  id: string,
  opened: Opened,
  now: number,
): Promise<Change[]> {
  const common = { conversation, id, order: seq, sender, device };
  const { content, problem = "undecryptable", verified, warnings } = opened;
  if (!content || !verified) {
    const put = { ...common, at, body: { kind: "problem", problem, warnings } as const };
    return [{ table: "messages", put }];
  }
  const { lifetime } = verified.header;
  const expires = expiryOf(lifetime, content.writtenAt, now);
  if (expires !== undefined && expires <= now) return [];
  const body =
    content.kind === "lifetime"
      ? ({ kind: "lifetime", seconds: lifetime, warnings } as const)
      : await lockText(keyring, `${conversation}/${id}`, content.text, warnings);
  const put: MessageRecord = {
    ...common,
    at: timeOf(content.writtenAt),
    body,
    ...(expires === undefined ? {} : { lifetime, expires }),
  };
  return [{ table: "messages", put }];
}

async function lockText(
  keyring: Keyring,
  context: string,
  text: string,
  warnings: readonly Warning[],
): Promise<Extract<MessageRecord["body"], { kind: "text" }>> {
  return { kind: "text", locked: await lock(keyring.history, context, text), warnings };
}

/** The conversation after a message of an approved device; any other one changes nothing. */
function follows(
  conversation: ConversationRecord,
  { sender, seq }: PrivateMessage,
  { approved, content, verified }: Opened,
): ConversationRecord {
  if (!approved || !verified) return conversation;
  const { device, counter, lifetime: seconds } = verified.header;
  const read =
    sender === conversation.peer ? { read: { device, counter, hash: verified.hash } } : {};
  const isNewer = seq > (conversation.lifetime?.order ?? 0);
  const lifetime =
    content?.kind === "lifetime" && isNewer ? { lifetime: { seconds, order: seq } } : {};
  return { ...conversation, ...read, ...lifetime };
}
