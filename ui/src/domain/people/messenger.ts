// Private chat of one account on one device: keys, connection, inbox and outbox, and what the view shows of them.

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
import { Directory, type DeviceChanges } from "./directory";
import { Registration } from "./registration";
import { Inbox, emptyConversation } from "./inbox";
import { noticeChange } from "./notices";
import { Outbox } from "./outbox";
import { type Found, NAMELESS, find } from "./naming";
import { Presence } from "./presence";
import { type NoticeKind, conversationOf } from "./records";
import { ConversationReader, type Summary, type Conversation } from "./conversation";

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

const ACK_DELAY = 150;
const TYPING_EVERY = 3_000;
const PAGE = 100;

export class Messenger {
  readonly connection = new Cell<LiveState>({ kind: "off" });
  /** Undefined until the archive was read. */
  readonly summaries = new Cell<readonly Summary[] | undefined>(undefined);
  /** The conversation that is open. */
  readonly conversation = new Cell<Conversation | undefined>(undefined);
  /** Devices of the own account that came or went: worth a word. */
  readonly ownChanges = new Cell<DeviceChanges | undefined>(undefined);
  /** Who was verified, and with which safety number. */
  readonly verified = new Cell<ReadonlyMap<AccountId, string>>(new Map());
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
  readonly #reader: ConversationReader;
  readonly #live: Live;
  /** An event could not be taken in: those after it must not overtake it. */
  #stumbled = false;
  #open: { id: ConversationId; limit: number } | undefined;
  #cancelAck: (() => void) | undefined;
  #lastTyping = 0;

  /** Makes this device's keys at the first start. */
  static async create(parts: MessengerParts, me: AccountId): Promise<Messenger> {
    const known = await parts.archive.get("device", "self");
    const keys = known?.keys ?? (await createOwnKeys(randomId()));
    if (!known) await parts.archive.commit([{ table: "device", put: { id: "self", keys } }]);
    const messenger = new Messenger(parts, me, keys);
    await messenger.#inbox.load();
    await messenger.#refreshVerified();
    await messenger.#refreshSummaries();
    return messenger;
  }

