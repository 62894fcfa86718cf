// Records stored on this device. Texts are encrypted; names and numbers, which the server knows
// anyway, are not.

import type {
  Bytes,
  ChainHead,
  DeviceLog,
  Lifetime,
  Locked,
  LogFault,
  OwnKeys,
  ReadReference,
  Rejection,
} from "../../crypto";
import type {
  AccountId,
  ClientMessageId,
  ConversationId,
  DeviceId,
  DeviceKeys,
  Envelope,
  NewIdentity,
  SignedEntry,
} from "../../protocol/wire";

export type { Lifetime } from "../../crypto";

export interface DeviceRecord {
  readonly id: "self";
  readonly keys: OwnKeys;
  /** The latest encryption key was generated, but the server has not confirmed it yet. */
  readonly unconfirmed?: true;
}

/** The identity of the own account, on a device that created or recovered it. */
export interface IdentityRecord {
  readonly id: "account";
  /** Signs approvals. It is on no other device. */
  readonly keys: CryptoKeyPair;
  /** The recovery code, until the user confirms that it was saved. */
  readonly code?: Locked;
  /** Not confirmed by the server yet: the request is repeated with exactly this content. */
  readonly pending?: NewIdentity;
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
  /** The last envelope of the other person that this device processed. */
  readonly read?: ReadReference;
  /** The lifetime of new messages. `order` is the order of the message that set it. */
  readonly lifetime?: { readonly seconds: Lifetime; readonly order: number };
}

/** Why a message cannot be shown. */
export type MessageProblem =
  | Rejection
  | "unknown-device"
  | "replay"
  | "not-for-this-device"
  /** Signed by a device after its account removed it. */
  | "removed-device"
  /** From a verified contact, by a device that the contact's devices did not approve. */
  | "unapproved-device";

export type Warning =
  | { readonly kind: "gap"; readonly missing: number }
  /** The message does not follow the sender's previous one. */
  | { readonly kind: "fork" }
  /** One of the recipients is not a device of the two people. */
  | { readonly kind: "stranger" }
  /** One of the recipients is an own device that was removed before. */
  | { readonly kind: "removed-recipient" }
  /** The sender's device is listed, but not approved in its account's device log. */
  | { readonly kind: "unapproved" }
  /** The sender's device was removed since. */
  | { readonly kind: "since-removed" }
  /** The sender knows a newer device log of either account than the server shows. */
  | { readonly kind: "log-withheld" }
  /** The sender knows another device log of the own or the other account. */
  | { readonly kind: "own-log-fork" | "log-fork" }
  /** The sender received another message than this device sent. */
  | { readonly kind: "read-mismatch" }
  /** The sender received less than it stated before. */
  | { readonly kind: "read-rollback" }
  /** Both clocks differ by more than five minutes; RFC 3339. */
  | { readonly kind: "clock"; readonly written: string; readonly received: string };

export type CountedNotice =
  | "device-added"
  | "device-removed"
  /** The server no longer lists a device that its account did not remove. */
  | "device-unlisted"
  /** The server lists a device that its account did not approve. */
  | "device-unapproved"
  /** The server listed older or invalid keys of a device. */
  | "keys-rejected"
  | "log-older"
  | "log-fork"
  | "log-invalid"
  | "identity-changed"
  /** The user accepted a new identity. */
  | "identity-accepted"
  /** The user decided to continue with the known log, or with the server's. */
  | "log-kept"
  | "log-accepted"
  | "verified"
  | "unverified";

export type NoticeKind = CountedNotice | "renamed";

export type Notice =
  | { readonly kind: "notice"; readonly notice: CountedNotice; readonly count: number }
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
  /** RFC 3339. Of a text: when it was written, by the sender's signed clock. */
  readonly at: string;
  readonly body:
    | { readonly kind: "text"; readonly locked: Locked; readonly warnings: readonly Warning[] }
    /** The sender set the lifetime of later messages: seconds, 0 if they are kept. */
    | {
        readonly kind: "lifetime";
        readonly seconds: Lifetime;
        readonly warnings: readonly Warning[];
      }
    | {
        readonly kind: "problem";
        readonly problem: MessageProblem;
        readonly warnings?: readonly Warning[];
      }
    | Notice;
  /** Why the server rejected the message permanently. It may have been delivered all the same. */
  readonly failed?: string;
  /** Seconds, once sealed. */
  readonly lifetime?: Lifetime;
  /** When it is deleted, by this device's clock: milliseconds since 1970. */
  readonly expires?: number;
}

export interface ChainRecord {
  readonly conversation: ConversationId;
  readonly sender: AccountId;
  readonly device: DeviceId;
  readonly link: ChainHead;
  /** For each device: the latest of its envelopes that the sender's device said it processed. */
  readonly reads?: readonly ReadReference[];
}

/** An envelope that this device sent, to check what others say they received. */
export interface SentRecord {
  readonly conversation: ConversationId;
  readonly counter: number;
  readonly hash: Bytes;
}

export interface PinnedDevice {
  readonly device: DeviceId;
  /** The highest generation seen with a valid statement; absent if there never was one. */
  readonly keys?: DeviceKeys;
  /** False if the server no longer lists it. */
  readonly listed: boolean;
  /** Why the latest listed keys are not used. */
  readonly rejected?: "older" | "invalid";
  /** Of the own account: the user refused this unapproved device. */
  readonly refused?: boolean;
}

/** The latest device log of the server, if it does not continue the stored one. */
export interface FaultyLog {
  readonly fault: LogFault;
  readonly identityKey: string | undefined;
  readonly entries: readonly SignedEntry[];
}

export interface ContactRecord {
  readonly account: AccountId;
  readonly username: string | undefined;
  /** The longest valid log seen. It contains the identity key; absent before there is one. */
  readonly log?: DeviceLog;
  readonly faulty?: FaultyLog;
  /** The faulty log that the user decided to ignore: its last signature. */
  readonly ignored?: string;
  /** Every device ever listed or approved. */
  readonly devices: readonly PinnedDevice[];
  /** The safety number that the user compared. */
  readonly verified: string | undefined;
}

export interface OutboxRecord {
  readonly cid: ClientMessageId;
  readonly conversation: ConversationId;
  readonly to: AccountId;
  readonly order: number;
  readonly writtenAt: number;
  /** Encrypted once; every attempt sends the same envelope. */
  readonly sealed?: { readonly envelope: Envelope; readonly lifetime: Lifetime };
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
