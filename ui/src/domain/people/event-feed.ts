// Events of the live connection: applied to the inbox one at a time, in order, and acknowledged in
// batches.

import type { InboxEvent } from "../../protocol/wire";
import type { Clock } from "../ports";
import type { Serial } from "../serial";
import type { Inbox } from "./inbox";

const ACK_DELAY = 150;

export interface EventFeedParts {
  readonly inbox: Inbox;
  readonly serial: Serial;
  readonly clock: Clock;
  readonly acknowledge: (upto: number) => void;
}

export class EventFeed {
  readonly #parts: EventFeedParts;
  /** An event failed. Later events are skipped until the next connection replays it. */
  #failed = false;
  #cancelAck: (() => void) | undefined;

  constructor(parts: EventFeedParts) {
    this.#parts = parts;
  }

  /** The position to resume from, once pending events are applied; undefined on a new device. */
  async resume(): Promise<number | undefined> {
    await this.#parts.serial.idle();
    this.#failed = false;
    return this.#parts.inbox.position;
  }

  /** Loads all conversations page by page; live events continue at `position`. */
  sync(position: number): Promise<void> {
    const { inbox, serial } = this.#parts;
    return serial.run(() => this.#guarded(() => inbox.sync(position)));
  }

  /** False if the event was skipped. Rejects if it cannot be applied. */
  apply(position: number, event: InboxEvent): Promise<boolean> {
    const { inbox, serial } = this.#parts;
    return serial.run(async () => {
      if (this.#failed) return false;
      await this.#guarded(() => inbox.event(position, event));
      return true;
    });
  }

  /** Schedules an acknowledgement of everything applied so far. */
  acknowledge(): void {
    const { inbox, clock, acknowledge } = this.#parts;
    this.#cancelAck ??= clock.after(ACK_DELAY, () => {
      this.#cancelAck = undefined;
      if (inbox.position !== undefined) acknowledge(inbox.position);
    });
  }

  stop(): void {
    this.#cancelAck?.();
  }

  async #guarded(task: () => Promise<void>): Promise<void> {
    this.#failed = true;
    await task();
    this.#failed = false;
  }
}
