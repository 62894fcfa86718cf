// A server for linking tests: an account with a device log, one link, and an attacker who can change
// everything that is relayed.

import "fake-indexeddb/auto";
import { expect, vi } from "vitest";
import {
  type DeviceLog,
  type OwnKeys,
  createAccountIdentity,
  createOwnKeys,
  fromBase64url,
  rawSigningKey,
  readLog,
  signEntry,
  startLog,
  toBase64url,
} from "../../crypto";
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
import type { Archive, Archives } from "../ports";
import type { LinkMessage } from "./messages";
import { NewDeviceLink } from "./new-device";
import { OldDeviceLink } from "./old-device";

export const ACCOUNT = "ada";
export const CODE = "12345678";
const TOKEN = "the-token-of-the-new-device";

/** Generating RSA keys is slow, so the old device's are reused. */
let pool: Promise<OwnKeys> | undefined;

export interface Setup {
  readonly server: LinkServer;
  readonly old: { readonly keys: OwnKeys; readonly archive: Archive };
  readonly archives: Archives;
}

/** Ada's account with one device. Its archive is not the one that the new device opens. */
export async function setUp(archives: Archives): Promise<Setup> {
  pool ??= createOwnKeys("device-old");
  const keys = await pool;
  const { identity, publicKey, sealed, recovery, code } = await createAccountIdentity(ACCOUNT);
  const signer = { device: "", key: identity.privateKey };
  const start = startLog(ACCOUNT, publicKey);
  const raw = await rawSigningKey(keys.signing.publicKey);
  const first = await signEntry(start, "approve", keys.device, raw, 1, signer);
  const server = new LinkServer(toBase64url(publicKey), [first], { sealed, recovery });
  server.recoveryCode = code;
  return { server, old: { keys, archive: await archives.open("old") }, archives };
}

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

/** The account of the browser of the new device. */
export class FakeAccount {
  readonly joined: Me[] = [];
  readonly #server: LinkServer;

  constructor(server: LinkServer) {
    this.#server = server;
  }

  take(request: () => Promise<Me>): Promise<Me> {
    return request();
  }

  async drop(): Promise<void> {
    this.#server.cookie = undefined;
  }
}

export interface Pair {
  readonly fresh: NewDeviceLink;
  readonly old: OldDeviceLink;
  readonly account: FakeAccount;
  /** Devices that the old one removed. */
  readonly removed: string[];
}

export function pairOf({ server, old, archives }: Setup, mine?: string): Pair {
  const { clock } = server;
  const account = new FakeAccount(server);
  const removed: string[] = [];
  const joined = async (me: Me) => void account.joined.push(me);
  const parts = { api: server.api(), clock, archives, account, mine, joined };
  const { keys, archive } = old;
  const oldLink = new OldDeviceLink({
    api: server.api(),
    clock,
    archive,
    keys,
    me: ACCOUNT,
    log: () => server.readLog(),
    approved: async () => undefined,
    remove: async (device) => void removed.push(device),
  });
  return { fresh: new NewDeviceLink(parts), old: oldLink, account, removed };
}

/** Waits for a condition while the clock advances, so that both devices poll. */
export function until({ clock }: LinkServer, check: () => void): Promise<void> {
  const step = () => {
    clock.advance(1_500);
    check();
  };
  return vi.waitFor(step, { timeout: 20_000, interval: 5 });
}

export function kindOf({ state }: NewDeviceLink | OldDeviceLink): string {
  return state.value.kind;
}

/** Both devices up to the emoji. */
export async function connect(setup: Setup, mine?: string): Promise<Pair> {
  const pair = pairOf(setup, mine);
  void pair.fresh.start();
  await until(setup.server, () => expect(kindOf(pair.fresh)).toBe("waiting"));
  void pair.old.join({ code: CODE, fingerprint: undefined });
  for (const side of [pair.fresh, pair.old])
    await until(setup.server, () => expect(kindOf(side)).toBe("comparing"));
  return pair;
}

export function emojiOn({ state }: NewDeviceLink | OldDeviceLink): string[] {
  const { value } = state;
  return value.kind === "comparing" ? value.emoji.map(({ name }) => name) : [];
}

/** Both users answer that the emoji match. */
export function agree({ fresh, old }: Pair): void {
  fresh.answer(true);
  old.answer(true);
}

export async function expectFailure(
  server: LinkServer,
  side: NewDeviceLink | OldDeviceLink,
  failure: string,
): Promise<void> {
  await until(server, () => expect(side.state.value).toEqual({ kind: "failed", failure }));
}
