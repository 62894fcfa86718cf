// Registers this device's public keys with the server. A permanent rejection is kept for display.

import { type Api, ProblemError } from "../../net";
import { Cell } from "../observable";
import { type Trouble, troubleOf } from "../problems";
import type { Keyring } from "./keyring";

export class Registration {
  readonly trouble = new Cell<Trouble | undefined>(undefined);
  readonly #api: Api;
  readonly #keyring: Keyring;
  #done = false;
  /** The server rejects this device permanently, so no further request is sent. */
  #removed: ProblemError | undefined;

  constructor(api: Api, keyring: Keyring) {
    this.#api = api;
    this.#keyring = keyring;
  }

  /** The server accepted this device's keys. */
  get done(): boolean {
    return this.#done;
  }

  /** The server does not know this device or its new key, so register it again. */
  forget(): void {
    this.#done = false;
  }

  /** True if the device was registered by this call. */
  async ensure(): Promise<boolean> {
    if (this.#removed) throw this.#removed;
    if (this.#done) return false;
    const statement = await this.#keyring.statement();
    try {
      await this.#api.registerDevice(this.#keyring.device, statement);
    } catch (error) {
      if (error instanceof ProblemError && error.problem.type === "device-removed")
        this.#removed = error;
      if (error instanceof ProblemError && error.status < 500 && error.status !== 429) {
        this.trouble.set(troubleOf(error));
      }
      throw error;
    }
    this.trouble.set(undefined);
    // A key that was generated meanwhile is not registered yet.
    this.#done = await this.#keyring.confirmed(statement.generation);
    return true;
  }
}
