// The durable inbox of the account: events in order, each stored together with its position. When
// the server cannot replay a gap, conversations are loaded page by page.

import type { Api } from "../../net";
import type {
  AccountId,
  Conversation,
  ConversationId,
  InboxEvent,
  PrivateMessage,
} from "../../protocol/wire";
import type { Archive, Change } from "../ports";
import type { Directory } from "./directory";
import { type ReceiveParts, receive } from "./receive";
import { NAMELESS, rename } from "./naming";
import { type ConversationRecord, conversationOf, peerOf } from "./records";
import { START } from "../../crypto";

export interface InboxParts extends ReceiveParts {
  readonly api: Api;
  readonly changed: (conversation: ConversationId) => void;
  /** This account was renamed. */
  readonly ownName: (username: string) => void;
}

/** Not reentrant: callers serialise calls with `Serial`. */
export class Inbox {
  readonly #parts: InboxParts;
  #position: number | undefined;

  constructor(parts: InboxParts) {
    this.#parts = parts;
  }

  /** Position of the last stored event; undefined on a new device. */
  get position(): number | undefined {
    return this.#position;
  }

  async load(): Promise<void> {
    this.#position = (await this.#archive.get("position", "inbox"))?.position;
  }

  async event(position: number, event: InboxEvent): Promise<void> {
    if (this.#position !== undefined && position <= this.#position) return;
    const changes: Change[] = [];
    let touched: ConversationId | undefined;
    switch (event.kind) {
      case "message":
        changes.push(...(await this.#message(event)));
        touched = event.conversation;
        break;
      case "receipt":
        changes.push(...(await this.#receipt(event)));
        touched = event.conversation;
        break;
      case "key_change":
        this.#directory.forget(event.account);
        await this.#directory.contact(event.account).catch(() => undefined);
        break;
      case "renamed":
        if (event.account === this.#parts.me) this.#parts.ownName(event.username);
        else touched = conversationOf(this.#parts.me, event.account);
        changes.push(...(await this.#renamed(event.account, event.username)));
        break;
    }
    await this.#archive.commit([...changes, { table: "position", put: { id: "inbox", position } }]);
    this.#position = position;
    if (touched !== undefined) this.#parts.changed(touched);
  }

  /** A fetched device list contains this username. */
  async named(account: AccountId, username: string): Promise<void> {
    const changes = await this.#renamedIn(account, username);
    if (changes.length === 0) return;
    await this.#archive.commit(changes);
    this.#parts.changed(conversationOf(this.#parts.me, account));
  }

  /** Loads all conversations; live events continue at `position`. */
  async sync(position: number): Promise<void> {
    const { conversations } = await this.#parts.api.conversations();
    for (const conversation of conversations) {
      await this.#syncConversation(conversation);
      this.#parts.changed(conversation.id);
    }
    await this.#archive.commit([{ table: "position", put: { id: "inbox", position } }]);
    this.#position = position;
  }

  get #archive(): Archive {
    return this.#parts.archive;
  }

  get #directory(): Directory {
    return this.#parts.directory;
  }

  async #syncConversation(listed: Conversation): Promise<void> {
    const before = await this.#archive.get("conversations", listed.id);
    for (const message of await this.#pagesAfter(listed.id, before?.lastSeq ?? 0)) {
      await this.#archive.commit(await this.#message(message));
    }
    const { account_id: peer, username } = listed.peer;
    if (before) await this.#archive.commit(await this.#renamed(peer, username));
    const known =
      (await this.#archive.get("conversations", listed.id)) ??
      emptyConversation(listed.id, listed.peer);
    const record: ConversationRecord = {
      ...known,
      lastSeq: Math.max(known.lastSeq, listed.last_seq),
      readUpto: Math.max(known.readUpto, listed.read_upto),
      peerReceivedUpto: Math.max(known.peerReceivedUpto, listed.peer_received_upto),
      peerReadUpto: Math.max(known.peerReadUpto, listed.peer_read_upto),
      updatedAt: listed.updated_at,
    };
    await this.#archive.commit([{ table: "conversations", put: record }]);
  }

  /** All messages on the server after `seq`, oldest first. */
  async #pagesAfter(conversation: ConversationId, seq: number): Promise<PrivateMessage[]> {
    let messages: PrivateMessage[] = [];
    for (;;) {
      const page = await this.#parts.api.conversationPage(conversation, messages[0]?.seq);
      messages = [...page.messages, ...messages];
      const first = page.messages[0];
      if (!page.more || !first || first.seq <= seq + 1)
        return messages.filter((message) => message.seq > seq);
    }
  }

  async #message(message: PrivateMessage): Promise<Change[]> {
    const peer = peerOf(message.conversation, this.#parts.me);
    if (peer === undefined) return [];
    const before = await this.#conversation(message.conversation, peer);
    const received = await receive(this.#parts, message, before);
    const record: ConversationRecord = {
      ...(received?.conversation ?? before),
      lastSeq: Math.max(before.lastSeq, message.seq),
      updatedAt: message.at > before.updatedAt ? message.at : before.updatedAt,
    };
    return [...(received?.changes ?? []), { table: "conversations", put: record }];
  }

  /** Renames the contact, if it exists, and returns the changes to the conversation. */
  async #renamed(account: AccountId, username: string): Promise<Change[]> {
    await this.#directory.renamed(account, username);
    return this.#renamedIn(account, username);
  }

  async #renamedIn(account: AccountId, username: string): Promise<Change[]> {
    const conversation = await this.#archive.get(
      "conversations",
      conversationOf(this.#parts.me, account),
    );
    return conversation ? rename(conversation, username, this.#parts.clock.now()) : [];
  }

  async #receipt(receipt: Extract<InboxEvent, { kind: "receipt" }>): Promise<Change[]> {
    const before = await this.#archive.get("conversations", receipt.conversation);
    if (!before) return [];
    const { account, state, upto } = receipt;
    const record = { ...before };
    if (account !== before.peer)
      record.readUpto = state === "read" ? Math.max(before.readUpto, upto) : before.readUpto;
    else if (state === "read") record.peerReadUpto = Math.max(before.peerReadUpto, upto);
    else record.peerReceivedUpto = Math.max(before.peerReceivedUpto, upto);
    return [{ table: "conversations", put: record }];
  }

  async #conversation(id: ConversationId, peer: AccountId): Promise<ConversationRecord> {
    const known = await this.#archive.get("conversations", id);
    if (known) return known;
    const { username } = await this.#directory.contact(peer);
    return emptyConversation(id, { account_id: peer, username: username ?? NAMELESS });
  }
}

export function emptyConversation(
  id: ConversationId,
  peer: { account_id: AccountId; username: string },
): ConversationRecord {
  return {
    id,
    peer: peer.account_id,
    username: peer.username,
    lastSeq: 0,
    readUpto: 0,
    peerReceivedUpto: 0,
    peerReadUpto: 0,
    updatedAt: "",
    sent: START,
  };
}
