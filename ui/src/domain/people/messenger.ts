// Private chat of one account on one device: what the view shows and does.

import { type Lifetime, LIFETIMES, MAX_TEXT, type OwnKeys } from "../../crypto";
import type { Api, LiveState, OpenSocket } from "../../net";
import type { AccountId, ConversationId, DeviceId } from "../../protocol/wire";
import type { Account } from "../account";
import { OldDeviceLink } from "../linking/old-device";
import { Cell, type Readable } from "../observable";
import type { Archive, Clock } from "../ports";
import type { Trouble } from "../problems";
import { Serial } from "../serial";
import type { Conversation, Summary } from "./conversation";
import { Conversations } from "./conversations";
import { Decisions } from "./decisions";
import { Directory } from "./directory";
import { appendRemoval } from "./own-log";
import { forgetCode, unsavedCode } from "./enrolment";
import { Inbox, emptyConversation } from "./inbox";
import type { Keyring } from "./keyring";
import { Lifetimes } from "./lifetimes";
import type { DeviceChanges } from "./merge";
import { type Found, NAMELESS, find } from "./naming";
import { NoticeBoard, noticesOf, standingNotices } from "./notices";
import { Outbox } from "./outbox";
import { Presence } from "./presence";
import { type MessageRecord, conversationOf } from "./records";
import { Session } from "./session";
import { openFault } from "./trust";

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

export class Messenger {
  /** Changes of this account's devices, for a notification. */
  readonly ownChanges = new Cell<DeviceChanges | undefined>(undefined);
  /** The recovery code, until the user confirms that it was saved. */
  readonly recoveryCode = new Cell<string | undefined>(undefined);
  /** The longest message, in UTF-8 bytes. */
  readonly maxText = MAX_TEXT;
  /** Seconds after which messages can disappear; 0: they are kept. */
  readonly lifetimes = LIFETIMES;
  readonly presence: Presence;
  readonly directory: Directory;
  readonly decisions: Decisions;
  readonly outbox: Outbox;
  readonly me: AccountId;
  readonly #parts: MessengerParts;
  readonly #keyring: Keyring;
  readonly #serial = new Serial();
  readonly #inbox: Inbox;
  readonly #conversations: Conversations;
  readonly #notices: NoticeBoard;
  readonly #expiry: Lifetimes;
  readonly #session: Session;
  #lastTyping = 0;

  /** `keyring`: of an approved device of the account. */
  static async create(parts: MessengerParts, me: AccountId, keyring: Keyring): Promise<Messenger> {
    const messenger = new Messenger(parts, me, keyring);
    messenger.recoveryCode.set(await unsavedCode(parts.archive, keyring));
    messenger.directory.own.set(await messenger.directory.known(me));
    await messenger.#inbox.load();
    await messenger.#expiry.sweep();
    await messenger.#conversations.load();
    return messenger;
  }

