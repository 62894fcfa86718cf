// Who this browser is to the server: an account from the first visit on, a username once one is claimed.

import { type Api, ProblemError } from "../net";
import type { Me } from "../protocol/wire";
import { Cell } from "./observable";
import type { Archives } from "./ports";
import { troubleOf } from "./problems";

export type Claim = { readonly ok: true } | { readonly ok: false; readonly reason: string };

export class Account {
  /** Undefined until the server said who we are. */
  readonly me = new Cell<Me | undefined>(undefined);
  readonly #api: Api;
  readonly #archives: Archives;

  constructor(api: Api, archives: Archives) {
    this.#api = api;
    this.#archives = archives;
  }

  async load(): Promise<Me> {
    const me = await this.#api.me();
    this.me.set(me);
    return me;
  }

  async claim(username: string): Promise<Claim> {
    try {
      this.me.set(await this.#api.claim(username));
      return { ok: true };
    } catch (error) {
      return { ok: false, reason: refusal(error, username) };
    }
  }

  /** Signs out and forgets this account's keys and history. */
  async signOut(): Promise<void> {
    const me = this.me.value;
    await this.#api.logout();
    if (me) await this.#archives.destroy(me.account_id);
  }
}

function refusal(error: unknown, username: string): string {
  if (error instanceof ProblemError && error.status === 409) {
    return `Somebody already goes by “${username}”, or by a name that looks like it. Try another one.`;
  }
  if (error instanceof ProblemError && (error.status === 422 || error.status === 400)) {
    return error.problem.detail ?? "Use letters and digits, at most 32 of them.";
  }
  const { title, detail } = troubleOf(error);
  return `${title}. ${detail}`;
}
