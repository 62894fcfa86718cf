// Root of the domain: wires account, assistant and private chat to the platform.

import { randomId } from "../crypto";
import { Api, type Fetch, Http, type OpenSocket } from "../net";
import { Account, type Claim, type AccountStatus } from "./account";
import { Assistant } from "./assistant/assistant";
import { Cell } from "./observable";
import type { Archives, CheckSupport, Clock, Exclusive, Settings, TabLock } from "./ports";
import { PrivateChat } from "./private-chat";
import { type Trouble, troubleOf } from "./problems";

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

  constructor(platform: Platform) {
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

  #follow(status: AccountStatus, before: AccountStatus["kind"]): void {
    if (status.kind === "member") void this.privateChat.follow(status.me);
    if (status.kind === "member" && before === "visitor") void this.assistant.refresh();
    if (status.kind === "ended") {
      void this.privateChat.stop();
      this.assistant.leave();
    }
  }
}
