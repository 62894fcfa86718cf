// Disappearing messages: deletes each message on this device when its lifetime has passed.

import type { Lifetime } from "../../crypto";
import type { ConversationId } from "../../protocol/wire";
import type { Archive, Clock } from "../ports";
import type { Serial } from "../serial";
import type { MessageRecord } from "./records";

/** Browsers limit timers to 24 days, and a computer may sleep through one. */
const LONGEST_WAIT = 3_600_000;

export interface LifetimesParts {
  readonly archive: Archive;
  readonly clock: Clock;
  readonly serial: Serial;
  /** Called for each deleted message. */
  readonly deleted: (message: MessageRecord) => void;
  /** Called for each conversation that lost a message. */
  readonly changed: (conversation: ConversationId) => void;
}

export class Lifetimes {
  readonly #parts: LifetimesParts;
  #stopped = false;
  #cancelTimer: () => void = () => undefined;

  constructor(parts: LifetimesParts) {
    this.#parts = parts;
  }

  /** Deletes what has expired, and schedules the next deletion. Call when a message was stored. */
  async sweep(): Promise<void> {
    const { archive, clock, serial, deleted, changed } = this.#parts;
    if (this.#stopped) return;
    const touched = new Set<ConversationId>();
    const next = await serial.run(async () => {
      for (;;) {
        const first = await archive.firstToExpire();
        if (first?.expires === undefined || first.expires > clock.now()) return first?.expires;
        const { conversation, id } = first;
        await archive.commit([{ table: "messages", remove: [conversation, id] }]);
        deleted(first);
        touched.add(conversation);
      }
    });
    touched.forEach(changed);
    this.#cancelTimer();
    if (next === undefined || this.#stopped) return;
    const wait = Math.min(next - clock.now(), LONGEST_WAIT);
    const again = () => void this.sweep().catch(() => undefined);
    this.#cancelTimer = clock.after(Math.max(wait, 0), again);
  }

  stop(): void {
    this.#stopped = true;
    this.#cancelTimer();
  }
}

/**
 * When a message expires: its lifetime after it was written, or after it arrived if the sender's
 * clock is ahead. All in milliseconds; undefined if it is kept.
 */
export function expiryOf(
  lifetime: Lifetime,
  writtenAt: number,
  received: number,
): number | undefined {
  return lifetime === 0 ? undefined : Math.min(writtenAt, received) + lifetime * 1000;
}
