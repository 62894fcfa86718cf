// Lifecycle of the private chat in this tab: it needs a username and the tab lock.

import type { Api, OpenSocket } from "../net";
import type { AccountId, DeviceId, Me } from "../protocol/wire";
import { Cell } from "./observable";
import type { Account } from "./account";
import { type Enrolment, type Outside, enrol, startOver } from "./people/enrolment";
import { Messenger } from "./people/messenger";
import type { Archive, Archives, CheckSupport, Clock, Missing, TabLock } from "./ports";
import { type Trouble, troubleOf } from "./problems";

export type PrivateState =
  | { readonly kind: "nameless" }
  /** This browser cannot create or keep keys. */
  | { readonly kind: "unsupported"; readonly missing: Missing }
  | { readonly kind: "starting" }
  /** Another tab of this browser profile runs it. */
  | { readonly kind: "other-tab" }
  /**
   * This browser is not a device of its account. It can be linked from another device (`adopt`, then
   * `retry`), recover with the recovery code (the same), or start over with a new identity.
   */
  | { readonly kind: "keys-lost"; readonly reason: Outside; readonly archive: Archive }
  | { readonly kind: "running"; readonly messenger: Messenger }
  | { readonly kind: "broken"; readonly trouble: Trouble };

type Entered = Extract<PrivateState, { kind: "running" | "keys-lost" }>;

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
  /** The account whose tab lock this tab holds. */
  #locked: AccountId | undefined;
  /** The account of the latest start. */
  #me: Me | undefined;

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
    const isOther = this.#me !== undefined && this.#me.account_id !== me.account_id;
    if (isOther && (state.kind === "running" || state.kind === "keys-lost")) await this.stop();
    if (this.state.value.kind === "nameless") await this.start(me);
  }

  /** Starts if there is a username. `takeOver` takes the tab lock from another tab. */
  async start(me: Me, takeOver = false): Promise<void> {
    const { kind } = this.state.value;
    if (kind === "running" || kind === "keys-lost" || kind === "starting") return;
    await this.#start(me, takeOver);
  }

  /** Starts again after this browser was linked or recovered. */
  async retry(me: Me): Promise<void> {
    if (this.state.value.kind === "running") return;
    await this.stop();
    await this.#start(me, false);
  }

  /**
   * Replaces the identity of the account, after this browser lost its keys. Rejects if the server
   * cannot be reached; it can be repeated then.
   */
  async startOver(): Promise<void> {
    const state = this.state.value;
    const me = this.#me;
    if (state.kind !== "keys-lost" || !me) return;
    const { archive } = state;
    const enrolment = await startOver({ ...this.#parts, archive }, me.account_id);
    const next = await this.#enter(archive, me.account_id, enrolment);
    if (this.state.value === state) this.#settle(next);
  }

  async #start(me: Me, takeOver: boolean): Promise<void> {
    if (me.username === undefined) return this.state.set({ kind: "nameless" });
    this.#attempt += 1;
    const attempt = this.#attempt;
    const cancelled = () => attempt !== this.#attempt;
    this.#me = me;
    this.state.set({ kind: "starting" });
    try {
      const missing = await this.#parts.checkSupport();
      if (cancelled()) return;
      if (missing) return this.state.set({ kind: "unsupported", missing });
      const lock = await this.#acquire(me, takeOver);
      if (cancelled()) return;
      if (lock === "other-tab") return this.#waitForOtherTab(me);
      const archive = await this.#parts.archives.open(me.account_id);
      const enrolment = await enrol({ ...this.#parts, archive }, me.account_id);
      const state = await this.#enter(archive, me.account_id, enrolment);
      if (cancelled()) return archive.close();
      this.#settle(state);
    } catch (error) {
      if (!cancelled()) this.state.set({ kind: "broken", trouble: troubleOf(error) });
    }
  }

  /** A second start of the same account keeps the tab lock. */
  async #acquire(me: Me, takeOver: boolean): Promise<"acquired" | "other-tab"> {
    const { account_id: account } = me;
    if (this.#locked === account) return "acquired";
    const lock = await this.#parts.tabLock.acquire(account, () => this.#lost(me), takeOver);
    if (lock === "acquired") this.#locked = account;
    return lock;
  }

  async #enter(archive: Archive, me: AccountId, enrolment: Enrolment): Promise<Entered> {
    if (enrolment.kind === "outside")
      return { kind: "keys-lost", reason: enrolment.reason, archive };
    const parts = { ...this.#parts, archive };
    return { kind: "running", messenger: await Messenger.create(parts, me, enrolment.keyring) };
  }

  #settle(state: Entered): void {
    if (state.kind === "running") state.messenger.start();
    this.state.set(state);
  }

  /** Signs this device's own removal before a sign-out. Continues if that fails. */
  async leave(): Promise<void> {
    const state = this.state.value;
    if (state.kind === "running") await state.messenger.leave();
  }

  /** Returns this device's id if the private chat was running. */
  async stop(): Promise<DeviceId | undefined> {
    this.#attempt += 1;
    const state = this.state.value;
    this.state.set({ kind: "nameless" });
    if (state.kind === "keys-lost") state.archive.close();
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
    if (this.#locked === me.account_id) this.#locked = undefined;
    const { kind } = this.state.value;
    await this.stop();
    if (kind !== "nameless") this.#waitForOtherTab(me);
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
