// What a malicious server can make: ghosts, false identities, false logs, forged messages.

import { expect } from "vitest";
import {
  type Identity,
  type MessagePosition,
  NOTHING_READ,
  START,
  createAccountIdentity,
  publicKeys,
  rawSigningKey,
  readIdentity,
  seal,
  signEntry,
  startLog,
  toBase64url,
} from "../../crypto";
import { fromBase64url } from "../../crypto/bytes";
import { decodeHeader } from "../../crypto/header";
import type { AccountId, Device, Envelope, PrivateMessage } from "../../protocol/wire";
import {
  type Person,
  deliveries,
  keysOf,
  lastMessage,
  logOf,
  server,
  until,
} from "./person.testing";

export const GHOST = "device-ghost";

/** A device as it is listed, with its own valid statement. */
export async function listed(account: AccountId, profile: string): Promise<Device> {
  const keys = await keysOf(profile);
  const statement = await publicKeys(keys, account);
  return { device: keys.device, ...statement, registered_at: "" };
}

/** Adds a ghost to the true list of the account. */
export async function addGhost(account: AccountId, profile = "ghost"): Promise<void> {
  server.devices.get(account)?.push(await listed(account, profile));
}

/** Another device's keys under the id of one of the account's. */
export async function exchanged(account: AccountId, device: string): Promise<Device> {
  return { ...(await listed(account, "ghost")), device };
}

/** An identity of the server's own, whose log approves `profile`. */
export async function falseIdentity(account: AccountId, profile: string) {
  const { identity, publicKey } = await createAccountIdentity(account);
  const keys = await keysOf(profile);
  const signingKey = await rawSigningKey(keys.signing.publicKey);
  const log = startLog(account, publicKey);
  const signer = { device: "", key: identity.privateKey };
  const entry = await signEntry(log, "approve", keys.device, signingKey, 0, signer);
  const devices = [await listed(account, profile)];
  return { identity_key: toBase64url(publicKey), log: [entry], devices };
}

export const holdOf = ({ messenger }: Person, peer = "bob") =>
  messenger.outbox.holds.value.get(peer);
export const numberOf = ({ messenger }: Person, peer: string) =>
  messenger.directory.safetyNumber(peer);
export const sentKeys = () => lastMessage().envelope.keys.map(({ device }) => device);
export const sentCount = () => server.conversations.get("ada.bob")?.length ?? 0;

/** Ada's next message to Bob is held back for this reason, also when the reason is checked again. */
export async function expectHeld(person: Person, hold: string, text = "A secret."): Promise<void> {
  const before = sentCount();
  await person.messenger.write(text);
  await until(() => expect(holdOf(person)).toBe(hold));
  await person.messenger.outbox.recheck();
  await person.messenger.outbox.idle();
  expect(holdOf(person)).toBe(hold);
  await until(() => expect(deliveries(person).at(-1)).toBe("sending"));
  expect(sentCount()).toBe(before);
}

/** From now on, the server tells Ada this about Bob. */
export function lieAboutBob(list: Parameters<typeof server.lie>[2]): void {
  server.lie("ada", "bob", list);
  server.deliver("ada", { kind: "key_change", account: "bob" });
}

export function confessAboutBob(): void {
  server.confess("ada", "bob");
  server.deliver("ada", { kind: "key_change", account: "bob" });
}

export interface Forgery {
  readonly cid?: string;
  readonly seq?: number;
  readonly at?: string;
  readonly writtenAt?: number;
  /** Recipients: browser profiles of Ada and Bob. */
  readonly to?: readonly (readonly [account: AccountId, profile: string])[];
  readonly position?: Partial<MessagePosition>;
}

/** A message between Ada and Bob in the name of `account`, signed by the device of `profile`. */
export async function forged(
  account: AccountId,
  profile: string,
  text: string,
  forgery: Forgery = {},
): Promise<PrivateMessage> {
  const everyone = [
    ["ada", "ada"],
    ["bob", "bob"],
  ] as const;
  const {
    cid = `forged-${profile}`,
    seq = sentCount() + 1,
    at = new Date(server.clock.now()).toISOString(),
    writtenAt = server.clock.now(),
    to = everyone,
    position,
  } = forgery;
  const keys = await keysOf(profile);
  const full: MessagePosition = {
    conversation: "ada.bob",
    account,
    cid,
    counter: 1,
    previous: START.hash,
    lifetime: 0,
    ownLog: await logOf(account),
    peerLog: await logOf(account === "ada" ? "bob" : "ada"),
    read: NOTHING_READ,
    ...position,
  };
  const recipients = await Promise.all(to.map(([owner, one]) => identityOf(owner, one)));
  const { envelope } = await seal(keys, full, recipients, { kind: "text", writtenAt, text });
  const { device } = keys;
  return { conversation: "ada.bob", seq, cid, sender: account, device, at, envelope };
}

export async function identityOf(account: AccountId, profile: string): Promise<Identity> {
  const identity = await readIdentity(account, await listed(account, profile));
  if (!identity) throw new Error("test keys are valid");
  return identity;
}

export function headerOf(envelope: Envelope) {
  return decodeHeader(fromBase64url(envelope.header) ?? new Uint8Array());
}
