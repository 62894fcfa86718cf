// Device lists: fetched from the server, pinned on first use, later changes reported.

import { type Identity, equal, readIdentity, safetyNumber } from "../../crypto";
import { type Api, ProblemError } from "../../net";
import type { AccountId, Device, DeviceId, DeviceList } from "../../protocol/wire";
import type { Archive, Change } from "../ports";
import type { ContactRecord, PinnedDevice } from "./records";

export interface DeviceChanges {
  readonly account: AccountId;
  readonly added: readonly DeviceId[];
  readonly removed: readonly DeviceId[];
  readonly conflict: boolean;
}

export class Directory {
  readonly #api: Api;
  readonly #archive: Archive;
  readonly #changed: (changes: DeviceChanges) => Promise<void>;
  readonly #named: (account: AccountId, username: string) => void;
  /** Counts renames: a list requested before a rename may still contain the old name. */
  #renames = 0;
  /** Lists that are current until a key change is announced. */
  readonly #fresh = new Map<AccountId, Promise<ContactRecord>>();
  readonly #identities = new Map<string, Promise<Identity | undefined>>();

  /** `named` is called with the username of each fetched list. */
  constructor(
    api: Api,
    archive: Archive,
    changed: (changes: DeviceChanges) => Promise<void>,
    named: (account: AccountId, username: string) => void,
  ) {
    this.#api = api;
    this.#archive = archive;
    this.#changed = changed;
    this.#named = named;
  }

  /** Marks device lists as stale: of one account, or all. */
  forget(account?: AccountId): void {
    if (account === undefined) this.#fresh.clear();
    else this.#fresh.delete(account);
  }

  contact(account: AccountId): Promise<ContactRecord> {
    const known = this.#fresh.get(account);
    if (known) return known;
    const fetched = this.#fetch(account);
    this.#fresh.set(account, fetched);
    fetched.catch(() => {
      if (this.#fresh.get(account) === fetched) this.#fresh.delete(account);
    });
    return fetched;
  }

  /** The devices to encrypt for when sending to this account. */
  async devices(account: AccountId): Promise<Identity[]> {
    const { devices } = await this.contact(account);
    const read = await Promise.all(
      devices.filter(({ listed }) => listed).map((device) => this.#read(account, device)),
    );
    return read.filter((identity) => identity !== undefined);
  }

  /** The pinned device that a message claims to come from. Fetches the list if it is unknown. */
  async device(account: AccountId, device: DeviceId): Promise<Identity | undefined> {
    const find = (contact: ContactRecord) =>
      contact.devices.find((pinned) => pinned.device === device);
    const known = await this.#archive.get("contacts", account);
    const pinned = (known && find(known)) ?? find(await this.#refetch(account));
    return pinned && this.#read(account, pinned);
  }

  /** True if the account has, or had, a device with this fingerprint. */
  async knows(account: AccountId, device: DeviceId, fingerprint: Uint8Array): Promise<boolean> {
    const identity = await this.device(account, device);
    return identity !== undefined && equal(identity.fingerprint, fingerprint);
  }

  async safetyNumber(me: AccountId, peer: AccountId): Promise<string> {
    const [mine, theirs] = await Promise.all([this.devices(me), this.devices(peer)]);
    return safetyNumber({ account: me, devices: mine }, { account: peer, devices: theirs });
  }

  /** Changes to apply for a new username. */
  async renamed(account: AccountId, username: string): Promise<Change[]> {
    this.#renames += 1;
    const known = await this.#archive.get("contacts", account);
    if (!known || known.username === username) return [];
    const contact = { ...known, username };
    if (this.#fresh.has(account)) this.#fresh.set(account, Promise.resolve(contact));
    return [{ table: "contacts", put: contact }];
  }

  /** Stores a safety number that the user compared; undefined clears it. */
  async verify(account: AccountId, number: string | undefined): Promise<void> {
    const contact = { ...(await this.contact(account)), verified: number };
    await this.#archive.commit([{ table: "contacts", put: contact }]);
    this.#fresh.set(account, Promise.resolve(contact));
  }

  #refetch(account: AccountId): Promise<ContactRecord> {
    this.forget(account);
    return this.contact(account);
  }

  async #fetch(account: AccountId): Promise<ContactRecord> {
    const renames = this.#renames;
    const listed = await this.#list(account);
    const before = await this.#archive.get("contacts", account);
    const username = renames === this.#renames ? listed.username : before?.username;
    const { contact, changes } = merge(account, before, listed.devices, username);
    await this.#archive.commit([{ table: "contacts", put: contact }]);
    if (username !== undefined) this.#named(account, username);
    if (before && (changes.added.length > 0 || changes.removed.length > 0 || changes.conflict))
      await this.#changed(changes);
    return contact;
  }

  /** A deleted account has no devices. Its old messages are verified with the pinned ones. */
  async #list(account: AccountId): Promise<DeviceList> {
    try {
      return await this.#api.devices(account);
    } catch (error) {
      if (error instanceof ProblemError && error.status === 404)
        return { account_id: account, devices: [] };
      throw error;
    }
  }

  #read(account: AccountId, pinned: PinnedDevice): Promise<Identity | undefined> {
    const name = `${account}/${pinned.device}`;
    const identity = this.#identities.get(name) ?? readIdentity(account, pinned);
    this.#identities.set(name, identity);
    return identity;
  }
}

/** Keys of a device never change. The first ones stay pinned, and different ones are a conflict. */
function merge(
  account: AccountId,
  before: ContactRecord | undefined,
  listed: readonly Device[],
  username: string | undefined,
): { contact: ContactRecord; changes: DeviceChanges } {
  const old = before?.devices ?? [];
  const added = listed.filter(({ device }) => !old.some((pinned) => pinned.device === device));
  const kept = old.map((pinned) => ({
    ...pinned,
    listed: listed.some(({ device }) => device === pinned.device),
  }));
  const removed = old.filter((pinned, at) => pinned.listed && !kept[at]?.listed);
  const conflict = listed.some((device) =>
    old.some((pinned) => pinned.device === device.device && !same(pinned, device)),
  );
  const devices = [...kept, ...added.map((device) => pin(device))].sort((a, b) =>
    order(a.device, b.device),
  );
  const contact = {
    account,
    username: username ?? before?.username,
    devices,
    conflict: conflict || (before?.conflict ?? false),
    verified: before?.verified,
  };
  const changes = {
    account,
    added: added.map(({ device }) => device),
    removed: removed.map(({ device }) => device),
    conflict: conflict && !before?.conflict,
  };
  return { contact, changes };
}

function pin({ device, suite, encryption_key, signing_key }: Device): PinnedDevice {
  return { device, suite, encryption_key, signing_key, listed: true };
}

function same(pinned: PinnedDevice, device: Device): boolean {
  return (
    pinned.suite === device.suite &&
    pinned.encryption_key === device.encryption_key &&
    pinned.signing_key === device.signing_key
  );
}

function order(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
