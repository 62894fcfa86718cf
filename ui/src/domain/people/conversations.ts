// What the view shows of the private chat: the list of conversations, the open one, and verified
// contacts.

import type { AccountId, ConversationId } from "../../protocol/wire";
import { Cell } from "../observable";
import type { Archive } from "../ports";
import { type Conversation, ConversationReader, type Summary } from "./conversation";
import type { MessageRecord } from "./records";

const PAGE = 100;

export class Conversations {
  /** Most recent first; undefined until loaded from the archive. */
  readonly summaries = new Cell<readonly Summary[] | undefined>(undefined);
  /** The open conversation. */
  readonly conversation = new Cell<Conversation | undefined>(undefined);
  /** Verified contacts and the safety number that was compared. */
  readonly verified = new Cell<ReadonlyMap<AccountId, string>>(new Map());
  readonly #archive: Archive;
  readonly #reader: ConversationReader;
  readonly #added: () => void;
  #open: { id: ConversationId; limit: number } | undefined;

  /** `added` is called when a conversation appears in the list. */
  constructor(archive: Archive, history: CryptoKey, me: AccountId, added: () => void) {
    this.#archive = archive;
    this.#reader = new ConversationReader(archive, history, me);
    this.#added = added;
  }

  get openId(): ConversationId | undefined {
    return this.#open?.id;
  }

  async load(): Promise<void> {
    await this.refreshVerified();
    await this.#refreshSummaries();
  }

  select(id: ConversationId): void {
    this.#open = { id, limit: PAGE };
  }

  close(): void {
    this.#open = undefined;
    this.conversation.set(undefined);
  }

  async older(): Promise<void> {
    if (this.#open) this.#open.limit += PAGE;
    await this.refreshOpen();
  }

  async changed(conversation: ConversationId): Promise<void> {
    if (this.#open?.id === conversation) await this.refreshOpen();
    await this.#refreshSummaries();
  }

  /** A message was deleted. */
  forget(record: MessageRecord): void {
    this.#reader.forget(record);
  }

  async refreshOpen(): Promise<void> {
    const open = this.#open;
    if (!open) return;
    const conversation = await this.#reader.conversation(open.id, open.limit);
    if (this.#open === open) this.conversation.set(conversation);
  }

  async refreshVerified(): Promise<void> {
    const contacts = await this.#archive.all("contacts");
    const verified = new Map<AccountId, string>();
    for (const { account, verified: number } of contacts) {
      if (number !== undefined) verified.set(account, number);
    }
    this.verified.set(verified);
  }

  async #refreshSummaries(): Promise<void> {
    const conversations = await this.#archive.all("conversations");
    const used = conversations.filter(({ updatedAt }) => updatedAt !== "");
    used.sort((a, b) => (a.updatedAt < b.updatedAt ? 1 : -1));
    const known = new Set(this.summaries.value?.map(({ conversation }) => conversation.id));
    const summaries = await Promise.all(used.map((record) => this.#reader.summary(record)));
    this.summaries.set(summaries);
    if (used.some(({ id }) => !known.has(id))) this.#added();
  }
}
