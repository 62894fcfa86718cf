// The live connection of the private chat: greets the server, applies events in order, and sends
// requests.

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
  type InboxEvent,
  type Request,
  type Sent,
} from "../../protocol/wire";
import type { Account } from "../account";
import { Cell } from "../observable";
import type { Clock } from "../ports";
import type { Serial } from "../serial";
import type { Conversations } from "./conversations";
import type { Directory } from "./directory";
import { EventFeed } from "./event-feed";
import type { Inbox } from "./inbox";
import type { Keyring } from "./keyring";
import type { Lifetimes } from "./lifetimes";
import type { Presence } from "./presence";
import { Registration } from "./registration";
import { Rotation } from "./rotation";

export interface SessionParts {
  readonly api: Api;
  readonly clock: Clock;
  readonly random: () => number;
  readonly openSocket: OpenSocket;
  readonly account: Pick<Account, "confirm">;
  readonly serial: Serial;
  readonly me: AccountId;
  readonly keyring: Keyring;
  readonly directory: Directory;
  readonly inbox: Inbox;
  readonly lifetimes: Lifetimes;
  readonly presence: Presence;
  readonly conversations: Conversations;
  /** Holds may have ended: check this person and all held ones again. */
  readonly recheck: (peer?: AccountId) => Promise<void>;
}

const MAX_WATCHED = 500;

export class Session {
  readonly connection = new Cell<LiveState>({ kind: "off" });
  readonly inLobby = new Cell(true);
  readonly registration: Registration;
  readonly #parts: SessionParts;
  readonly #rotation: Rotation;
  readonly #feed: EventFeed;
  readonly #live: Live;

  constructor(parts: SessionParts) {
    const { api, clock, keyring, serial, inbox } = parts;
    this.#parts = parts;
    this.registration = new Registration(api, keyring);
    const rotated = () => parts.directory.forget(parts.me);
    this.#rotation = new Rotation({ keyring, registration: this.registration, clock, rotated });
    const acknowledge = (upto: number) => void this.request({ type: "received", upto });
    this.#feed = new EventFeed({ inbox, serial, clock, acknowledge });
    this.#live = new Live(parts.openSocket, clock, parts.random, {
      hello: () => this.#hello(),
      welcome: (frame) => void this.#welcome(frame),
      event: (position, event) => void this.#event(position, event),
      notice: (notice) => parts.presence.apply(notice),
      rejected: () => this.registration.forget(),
      // Browsers hide why a WebSocket handshake failed. The account may be gone.
      unopened: () => void parts.account.confirm(),
      state: (state) => this.#state(state),
    });
  }

  start(): void {
    this.#live.start();
  }

  /** Resolves after the last write to the archive. */
  async stop(): Promise<void> {
    this.#live.stop();
    this.#feed.stop();
    await this.#rotation.stop();
  }

  wake(): void {
    this.#live.wake();
  }

  lobby(on: boolean): void {
    this.inLobby.set(on);
    if (!on) this.#parts.presence.lobby.set([]);
    void this.request({ type: "lobby", on });
  }

  /** Rejects with `RequestError`. */
  async send(request: Extract<Request, { type: "send" }>): Promise<Sent | undefined> {
    return (await this.#live.request(request)).sent;
  }

  /** True if the server answered `ok`. */
  async request(request: Request): Promise<boolean> {
    try {
      await this.#live.request(request);
      return true;
    } catch (error) {
      if (error instanceof RequestError) return false;
      throw error;
    }
  }

  /** Asks for the presence of everyone in the list of conversations. */
  async watch(): Promise<void> {
    const { summaries, conversation } = this.#parts.conversations;
    const peers = (summaries.value ?? []).map(({ conversation: { peer } }) => peer);
    const open = conversation.value?.record.peer;
    const users = [...new Set(open === undefined ? peers : [open, ...peers])];
    const request: Request = { type: "watch", users: users.slice(0, MAX_WATCHED) };
    this.#live.probeWith(request);
    if (users.length > 0) await this.request(request);
  }

  async #hello(): Promise<{ device: string; resume?: number }> {
    const { directory, keyring, me } = this.#parts;
    if (await this.registration.ensure()) directory.forget(me);
    const resume = await this.#feed.resume();
    const { device } = keyring;
    return resume === undefined ? { device } : { device, resume };
  }

  async #welcome(frame: Welcome): Promise<void> {
    const { inbox, directory, conversations, recheck } = this.#parts;
    const mustSync = !frame.recovered || inbox.position === undefined;
    try {
      if (mustSync) {
        directory.forget();
        await this.#feed.sync(frame.resume);
      }
    } catch {
      return this.#live.restart();
    }
    if (this.inLobby.value) void this.request({ type: "lobby", on: true });
    await this.watch();
    await recheck(conversations.conversation.value?.record.peer);
    await this.#parts.lifetimes.sweep();
    await this.#rotation.follow(frame.limits);
  }

  async #event(position: number, event: InboxEvent): Promise<void> {
    const { presence, lifetimes, recheck } = this.#parts;
    try {
      if (!(await this.#feed.apply(position, event))) return;
    } catch {
      // For example, a device list could not be fetched. The event is replayed after a reconnect.
      return this.#live.restart();
    }
    if (event.kind === "message") presence.stopTyping(event.conversation);
    if (event.kind === "message") await lifetimes.sweep();
    if (event.kind === "key_change") await recheck();
    this.#feed.acknowledge();
  }

  #state(state: LiveState): void {
    this.connection.set(state);
    if (state.kind !== "online") this.#parts.presence.clear();
    if (state.kind === "ended" && state.code === CLOSE.revoked) void this.#revoked();
  }

  /** The credential was revoked: the account is gone, or this browser has a new cookie. */
  async #revoked(): Promise<void> {
    if (await this.#parts.account.confirm()) this.#live.resume();
  }
}
