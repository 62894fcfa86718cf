// Root of the domain: wires account, assistant and private chat to the platform.

import { randomId } from "../crypto";
import { Api, type Fetch, Http, type OpenSocket } from "../net";
import { Account, type Claim, type AccountStatus } from "./account";
import { Assistant } from "./assistant/assistant";
import { NewDeviceLink } from "./linking/new-device";
import { Cell } from "./observable";
import type { AccountId, Me } from "../protocol/wire";
import type { Archives, CheckSupport, Clock, Exclusive, Settings, TabLock } from "./ports";
import { PrivateChat } from "./private-chat";
import { type Trouble, troubleOf } from "./problems";
import { Recovery } from "./recovery";

export interface Platform {
  readonly fetch: Fetch;
  readonly openSocket: OpenSocket;
  readonly clock: Clock;
  readonly random: () => number;
  readonly archives: Archives;
  readonly settings: Settings;
  readonly tabLock: TabLock;
  readonly exclusive: Exclusive;
  readonly checkSupport: CheckSupport;
}

export class Gatehouse {
  readonly api: Api;
  readonly account: Account;
  readonly assistant: Assistant;
  readonly privateChat: PrivateChat;
  readonly settings: Settings;
  /** Set when the account could not be loaded. */
  readonly trouble = new Cell<Trouble | undefined>(undefined);
  readonly #platform: Platform;
  #link: NewDeviceLink | undefined;

  constructor(platform: Platform) {
    this.#platform = platform;
    const http = new Http(platform.fetch, (problem) => this.account.rejected(problem));
    const api = new Api(http);
    const account = new Account({ ...platform, api });
    this.api = api;
    this.settings = platform.settings;
    this.account = account;
    this.assistant = new Assistant({ ...platform, api, http, newId: randomId, account });
    this.privateChat = new PrivateChat({ ...platform, api, account });
    let before: AccountStatus["kind"] = "unknown";
    account.status.subscribe((status) => {
      this.#follow(status, before);
      before = status.kind;
    });
  }

  /** Loads the account first, then the rest. */
  async start(): Promise<void> {
    this.trouble.set(undefined);
    try {
      await this.account.load();
      if (this.account.status.value.kind !== "ended") await this.assistant.load();
    } catch (error) {
      this.trouble.set(troubleOf(error));
    }
  }

  claim(username: string): Promise<Claim> {
    return this.account.claim(username);
  }

  /**
   * A link of this browser to an existing account. One that has been approved is continued, so that
   * leaving the page and returning to it does not lose it.
   */
  linkThisBrowser(): NewDeviceLink {
    const kind = this.#link?.state.value.kind;
    if (this.#link && (kind === "joining" || kind === "receiving")) return this.#link;
    const link = new NewDeviceLink(this.#joining());
    this.#link = link;
    void link.start();
    return link;
  }

  /** Opens an account with its recovery code. */
  recovery(): Recovery {
    return new Recovery(this.#joining());
  }

  async takeOver(): Promise<void> {
    const me = this.account.me.value;
    if (me) await this.privateChat.start(me, true);
  }

  async signOut(): Promise<void> {
    await this.privateChat.leave();
    await this.account.signOut(await this.privateChat.stop());
    this.settings.set("session", undefined);
  }

  /** Deletes the data of an ended account. The only action left for one. */
  async startOver(): Promise<void> {
    await this.account.startOver();
    this.settings.set("session", undefined);
  }

  #joining() {
    const { archives, clock } = this.#platform;
    const { api, account } = this;
    const joined = (me: Me) => this.#joined(me);
    return { api, archives, clock, account, joined, mine: this.#namedAccount() };
  }

  /** An account without a username is replaced: it has no private chat. */
  #namedAccount(): AccountId | undefined {
    const me = this.account.me.value;
    return me?.username === undefined ? undefined : me.account_id;
  }

  async #joined(me: Me): Promise<void> {
    this.settings.set("session", undefined);
    this.account.join(me);
    void this.assistant.refresh();
    await this.privateChat.retry(me);
  }

  #follow(status: AccountStatus, before: AccountStatus["kind"]): void {
    if (status.kind === "member") void this.privateChat.follow(status.me);
    if (status.kind === "member" && before === "visitor") void this.assistant.refresh();
    // A link or a recovery failed, and took the cookie with it.
    if (status.kind === "visitor" && before === "member") void this.privateChat.stop();
    if (status.kind === "ended") {
      void this.privateChat.stop();
      this.assistant.leave();
    }
  }
}
