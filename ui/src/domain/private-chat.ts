// Whether private chat runs in this page: it needs a username, and only one page of a browser profile runs it.

import type { Api, OpenSocket } from "../net";
import type { DeviceId, Me } from "../protocol/wire";
import { Cell } from "./observable";
import type { Account } from "./account";
import { Messenger } from "./people/messenger";
import type { Archives, Clock, TabLock } from "./ports";
import { type Trouble, troubleOf } from "./problems";

export type PrivateState =
  | { readonly kind: "nameless" }
  | { readonly kind: "starting" }
  /** Another page of this browser profile runs it. */
  | { readonly kind: "other-tab" }
  | { readonly kind: "running"; readonly messenger: Messenger }
  | { readonly kind: "broken"; readonly trouble: Trouble };

export interface PrivateParts {
  readonly api: Api;
  readonly account: Account;
  readonly archives: Archives;
  readonly clock: Clock;
  readonly random: () => number;
  readonly openSocket: OpenSocket;
  readonly tabLock: TabLock;
}

export class PrivateChat {
  readonly state = new Cell<PrivateState>({ kind: "nameless" });
  readonly #parts: PrivateParts;
  /** Tells a start that was overtaken by a stop. */
  #attempt = 0;

  constructor(parts: PrivateParts) {
    this.#parts = parts;
  }

  /** The account was found, or has changed: starts what is not there yet. */
  async follow(me: Me): Promise<void> {
    const state = this.state.value;
    if (state.kind === "running" && state.messenger.me !== me.account_id) await this.stop();
    if (this.state.value.kind === "nameless") await this.start(me);
  }

  /** Starts when there is a username. `insist` takes the turn from another page. */
  async start(me: Me, insist = false): Promise<void> {
    if (me.username === undefined) return this.state.set({ kind: "nameless" });
    if (this.state.value.kind === "running" || this.state.value.kind === "starting") return;
    this.#attempt += 1;
    const attempt = this.#attempt;
    const overtaken = () => attempt !== this.#attempt;
    this.state.set({ kind: "starting" });
    try {
      const lock = await this.#parts.tabLock.acquire(me.account_id, () => this.#lost(me), insist);
      if (overtaken()) return;
      if (lock === "other-tab") return this.#waitForOtherTab(me);
      const archive = await this.#parts.archives.open(me.account_id);
      const messenger = await Messenger.create({ ...this.#parts, archive }, me.account_id);
      if (overtaken()) return archive.close();
      messenger.start();
      this.state.set({ kind: "running", messenger });
    } catch (error) {
      if (!overtaken()) this.state.set({ kind: "broken", trouble: troubleOf(error) });
    }
  }

  /** The device that it ran on, if it ran. */
  async stop(): Promise<DeviceId | undefined> {
    this.#attempt += 1;
    const state = this.state.value;
    this.state.set({ kind: "nameless" });
    if (state.kind !== "running") return undefined;
    await state.messenger.stop();
    return state.messenger.keys.device;
  }

  wake(): void {
    const state = this.state.value;
    if (state.kind === "running") state.messenger.wake();
  }

  async #lost(me: Me): Promise<void> {
    // A sign-out has stopped it already and waits for no other turn.
    if ((await this.stop()) !== undefined) this.#waitForOtherTab(me);
  }

  /** Goes on when the other page is gone, unless that page has signed out. */
  #waitForOtherTab(me: Me): void {
    this.state.set({ kind: "other-tab" });
    void this.#parts.tabLock.released(me.account_id).then(async () => {
      if (this.state.value.kind !== "other-tab" || !(await this.#parts.account.confirm())) return;
      if (this.state.value.kind === "other-tab") await this.start(me);
    });
  }
}
