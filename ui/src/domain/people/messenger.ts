// Private chat of one account on one device: keys, live connection, inbox and outbox.

import { MAX_TEXT, type OwnKeys, createOwnKeys, randomId } from "../../crypto";
import {
  type Api,
  Live,
  type LiveState,
  type OpenSocket,
  RequestError,
  type Welcome,
} from "../../net";
import {
  type AccountId,
  CLOSE,
  type ConversationId,
  type DeviceId,
  type InboxEvent,
} from "../../protocol/wire";
import type { Request } from "../../protocol/wire";
import type { Account } from "../account";
import { Cell, type Readable } from "../observable";
import type { Archive, Clock } from "../ports";
import type { Trouble } from "../problems";
import { Serial } from "../serial";
import type { Conversation, Summary } from "./conversation";
import { Conversations } from "./conversations";
import { Directory } from "./directory";
import { EventFeed } from "./event-feed";
import { Inbox, emptyConversation } from "./inbox";
import { type Found, NAMELESS, find } from "./naming";
import type { DeviceChanges } from "./merge";
import { noticeChange } from "./notices";
import { Outbox } from "./outbox";
import { Presence } from "./presence";
import { type Decision, type NoticeKind, conversationOf } from "./records";
import { Registration } from "./registration";

export interface MessengerParts {
  readonly api: Api;
  readonly archive: Archive;
  readonly clock: Clock;
  readonly random: () => number;
  readonly openSocket: OpenSocket;
  readonly account: Pick<Account, "confirm" | "renamed" | "replacingCookie">;
}

/** No account has this id. */
export class UnknownAccountError extends Error {
  override readonly name = "UnknownAccountError";
}

const TYPING_INTERVAL = 3_000;
const MAX_WATCHED = 500;

export class Messenger {
  readonly connection = new Cell<LiveState>({ kind: "off" });
  /** Devices added to or removed from this account, for a notification. */
  readonly ownChanges = new Cell<DeviceChanges | undefined>(undefined);
  /** The longest message, in UTF-8 bytes. */
  readonly maxText = MAX_TEXT;
  readonly inLobby = new Cell(true);
  readonly presence: Presence;
  readonly directory: Directory;
  readonly outbox: Outbox;
  readonly keys: OwnKeys;
  readonly me: AccountId;
  readonly #parts: MessengerParts;
  readonly #registration: Registration;
  readonly #serial = new Serial();
  readonly #inbox: Inbox;
  readonly #feed: EventFeed;
  readonly #conversations: Conversations;
  readonly #live: Live;
  #lastTyping = 0;

  /** Creates this device's keys on first start. */
  static async create(parts: MessengerParts, me: AccountId): Promise<Messenger> {
    const known = await parts.archive.get("device", "self");
    const keys = known?.keys ?? (await createOwnKeys(randomId()));
    if (!known) await parts.archive.commit([{ table: "device", put: { id: "self", keys } }]);
    const messenger = new Messenger(parts, me, keys);
    await messenger.#inbox.load();
    await messenger.#conversations.load();
    return messenger;
  }

  private constructor(parts: MessengerParts, me: AccountId, keys: OwnKeys) {
    const { api, archive, clock, account } = parts;
    const serial = this.#serial;
    this.#parts = parts;
    this.me = me;
    this.keys = keys;
    this.presence = new Presence(me, clock);
    this.#registration = new Registration(api, keys, me);
    this.#conversations = new Conversations(archive, keys, me, () => this.#conversationAdded());
    const named = (account: AccountId, username: string) =>
      void serial.run(() => this.#inbox.named(account, username)).catch(() => undefined);
    const devicesChanged = (changes: DeviceChanges) => this.#devicesChanged(changes);
    const directory = new Directory({ api, archive, me, keys, changed: devicesChanged, named });
    const changed = (id: ConversationId) => void this.#conversations.changed(id);
    const shared = { archive, clock, directory, me, keys, changed };
    const ownName = (username: string) => account.renamed(username);
    this.directory = directory;
    this.#inbox = new Inbox({ ...shared, api, ownName });
    const acknowledge = (upto: number) => void this.#request({ type: "received", upto });
    this.#feed = new EventFeed({ inbox: this.#inbox, serial, clock, acknowledge });
    this.#live = new Live(parts.openSocket, clock, parts.random, {
      hello: () => this.#hello(),
      welcome: (frame) => void this.#welcome(frame),
      event: (position, event) => void this.#event(position, event),
      notice: (notice) => this.presence.apply(notice),
      rejected: () => this.#registration.forget(),
      // Browsers hide why a WebSocket handshake failed. The account may be gone.
      unopened: () => void account.confirm(),
      state: (state) => this.#state(state),
    });
    const send = async (request: Request) => (await this.#live.request(request)).sent;
    const registered = () => this.#registration.done;
    this.outbox = new Outbox({ ...shared, serial, registered, send });
  }

