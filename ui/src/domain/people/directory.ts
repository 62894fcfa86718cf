// Device lists: fetched from the server, pinned on first use, later changes reported. What this
// device knows about itself comes from its own storage, never from the server.

import {
  type Identity,
  type OwnKeys,
  equal,
  publicKeys,
  readIdentity,
  safetyNumber,
  toHex,
  utf8,
} from "../../crypto";
import { type Api, ProblemError } from "../../net";
import type { AccountId, DeviceId, DeviceKeys, DeviceList } from "../../protocol/wire";
import { Cell } from "../observable";
import type { Archive } from "../ports";
import { Serial } from "../serial";
import { type DeviceChanges, merge } from "./merge";
import type { ContactRecord, Decision, PinnedDevice } from "./records";

export interface DirectoryParts {
  readonly api: Api;
  readonly archive: Archive;
  readonly me: AccountId;
  readonly keys: OwnKeys;
  /** Called after a fetched list with changes was stored. */
  readonly changed: (changes: DeviceChanges) => Promise<void>;
  /** Called with the username of each fetched list. */
  readonly named: (account: AccountId, username: string) => void;
}

/** The device lists of both people at one moment. Checks and encryption use the same lists. */
export interface Lists {
  readonly own: ContactRecord;
  readonly peer: ContactRecord;
  /** This device, and the listed devices of this account that the user confirmed. */
  readonly ownDevices: readonly Identity[];
  readonly peerDevices: readonly Identity[];
}

export class Directory {
  /** The device list of this account, once fetched. */
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
  readonly #records = new Map<AccountId, ContactRecord>();
  readonly #identities = new Map<string, Promise<Identity | undefined>>();
  readonly #ownKeys: Promise<DeviceKeys>;

  constructor(parts: DirectoryParts) {
    this.#parts = parts;
    this.#ownKeys = publicKeys(parts.keys, parts.me);
  }

  /** Marks device lists as stale: of one account, or all. */
  forget(account?: AccountId): void {
    if (account === undefined) this.#fresh.clear();
    else this.#fresh.delete(account);
  }

  async contact(account: AccountId): Promise<ContactRecord> {
    await this.#current(account);
    const record = this.#records.get(account);
    if (!record) throw new Error("a current list is stored");
    return record;
  }

