// The envelope header: conversation, sender, order and recipients. Signed, and used as AEAD
// additional data.

import type { AccountId, ClientMessageId, ConversationId, DeviceId } from "../protocol/wire";
import { type Bytes, compare, utf8 } from "./bytes";
import { MalformedError, Reader, Writer } from "./canonical";
import { SUITE } from "./identity";

const LABEL = "gatehouse/header/1";
const HASH_LENGTH = 32;

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
  /** Sorted by account and device. */
  readonly recipients: readonly Recipient[];
}

export const NO_PREVIOUS: Bytes = new Uint8Array(HASH_LENGTH);

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
  };
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
  reader.end();
  if (head.counter < 1) throw new MalformedError("the counter starts at 1");
  return { ...head, recipients };
}

function compareNames(
  a: { account: string; device: string },
  b: { account: string; device: string },
): number {
  return compare(utf8(a.account), utf8(b.account)) || compare(utf8(a.device), utf8(b.device));
}
