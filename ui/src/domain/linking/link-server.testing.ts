// A server for linking tests: an account with a device log, one link, and an attacker who can change
// everything that is relayed.

import { type DeviceLog, fromBase64url, readLog, toBase64url } from "../../crypto";
import { Api, Http } from "../../net";
import { TestClock } from "../../net/clock.testing";
import type {
  AppendEntry,
  DeviceApproval,
  LinkSide,
  Me,
  RelayedMessage,
  SignedEntry,
} from "../../protocol/wire";
import type { LinkMessage } from "./messages";

export const ACCOUNT = "ada";
export const CODE = "12345678";
const TOKEN = "the-token-of-the-new-device";

type Relay = (to: LinkSide, message: RelayedMessage) => RelayedMessage | undefined;

export class LinkServer {
  readonly clock = new TestClock();
  readonly log: SignedEntry[];
  /** The body of each message that a device posted. */
  readonly posted: { from: LinkSide; message: LinkMessage }[] = [];
  identityKey: string;
  recoveryCode = "";
  sealed: string;
  /** What an attacker does with each message on its way; undefined drops it. */
  relay: Relay = (_, message) => message;
  /** What the server says about the approval, if it lies. */
  claimsApproved: boolean | undefined;
  claimed: Me = { account_id: ACCOUNT, username: "Ada" };
  /** The account that the cookie of the new device opens. */
  cookie: Me | undefined;
  /** The device log that the new device gets, if the server lies. */
  shownLog: readonly SignedEntry[] | undefined;
  /** The link has ended. */
  ended = false;
  /** Requests fail before they reach the server. */
  offline = false;
  /** Called before an entry is appended. */
  beforeAppend: () => Promise<void> = () => Promise.resolve();
  readonly requests: string[] = [];
  readonly bodies: string[] = [];
  readonly #recovery: string;
  #open = false;
  #approved = false;
  readonly #messages: RelayedMessage[] = [];

  constructor(
    identityKey: string,
    log: SignedEntry[],
    { sealed, recovery }: { sealed: string; recovery: string },
  ) {
    this.identityKey = identityKey;
    this.log = log;
    this.sealed = sealed;
    this.#recovery = recovery;
  }

  api(): Api {
    return new Api(new Http((path, init) => this.#answer(path, init)));
  }

  /** The log as an honest device reads it. */
  async readLog(): Promise<DeviceLog> {
    const key = fromBase64url(this.identityKey);
    const log = key && (await readLog(ACCOUNT, key, this.log));
    if (!log) throw new Error("the log is valid");
    return log;
  }

  /** A message that no device posted. */
  inject(from: LinkSide, message: unknown): void {
    const body = typeof message === "string" ? message : JSON.stringify(message);
    this.#messages.push({ index: this.#messages.length + 1, from, body });
  }

  sent<T extends LinkMessage["type"]>(type: T): Extract<LinkMessage, { type: T }>[] {
    const all = this.posted.map(({ message }) => message);
    return all.filter((message) => message.type === type) as never;
  }

  async #answer(path: string, init: RequestInit): Promise<Response> {
    this.requests.push(`${init.method} ${path}`);
    if (this.offline) throw new TypeError("offline");
    if (typeof init.body === "string") this.bodies.push(init.body);
    const url = new URL(path, "https://test");
    const body: unknown = typeof init.body === "string" ? JSON.parse(init.body) : undefined;
    const side =
      new Headers(init.headers).get("authorization") === `Bearer ${TOKEN}` ? "new" : "old";
    const [, , what, id = "", more] = url.pathname.split("/");
    if (what === "links" && id === "") return this.#create();
    if (what === "links") return this.#link(side, id, more, url, body);
    if (what === "accounts") return this.#list();
    if (what === "devices") return this.#append(body as AppendEntry);
    if (what === "recovery") return this.#recover((body as { token: string }).token);
    return problem(404);
  }

  #create(): Response {
    this.#open = true;
    return Response.json({ code: CODE, token: TOKEN, expires_in: 600 }, { status: 201 });
  }

  async #link(
    side: LinkSide,
    code: string,
    what: string | undefined,
    url: URL,
    body: unknown,
  ): Promise<Response> {
    if (!this.#open || this.ended || code !== CODE) return problem(404);
    if (what === "claim") return side === "new" ? this.#giveCookie(this.claimed) : problem(404);
    if (what === "approval") {
      const { version, entry } = body as DeviceApproval;
      const answer = await this.#append({ version, entry });
      this.#approved ||= answer.ok;
      return answer;
    }
    if (body !== undefined) {
      const { body: text } = body as { body: string };
      this.posted.push({ from: side, message: JSON.parse(text) as LinkMessage });
      this.inject(side, text);
      return new Response(null, { status: 204 });
    }
    const after = Number(url.searchParams.get("after"));
    const relayed = this.#messages.filter(({ index }) => index > after);
    const messages = relayed.flatMap((message) =>
      message.from === side ? [message] : (this.relay(side, message) ?? []),
    );
    return Response.json({ messages, approved: this.claimsApproved ?? this.#approved });
  }

  async #append({ version, entry }: AppendEntry): Promise<Response> {
    await this.beforeAppend();
    if (version !== this.log.length + 1) return problem(409);
    this.log.push(entry);
    return new Response(null, { status: 204 });
  }

  #list(): Response {
    return Response.json({
      account_id: ACCOUNT,
      username: "Ada",
      devices: [],
      identity_key: this.identityKey,
      log: this.shownLog ?? this.log,
    });
  }

  async #recover(token: string): Promise<Response> {
    const bytes = fromBase64url(token) ?? new Uint8Array();
    const hash = toBase64url(new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)));
    if (hash !== this.#recovery) return problem(404);
    const { claimed: me, identityKey: identity_key, sealed } = this;
    this.#giveCookie(me);
    return Response.json({ me, identity_key, sealed });
  }

  #giveCookie(me: Me): Response {
    this.cookie = me;
    return Response.json(me);
  }
}

function problem(status: number): Response {
  const type = status === 409 ? "conflict" : "not-found";
  return Response.json({ type, title: type, status }, { status });
}
