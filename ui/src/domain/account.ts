// The account of this browser: none until the first write, a username once one is claimed.

import { type Api, ProblemError } from "../net";
import { type AccountId, type DeviceId, LIMITS, type Me, type Problem } from "../protocol/wire";
import { nameError } from "./names";
import { Cell } from "./observable";
import type { Archives, Exclusive, Settings } from "./ports";
import { troubleOf } from "./problems";

export type Claim = { readonly ok: true } | { readonly ok: false; readonly reason: string };

/** `removed`: another device removed this one. `signed-out`: the server rejects the credential. */
export type Ending = "removed" | "signed-out";

export type AccountStatus =
  /** Not loaded yet. */
  | { readonly kind: "unknown" }
  /** No account. The first write creates one. */
  | { readonly kind: "visitor" }
  | { readonly kind: "member"; readonly me: Me }
  /** The account can no longer be used here. Only `startOver` is allowed. */
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

/** Held by every request that may set, replace or delete the cookie. */
const LOCK = "account";
/**
 * The account of this browser profile, or `none`, so that a visitor's page sends no request that
 * fails.
 */
const ACCOUNT = "account";
const USERNAME = "username";
const NONE = "none";
const ENDED: Problem = {
  type: "unauthenticated",
  title: "You can’t use this account here anymore",
  status: 401,
};

export class Account {
  readonly status = new Cell<AccountStatus>({ kind: "unknown" });
  /** The account, if there is one. */
  readonly me = new Cell<Me | undefined>(undefined);
  /** True if the server returned a different account than this browser had before. */
  readonly replaced = new Cell(false);
  readonly #parts: AccountParts;
  #opening: Promise<Me> | undefined;
  #confirming: Promise<boolean> | undefined;
  #signingOut = false;

  constructor(parts: AccountParts) {
    this.#parts = parts;
    parts.settings.observe(ACCOUNT, (value) => this.#changedElsewhere(value));
    parts.settings.observe(USERNAME, (value) => {
      if (value !== undefined) this.renamed(value);
    });
  }

  /** Loads the account. Rejects if the server cannot be reached. */
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

  /**
   * Returns the account and creates it if necessary: one, even if several tabs write at the same
   * time.
   */
  ensure(): Promise<Me> {
    const status = this.status.value;
    if (status.kind === "member") return Promise.resolve(status.me);
    if (status.kind === "ended") return Promise.reject(new ProblemError(ENDED));
    this.#opening ??= this.#exclusively(async () =>
      this.#member(await this.#parts.api.open()),
    ).finally(() => {
      this.#opening = undefined;
    });
    return this.#opening;
  }

  /** A rejected name creates no account. */
  async claim(username: string): Promise<Claim> {
    const invalid = nameError(username);
    if (invalid !== undefined) return { ok: false, reason: invalid };
    if (this.status.value.kind === "ended") return { ok: false, reason: ENDED.title };
    try {
      await this.#exclusively(async () => this.#member(await this.#parts.api.claim(username)));
      return { ok: true };
    } catch (error) {
      return { ok: false, reason: claimError(error, username) };
    }
  }

  /** Another tab or device of the account claimed this name. */
  renamed(username: string): void {
    const { value: me } = this.me;
    if (me && me.username !== username) this.#member({ ...me, username });
  }

