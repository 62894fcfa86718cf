// Who this browser is to the server: a visitor until the first write, then an account, and a username once one is
// claimed.

import { type Api, ProblemError } from "../net";
import type { AccountId, DeviceId, Me, Problem } from "../protocol/wire";
import { nameRefusal } from "./names";
import { Cell } from "./observable";
import type { Archives, Exclusive, Settings } from "./ports";
import { troubleOf } from "./problems";

export type Claim = { readonly ok: true } | { readonly ok: false; readonly reason: string };

/** `removed`: this device was removed from the account. `signed-out`: the server does not know the credential any more. */
export type Ending = "removed" | "signed-out";

export type Standing =
  /** The server did not say yet. */
  | { readonly kind: "unknown" }
  /** There is no account, and none is made before something is written. */
  | { readonly kind: "visitor" }
  | { readonly kind: "member"; readonly me: Me }
  /** The account can be used here no more. Nothing but `startOver` leads on. */
  | {
      readonly kind: "ended";
      readonly ending: Ending;
      readonly account: AccountId | undefined;
      readonly username: string | undefined;
    };

export interface AccountParts {
  readonly api: Api;
  readonly archives: Archives;
  readonly settings: Settings;
  readonly exclusive: Exclusive;
}

/** Held by whatever may make, replace or drop the cookie. */
const LOCK = "account";
/** The account of this browser profile, or that there is none: so that a visitor's page need not ask and be refused. */
const ACCOUNT = "account";
const USERNAME = "username";
const NONE = "none";
const ENDED: Problem = {
  type: "unauthenticated",
  title: "The account can be used here no more",
  status: 401,
};

export class Account {
  readonly standing = new Cell<Standing>({ kind: "unknown" });
  /** Set while there is an account. */
  readonly me = new Cell<Me | undefined>(undefined);
  /** True when the server gave this browser another account than the one it had. */
  readonly replaced = new Cell(false);
  readonly #parts: AccountParts;
  #opening: Promise<Me> | undefined;
  #confirming: Promise<boolean> | undefined;
  #leaving = false;

  constructor(parts: AccountParts) {
    this.#parts = parts;
    parts.settings.observe(ACCOUNT, (value) => this.#changedElsewhere(value));
    parts.settings.observe(USERNAME, (value) => {
      if (value !== undefined) this.renamed(value);
    });
  }

  /** Finds out who this browser is. Rejects when the server does not say. */
  async load(): Promise<void> {
    const known = this.#parts.settings.get(ACCOUNT);
    if (known === NONE || (known === undefined && !(await this.#hasTraces()))) return this.#visit();
    try {
      this.#member(await this.#parts.api.me());
    } catch (error) {
      const ending = endingOf(error);
      if (ending === undefined) throw error;
      if (known !== undefined || ending === "removed") return this.#end(ending);
      this.#visit();
    }
  }

  /** The account, which is made now if there is none: one, however many writes and pages ask at the same time. */
  ensure(): Promise<Me> {
    const standing = this.standing.value;
    if (standing.kind === "member") return Promise.resolve(standing.me);
    if (standing.kind === "ended") return Promise.reject(new ProblemError(ENDED));
    this.#opening ??= this.#exclusively(async () =>
      this.#member(await this.#parts.api.open()),
    ).finally(() => {
      this.#opening = undefined;
    });
    return this.#opening;
  }

  /** A refused name makes no account. */
  async claim(username: string): Promise<Claim> {
    const refused = nameRefusal(username);
    if (refused !== undefined) return { ok: false, reason: refused };
    if (this.standing.value.kind === "ended") return { ok: false, reason: ENDED.title };
    try {
      await this.#exclusively(async () => this.#member(await this.#parts.api.claim(username)));
      return { ok: true };
    } catch (error) {
      return { ok: false, reason: refusal(error, username) };
    }
  }

  /** Another page or device of the account has claimed this name. */
  renamed(username: string): void {
    const { value: me } = this.me;
    if (me && me.username !== username) this.#member({ ...me, username });
  }

  /** Every problem that the server answers with comes by here. */
  refused({ type, status }: Problem): void {
    const { kind } = this.standing.value;
    if (this.#leaving) return;
    if (type === "device-removed" && (status === 410 || kind === "visitor")) this.#end("removed");
    else if (type === "device-removed" || type === "unauthenticated") void this.confirm();
  }

  /**
   * Whether the account can still be used. One refusal is no proof: another request may have replaced the cookie
   * meanwhile.
   */
  confirm(): Promise<boolean> {
    if (this.standing.value.kind !== "member") return Promise.resolve(false);
    this.#confirming ??= this.#exclusively(() => this.#ask()).finally(() => {
      this.#confirming = undefined;
    });
    return this.#confirming;
  }

  /** Runs a request whose answer may replace the cookie. */
  replacingCookie<T>(request: () => Promise<T>): Promise<T> {
    return this.#exclusively(request);
  }

  /** Signs out this device, if it is one, and forgets this account's keys and history. */
  async signOut(device: DeviceId | undefined): Promise<void> {
    const me = this.me.value;
    this.#leaving = true;
    try {
      await this.#exclusively(async () => {
        // Others need not encrypt for a device that is gone. If it cannot be said, signing out goes on.
        if (device !== undefined) await this.#parts.api.removeDevice(device).catch(() => undefined);
        await this.#dropCookie();
        if (me) await this.#parts.archives.destroy(me.account_id);
        this.#forget();
      });
    } finally {
      this.#leaving = false;
    }
  }

