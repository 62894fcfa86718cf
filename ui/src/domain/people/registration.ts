// Registers this device's public keys with the server. A permanent rejection is kept for display.

import { type OwnKeys, publicKeys } from "../../crypto";
import { type Api, ProblemError } from "../../net";
import type { AccountId } from "../../protocol/wire";
import { Cell } from "../observable";
import { type Trouble, troubleOf } from "../problems";

export class Registration {
  readonly trouble = new Cell<Trouble | undefined>(undefined);
  readonly #api: Api;
  readonly #keys: OwnKeys;
  readonly #me: AccountId;
  #done = false;
  /** The server rejects this device permanently, so no further request is sent. */
  #removed: ProblemError | undefined;

  constructor(api: Api, keys: OwnKeys, me: AccountId) {
    this.#api = api;
    this.#keys = keys;
    this.#me = me;
  }

  /** The server accepted this device's keys. */
  get done(): boolean {
    return this.#done;
  }

  /** The server does not know this device, so register it again. */
  forget(): void {
    this.#done = false;
  }

  /** True if the device was registered by this call. */
  async ensure(): Promise<boolean> {
    if (this.#removed) throw this.#removed;
    if (this.#done) return false;
    try {
      await this.#api.registerDevice(this.#keys.device, await publicKeys(this.#keys, this.#me));
    } catch (error) {
      if (error instanceof ProblemError && error.problem.type === "device-removed")
        this.#removed = error;
      if (error instanceof ProblemError && error.status < 500 && error.status !== 429) {
        this.trouble.set(troubleOf(error));
      }
      throw error;
    }
    this.trouble.set(undefined);
    this.#done = true;
    return true;
  }
}
