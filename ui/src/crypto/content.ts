// What a message says, and its padding: the size of a ciphertext reveals only a bucket.

import { type Bytes } from "./bytes";
import { MalformedError, Reader, Writer } from "./canonical";

/** Plaintext sizes in bytes. The largest one limits a message. */
export const BUCKETS = [256, 512, 1024, 2048, 4096, 8192, 16384] as const;

const VERSION = 2;
const KIND_TEXT = 1;
const KIND_LIFETIME = 2;
/** Length prefix, version, kind, time and text length. */
const OVERHEAD = 4 + 1 + 1 + 8 + 4;

/** The longest text of one message, in UTF-8 bytes. */
export const MAX_TEXT = 16384 - OVERHEAD;

/** `writtenAt`: when it was written, by the sender's clock, in milliseconds since 1970. */
export type Content =
  | { readonly kind: "text"; readonly writtenAt: number; readonly text: string }
  /** From now on, messages have the lifetime in this message's header. */
  | { readonly kind: "lifetime"; readonly writtenAt: number };

export function encodeContent(content: Content): Bytes {
  const body = new Writer()
    .u8(VERSION)
    .u8(content.kind === "text" ? KIND_TEXT : KIND_LIFETIME)
    .u64(content.writtenAt)
    .text(content.kind === "text" ? content.text : "")
    .finish();
  return new Writer().bytes(body).raw(padding(body.length)).finish();
}

export function decodeContent(plaintext: Bytes): Content {
  const padded = new Reader(plaintext);
  const body = padded.bytes();
  const expected = padding(body.length);
  if (padded.raw(expected.length).some((byte) => byte !== 0))
    throw new MalformedError("the padding is not zero");
  padded.end();
  const reader = new Reader(body);
  if (reader.u8() !== VERSION) throw new MalformedError("the content has an unknown version");
  const kind = reader.u8();
  const writtenAt = reader.u64();
  const text = reader.text();
  reader.end();
  if (kind === KIND_TEXT) return { kind: "text", writtenAt, text };
  if (kind !== KIND_LIFETIME) throw new MalformedError("the content is of an unknown kind");
  if (text !== "") throw new MalformedError("a change of the lifetime has no text");
  return { kind: "lifetime", writtenAt };
}

function padding(bodyLength: number): Bytes {
  const bucket = BUCKETS.find((size) => size >= bodyLength + 4);
  if (bucket === undefined)
    throw new MalformedError(`a message holds at most ${MAX_TEXT} bytes of text`);
  return new Uint8Array(bucket - bodyLength - 4);
}
