// The clock that is passed to this layer and the domain.

export interface Clock {
  now(): number;
  /** Calls back once after a delay. Returns a function that cancels it. */
  after(milliseconds: number, call: () => void): () => void;
}

export function sleep(clock: Clock, milliseconds: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve();
    const done = () => {
      cancel();
      signal?.removeEventListener("abort", done);
      resolve();
    };
    const cancel = clock.after(milliseconds, done);
    signal?.addEventListener("abort", done);
  });
}
