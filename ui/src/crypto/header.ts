// The envelope header: conversation, sender, order, recipients, and what the sender's device saw of
// both device logs and of the other person's messages. Signed, and used as AEAD additional data.

import type { AccountId, ClientMessageId, ConversationId, DeviceId } from "../protocol/wire";
import { type Bytes, compare, equal, utf8 } from "./bytes";
import { MalformedError, Reader, Writer } from "./canonical";
import { SUITE } from "./identity";

const LABEL = "gatehouse/header/2";
const HASH_LENGTH = 32;

/** The hash of nothing: zeros. */
export const NO_HASH: Bytes = new Uint8Array(HASH_LENGTH);

/** Seconds after which a message disappears; 0: it is kept. One day, one week, 30 days. */
export const LIFETIMES = [0, 86_400, 604_800, 2_592_000] as const;

export type Lifetime = (typeof LIFETIMES)[number];

export function isLifetime(seconds: number): seconds is Lifetime {
  return (LIFETIMES as readonly number[]).includes(seconds);
}

/** The head of an account's device log: number and hash of its last entry. */
export interface LogHead {
  readonly version: number;
  readonly head: Bytes;
}

/** The sender's device knows no log of this account. */
export const NO_LOG: LogHead = { version: 0, head: NO_HASH };

/** An envelope of the other person, named by its device, counter and hash. */
export interface ReadReference {
  readonly device: DeviceId;
  readonly counter: number;
  readonly hash: Bytes;
}

/** The sender's device processed no envelope of the other person in this conversation. */
export const NOTHING_READ: ReadReference = { device: "", counter: 0, hash: NO_HASH };

export interface Recipient {
  readonly account: AccountId;
  readonly device: DeviceId;
  /** The fingerprint of the recipient's keys, as used by the sender. */
  readonly fingerprint: Bytes;
}

export interface Header {
  readonly conversation: ConversationId;
  readonly sender: AccountId;
  readonly device: DeviceId;
  readonly cid: ClientMessageId;
  /** Number of the device's message in this conversation, from 1, without gaps. */
  readonly counter: number;
  /** The hash of the previous envelope; zeros for the first one. */
  readonly previous: Bytes;
  /** A hash of the message key: a ciphertext opens with this key only. */
  readonly commitment: Bytes;
  readonly lifetime: Lifetime;
  /** The log of the sender's account, as seen by the sender's device. */
  readonly ownLog: LogHead;
  /** The log of the other person's account, as seen by the sender's device. */
  readonly peerLog: LogHead;
  /** The last envelope of the other person that the sender's device processed. */
  readonly read: ReadReference;
  /** Sorted by account and device. */
  readonly recipients: readonly Recipient[];
}

export function inOrder<T extends { account: AccountId; device: DeviceId }>(
  recipients: readonly T[],
): T[] {
  return [...recipients].sort(compareNames);
}

export function encodeHeader(header: Header): Bytes {
  const writer = new Writer()
    .text(LABEL)
    .text(SUITE)
    .text(header.conversation)
    .text(header.sender)
    .text(header.device)
    .text(header.cid)
    .u64(header.counter)
    .raw(header.previous)
    .raw(header.commitment)
    .u32(header.lifetime)
    .u64(header.ownLog.version)
    .raw(header.ownLog.head)
    .u64(header.peerLog.version)
    .raw(header.peerLog.head)
    .text(header.read.device)
    .u64(header.read.counter)
    .raw(header.read.hash)
    .u32(header.recipients.length);
  for (const { account, device, fingerprint } of header.recipients)
    writer.text(account).text(device).raw(fingerprint);
  return writer.finish();
}

export function decodeHeader(bytes: Bytes): Header {
  const reader = new Reader(bytes);
  if (reader.text() !== LABEL) throw new MalformedError("not a header");
  if (reader.text() !== SUITE) throw new MalformedError("the header has a different suite");
  const head = {
    conversation: reader.text(),
    sender: reader.text(),
    device: reader.text(),
    cid: reader.text(),
    counter: reader.u64(),
    previous: reader.raw(HASH_LENGTH),
    commitment: reader.raw(HASH_LENGTH),
    lifetime: readLifetime(reader),
    ownLog: readLogHead(reader),
    peerLog: readLogHead(reader),
    read: readReference(reader),
    recipients: readRecipients(reader),
  };
  reader.end();
  if (head.counter < 1) throw new MalformedError("the counter starts at 1");
  return head;
}

function readLifetime(reader: Reader): Lifetime {
  const seconds = reader.u32();
  if (!isLifetime(seconds))
    throw new MalformedError(`a lifetime is ${LIFETIMES.join(", ")} seconds, not ${seconds}`);
  return seconds;
}

/** "No log" has one encoding, and only that one: version 0 with zeros. */
function readLogHead(reader: Reader): LogHead {
  const log = { version: reader.u64(), head: reader.raw(HASH_LENGTH) };
  if ((log.version === 0) !== equal(log.head, NO_HASH))
    throw new MalformedError("only version 0 of a device log has the head of zeros");
  return log;
}

/** "Nothing" has one encoding, and only that one: no device, counter 0 and zeros. */
function readReference(reader: Reader): ReadReference {
  const read = { device: reader.text(), counter: reader.u64(), hash: reader.raw(HASH_LENGTH) };
  const nothing = read.device === "";
  if ((read.counter === 0) !== nothing || equal(read.hash, NO_HASH) !== nothing)
    throw new MalformedError("a read envelope has a device, a counter from 1 and a hash");
  return read;
}

function readRecipients(reader: Reader): Recipient[] {
  const recipients: Recipient[] = [];
  const count = reader.u32();
  for (let i = 0; i < count; i += 1) {
    const recipient = {
      account: reader.text(),
      device: reader.text(),
      fingerprint: reader.raw(HASH_LENGTH),
    };
    const before = recipients.at(-1);
    if (before && compareNames(before, recipient) >= 0)
      throw new MalformedError("the recipients are not sorted");
    recipients.push(recipient);
  }
  return recipients;
}

function compareNames(
  a: { account: string; device: string },
  b: { account: string; device: string },
): number {
  return compare(utf8(a.account), utf8(b.account)) || compare(utf8(a.device), utf8(b.device));
}
