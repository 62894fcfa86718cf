// Device lists: fetched from the server, and merged into what this device knows. Device logs decide
// which devices are an account's; the keys of this device come from its own storage.

import {
  type DeviceLog,
  type Identity,
  importSigningKey,
  readIdentity,
  safetyNumber,
} from "../../crypto";
import { type Api, ProblemError } from "../../net";
import type { AccountId, DeviceId } from "../../protocol/wire";
import { Cell } from "../observable";
import type { Archive } from "../ports";
import { Serial } from "../serial";
import type { Keyring } from "./keyring";
import { type DeviceChanges, type Fetched, hasChanges, merge } from "./merge";
import type { ContactRecord, PinnedDevice } from "./records";
import { recipientsOf } from "./trust";

export interface DirectoryParts {
  readonly api: Api;
  readonly archive: Archive;
  readonly me: AccountId;
  readonly keyring: Keyring;
  /** Called after a fetched list with changes was stored. */
  readonly changed: (changes: DeviceChanges) => Promise<void>;
  /** Called with the username of each fetched list. */
  readonly named: (account: AccountId, username: string) => void;
}

/** The device lists of both people at one moment. Checks and encryption use the same lists. */
export interface Lists {
  readonly own: ContactRecord;
  readonly peer: ContactRecord;
  /** This device, and the listed devices that the own device log approves. */
  readonly ownDevices: readonly Identity[];
  readonly peerDevices: readonly Identity[];
}

/** The device that signed a message. */
export type Sender = Pick<Identity, "account" | "device" | "signing">;

export class Directory {
  /** The record of this account, once fetched. */
  readonly own = new Cell<ContactRecord | undefined>(undefined);
  readonly #parts: DirectoryParts;
  /** Read-modify-write of contact records. */
  readonly #serial = new Serial();
  /** Counts renames: a list requested before a rename may still contain the old name. */
  #renames = 0;
  #requests = 0;
  /** The latest request whose answer was stored, by account. */
  readonly #answered = new Map<AccountId, number>();
  /** Accounts whose list is current until a key change is announced. */
  readonly #fresh = new Map<AccountId, Promise<void>>();

  constructor(parts: DirectoryParts) {
    this.#parts = parts;
  }

  /** Marks device lists as stale: of one account, or all. */
  forget(account?: AccountId): void {
    if (account === undefined) this.#fresh.clear();
    else this.#fresh.delete(account);
  }

  /** The current record. */
  async contact(account: AccountId): Promise<ContactRecord> {
    const fresh = this.#fresh.get(account) ?? this.#fetchOnce(account);
    await fresh;
    const record = await this.known(account);
    if (!record) throw new Error("a current list is stored");
    return record;
  }

  /** The stored record, without a request. */
  known(account: AccountId): Promise<ContactRecord | undefined> {
    return this.#parts.archive.get("contacts", account);
  }

  async lists(peer: AccountId): Promise<Lists> {
    const { me, keyring } = this.#parts;
    const [own, theirs] = await Promise.all([this.contact(me), this.contact(peer)]);
    const others = recipientsOf(own).filter(({ device }) => device !== keyring.device);
    const [self, ownDevices, peerDevices] = await Promise.all([
      keyring.identity(),
      identitiesOf(me, others),
      identitiesOf(peer, recipientsOf(theirs)),
    ]);
    return { own, peer: theirs, ownDevices: [self, ...ownDevices], peerDevices };
  }

  /**
   * The device that a message claims to come from, if it is or was approved or listed. Fetches the
   * list if it is unknown.
   */
  async sender(account: AccountId, device: DeviceId): Promise<Sender | undefined> {
    const known = await this.known(account);
    const sender = known && (await senderIn(known, device));
    if (sender) return sender;
    this.forget(account);
    return senderIn(await this.contact(account), device);
  }

  /** The device log, at least up to `version` if the server has it. */
  async log(account: AccountId, version: number): Promise<DeviceLog | undefined> {
    const known = (await this.known(account))?.log;
    if (known && known.version >= version) return known;
    this.forget(account);
    return (await this.contact(account)).log;
  }

