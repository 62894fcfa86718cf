// What the domain needs from the platform. `main.ts` gives it; tests give their own.

import type { AccountId, ConversationId } from "../protocol/wire";
import type {
  ChainRecord,
  ContactRecord,
  ConversationRecord,
  DeviceRecord,
  MessageRecord,
} from "./people/records";
import type { OutboxRecord, PositionRecord } from "./people/records";

export type { Clock, OpenSocket } from "../net";

/** The tables of the archive, and how their keys are made. */
export interface Tables {
  device: { key: "self"; value: DeviceRecord };
  position: { key: "inbox"; value: PositionRecord };
  conversations: { key: ConversationId; value: ConversationRecord };
  messages: { key: [conversation: ConversationId, id: string]; value: MessageRecord };
  chains: {
    key: [conversation: ConversationId, sender: AccountId, device: string];
    value: ChainRecord;
  };
  contacts: { key: AccountId; value: ContactRecord };
  outbox: { key: string; value: OutboxRecord };
}

export type Table = keyof Tables;

export type Change = {
  [T in Table]: { table: T; put: Tables[T]["value"] } | { table: T; remove: Tables[T]["key"] };
}[Table];

/** What is kept on this device for one account. */
export interface Archive {
  get<T extends Table>(table: T, key: Tables[T]["key"]): Promise<Tables[T]["value"] | undefined>;
  all<T extends Table>(table: T): Promise<Tables[T]["value"][]>;
  /** The last `limit` messages of a conversation, oldest first. */
  latest(conversation: ConversationId, limit: number): Promise<MessageRecord[]>;
  /** All or nothing. */
  commit(changes: readonly Change[]): Promise<void>;
  close(): void;
}

export interface Archives {
  open(account: AccountId): Promise<Archive>;
  /** Forgets everything of this account, keys included. */
  destroy(account: AccountId): Promise<void>;
  /** The accounts of which something is kept. */
  list(): Promise<AccountId[]>;
}

/** Small settings that survive a reload. */
export interface Settings {
  get(name: string): string | undefined;
  set(name: string, value: string | undefined): void;
  /** Calls after another page of the browser profile has changed it. */
  observe(name: string, observer: (value: string | undefined) => void): void;
}

/** Runs a task while no other page of the browser profile runs one of this name. Not to be nested. */
export type Exclusive = <T>(name: string, task: () => Promise<T>) => Promise<T>;

/** Only one page of a browser profile holds the private chat at a time. */
export interface TabLock {
  /** Resolves when it is this page's turn. `lost` is called when another page takes it, and awaited. */
  acquire(name: string, lost: () => Promise<void>, insist: boolean): Promise<"taken" | "other-tab">;
  /** Resolves when no page has the turn. */
  released(name: string): Promise<void>;
}
