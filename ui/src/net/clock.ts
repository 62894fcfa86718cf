// Time, as the layers above and here are given it.

export interface Clock {
  now(): number;
  /** Calls back once, after so many milliseconds; the answer cancels it. */
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
