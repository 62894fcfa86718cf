// The hash chain of one device's messages in one conversation. It detects dropped, repeated and
// reordered messages.

import { type Bytes, equal } from "./bytes";
import { NO_HASH } from "./header";

export interface ChainHead {
  readonly counter: number;
  readonly hash: Bytes;
}

export type Step =
  | { readonly kind: "next" }
  /** This many messages before this one are missing. */
  | { readonly kind: "gap"; readonly missing: number }
  /** The message does not follow the previous one: one of them was replaced. */
  | { readonly kind: "fork" }
  /** Already received. */
  | { readonly kind: "replay" };

export const START: ChainHead = { counter: 0, hash: NO_HASH };

export function follow(last: ChainHead, next: { counter: number; previous: Bytes }): Step {
  if (next.counter <= last.counter) return { kind: "replay" };
  if (next.counter > last.counter + 1)
    return { kind: "gap", missing: next.counter - last.counter - 1 };
  return equal(next.previous, last.hash) ? { kind: "next" } : { kind: "fork" };
}