  /** Called for every problem response. */
  rejected({ type, status }: Problem): void {
    const { kind } = this.status.value;
    if (this.#signingOut) return;
    if (type === "device-removed" && (status === 410 || kind === "visitor")) this.#end("removed");
    else if (type === "device-removed" || type === "unauthenticated") void this.confirm();
  }

  /**
   * Resolves to whether the account can still be used. A single rejection proves nothing, because
   * another request may have replaced the cookie since.
   */
  confirm(): Promise<boolean> {
    if (this.status.value.kind !== "member") return Promise.resolve(false);
    this.#confirming ??= this.#exclusively(() => this.#check()).finally(() => {
      this.#confirming = undefined;
    });
    return this.#confirming;
  }

  /** Runs a request whose response may replace the cookie. */
  replacingCookie<T>(request: () => Promise<T>): Promise<T> {
    return this.#exclusively(request);
  }

  /**
   * Runs a request whose response sets the cookie of an account that this browser did not have: from
   * another device, or with a recovery code. Only `join` makes the page use the account.
   */
  take(request: () => Promise<Me>): Promise<Me> {
    return this.#exclusively(async () => {
      const me = await request();
      // Stored at once: a page that is closed now continues with the account that the cookie opens.
      this.#parts.settings.set(ACCOUNT, me.account_id);
      this.#parts.settings.set(USERNAME, me.username);
      return me;
    });
  }

  /** The page uses the account that was taken. */
  join(me: Me): void {
    this.#set({ kind: "member", me });
  }

  /** Drops the cookie of an account that was taken, because something about it is wrong. */
  async drop(): Promise<void> {
    await this.#exclusively(async () => {
      await this.#dropCookie();
      this.#forget();
    });
    this.#set({ kind: "visitor" });
  }

  /** Removes this device, signs out, and deletes this account's keys and history. */
  async signOut(device: DeviceId | undefined): Promise<void> {
    const me = this.me.value;
    this.#signingOut = true;
    try {
      await this.#exclusively(async () => {
        // Contacts should stop encrypting for this device. Signing out continues if this fails.
        if (device !== undefined) await this.#parts.api.removeDevice(device).catch(() => undefined);
        await this.#dropCookie();
        if (me) await this.#parts.archives.destroy(me.account_id);
        this.#forget();
      });
    } finally {
      this.#signingOut = false;
    }
  }

  /** Leaves an ended account: deletes its cookie and local data. The browser is a visitor again. */
  async startOver(): Promise<void> {
    const ended = this.status.value;
    if (ended.kind !== "ended") return;
    await this.#exclusively(async () => {
      const now = this.#parts.settings.get(ACCOUNT);
      // Another tab may have started over already. Then cookie and settings belong to its account.
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
      // The cookie is already invalid.
      if (!(error instanceof ProblemError) || error.status !== 401) throw error;
    }
  }

  async #check(): Promise<boolean> {
    try {
      this.#member(await this.#parts.api.me());
      return true;
    } catch (error) {
      const ending = endingOf(error);
      if (ending !== undefined) this.#end(ending);
      return ending === undefined;
    }
  }

  /** Local data of an older version that did not store `ACCOUNT`. */
  async #hasTraces(): Promise<boolean> {
    if (this.#parts.settings.get("session") !== undefined) return true;
    return (await this.#parts.archives.list()).length > 0;
  }

  #changedElsewhere(value: string | undefined): void {
    const { kind } = this.status.value;
    if (kind === "member") void this.confirm();
    else if (kind === "visitor" && value !== NONE) void this.load().catch(() => undefined);
  }

  #member(me: Me): Me {
    const before = this.me.value;
    if (this.status.value.kind === "ended") return me;
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

  #set(status: AccountStatus): void {
    this.me.set(status.kind === "member" ? status.me : undefined);
    this.status.set(status);
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

function claimError(error: unknown, username: string): string {
  if (error instanceof ProblemError && error.status === 409) {
    return (
      sentence(error.problem.detail) ??
      `The name “${username}” is taken, or too similar to another name.`
    );
  }
  if (error instanceof ProblemError && (error.status === 422 || error.status === 400)) {
    return sentence(error.problem.detail) ?? `Use up to ${LIMITS.maxUsername} letters and digits.`;
  }
  const { title, detail } = troubleOf(error);
  return `${title}. ${detail}`;
}

/** Some server texts start in lower case. */
function sentence(text: string | undefined): string | undefined {
  if (text === undefined) return undefined;
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}${/[.!?]$/.test(text) ? "" : "."}`;
}
