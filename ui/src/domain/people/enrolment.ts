// How this browser becomes a device of its account. The first device creates the account's identity;
// any other one is approved by linking or with the recovery code. The server cannot add a device.

import {
  type DeviceLog,
  type OwnKeys,
  createAccountIdentity,
  createOwnKeys,
  lock,
  randomId,
  rawSigningKey,
  readLog,
  signEntry,
  startLog,
  toBase64url,
  unlock,
} from "../../crypto";
import { type Api, ProblemError } from "../../net";
import type { AccountId } from "../../protocol/wire";
import type { Archive, Change, Clock } from "../ports";
import { Keyring } from "./keyring";
import type { ContactRecord, IdentityRecord } from "./records";

export interface EnrolmentParts {
  readonly api: Api;
  readonly archive: Archive;
  readonly clock: Clock;
}

/**
 * Why this browser is not a device of its account: the account has devices, but this browser has no
 * keys, or its keys are not approved in the device log.
 */
export type Outside = "keys-lost" | "not-approved";

export type Enrolment =
  | { readonly kind: "device"; readonly keyring: Keyring }
  | { readonly kind: "outside"; readonly reason: Outside };

/** What a linked or recovered device stores. */
export interface Approval {
  readonly keys: OwnKeys;
  /** A checked log that approves the keys. */
  readonly log: DeviceLog;
  /** Only on a device that recovered it. */
  readonly identity?: CryptoKeyPair;
}

const CODE = "recovery-code";

/** Each step can be repeated after a reload. Without a stored log, it needs the server. */
export async function enrol(parts: EnrolmentParts, me: AccountId): Promise<Enrolment> {
  const { api, archive, clock } = parts;
  const device = await archive.get("device", "self");
  const identity = await archive.get("identity", "account");
  if (device && identity?.pending) return publish(parts, me, identity);
  const log = (await archive.get("contacts", me))?.log;
  if (device && log?.devices.has(device.keys.device))
    return { kind: "device", keyring: new Keyring({ archive, clock, me }, device) };
  const reason = device ? "not-approved" : "keys-lost";
  // A log from the server proves nothing: it could approve this device and a ghost.
  if (log) return { kind: "outside", reason };
  const list = await api.devices(me);
  if (list.identity_key !== undefined || list.log.length > 0) return { kind: "outside", reason };
  return publish(parts, me, await prepare(parts, me, undefined));
}

/** Replaces the account's identity: all other devices lose it, and contacts are told. */
export async function startOver(parts: EnrolmentParts, me: AccountId): Promise<Enrolment> {
  const { identity_key: replaces } = await parts.api.devices(me);
  return publish(parts, me, await prepare(parts, me, replaces));
}

/** Stores what makes this browser an approved device. The private chat can then start. */
export async function adopt(
  archive: Archive,
  me: AccountId,
  { keys, log, identity }: Approval,
): Promise<void> {
  const changes: Change[] = [
    { table: "device", put: { id: "self", keys } },
    { table: "contacts", put: await withLog(archive, me, log) },
  ];
  if (identity) changes.push({ table: "identity", put: { id: "account", keys: identity } });
  await archive.commit(changes);
}

/** The recovery code, until the user confirms that it was saved. */
export async function unsavedCode(archive: Archive, keyring: Keyring): Promise<string | undefined> {
  const code = (await archive.get("identity", "account"))?.code;
  return code && unlock(keyring.history, CODE, code);
}

/** Deletes the recovery code from this device. */
export async function forgetCode(archive: Archive): Promise<void> {
  const identity = await archive.get("identity", "account");
  if (!identity) return;
  const { id, keys, pending } = identity;
  const put = pending ? { id, keys, pending } : { id, keys };
  await archive.commit([{ table: "identity", put }]);
}

/** Stores the new identity before the server can have it. */
async function prepare(
  { archive, clock }: EnrolmentParts,
  me: AccountId,
  replaces: string | undefined,
): Promise<IdentityRecord> {
  const now = clock.now();
  const known = await archive.get("device", "self");
  const keys = known?.keys ?? (await createOwnKeys(randomId(), now));
  const { identity, publicKey, code, sealed, recovery } = await createAccountIdentity(me);
  const signingKey = await rawSigningKey(keys.signing.publicKey);
  const signer = { device: "", key: identity.privateKey };
  const log = startLog(me, publicKey);
  const entry = await signEntry(log, "approve", keys.device, signingKey, now, signer);
  const record: IdentityRecord = {
    id: "account",
    keys: identity,
    code: await lock(keys.history, CODE, code),
    pending: {
      identity_key: toBase64url(publicKey),
      sealed,
      recovery,
      entry,
      ...(replaces === undefined ? {} : { replaces }),
    },
  };
  const changes: Change[] = [{ table: "identity", put: record }];
  if (!known) changes.push({ table: "device", put: { id: "self", keys } });
  await archive.commit(changes);
  return record;
}

/** Registers the keys, then the identity. */
async function publish(
  { api, archive, clock }: EnrolmentParts,
  me: AccountId,
  { pending, ...identity }: IdentityRecord,
): Promise<Enrolment> {
  const device = await archive.get("device", "self");
  if (!device || !pending) throw new Error("a new identity is stored with this device's keys");
  const keyring = new Keyring({ archive, clock, me }, device);
  await api.registerDevice(keyring.device, await keyring.statement());
  try {
    await api.putIdentity(pending);
  } catch (error) {
    if (!(error instanceof ProblemError) || error.status !== 409) throw error;
    // The account has another identity, so this one never came into use.
    await archive.commit([{ table: "identity", remove: "account" }]);
    return { kind: "outside", reason: "not-approved" };
  }
  const { publicKey } = identity.keys;
  const log = await readLog(me, await rawSigningKey(publicKey), [pending.entry]);
  if (!log) throw new Error("this device signed a valid log");
  await archive.commit([
    { table: "contacts", put: await withLog(archive, me, log) },
    { table: "identity", put: identity },
  ]);
  return { kind: "device", keyring };
}

/** The record of the own account with another log. */
async function withLog(archive: Archive, me: AccountId, log: DeviceLog): Promise<ContactRecord> {
  const known = await archive.get("contacts", me);
  return { account: me, username: known?.username, log, devices: [], verified: undefined };
}
