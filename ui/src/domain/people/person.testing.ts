// People for private chat tests: real keys, a real archive, an in-memory server.

import "fake-indexeddb/auto";
import { IDBFactory } from "fake-indexeddb";
import { afterEach, beforeEach, expect, vi } from "vitest";
import {
  type OwnKeys,
  createOwnKeys,
  fromBase64url,
  rawSigningKey,
  readLog,
  signEntry,
} from "../../crypto";
import { Api, Http } from "../../net";
import type { Archive, Archives } from "../ports";
import { adopt, enrol } from "./enrolment";
import { Messenger } from "./messenger";
import { TestServer } from "./server.testing";
import type { Line } from "./conversation";

/** The server of the current test. */
export let server: TestServer;
const running: Messenger[] = [];
let archives: Archives;

/**
 * Gives each test its own server. `given`: the platform's archives, backed by the test's IndexedDB.
 */
export function withPeople(given: Archives): void {
  archives = given;

  beforeEach(() => {
    vi.stubGlobal("indexedDB", new IDBFactory());
    vi.stubGlobal("navigator", {});
    server = new TestServer();
    for (const name of ["ada", "bob", "mallory"]) server.join(name);
  });
  afterEach(async () => {
    await Promise.all(running.splice(0).map((messenger) => messenger.stop()));
  });
}

/** Waits for a condition. */
export const until = (check: () => void) => vi.waitFor(check, { timeout: 60_000, interval: 10 });

/** Generating RSA keys is slow, so each profile's keys are reused. */
const pool = new Map<string, Promise<OwnKeys>>();

export function keysOf(profile: string): Promise<OwnKeys> {
  const keys = pool.get(profile) ?? createOwnKeys(`device-${profile}`, server.clock.now());
  pool.set(profile, keys);
  return keys;
}

export interface Person {
  readonly messenger: Messenger;
  readonly archive: Archive;
  /** New names of this account, as reported to this device. */
  readonly renames: readonly string[];
  /** Whether the account is still valid, and how often this device checked. */
  readonly accountCheck: { valid: boolean; count: number };
}

/** The archive of a browser profile, with its keys. */
export async function archiveOf(profile: string): Promise<Archive> {
  const archive = await archives.open(profile);
  if (!(await archive.get("device", "self")))
    await archive.commit([{ table: "device", put: { id: "self", keys: await keysOf(profile) } }]);
  return archive;
}

/** The device log as the server has it. */
export async function logOf(account: string) {
  const { identity_key, log: entries } = server.truth(account);
  const log = await readLog(
    account,
    fromBase64url(identity_key ?? "") ?? new Uint8Array(),
    entries,
  );
  if (!log) throw new Error(`${account} has no valid log`);
  return log;
}

/** The next entry of an account's log, signed by the device of `signer`. */
export async function signed(
  account: string,
  operation: "approve" | "remove",
  profile: string,
  signer = account,
) {
  const keys = await keysOf(profile);
  const by = await keysOf(signer);
  const signingKey = await rawSigningKey(keys.signing.publicKey);
  const key = { device: by.device, key: by.signing.privateKey };
  const time = server.clock.now();
  return signEntry(await logOf(account), operation, keys.device, signingKey, time, key);
}

/** Approves a browser profile in the account's log. `announced`: everyone is told. */
export async function approve(
  account: string,
  profile: string,
  announced = true,
  signer = account,
): Promise<void> {
  const entry = await signed(account, "approve", profile, signer);
  const version = (await logOf(account)).version + 1;
  const answer = await server.append(account, { version, entry });
  expect(answer.status).toBe(204);
  if (announced) server.announce(account);
}

/** Another browser profile of the account, linked by the first one. */
export async function startLinked(account: string, profile: string): Promise<Person> {
  await approve(account, profile);
  const archive = await archiveOf(profile);
  await adopt(archive, account, { keys: await keysOf(profile), log: await logOf(account) });
  archive.close();
  const person = await start(account, profile);
  server.announce(account);
  return person;
}

/** `profile`: another browser profile of the same account. */
export async function start(account: string, profile = account): Promise<Person> {
  const archive = await archiveOf(profile);
  const api = new Api(new Http(server.fetchAs(account)));
  const { clock } = server;
  const renames: string[] = [];
  const accountCheck = { valid: true, count: 0 };
  const accountParts = {
    confirm: async () => {
      accountCheck.count += 1;
      return accountCheck.valid;
    },
    renamed: (username: string) => void renames.push(username),
    replacingCookie: <T>(request: () => Promise<T>) => request(),
  };
  const openSocket = server.socketAs(account);
  const parts = { api, archive, clock, random: () => 0, openSocket, account: accountParts };
  const enrolment = await enrol(parts, account);
  if (enrolment.kind === "outside") throw new Error(`${profile} is ${enrolment.reason}`);
  const messenger = await Messenger.create(parts, account, enrolment.keyring);
  running.push(messenger);
  messenger.start();
  await until(() => expect(messenger.connection.value.kind).toBe("online"));
  return { messenger, archive, renames, accountCheck };
}

export async function openWith({ messenger }: Person, peer: string): Promise<void> {
  await messenger.open(peer);
}

export const lines = ({ messenger }: Person): readonly Line[] =>
  messenger.conversation.value?.lines ?? [];
export const texts = (person: Person) =>
  lines(person).flatMap((line) => (line.kind === "text" ? [line.text] : []));
export const notices = (person: Person) =>
  lines(person).flatMap((line) => (line.kind === "notice" ? [line.notice] : []));
export const problems = (person: Person) =>
  lines(person).flatMap((line) => (line.kind === "problem" ? [line.problem] : []));
export const deliveries = (person: Person) =>
  lines(person).flatMap((line) => (line.kind === "text" && line.mine ? [line.delivery] : []));

export async function expectTexts(person: Person, expected: string[]): Promise<void> {
  await until(() => expect(texts(person)).toEqual(expected));
}

export async function adaAndBob(): Promise<[Person, Person]> {
  const [ada, bob] = [await start("ada"), await start("bob")];
  await openWith(ada, "bob");
  await openWith(bob, "ada");
  return [ada, bob];
}

export const warnings = (person: Person) =>
  lines(person).flatMap((line) =>
    "warnings" in line ? line.warnings.map(({ kind }) => kind) : [],
  );

export const lastMessage = () => {
  const message = server.conversations.get("ada.bob")?.at(-1);
  if (!message) throw new Error("nothing was sent");
  return message;
};
