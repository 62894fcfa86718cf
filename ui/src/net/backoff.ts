// Exponential backoff with full jitter, so that clients do not reconnect all at once.

export interface BackoffLimits {
  readonly base: number;
  readonly cap: number;
}

export class Backoff {
  readonly #limits: BackoffLimits;
  readonly #random: () => number;
  #failures = 0;

  constructor(random: () => number, limits: BackoffLimits = { base: 500, cap: 30_000 }) {
    this.#random = random;
    this.#limits = limits;
  }

  /**
   * Milliseconds until the next attempt: random between 0 and a bound that doubles with each
   * failure.
   */
  next(): number {
    const bound = Math.min(this.#limits.cap, this.#limits.base * 2 ** this.#failures);
    this.#failures += 1;
    return Math.round(this.#random() * bound);
  }

  reset(): void {
    this.#failures = 0;
  }
}
