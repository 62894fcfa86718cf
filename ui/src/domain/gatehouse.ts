// Everything the page can do, put together from what the platform gives.

import { randomId } from "../crypto";
import { Api, type Fetch, Http, type OpenSocket } from "../net";
import { Account } from "./account";
import { Assistant } from "./assistant/assistant";
import { Cell } from "./observable";
import type { Archives, Clock, Settings, Turn } from "./ports";
import { PrivateChat } from "./private";
import { type Trouble, troubleOf } from "./problems";

export interface Platform {
  readonly fetch: Fetch;
  readonly openSocket: OpenSocket;
  readonly clock: Clock;
  readonly random: () => number;
  readonly archives: Archives;
  readonly settings: Settings;
  readonly turn: Turn;
}

export class Gatehouse {
  readonly api: Api;
  readonly account: Account;
  readonly assistant: Assistant;
  readonly privateChat: PrivateChat;
  readonly settings: Settings;
  /** The server did not say who we are. */
  readonly trouble = new Cell<Trouble | undefined>(undefined);

  constructor(platform: Platform) {
    const http = new Http(platform.fetch);
    this.api = new Api(http);
    this.settings = platform.settings;
    this.account = new Account(this.api, platform.archives);
    this.assistant = new Assistant({ ...platform, api: this.api, http, newId: randomId });
    this.privateChat = new PrivateChat({ ...platform, api: this.api });
  }

  /** First who we are (one request, so that a first visit makes one account), then the rest. */
  async start(): Promise<void> {
    this.trouble.set(undefined);
    try {
      const me = await this.account.load();
      void this.privateChat.start(me);
      await this.assistant.load();
    } catch (error) {
      this.trouble.set(troubleOf(error));
    }
  }

  async claim(username: string) {
    const claim = await this.account.claim(username);
    const me = this.account.me.value;
    if (claim.ok && me) await this.privateChat.start(me);
    return claim;
  }

  async takeOver(): Promise<void> {
    const me = this.account.me.value;
    if (me) await this.privateChat.start(me, true);
  }

  async signOut(): Promise<void> {
    const device = await this.privateChat.stop();
    // Others need not encrypt for a device that is gone. If it cannot be said, signing out goes on.
    if (device !== undefined) await this.api.removeDevice(device).catch(() => undefined);
    await this.account.signOut();
    this.settings.set("session", undefined);
  }
}