  private constructor(parts: MessengerParts, me: AccountId, keys: OwnKeys) {
    const { api, archive, clock } = parts;
    const changed = (conversation: ConversationId) => void this.#changed(conversation);
    this.#parts = parts;
    this.me = me;
    this.keys = keys;
    this.presence = new Presence(me, clock);
    this.#registration = new Registration(api, keys);
    this.directory = new Directory(
      api,
      archive,
      (changes) => this.#devicesChanged(changes),
      (account, username) =>
        void this.#serial.run(() => this.#inbox.named(account, username)).catch(() => undefined),
    );
    this.#reader = new ConversationReader(archive, keys, me);
    const ownName = (username: string) => parts.account.renamed(username);
    this.#inbox = new Inbox({
      api,
      archive,
      clock,
      directory: this.directory,
      me,
      keys,
      changed,
      ownName,
    });
    this.#live = new Live(parts.openSocket, clock, parts.random, {
      hello: () => this.#hello(),
      welcome: (frame) => void this.#welcome(frame),
      event: (position, event) => void this.#event(position, event),
      notice: (notice) => this.presence.take(notice),
      refused: () => this.#registration.forget(),
      // A browser does not show why an upgrade failed: it may be that the account is no more.
      unopened: () => void parts.account.confirm(),
      state: (state) => this.#state(state),
    });
    const send = async (request: Request) => (await this.#live.request(request)).sent;
    const { directory } = this;
    this.outbox = new Outbox({
      archive,
      directory,
      serial: this.#serial,
      clock,
      me,
      keys,
      send,
      changed,
    });
  }

  /** Why this device is not let in. */
  get trouble(): Readable<Trouble | undefined> {
    return this.#registration.trouble;
  }

  start(): void {
    this.#live.start();
  }

  /** Resolves when nothing more is written. */
  async stop(): Promise<void> {
    this.outbox.stop();
    this.#live.stop();
    this.#cancelAck?.();
    await this.#serial.idle();
  }

  wake(): void {
    this.#live.wake();
  }

  /** Shown in the lobby, and shown the lobby. */
  lobby(on: boolean): void {
    this.inLobby.set(on);
    if (!on) this.presence.lobby.set([]);
    void this.#ask({ type: "lobby", on });
  }

  /** Who has this name now, and who else is known by it here. */
  find(username: string): Promise<Found> {
    return find(this.#parts.api, this.#parts.archive, username);
  }

  /** Opens the conversation with this account; it need not exist yet. Rejects when there is no such account. */
  async open(peer: AccountId): Promise<void> {
    const id = conversationOf(this.me, peer);
    this.#open = { id, limit: PAGE };
    this.directory.forget(peer);
    if (!(await this.#parts.archive.get("conversations", id))) await this.#begin(id, peer);
    await this.#refreshConversation();
    await this.#watch();
    await this.outbox.check(peer).catch(() => undefined);
  }

  close(): void {
    this.#open = undefined;
    this.conversation.set(undefined);
  }

  async older(): Promise<void> {
    if (this.#open) this.#open.limit += PAGE;
    await this.#refreshConversation();
  }

  async write(text: string): Promise<void> {
    const conversation = this.conversation.value;
    if (conversation) await this.outbox.write(conversation.record, text);
  }

  /** What was shown of the open conversation was seen by a person. */
  async seen(): Promise<void> {
    const conversation = this.conversation.value?.record;
    if (!conversation || conversation.lastSeq <= conversation.readUpto) return;
    const { id, lastSeq: upto } = conversation;
    if (!(await this.#ask({ type: "read", conversation: id, upto }))) return;
    await this.#serial.run(async () => {
      const record = await this.#parts.archive.get("conversations", id);
      if (!record || record.readUpto >= upto) return;
      await this.#parts.archive.commit([
        { table: "conversations", put: { ...record, readUpto: upto } },
      ]);
    });
    await this.#changed(id);
  }

  typing(): void {
    const now = this.#parts.clock.now();
    const id = this.#open?.id;
    if (id === undefined || now - this.#lastTyping < TYPING_EVERY) return;
    this.#lastTyping = now;
    void this.#ask({ type: "typing", conversation: id });
  }

  /** Signs another device of the own account out; messages are no longer encrypted for it. */
  async removeDevice(device: DeviceId): Promise<void> {
    await this.#parts.account.replacingCookie(() => this.#parts.api.removeDevice(device));
    this.directory.forget(this.me);
    await this.directory.contact(this.me);
  }

  /** Marks the safety number as compared; undefined takes it back, so that sending goes on unverified. */
  async verify(peer: AccountId, number: string | undefined): Promise<void> {
    await this.#serial.run(() => this.directory.verify(peer, number));
    await this.#refreshVerified();
    await this.#note(peer, number === undefined ? "unverified" : "verified", 1);
    await this.outbox.check(peer);
    this.outbox.pump();
  }

  /** The account's name comes with its devices, from the server. */
  async #begin(id: ConversationId, peer: AccountId): Promise<void> {
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
    // What is being taken in moves the position on.
    await this.#serial.idle();
    this.#stumbled = false;
    const resume = this.#inbox.position;
    const { device } = this.keys;
    return resume === undefined ? { device } : { device, resume };
  }

  async #welcome(frame: Welcome): Promise<void> {
    const lost = !frame.recovered || this.#inbox.position === undefined;
    try {
      if (lost) {
        this.directory.forget();
        await this.#serial.run(() => this.#sync(frame.resume));
      }
    } catch {
      return this.#live.restart();
    }
    if (this.inLobby.value) void this.#ask({ type: "lobby", on: true });
    await this.#watch();
    this.outbox.pump();
  }

  async #sync(position: number): Promise<void> {
    this.#stumbled = true;
    await this.#inbox.sync(position);
    this.#stumbled = false;
  }

  async #event(position: number, event: InboxEvent): Promise<void> {
    try {
      const taken = await this.#serial.run(async () => {
        if (this.#stumbled) return false;
        this.#stumbled = true;
        await this.#inbox.event(position, event);
        this.#stumbled = false;
        return true;
      });
      if (!taken) return;
    } catch {
      // It could not be taken in (a key list that did not come): it comes again after a reconnect.
      return this.#live.restart();
    }
    if (event.kind === "message") this.presence.stopTyping(event.conversation);
    if (event.kind === "key_change") this.outbox.pump();
    this.#acknowledge();
  }

  #acknowledge(): void {
    this.#cancelAck ??= this.#parts.clock.after(ACK_DELAY, () => {
      this.#cancelAck = undefined;
      const upto = this.#inbox.position;
      if (upto !== undefined) void this.#ask({ type: "received", upto });
    });
  }

  #state(state: LiveState): void {
    this.connection.set(state);
    if (state.kind !== "online") this.presence.clear();
    if (state.kind === "ended" && state.code === CLOSE.revoked) void this.#revoked();
  }

  /** The credential of the connection was revoked: the account is no more for this browser, or it has another cookie. */
  async #revoked(): Promise<void> {
    if (await this.#parts.account.confirm()) this.#live.resume();
  }

  async #watch(): Promise<void> {
    const peers = (this.summaries.value ?? []).map(({ conversation }) => conversation.peer);
    const open = this.conversation.value?.record.peer;
    const users = [...new Set(open === undefined ? peers : [open, ...peers])].slice(0, 500);
    const request: Request = { type: "watch", users };
    this.#live.probeWith(request);
    if (users.length > 0) await this.#ask(request);
  }

  /** True when it was answered `ok`. */
  async #ask(request: Request): Promise<boolean> {
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
    if (added.length > 0) await this.#note(account, "device-added", added.length);
    if (removed.length > 0) await this.#note(account, "device-removed", removed.length);
    if (conflict) await this.#note(account, "device-conflict", 1);
  }

  async #note(peer: AccountId, notice: NoticeKind, count: number): Promise<void> {
    const { archive, clock } = this.#parts;
    const conversation = await archive.get("conversations", conversationOf(this.me, peer));
    if (!conversation) return;
    await archive.commit([
      noticeChange(conversation, { kind: "notice", notice, count }, clock.now()),
    ]);
    await this.#changed(conversation.id);
  }

  async #changed(conversation: ConversationId): Promise<void> {
    if (this.#open?.id === conversation) await this.#refreshConversation();
    await this.#refreshSummaries();
  }

  async #refreshConversation(): Promise<void> {
    const open = this.#open;
    if (!open) return;
    const conversation = await this.#reader.conversation(open.id, open.limit);
    if (this.#open === open) this.conversation.set(conversation);
  }

  async #refreshVerified(): Promise<void> {
    const contacts = await this.#parts.archive.all("contacts");
    this.verified.set(
      new Map(contacts.flatMap(({ account, verified }) => (verified ? [[account, verified]] : []))),
    );
  }

  async #refreshSummaries(): Promise<void> {
    const conversations = await this.#parts.archive.all("conversations");
    const used = conversations.filter(({ updatedAt }) => updatedAt !== "");
    used.sort((a, b) => (a.updatedAt < b.updatedAt ? 1 : -1));
    const known = new Set(this.summaries.value?.map(({ conversation }) => conversation.id));
    this.summaries.set(
      await Promise.all(used.map((conversation) => this.#reader.summary(conversation))),
    );
    if (this.connection.value.kind === "online" && used.some(({ id }) => !known.has(id)))
      await this.#watch();
  }
}