  /** Undefined as long as one of the accounts has no identity. */
  async safetyNumber(peer: AccountId): Promise<string | undefined> {
    return safetyNumberOf(await this.lists(peer));
  }

  /** Stores a new username. */
  async renamed(account: AccountId, username: string): Promise<void> {
    this.#renames += 1;
    await this.update(account, (known) => ({ ...known, username }));
  }

  /** Stores a safety number that the user compared; undefined clears it. */
  async verify(account: AccountId, number: string | undefined): Promise<void> {
    await this.contact(account);
    await this.update(account, (known) => ({ ...known, verified: number }));
  }

  /** Stores that the user refused an unapproved device of this account. */
  async refuse(device: DeviceId): Promise<void> {
    const refused = (known: PinnedDevice) =>
      known.device === device ? { ...known, refused: true } : known;
    await this.update(this.#parts.me, (known) => ({
      ...known,
      devices: known.devices.map(refused),
    }));
  }

  /** Changes a stored record without a request. */
  async update(account: AccountId, change: (known: ContactRecord) => ContactRecord): Promise<void> {
    await this.#serial.run(async () => {
      const known = await this.known(account);
      if (known) await this.#store(change(known));
    });
  }

  async #store(contact: ContactRecord): Promise<void> {
    await this.#parts.archive.commit([{ table: "contacts", put: contact }]);
    if (contact.account === this.#parts.me) this.own.set(contact);
  }

  #fetchOnce(account: AccountId): Promise<void> {
    const fetched = this.#fetch(account);
    this.#fresh.set(account, fetched);
    fetched.catch(() => {
      if (this.#fresh.get(account) === fetched) this.#fresh.delete(account);
    });
    return fetched;
  }

  async #fetch(account: AccountId): Promise<void> {
    this.#requests += 1;
    const [request, renames] = [this.#requests, this.#renames];
    const fetched = await this.#list(account);
    const outcome = await this.#serial.run(async () => {
      // A later request was answered first.
      if (request < (this.#answered.get(account) ?? 0)) return undefined;
      const before = await this.known(account);
      const username = renames === this.#renames ? fetched.username : before?.username;
      const { contact, changes } = await merge(before, { ...fetched, username });
      await this.#store(contact);
      this.#answered.set(account, request);
      return { username, changes };
    });
    if (outcome?.username !== undefined) this.#parts.named(account, outcome.username);
    if (outcome && hasChanges(outcome.changes)) await this.#parts.changed(outcome.changes);
  }

  /** A deleted account has no devices. Its old messages are verified with the stored ones. */
  async #list(account: AccountId): Promise<Fetched> {
    try {
      const list = await this.#parts.api.devices(account);
      // The answer is about the account that was asked for, whatever it says.
      return { list: { ...list, account_id: account }, username: list.username, deleted: false };
    } catch (error) {
      if (!(error instanceof ProblemError) || error.status !== 404) throw error;
      const list = { account_id: account, devices: [], log: [] };
      return { list, username: undefined, deleted: true };
    }
  }
}

export async function safetyNumberOf({
  own,
  peer,
}: Pick<Lists, "own" | "peer">): Promise<string | undefined> {
  if (!own.log || !peer.log) return undefined;
  return safetyNumber(
    { account: own.account, identityKey: own.log.identityKey },
    { account: peer.account, identityKey: peer.log.identityKey },
  );
}

/** An approved device signs with the key in the log; a listed one with the key that was listed. */
async function senderIn(
  { account, log, devices }: ContactRecord,
  device: DeviceId,
): Promise<Sender | undefined> {
  const logged = log?.devices.get(device);
  if (logged) {
    // The approved bytes may not be a key.
    const signing = await importSigningKey(logged.signingKey).catch(() => undefined);
    return signing && { account, device, signing };
  }
  const keys = devices.find((pinned) => pinned.device === device)?.keys;
  return keys && readIdentity(account, { device, ...keys });
}

async function identitiesOf(
  account: AccountId,
  devices: readonly PinnedDevice[],
): Promise<Identity[]> {
  const read = devices.map(({ device, keys }) =>
    keys ? readIdentity(account, { device, ...keys }) : undefined,
  );
  return (await Promise.all(read)).filter((identity) => identity !== undefined);
}
