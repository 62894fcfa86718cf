// One side's view of a link: sends messages, and polls for those of the other side.

import { type Api, type Clock, ProblemError } from "../../net";
import { type LinkSide, LIMITS, type RelayedMessages } from "../../protocol/wire";
import { LinkError, failureOf, isTemporary } from "./failure";
import { type LinkMessage, parseMessage } from "./messages";

export interface RelayParts {
  readonly api: Api;
  readonly clock: Clock;
  readonly code: string;
  readonly side: LinkSide;
  /** The new device's secret; the old one uses its cookie. */
  readonly token?: string;
  /** When the link ends, by this device's clock, in milliseconds. */
  readonly endsAt: number;
}

const INTERVAL = 1_500;

export class Relay {
  /** Rejects with the first failure, and never resolves. */
  readonly failure: Promise<never>;
  readonly #parts: RelayParts;
  readonly #arrived: LinkMessage[] = [];
  #fail: (error: unknown) => void = () => undefined;
  #wake: () => void = () => undefined;
  #after = 0;
  #isApproved = false;
  #closed = false;
  #cancelTimer: () => void = () => undefined;

  constructor(parts: RelayParts) {
    this.#parts = parts;
    this.failure = new Promise((_, reject) => (this.#fail = reject));
    // Observed by each waiting call; without one, there is no one to tell.
    this.failure.catch(() => undefined);
  }

  /** Starts polling. The first poll is part of it, so an unknown code is reported at once. */
  async open(): Promise<void> {
    try {
      this.#take(await this.#fetch());
    } catch (error) {
      const unknown = error instanceof ProblemError && error.status === 404;
      throw unknown && this.#parts.side === "old" ? new LinkError("unknown-code") : error;
    }
    this.#schedule();
  }

  async post(message: LinkMessage): Promise<void> {
    const { api, code, token } = this.#parts;
    await api.postLinkMessage(code, JSON.stringify(message), token);
  }

  /** The other side's next message. Rejects if it is of another type, or the link failed. */
  async next<T extends LinkMessage["type"]>(type: T): Promise<Extract<LinkMessage, { type: T }>> {
    await this.#until(() => this.#arrived.length > 0);
    const message = this.#arrived.shift();
    if (message?.type !== type) throw new LinkError("wrong-answer");
    return message as Extract<LinkMessage, { type: T }>;
  }

  /** Resolves when the server says that the account approved the new device. */
  approved(): Promise<void> {
    return this.#until(() => this.#isApproved);
  }

  /** Stops polling, and ends all waiting. */
  close(): void {
    this.#closed = true;
    this.#cancelTimer();
    this.#fail(new LinkError("cancelled"));
  }

  async #until(condition: () => boolean): Promise<void> {
    while (!condition()) {
      const woken = new Promise<void>((resolve) => (this.#wake = resolve));
      await Promise.race([woken, this.failure]);
    }
  }

  #schedule(): void {
    if (this.#closed) return;
    this.#cancelTimer = this.#parts.clock.after(INTERVAL, () => void this.#poll());
  }

  async #poll(): Promise<void> {
    try {
      if (this.#parts.clock.now() >= this.#parts.endsAt) throw new LinkError("expired");
      const answer = await this.#fetch();
      if (this.#closed) return;
      this.#take(answer);
    } catch (error) {
      // A lost connection may return before the link ends.
      if (!isTemporary(error)) return this.#failed(error);
    }
    this.#schedule();
  }

  #fetch(): Promise<RelayedMessages> {
    const { api, code, token } = this.#parts;
    return api.linkMessages(code, this.#after, token);
  }

  #take(answer: RelayedMessages): void {
    if (!isAnswer(answer)) throw new LinkError("wrong-answer");
    for (const { index, from, body } of answer.messages) {
      if (index !== this.#after + 1 || index > LIMITS.maxLinkMessages)
        throw new LinkError("wrong-answer");
      this.#after = index;
      if (from !== this.#parts.side) this.#arrived.push(this.#read(body));
    }
    this.#isApproved ||= answer.approved;
    this.#wake();
  }

  #read(body: string): LinkMessage {
    const message = parseMessage(body);
    if (!message) throw new LinkError("wrong-answer");
    if (message.type !== "leave") return message;
    throw new LinkError(message.reason === "mismatch" ? "mismatch-there" : message.reason);
  }

  #failed(error: unknown): void {
    this.#fail(new LinkError(failureOf(error)));
    this.close();
  }
}

function isAnswer({ messages, approved }: RelayedMessages): boolean {
  const isMessage = ({ body }: { body: unknown }) => typeof body === "string";
  return Array.isArray(messages) && messages.every(isMessage) && typeof approved === "boolean";
}
