// One sender device's messages in one conversation: a counter and hashes, so that nothing is dropped, repeated or
// put in another order without being noticed.

import { type Bytes, equal } from "./bytes";
import { NO_PREVIOUS } from "./header";

export interface ChainHead {
  readonly counter: number;
  readonly hash: Bytes;
}

export type Step =
  | { readonly kind: "next" }
  /** So many messages before this one were never seen. */
  | { readonly kind: "gap"; readonly missing: number }
  /** It does not follow the message before it: one of the two was exchanged. */
  | { readonly kind: "fork" }
  /** Seen already. */
  | { readonly kind: "replay" };

export const START: ChainHead = { counter: 0, hash: NO_PREVIOUS };

export function follow(last: ChainHead, next: { counter: number; previous: Bytes }): Step {
  if (next.counter <= last.counter) return { kind: "replay" };
  if (next.counter > last.counter + 1)
    return { kind: "gap", missing: next.counter - last.counter - 1 };
  return equal(next.previous, last.hash) ? { kind: "next" } : { kind: "fork" };
}
