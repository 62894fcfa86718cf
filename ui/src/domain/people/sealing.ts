// Seals a message of the outbox: once, for exactly the devices that were checked.

import {
  type Content,
  type Lifetime,
  type MessagePosition,
  NOTHING_READ,
  NO_LOG,
  seal,
  unlock,
} from "../../crypto";
import type { AccountId } from "../../protocol/wire";
import type { Archive } from "../ports";
import type { Lists } from "./directory";
import type { Keyring } from "./keyring";
import {
  type ConversationRecord,
  type MessageRecord,
  type OutboxRecord,
  messageId,
} from "./records";

export interface SealingParts {
  readonly archive: Archive;
  readonly me: AccountId;
  readonly keyring: Keyring;
}

/**
 * Stores and returns the sealed record; undefined if the message cannot be read. Not reentrant: two
 * messages must not get the same counter.
 */
export async function sealRecord(
  { archive, me, keyring }: SealingParts,
  record: OutboxRecord,
  lists: Lists,
): Promise<OutboxRecord | undefined> {
  const conversation = await archive.get("conversations", record.conversation);
  const message = await archive.get("messages", [record.conversation, messageId(me, record.cid)]);
  if (!conversation || !message) return undefined;
  const content = await contentOf(keyring, message, record.writtenAt);
  if (!content) return undefined;
  const lifetime = lifetimeOf(conversation, message);
  const position = positionOf(me, conversation, record, lists, lifetime);
  const recipients = [...lists.ownDevices, ...lists.peerDevices];
  const { envelope, hash } = await seal(keyring.keys, position, recipients, content);
  const sealed: OutboxRecord = { ...record, sealed: { envelope, lifetime } };
  const { counter } = position;
  await archive.commit([
    { table: "outbox", put: sealed },
    { table: "messages", put: { ...message, lifetime } },
    { table: "sent", put: { conversation: conversation.id, counter, hash } },
    { table: "conversations", put: { ...conversation, sent: { counter, hash } } },
  ]);
  return sealed;
}

function positionOf(
  me: AccountId,
  conversation: ConversationRecord,
  { cid }: OutboxRecord,
  { own, peer }: Lists,
  lifetime: Lifetime,
): MessagePosition {
  return {
    conversation: conversation.id,
    account: me,
    cid,
    counter: conversation.sent.counter + 1,
    previous: conversation.sent.hash,
    lifetime,
    ownLog: own.log ?? NO_LOG,
    peerLog: peer.log ?? NO_LOG,
    read: conversation.read ?? NOTHING_READ,
  };
}

async function contentOf(
  keyring: Keyring,
  { conversation, id, body }: MessageRecord,
  writtenAt: number,
): Promise<Content | undefined> {
  if (body.kind === "lifetime") return { kind: "lifetime", writtenAt };
  if (body.kind !== "text") return undefined;
  const text = await unlock(keyring.history, `${conversation}/${id}`, body.locked);
  return text === undefined ? undefined : { kind: "text", writtenAt, text };
}

/** A change of the lifetime applies to its own message too. */
function lifetimeOf({ lifetime }: ConversationRecord, { body }: MessageRecord): Lifetime {
  return body.kind === "lifetime" ? body.seconds : (lifetime?.seconds ?? 0);
}