  get summaries(): Readable<readonly Summary[] | undefined> {
    return this.#conversations.summaries;
  }

  get conversation(): Readable<Conversation | undefined> {
    return this.#conversations.conversation;
  }

  get verified(): Readable<ReadonlyMap<AccountId, string>> {
    return this.#conversations.verified;
  }

  /** Why the server rejects this device. */
  get trouble(): Readable<Trouble | undefined> {
    return this.#registration.trouble;
  }

  start(): void {
    this.#live.start();
  }

  /** Resolves after the last write to the archive. */
  async stop(): Promise<void> {
    this.outbox.stop();
    this.#live.stop();
    this.#feed.stop();
    await this.#serial.idle();
  }

  wake(): void {
    this.#live.wake();
  }

  /** Enters or leaves the lobby. Only members of the lobby see it. */
  lobby(on: boolean): void {
    this.inLobby.set(on);
    if (!on) this.presence.lobby.set([]);
    void this.#request({ type: "lobby", on });
  }

  /** The account that has this username, and other contacts known by it on this device. */
  find(username: string): Promise<Found> {
    return find(this.#parts.api, this.#parts.archive, username);
  }

  /** Opens the conversation with an account, or creates it. Rejects with `UnknownAccountError`. */
  async open(peer: AccountId): Promise<void> {
    const id = conversationOf(this.me, peer);
    this.#conversations.select(id);
    this.directory.forget(peer);
    if (this.outbox.holds.value.has(peer)) this.directory.forget(this.me);
    if (!(await this.#parts.archive.get("conversations", id))) await this.#create(id, peer);
    await this.#conversations.refreshOpen();
    await this.#watch();
    await this.outbox.check(peer).catch(() => undefined);
  }

  close(): void {
    this.#conversations.close();
  }

  async older(): Promise<void> {
    await this.#conversations.older();
  }

  async write(text: string): Promise<void> {
    const conversation = this.conversation.value;
    if (conversation) await this.outbox.write(conversation.record, text);
  }

  /** Marks the open conversation as read. */
  async seen(): Promise<void> {
    const record = this.conversation.value?.record;
    if (!record || record.lastSeq <= record.readUpto) return;
    const { id, lastSeq: upto } = record;
    if (!(await this.#request({ type: "read", conversation: id, upto }))) return;
    await this.#serial.run(async () => {
      const current = await this.#parts.archive.get("conversations", id);
      if (!current || current.readUpto >= upto) return;
      const put = { ...current, readUpto: upto };
      await this.#parts.archive.commit([{ table: "conversations", put }]);
    });
    await this.#conversations.changed(id);
  }

  typing(): void {
    const now = this.#parts.clock.now();
    const id = this.#conversations.openId;
    if (id === undefined || now - this.#lastTyping < TYPING_INTERVAL) return;
    this.#lastTyping = now;
    void this.#request({ type: "typing", conversation: id });
  }

  /**
   * Removes another device of this account: it is signed out and receives no more messages, even if
   * the server lists it again.
   */
  async removeDevice(device: DeviceId): Promise<void> {
    await this.#parts.account.replacingCookie(() => this.#parts.api.removeDevice(device));
    await this.directory.decide(device, "refused");
    this.directory.forget(this.me);
    await this.directory.contact(this.me);
    await this.outbox.recheck();
  }

  /** Stores what the user decided about another device of this account. */
  async decide(device: DeviceId, decision: Decision): Promise<void> {
    await this.directory.decide(device, decision);
    await this.outbox.recheck();
  }

  /** Stores a compared safety number; undefined clears it, so that sending continues unverified. */
  async verify(peer: AccountId, number: string | undefined): Promise<void> {
    await this.#serial.run(() => this.directory.verify(peer, number));
    await this.#conversations.refreshVerified();
    await this.#addNotice(peer, number === undefined ? "unverified" : "verified", 1);
    await this.outbox.check(peer);
    this.outbox.pump();
  }

  /** Creates an empty conversation. The server lists the username together with the devices. */
  async #create(id: ConversationId, peer: AccountId): Promise<void> {
    const { username = NAMELESS, devices } = await this.directory.contact(peer);
    if (username === NAMELESS && devices.length === 0) throw new UnknownAccountError();
    await this.#serial.run(async () => {
      if (await this.#parts.archive.get("conversations", id)) return;
      const put = emptyConversation(id, { account_id: peer, username });
      await this.#parts.archive.commit([{ table: "conversations", put }]);
    });
  }

  async #hello(): Promise<{ device: string; resume?: number }> {
    if (await this.#registration.ensure()) this.directory.forget(this.me);
    const resume = await this.#feed.resume();
    const { device } = this.keys;
    return resume === undefined ? { device } : { device, resume };
  }

  async #welcome(frame: Welcome): Promise<void> {
    const mustSync = !frame.recovered || this.#inbox.position === undefined;
    try {
      if (mustSync) {
        this.directory.forget();
        await this.#feed.sync(frame.resume);
      }
    } catch {
      return this.#live.restart();
    }
    if (this.inLobby.value) void this.#request({ type: "lobby", on: true });
    await this.#watch();
    await this.outbox.recheck(this.conversation.value?.record.peer);
  }

  async #event(position: number, event: InboxEvent): Promise<void> {
    try {
      if (!(await this.#feed.apply(position, event))) return;
    } catch {
      // For example, a device list could not be fetched. The event is replayed after a reconnect.
      return this.#live.restart();
    }
    if (event.kind === "message") this.presence.stopTyping(event.conversation);
    if (event.kind === "key_change") await this.outbox.recheck();
    this.#feed.acknowledge();
  }

  #state(state: LiveState): void {
    this.connection.set(state);
    if (state.kind !== "online") this.presence.clear();
    if (state.kind === "ended" && state.code === CLOSE.revoked) void this.#revoked();
  }

  /** The credential was revoked: the account is gone, or this browser has a new cookie. */
  async #revoked(): Promise<void> {
    if (await this.#parts.account.confirm()) this.#live.resume();
  }

  #conversationAdded(): void {
    if (this.connection.value.kind === "online") void this.#watch();
  }

