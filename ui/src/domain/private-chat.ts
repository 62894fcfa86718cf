// Lifecycle of the private chat in this tab: it needs a username and the tab lock.

import type { Api, OpenSocket } from "../net";
import type { DeviceId, Me } from "../protocol/wire";
import { Cell } from "./observable";
import type { Account } from "./account";
import { Messenger } from "./people/messenger";
import type { Archives, CheckSupport, Clock, Missing, TabLock } from "./ports";
import { type Trouble, troubleOf } from "./problems";

export type PrivateState =
  | { readonly kind: "nameless" }
  /** This browser cannot create or keep keys. */
  | { readonly kind: "unsupported"; readonly missing: Missing }
  | { readonly kind: "starting" }
  /** Another tab of this browser profile runs it. */
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
  readonly checkSupport: CheckSupport;
}

export class PrivateChat {
  readonly state = new Cell<PrivateState>({ kind: "nameless" });
  readonly #parts: PrivateParts;
  /** Identifies the latest start, so that a stop cancels it. */
  #attempt = 0;

  constructor(parts: PrivateParts) {
    this.#parts = parts;
  }

  /** Checks the browser before the user chooses a name. */
  async inspect(): Promise<void> {
    const missing = await this.#parts.checkSupport();
    if (missing && this.state.value.kind === "nameless")
      this.state.set({ kind: "unsupported", missing });
  }

  /** Called when the account is loaded or changes. Starts the private chat if it is not running. */
  async follow(me: Me): Promise<void> {
    const state = this.state.value;
    if (state.kind === "running" && state.messenger.me !== me.account_id) await this.stop();
    if (this.state.value.kind === "nameless") await this.start(me);
  }

  /** Starts if there is a username. `takeOver` takes the tab lock from another tab. */
  async start(me: Me, takeOver = false): Promise<void> {
    if (me.username === undefined) return this.state.set({ kind: "nameless" });
    if (this.state.value.kind === "running" || this.state.value.kind === "starting") return;
    this.#attempt += 1;
    const attempt = this.#attempt;
    const cancelled = () => attempt !== this.#attempt;
    this.state.set({ kind: "starting" });
    try {
      const missing = await this.#parts.checkSupport();
      if (cancelled()) return;
      if (missing) return this.state.set({ kind: "unsupported", missing });
      const lock = await this.#parts.tabLock.acquire(me.account_id, () => this.#lost(me), takeOver);
      if (cancelled()) return;
      if (lock === "other-tab") return this.#waitForOtherTab(me);
      const archive = await this.#parts.archives.open(me.account_id);
      const messenger = await Messenger.create({ ...this.#parts, archive }, me.account_id);
      if (cancelled()) return archive.close();
      messenger.start();
      this.state.set({ kind: "running", messenger });
    } catch (error) {
      if (!cancelled()) this.state.set({ kind: "broken", trouble: troubleOf(error) });
    }
  }

  /** Returns this device's id if the private chat was running. */
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
    // After a sign-out it is stopped already and must not wait for the lock.
    if ((await this.stop()) !== undefined) this.#waitForOtherTab(me);
  }

  /** Starts again when the other tab closes, unless that tab signed out. */
  #waitForOtherTab(me: Me): void {
    this.state.set({ kind: "other-tab" });
    void this.#parts.tabLock.released(me.account_id).then(async () => {
      if (this.state.value.kind !== "other-tab" || !(await this.#parts.account.confirm())) return;
      if (this.state.value.kind === "other-tab") await this.start(me);
    });
  }
}