  async lists(peer: AccountId): Promise<Lists> {
    await Promise.all([this.#current(this.#parts.me), this.#current(peer)]);
    const [own, theirs] = [await this.contact(this.#parts.me), await this.contact(peer)];
    const [ownDevices, peerDevices] = await Promise.all([
      this.#identitiesOf(own.account, own.devices.filter(this.#isOwn)),
      this.#identitiesOf(
        peer,
        theirs.devices.filter(({ listed }) => listed),
      ),
    ]);
    return { own, peer: theirs, ownDevices, peerDevices };
  }

  /** The pinned device that a message claims to come from. Fetches the list if it is unknown. */
  async device(account: AccountId, device: DeviceId): Promise<Identity | undefined> {
    const pinned = await this.#pinned(account, device);
    return pinned && this.#read(account, pinned);
  }

  /** This device, from its own storage. */
  async self(): Promise<Identity | undefined> {
    const { me, keys } = this.#parts;
    return this.#read(me, { device: keys.device, ...(await this.#ownKeys), listed: true });
  }

  /** True if the account has, or had, a device with this fingerprint that may receive messages. */
  async knows(account: AccountId, device: DeviceId, fingerprint: Uint8Array): Promise<boolean> {
    if (!(await this.confirmed(account, device))) return false;
    const identity = await this.device(account, device);
    return identity !== undefined && equal(identity.fingerprint, fingerprint);
  }

  /** False for another device of this account that the user did not confirm on this device. */
  async confirmed(account: AccountId, device: DeviceId): Promise<boolean> {
    if (account !== this.#parts.me || device === this.#parts.keys.device) return true;
    return (await this.#pinned(account, device))?.decision === "confirmed";
  }

  async safetyNumber(peer: AccountId): Promise<string> {
    return safetyNumberOf(await this.lists(peer));
  }

  /** Stores a new username. */
  async renamed(account: AccountId, username: string): Promise<void> {
    this.#renames += 1;
    await this.#update(account, (known) => ({ ...known, username }));
  }

  /** Stores a safety number that the user compared; undefined clears it. */
  async verify(account: AccountId, number: string | undefined): Promise<void> {
    await this.contact(account);
    await this.#update(account, (known) => ({ ...known, verified: number }));
  }

  /** Stores what the user decided about another device of this account. */
  async decide(device: DeviceId, decision: Decision): Promise<void> {
    await this.#update(this.#parts.me, (known) => ({
      ...known,
      devices: known.devices.map((pinned) =>
        pinned.device === device ? { ...pinned, decision } : pinned,
      ),
    }));
  }

  /** Changes a stored record without a request. */
  async #update(
    account: AccountId,
    change: (known: ContactRecord) => ContactRecord,
  ): Promise<void> {
    await this.#serial.run(async () => {
      const known = await this.#parts.archive.get("contacts", account);
      if (known) await this.#store(change(known));
    });
  }

  async #store(contact: ContactRecord): Promise<void> {
    await this.#parts.archive.commit([{ table: "contacts", put: contact }]);
    this.#records.set(contact.account, contact);
    if (contact.account === this.#parts.me) this.own.set(contact);
  }

  /** Resolves when the list was fetched since it last became stale. */
  #current(account: AccountId): Promise<void> {
    const known = this.#fresh.get(account);
    if (known) return known;
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
    const listed = await this.#list(account);
    const { changes, username } = await this.#serial.run(async () => {
      // A later request was answered first.
      if (request < (this.#answered.get(account) ?? 0)) return {};
      const before = await this.#parts.archive.get("contacts", account);
      const username = renames === this.#renames ? listed.username : before?.username;
      const merged = merge(account, before, listed.devices, username, await this.#self(account));
      await this.#store(merged.contact);
      this.#answered.set(account, request);
      return { username, changes: before && merged.changes };
    });
    if (username !== undefined) this.#parts.named(account, username);
    if (changes && (changes.added.length > 0 || changes.removed.length > 0 || changes.conflict))
      await this.#parts.changed(changes);
  }

  /** A deleted account has no devices. Its old messages are verified with the pinned ones. */
  async #list(account: AccountId): Promise<DeviceList> {
    try {
      return await this.#parts.api.devices(account);
    } catch (error) {
      if (error instanceof ProblemError && error.status === 404)
        return { account_id: account, devices: [] };
      throw error;
    }
  }

  /** This device as it should be listed, if the list is of its account. */
  async #self(account: AccountId): Promise<({ device: DeviceId } & DeviceKeys) | undefined> {
    const { me, keys } = this.#parts;
    return account === me ? { device: keys.device, ...(await this.#ownKeys) } : undefined;
  }

  async #pinned(account: AccountId, device: DeviceId): Promise<PinnedDevice | undefined> {
    const find = (contact: ContactRecord) =>
      contact.devices.find((pinned) => pinned.device === device);
    const known = await this.#parts.archive.get("contacts", account);
    const pinned = known && find(known);
    if (pinned) return pinned;
    this.forget(account);
    return find(await this.contact(account));
  }

  readonly #isOwn = ({ device, listed, decision }: PinnedDevice): boolean =>
    device === this.#parts.keys.device || (listed && decision === "confirmed");

  async #identitiesOf(account: AccountId, devices: readonly PinnedDevice[]): Promise<Identity[]> {
    const read = await Promise.all(devices.map((device) => this.#read(account, device)));
    return read.filter((identity) => identity !== undefined);
  }

  /** A device of this account with this device's id has this device's keys. */
  #read(account: AccountId, pinned: PinnedDevice): Promise<Identity | undefined> {
    const name = `${account}/${pinned.device}`;
    const identity = this.#identities.get(name) ?? readIdentity(account, pinned);
    this.#identities.set(name, identity);
    return identity;
  }
}

export async function safetyNumberOf(lists: Lists): Promise<string> {
  const { own, peer, ownDevices, peerDevices } = lists;
  return safetyNumber(
    { account: own.account, identityKey: await setOf(ownDevices) },
    { account: peer.account, identityKey: await setOf(peerDevices) },
  );
}

/** The devices of an account, instead of an identity key. */
async function setOf(devices: readonly Identity[]): Promise<Uint8Array<ArrayBuffer>> {
  const fingerprints = devices.map(({ fingerprint }) => toHex(fingerprint)).sort();
  return new Uint8Array(await crypto.subtle.digest("SHA-256", utf8(fingerprints.join())));
}