  async #watch(): Promise<void> {
    const peers = (this.summaries.value ?? []).map(({ conversation }) => conversation.peer);
    const open = this.conversation.value?.record.peer;
    const users = [...new Set(open === undefined ? peers : [open, ...peers])];
    const request: Request = { type: "watch", users: users.slice(0, MAX_WATCHED) };
    this.#live.probeWith(request);
    if (users.length > 0) await this.#request(request);
  }

  /** True if the server answered `ok`. */
  async #request(request: Request): Promise<boolean> {
    try {
      await this.#live.request(request);
      return true;
    } catch (error) {
      if (error instanceof RequestError) return false;
      throw error;
    }
  }

  async #devicesChanged({ account, added, removed, conflict }: DeviceChanges): Promise<void> {
    if (account === this.me) {
      const others = added.filter((device) => device !== this.keys.device);
      return this.ownChanges.set({ account, added: others, removed, conflict });
    }
    if (added.length > 0) await this.#addNotice(account, "device-added", added.length);
    if (removed.length > 0) await this.#addNotice(account, "device-removed", removed.length);
    if (conflict) await this.#addNotice(account, "device-conflict", 1);
  }

  async #addNotice(peer: AccountId, notice: NoticeKind, count: number): Promise<void> {
    const { archive, clock } = this.#parts;
    const record = await archive.get("conversations", conversationOf(this.me, peer));
    if (!record) return;
    const change = noticeChange(record, { kind: "notice", notice, count }, clock.now());
    await archive.commit([change]);
    await this.#conversations.changed(record.id);
  }
}
