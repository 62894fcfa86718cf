// Records stored on this device. Texts are encrypted; names and numbers, which the server knows
// anyway, are not.

import type { Locked, ChainHead, OwnKeys, Rejection } from "../../crypto";
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

/** Position of the last stored inbox event, written in the same transaction as the event. */
export interface PositionRecord {
  readonly id: "inbox";
  readonly position: number;
}

export interface ConversationRecord {
  readonly id: ConversationId;
  readonly peer: AccountId;
  /** For display only: a name can move to another account. */
  readonly username: string;
  /** Former names seen by this device, oldest first. */
  readonly formerly?: readonly string[];
  readonly lastSeq: number;
  readonly readUpto: number;
  readonly peerReceivedUpto: number;
  readonly peerReadUpto: number;
  readonly updatedAt: string;
  /** The head of this device's chain in this conversation. */
  readonly sent: ChainHead;
}

/** Why a message cannot be shown. */
export type MessageProblem = Rejection | "unknown-device" | "replay" | "not-for-this-device";

export type Warning =
  | { readonly kind: "gap"; readonly missing: number }
  /** The message does not follow the sender's previous one. */
  | { readonly kind: "fork" }
  /** One of the recipients is an unknown device. */
  | { readonly kind: "stranger" }
  /** Sent in the user's name by a device that the user did not confirm on this device. */
  | { readonly kind: "unconfirmed" };

export type NoticeKind =
  "device-added" | "device-removed" | "device-conflict" | "verified" | "unverified";

export type Notice =
  | { readonly kind: "notice"; readonly notice: NoticeKind; readonly count: number }
  /** Both names at the time; later renames do not change them. */
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
  /** The `seq`, or a number larger than any `seq` while sending. */
  readonly order: number;
  readonly sender: AccountId;
  readonly device: DeviceId;
  /** RFC 3339. */
  readonly at: string;
  readonly body:
    | { readonly kind: "text"; readonly locked: Locked; readonly warnings: readonly Warning[] }
    | {
        readonly kind: "problem";
        readonly problem: MessageProblem;
        readonly warnings?: readonly Warning[];
      }
    | Notice;
  /** Why the server rejected the message permanently. It may have been delivered all the same. */
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
  /** False if the server no longer lists it. */
  readonly listed: boolean;
  /** Of another device of the own account: what the user decided on this device. */
  readonly decision?: Decision;
}

/** Messages are only encrypted for confirmed devices. */
export type Decision = "confirmed" | "refused";

export interface ContactRecord {
  readonly account: AccountId;
  readonly username: string | undefined;
  /** Every device ever seen, with its first keys. */
  readonly devices: readonly PinnedDevice[];
  /** The server listed different keys for a known device, other than this one. */
  readonly conflict: boolean;
  /** The latest list has other keys under this device's id. */
  readonly selfChanged?: boolean;
  /** The safety number that the user compared. */
  readonly verified: string | undefined;
}

/** Listed devices of the own account that the user has not decided about. */
export function undecided(own: ContactRecord | undefined, self: DeviceId): PinnedDevice[] {
  const others = own?.devices.filter(({ device, listed }) => listed && device !== self) ?? [];
  return others.filter(({ decision }) => decision === undefined);
}

export interface OutboxRecord {
  readonly cid: ClientMessageId;
  readonly conversation: ConversationId;
  readonly to: AccountId;
  readonly order: number;
  readonly writtenAt: number;
  /** Encrypted once; every attempt sends the same envelope. */
  readonly sealed?: { readonly envelope: Envelope };
}

/** Orders unsent messages after everything with a `seq`. */
export const PENDING = 2 ** 40;

export function messageId(sender: AccountId, cid: ClientMessageId): string {
  return `${sender}/${cid}`;
}

/** The conversation of two accounts. */
export function conversationOf(a: AccountId, b: AccountId): ConversationId {
  return a < b ? `${a}.${b}` : `${b}.${a}`;
}

/** The other member; undefined if `me` is not a member. */
export function peerOf(conversation: ConversationId, me: AccountId): AccountId | undefined {
  const [low, high] = conversation.split(".");
  if (low === me) return high;
  return high === me ? low : undefined;
}
