// The keys of this device, and their regular rotation. Private keys come from this device's storage,
// never from the server.

import {
  type Identity,
  type OwnKeys,
  publicKeys,
  readIdentity,
  rotate,
  withoutExpired,
} from "../../crypto";
import type { AccountId, DeviceId, DeviceKeys } from "../../protocol/wire";
import type { Archive, Clock } from "../ports";
import type { DeviceRecord } from "./records";

export interface KeyringParts {
  readonly archive: Archive;
  readonly clock: Clock;
  readonly me: AccountId;
}

/** Milliseconds, from the server's limits. */
export interface KeyLimits {
  /** The age at which an encryption key is replaced. */
  readonly rotation: number;
  /** How long the server keeps messages: as long, replaced keys can be needed. */
  readonly retention: number;
}

export class Keyring {
  readonly #parts: KeyringParts;
  #record: DeviceRecord;
  #statement: Promise<DeviceKeys>;
  #identity: Promise<Identity>;

  constructor(parts: KeyringParts, record: DeviceRecord) {
    this.#parts = parts;
    this.#record = record;
    this.#statement = publicKeys(record.keys, parts.me);
    this.#identity = this.#read();
  }

  get keys(): OwnKeys {
    return this.#record.keys;
  }

  get device(): DeviceId {
    return this.#record.keys.device;
  }

  /** The local history is encrypted with this key. */
  get history(): CryptoKey {
    return this.#record.keys.history;
  }

  /** The public keys with their signed statement, as the server should list them. */
  statement(): Promise<DeviceKeys> {
    return this.#statement;
  }

  /** This device, to encrypt for. */
  identity(): Promise<Identity> {
    return this.#identity;
  }

  /**
   * Replaces an encryption key that is due, and returns whether it did. The new key is stored before
   * it is registered: a lost response must not lose messages that others encrypt for it.
   */
  async rotate({ rotation, retention }: KeyLimits): Promise<boolean> {
    const now = this.#parts.clock.now();
    const { keys, unconfirmed } = this.#record;
    if (unconfirmed) return false;
    if (now - keys.encryption.createdAt < rotation) {
      const kept = withoutExpired(keys, now, retention);
      if (kept !== keys) await this.#store({ id: "self", keys: kept });
      return false;
    }
    await this.#store({ id: "self", keys: await rotate(keys, now), unconfirmed: true });
    return true;
  }

  /**
   * The server accepted this generation. Only from now on, others replace the previous one. True if
   * it is the current generation.
   */
  async confirmed(generation: number): Promise<boolean> {
    const { keys, unconfirmed } = this.#record;
    if (generation !== keys.encryption.generation) return false;
    if (!unconfirmed) return true;
    const now = this.#parts.clock.now();
    const [latest, ...earlier] = keys.retired;
    const retired = latest ? [{ ...latest, replacedAt: now }, ...earlier] : [];
    await this.#store({ id: "self", keys: { ...keys, retired } });
    return true;
  }

  async #store(record: DeviceRecord): Promise<void> {
    await this.#parts.archive.commit([{ table: "device", put: record }]);
    this.#record = record;
    this.#statement = publicKeys(record.keys, this.#parts.me);
    this.#identity = this.#read();
  }

  async #read(): Promise<Identity> {
    const { device } = this;
    const identity = await readIdentity(this.#parts.me, { device, ...(await this.#statement) });
    if (!identity) throw new Error("this device's keys are valid");
    return identity;
  }
}
