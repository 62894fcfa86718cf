// The canonical encoding of docs/E2E.md: big-endian numbers, length-prefixed fields, one encoding
// per value.

import { type Bytes, fromUtf8, utf8 } from "./bytes";

/** The bytes are not a canonical encoding. */
export class MalformedError extends Error {
  override readonly name = "MalformedError";
}

export class Writer {
  readonly #parts: Uint8Array[] = [];

  u8(value: number): this {
    this.#parts.push(Uint8Array.of(value));
    return this;
  }

  u32(value: number): this {
    const part = new Uint8Array(4);
    new DataView(part.buffer).setUint32(0, value);
    this.#parts.push(part);
    return this;
  }

  u64(value: number): this {
    const part = new Uint8Array(8);
    new DataView(part.buffer).setBigUint64(0, BigInt(value));
    this.#parts.push(part);
    return this;
  }

  /** Bytes of a fixed length, without a prefix. */
  raw(bytes: Uint8Array): this {
    this.#parts.push(bytes);
    return this;
  }

  bytes(bytes: Uint8Array): this {
    return this.u32(bytes.length).raw(bytes);
  }

  text(text: string): this {
    return this.bytes(utf8(text));
  }

  finish(): Bytes {
    const all = new Uint8Array(this.#parts.reduce((sum, part) => sum + part.length, 0));
    let at = 0;
    for (const part of this.#parts) {
      all.set(part, at);
      at += part.length;
    }
    return all;
  }
}

export class Reader {
  readonly #bytes: Bytes;
  #at = 0;

  constructor(bytes: Bytes) {
    this.#bytes = bytes;
  }

  raw(length: number): Bytes {
    if (length > this.#bytes.length - this.#at)
      throw new MalformedError(`expected ${length} more bytes`);
    const part = this.#bytes.slice(this.#at, this.#at + length);
    this.#at += length;
    return part;
  }

  u8(): number {
    return this.raw(1)[0] ?? 0;
  }

  u32(): number {
    return new DataView(this.raw(4).buffer).getUint32(0);
  }

  u64(): number {
    const value = new DataView(this.raw(8).buffer).getBigUint64(0);
    if (value > BigInt(Number.MAX_SAFE_INTEGER))
      throw new MalformedError("a number exceeds 2^53 - 1");
    return Number(value);
  }

  bytes(): Bytes {
    return this.raw(this.u32());
  }

  text(): string {
    const text = fromUtf8(this.bytes());
    if (text === undefined) throw new MalformedError("a text is not UTF-8");
    return text;
  }

  end(): void {
    if (this.#at !== this.#bytes.length) throw new MalformedError("trailing bytes");
  }
}
