// Observable values. The view subscribes with Svelte's `$cell`, tests with a callback.

export interface Readable<T> {
  readonly value: T;
  /** Calls the observer immediately and after every change. Returns the unsubscribe function. */
  subscribe(observer: (value: T) => void): () => void;
}

export class Cell<T> implements Readable<T> {
  #value: T;
  readonly #observers = new Set<(value: T) => void>();

  constructor(value: T) {
    this.#value = value;
  }

  get value(): T {
    return this.#value;
  }

  set(value: T): void {
    this.#value = value;
    for (const observer of [...this.#observers]) observer(value);
  }

  update(change: (value: T) => T): void {
    this.set(change(this.#value));
  }

  subscribe(observer: (value: T) => void): () => void {
    this.#observers.add(observer);
    observer(this.#value);
    return () => this.#observers.delete(observer);
  }
}
