// What is kept on this device. Texts are locked; names and numbers, which the server knows anyway, are not.

import type { Locked, ChainHead, OwnKeys, Refusal } from "../../crypto";
import type {
  AccountId,
  ClientMessageId,
  ConversationId,
  DeviceKeys,
  DeviceId,
  Envelope,
} from "../../protocol/wire";

export interface DeviceRecord {
  readonly id: "self";
  readonly keys: OwnKeys;
}

/** How far the inbox was taken in: written together with what was taken in. */
export interface PositionRecord {
  readonly id: "inbox";
  readonly position: number;
}

export interface ConversationRecord {
  readonly id: ConversationId;
  readonly peer: AccountId;
  /** For showing only: a name can pass from one account to another. */
  readonly username: string;
  /** Names that this person had while this device knew them, oldest first. */
  readonly formerly?: readonly string[];
  readonly lastSeq: number;
  readonly readUpto: number;
  readonly peerReceivedUpto: number;
  readonly peerReadUpto: number;
  readonly updatedAt: string;
  /** This device's last envelope here. */
  readonly sent: ChainHead;
}

/** Why there is nothing to show. */
export type MessageProblem = Refusal | "unknown-device" | "replay" | "not-for-this-device";

export type Warning =
  | { readonly kind: "gap"; readonly missing: number }
  /** It does not continue the sender's previous message. */
  | { readonly kind: "fork" }
  /** One of its recipients is an unknown device. */
  | { readonly kind: "stranger" };

export type NoticeKind =
  "device-added" | "device-removed" | "device-conflict" | "verified" | "unverified";

export type Notice =
  | { readonly kind: "notice"; readonly notice: NoticeKind; readonly count: number }
  /** Both names as they were then: later renames do not change it. */
  | {
      readonly kind: "notice";
      readonly notice: "renamed";
      readonly from: string;
      readonly to: string;
    };

/** One line of a conversation. */
export interface MessageRecord {
  readonly conversation: ConversationId;
  /** `sender/cid`, or `notice/…`. */
  readonly id: string;
  /** The `seq`; larger than any `seq` while it is being sent. */
  readonly order: number;
  readonly sender: AccountId;
  readonly device: DeviceId;
  /** RFC 3339. */
  readonly at: string;
  readonly body:
    | { readonly kind: "text"; readonly locked: Locked; readonly warnings: readonly Warning[] }
    | { readonly kind: "problem"; readonly problem: MessageProblem }
    | Notice;
  /** Refused for good: why. */
  readonly failed?: string;
}

export interface ChainRecord {
  readonly conversation: ConversationId;
  readonly sender: AccountId;
  readonly device: DeviceId;
  readonly link: ChainHead;
}

export interface PinnedDevice extends DeviceKeys {
  readonly device: DeviceId;
  /** False once the server stopped listing it. */
  readonly listed: boolean;
}

export interface ContactRecord {
  readonly account: AccountId;
  readonly username: string | undefined;
  /** Every device ever seen, with the keys it had first. */
  readonly devices: readonly PinnedDevice[];
  /** The server listed other keys for a known device. */
  readonly conflict: boolean;
  /** The safety number when it was compared. */
  readonly verified: string | undefined;
}

export interface OutboxRecord {
  readonly cid: ClientMessageId;
  readonly conversation: ConversationId;
  readonly to: AccountId;
  readonly order: number;
  readonly writtenAt: number;
  /** Sealed once; every attempt sends the same envelope. */
  readonly sealed?: { readonly envelope: Envelope; readonly before: ChainHead };
}

/** Messages that are being sent come after everything that has a `seq`. */
export const PENDING = 2 ** 40;

export function messageId(sender: AccountId, cid: ClientMessageId): string {
  return `${sender}/${cid}`;
}

/** The one conversation of two people. */
export function conversationOf(a: AccountId, b: AccountId): ConversationId {
  return a < b ? `${a}.${b}` : `${b}.${a}`;
}

/** The other member, or nothing when `me` is not one. */
export function peerOf(conversation: ConversationId, me: AccountId): AccountId | undefined {
  const [low, high] = conversation.split(".");
  if (low === me) return high;
  return high === me ? low : undefined;
}
