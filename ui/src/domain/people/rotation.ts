// Replaces this device's encryption key when it is due, and deletes replaced keys after the server's
// retention.

import type { Limits } from "../../protocol/wire";
import type { Clock } from "../ports";
import type { Keyring } from "./keyring";
import type { Registration } from "./registration";

/** Browsers limit timers to 24 days, and a computer may sleep through one. */
const INTERVAL = 3_600_000;

export interface RotationParts {
  readonly keyring: Keyring;
  readonly registration: Registration;
  readonly clock: Clock;
  /** The server accepted a new key. */
  readonly rotated: () => void;
}

export class Rotation {
  readonly #parts: RotationParts;
  #limits: Pick<Limits, "key_rotation_seconds" | "retention_seconds"> | undefined;
  #running: Promise<void> = Promise.resolve();
  #cancelTimer: () => void = () => undefined;

  constructor(parts: RotationParts) {
    this.#parts = parts;
  }

  /** Checks now and every hour. Resolves after this check. */
  follow(limits: Pick<Limits, "key_rotation_seconds" | "retention_seconds">): Promise<void> {
    this.#limits = limits;
    return this.#check();
  }

  /** Resolves after the last write. */
  async stop(): Promise<void> {
    this.#limits = undefined;
    this.#cancelTimer();
    await this.#running;
  }

  #check(): Promise<void> {
    this.#cancelTimer();
    if (!this.#limits) return this.#running;
    this.#cancelTimer = this.#parts.clock.after(INTERVAL, () => void this.#check());
    const limits = {
      rotation: this.#limits.key_rotation_seconds * 1000,
      retention: this.#limits.retention_seconds * 1000,
    };
    // A check that fails, for example because the disk is full, is repeated in an hour.
    this.#running = this.#running.then(() => this.#rotate(limits)).catch(() => undefined);
    return this.#running;
  }

  async #rotate(limits: { rotation: number; retention: number }): Promise<void> {
    const { keyring, registration, rotated } = this.#parts;
    if (await keyring.rotate(limits)) registration.forget();
    // Without a connection, the next one registers the new key.
    const registered = await registration.ensure().catch(() => false);
    if (registered) rotated();
  }
}
