// Interfaces that the platform implements. `main.ts` passes the browser's, tests pass their own.

import type { AccountId, ConversationId } from "../protocol/wire";
import type {
  ChainRecord,
  ContactRecord,
  ConversationRecord,
  DeviceRecord,
  IdentityRecord,
  MessageRecord,
  OutboxRecord,
  PositionRecord,
  SentRecord,
} from "./people/records";

export type { Clock, OpenSocket } from "../net";

/** Tables of the archive with their key and record types. */
export interface Tables {
  device: { key: "self"; value: DeviceRecord };
  identity: { key: "account"; value: IdentityRecord };
  position: { key: "inbox"; value: PositionRecord };
  conversations: { key: ConversationId; value: ConversationRecord };
  messages: { key: [conversation: ConversationId, id: string]; value: MessageRecord };
  chains: {
    key: [conversation: ConversationId, sender: AccountId, device: string];
    value: ChainRecord;
  };
  sent: { key: [conversation: ConversationId, counter: number]; value: SentRecord };
  contacts: { key: AccountId; value: ContactRecord };
  outbox: { key: string; value: OutboxRecord };
}

export type Table = keyof Tables;

export type Change = {
  [T in Table]: { table: T; put: Tables[T]["value"] } | { table: T; remove: Tables[T]["key"] };
}[Table];

/** Local data of one account. */
export interface Archive {
  get<T extends Table>(table: T, key: Tables[T]["key"]): Promise<Tables[T]["value"] | undefined>;
  all<T extends Table>(table: T): Promise<Tables[T]["value"][]>;
  /** The last `limit` messages of a conversation, oldest first. */
  latest(conversation: ConversationId, limit: number): Promise<MessageRecord[]>;
  /** The message that expires first; undefined if none does. */
  firstToExpire(): Promise<MessageRecord | undefined>;
  /** Applies all changes in one transaction. */
  commit(changes: readonly Change[]): Promise<void>;
  close(): void;
}

export interface Archives {
  open(account: AccountId): Promise<Archive>;
  /** Deletes all data of this account, including its keys. */
  destroy(account: AccountId): Promise<void>;
  /** Accounts with local data. */
  list(): Promise<AccountId[]>;
}

/** Small settings that survive a reload. */
export interface Settings {
  get(name: string): string | undefined;
  set(name: string, value: string | undefined): void;
  /** Calls the observer when another tab changes the setting. */
  observe(name: string, observer: (value: string | undefined) => void): void;
}

/** Runs a task under a lock shared by all tabs of the browser profile. Not reentrant. */
export type Exclusive = <T>(name: string, task: () => Promise<T>) => Promise<T>;

/** What private chat needs and a browser lacks: HTTPS, Ed25519, or storage that keeps keys. */
export type Missing = "https" | "ed25519" | "key-storage";

/** Checks the browser without generating a key. */
export type CheckSupport = () => Promise<Missing | undefined>;

/** The lock that lets one tab of a browser profile own the private chat. */
export interface TabLock {
  /**
   * `takeOver` requests the lock from the tab that holds it. `lost` is awaited before the lock goes
   * to another tab.
   */
  acquire(
    name: string,
    lost: () => Promise<void>,
    takeOver: boolean,
  ): Promise<"acquired" | "other-tab">;
  /** Resolves when no tab holds the lock. */
  released(name: string): Promise<void>;
}
