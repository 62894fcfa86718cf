// Two devices for linking tests, each with a real archive and real keys.

import "fake-indexeddb/auto";
import { expect, vi } from "vitest";
import {
  type OwnKeys,
  createAccountIdentity,
  createOwnKeys,
  lock,
  rawSigningKey,
  signEntry,
  startLog,
  toBase64url,
  unlock,
} from "../../crypto";
import type { Me } from "../../protocol/wire";
import type { Archive, Archives } from "../ports";
import { ACCOUNT, CODE, LinkServer } from "./link-server.testing";
import type { LinkMessage } from "./messages";
import { NewDeviceLink } from "./new-device";
import { OldDeviceLink } from "./old-device";

export { ACCOUNT, CODE };

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

/** Ada's chat with Bob, as the old device stores it. */
export async function chat(setup: Setup, texts: readonly string[]): Promise<void> {
  const { archive, keys } = setup.old;
  const conversation = "ada.bob";
  const record = {
    id: conversation,
    peer: "bob",
    username: "Bob",
    lastSeq: texts.length,
    readUpto: 1,
    peerReceivedUpto: 1,
    peerReadUpto: 0,
    updatedAt: "2026-01-01T00:00:00Z",
    sent: { counter: 2, hash: new Uint8Array(32).fill(7) },
  };
  await archive.commit([{ table: "conversations", put: record }]);
  for (const [at, text] of texts.entries()) {
    const id = `bob/${at}`;
    const body = {
      kind: "text",
      locked: await lock(keys.history, `${conversation}/${id}`, text),
      warnings: [],
    } as const;
    const put = {
      conversation,
      id,
      order: at + 1,
      sender: "bob",
      device: "device-bob",
      at: new Date(at * 1000).toISOString(),
      body,
    };
    await archive.commit([{ table: "messages", put }]);
  }
}

/** The texts that the new device stored. */
export async function textsOnNew({ archives }: Setup): Promise<(string | undefined)[]> {
  const archive = await archives.open(ACCOUNT);
  const keys = (await archive.get("device", "self"))?.keys;
  const records = await archive.latest("ada.bob", 1000);
  archive.close();
  if (!keys) throw new Error("the new device has keys");
  const texts = records.map(({ id, body }) =>
    body.kind === "text" ? unlock(keys.history, `ada.bob/${id}`, body.locked) : undefined,
  );
  return Promise.all(texts);
}

/** The new browser is a visitor again, without keys. */
export async function expectNothingJoined(
  { server, archives }: Setup,
  account: FakeAccount,
): Promise<void> {
  expect(server.cookie).toBeUndefined();
  expect(account.joined).toEqual([]);
  expect(await archives.list()).not.toContain(ACCOUNT);
}

/** Changes messages of one type on their way. */
export function tamper<T extends LinkMessage["type"]>(
  server: LinkServer,
  type: T,
  change: (message: Extract<LinkMessage, { type: T }>) => unknown,
): void {
  server.relay = (_, relayed) => {
    const message = JSON.parse(relayed.body) as LinkMessage;
    if (message.type !== type) return relayed;
    const changed = change(message as Extract<LinkMessage, { type: T }>);
    return changed === undefined ? undefined : { ...relayed, body: JSON.stringify(changed) };
  };
}