  private constructor(parts: MessengerParts, me: AccountId, keyring: Keyring) {
    const { api, archive, clock, account } = parts;
    const serial = this.#serial;
    this.#parts = parts;
    this.me = me;
    this.#keyring = keyring;
    this.presence = new Presence(me, clock);
    this.#conversations = new Conversations(archive, keyring.history, me, () =>
      this.#conversationAdded(),
    );
    const named = (account: AccountId, username: string) =>
      void serial.run(() => this.#inbox.named(account, username)).catch(() => undefined);
    const devicesChanged = (changes: DeviceChanges) => this.#devicesChanged(changes);
    this.directory = new Directory({ api, archive, me, keyring, changed: devicesChanged, named });
    const refresh = (id: ConversationId) => this.#conversations.changed(id);
    const changed = (id: ConversationId) => void refresh(id);
    this.#notices = new NoticeBoard(archive, clock, me, refresh);
    const shared = { archive, clock, directory: this.directory, serial, me, keyring, changed };
    const ownName = (username: string) => account.renamed(username);
    this.#inbox = new Inbox({ ...shared, api, ownName });
    const deleted = (message: MessageRecord) => this.#conversations.forget(message);
    this.#expiry = new Lifetimes({ ...shared, deleted });
    this.outbox = new Outbox({
      ...shared,
      registered: () => this.#session.registration.done,
      send: (request) => this.#session.send(request),
      sent: () => void this.#expiry.sweep(),
    });
    const conversations = this.#conversations;
    this.#session = new Session({
      ...parts,
      ...shared,
      conversations,
      presence: this.presence,
      inbox: this.#inbox,
      lifetimes: this.#expiry,
      recheck: (peer) => this.outbox.recheck(peer),
    });
    const { outbox } = this;
    const notices = this.#notices;
    this.decisions = new Decisions({ ...parts, ...shared, conversations, outbox, notices });
  }

  get keys(): OwnKeys {
    return this.#keyring.keys;
  }

  get connection(): Readable<LiveState> {
    return this.#session.connection;
  }

  get inLobby(): Readable<boolean> {
    return this.#session.inLobby;
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
    return this.#session.registration.trouble;
  }

  start(): void {
    this.#session.start();
  }

  /** Resolves after the last write to the archive. */
  async stop(): Promise<void> {
    this.outbox.stop();
    this.#expiry.stop();
    await this.#session.stop();
    await this.outbox.idle();
    await this.#serial.idle();
  }

  /** Signs this device's own removal before a sign-out, if the server can be reached. */
  async leave(): Promise<void> {
    const { api, clock } = this.#parts;
    const own = { api, clock, directory: this.directory, keyring: this.#keyring, me: this.me };
    await appendRemoval(own, this.keys.device).catch(() => undefined);
  }

  wake(): void {
    this.#session.wake();
  }

  /** Enters or leaves the lobby. Only members of the lobby see it. */
  lobby(on: boolean): void {
    this.#session.lobby(on);
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
    await this.#session.watch();
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

  /** Sets the lifetime of later messages in a conversation, for both people. */
  async setLifetime(peer: AccountId, seconds: Lifetime): Promise<void> {
    const record = await this.#parts.archive.get("conversations", conversationOf(this.me, peer));
    if (record) await this.outbox.setLifetime(record, seconds);
  }

  /** Marks the open conversation as read. */
  async seen(): Promise<void> {
    const record = this.conversation.value?.record;
    if (!record || record.lastSeq <= record.readUpto) return;
    const { id, lastSeq: upto } = record;
    if (!(await this.#session.request({ type: "read", conversation: id, upto }))) return;
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
    void this.#session.request({ type: "typing", conversation: id });
  }

  /** See `Decisions`. */
  removeDevice(device: DeviceId): Promise<void> {
    return this.decisions.removeDevice(device);
  }

  /** Links another browser as a new device of this account. */
  linkDevice(): OldDeviceLink {
    const { directory, decisions } = this;
    const log = async () => {
      directory.forget(this.me);
      const own = await directory.contact(this.me);
      return openFault(own) ? undefined : own.log;
    };
    const approved = async () => {
      await log();
      await this.outbox.recheck();
    };
    const remove = (device: DeviceId) => decisions.removeDevice(device);
    return new OldDeviceLink({
      ...this.#parts,
      me: this.me,
      keys: this.keys,
      log,
      approved,
      remove,
    });
  }

  /** The user saved the recovery code: deletes it from this device. */
  async confirmRecoveryCode(): Promise<void> {
    await forgetCode(this.#parts.archive);
    this.recoveryCode.set(undefined);
  }

  /** Creates an empty conversation. The server lists the username together with the devices. */
  async #create(id: ConversationId, peer: AccountId): Promise<void> {
    const contact = await this.directory.contact(peer);
    const { username = NAMELESS, devices } = contact;
    if (username === NAMELESS && devices.length === 0) throw new UnknownAccountError();
    await this.#serial.run(async () => {
      if (await this.#parts.archive.get("conversations", id)) return;
      const put = emptyConversation(id, { account_id: peer, username });
      await this.#parts.archive.commit([{ table: "conversations", put }]);
    });
    await this.#notices.add(peer, standingNotices(contact));
  }

  #conversationAdded(): void {
    if (this.connection.value.kind === "online") void this.#session.watch();
  }

  async #devicesChanged(changes: DeviceChanges): Promise<void> {
    if (changes.account === this.me) return this.ownChanges.set(changes);
    await this.#notices.add(changes.account, noticesOf(changes));
  }
}