  /** Leaves an account that has ended: drops its cookie, deletes what is kept here for it, and is a visitor again. */
  async startOver(): Promise<void> {
    const ended = this.standing.value;
    if (ended.kind !== "ended") return;
    await this.#exclusively(async () => {
      const now = this.#parts.settings.get(ACCOUNT);
      // Another page may have gone on already: the cookie and the settings are its account's.
      const isOurs =
        ended.account === undefined ? now === undefined || now === NONE : now === ended.account;
      if (isOurs && ended.ending === "removed") await this.#dropCookie();
      const accounts =
        ended.account === undefined ? await this.#parts.archives.list() : [ended.account];
      for (const account of accounts) await this.#parts.archives.destroy(account);
      if (isOurs) this.#forget();
    });
  }

  async #dropCookie(): Promise<void> {
    try {
      await this.#parts.api.logout();
    } catch (error) {
      // A cookie that opens nothing needs no signing out.
      if (!(error instanceof ProblemError) || error.status !== 401) throw error;
    }
  }

  async #ask(): Promise<boolean> {
    try {
      this.#member(await this.#parts.api.me());
      return true;
    } catch (error) {
      const ending = endingOf(error);
      if (ending !== undefined) this.#end(ending);
      return ending === undefined;
    }
  }

  /** Left by a page that did not keep `ACCOUNT` yet. */
  async #hasTraces(): Promise<boolean> {
    if (this.#parts.settings.get("session") !== undefined) return true;
    return (await this.#parts.archives.list()).length > 0;
  }

  #changedElsewhere(value: string | undefined): void {
    const { kind } = this.standing.value;
    if (kind === "member") void this.confirm();
    else if (kind === "visitor" && value !== NONE) void this.load().catch(() => undefined);
  }

  #member(me: Me): Me {
    const before = this.me.value;
    if (this.standing.value.kind === "ended") return me;
    const known = before?.account_id ?? this.#parts.settings.get(ACCOUNT);
    if (known !== undefined && known !== NONE && known !== me.account_id) this.replaced.set(true);
    this.#parts.settings.set(ACCOUNT, me.account_id);
    this.#parts.settings.set(USERNAME, me.username);
    if (before?.account_id !== me.account_id || before.username !== me.username)
      this.#set({ kind: "member", me });
    return me;
  }

  #end(ending: Ending): void {
    const { settings } = this.#parts;
    const known = settings.get(ACCOUNT);
    const account = this.me.value?.account_id ?? (known === NONE ? undefined : known);
    this.#set({
      kind: "ended",
      ending,
      account,
      username: this.me.value?.username ?? settings.get(USERNAME),
    });
  }

  #visit(): void {
    if (this.#parts.settings.get(ACCOUNT) === undefined) this.#parts.settings.set(ACCOUNT, NONE);
    this.#set({ kind: "visitor" });
  }

  #forget(): void {
    this.#parts.settings.set(ACCOUNT, NONE);
    this.#parts.settings.set(USERNAME, undefined);
  }

  #set(standing: Standing): void {
    this.me.set(standing.kind === "member" ? standing.me : undefined);
    this.standing.set(standing);
  }

  #exclusively<T>(task: () => Promise<T>): Promise<T> {
    return this.#parts.exclusive(LOCK, task);
  }
}

function endingOf(error: unknown): Ending | undefined {
  if (!(error instanceof ProblemError)) return undefined;
  if (error.problem.type === "device-removed") return "removed";
  return error.problem.type === "unauthenticated" ? "signed-out" : undefined;
}

function refusal(error: unknown, username: string): string {
  if (error instanceof ProblemError && error.status === 409) {
    return (
      sentence(error.problem.detail) ??
      `Another account has the name “${username}”, or one that looks like it.`
    );
  }
  if (error instanceof ProblemError && (error.status === 422 || error.status === 400)) {
    return sentence(error.problem.detail) ?? "Use letters and digits, at most 32 of them.";
  }
  const { title, detail } = troubleOf(error);
  return `${title}. ${detail}`;
}

/** The server's texts begin in lower case where they continue others. */
function sentence(text: string | undefined): string | undefined {
  if (text === undefined) return undefined;
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}${/[.!?]$/.test(text) ? "" : "."}`;
}
