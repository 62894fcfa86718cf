import { describe, expect, test } from "vitest";
import { compare, fromBase64url, toBase64url, utf8 } from "./bytes";
import { MalformedError, Reader, Writer } from "./canonical";
import { START, follow } from "./chain";
import { BUCKETS, MAX_TEXT, decodeContent, encodeContent } from "./content";

describe("base64url", () => {
  test("every length round-trips and matches Node's encoding", () => {
    for (let length = 0; length < 70; length += 1) {
      const bytes = crypto.getRandomValues(new Uint8Array(length));
      const text = toBase64url(bytes);
      expect(text).toBe(Buffer.from(bytes).toString("base64url"));
      expect(fromBase64url(text)).toEqual(bytes);
    }
  });

  test("padding, other characters, invalid lengths and leftover bits are rejected", () => {
    for (const bad of ["AA==", "A+A/", "A", "AAAAA", "AB", "AAB", "A A", "AAA\n"]) {
      expect(fromBase64url(bad), bad).toBeUndefined();
    }
  });
});

describe("canonical encoding", () => {
  test("values round-trip", () => {
    const bytes = new Writer()
      .u8(7)
      .u32(70_000)
      .u64(2 ** 40)
      .text("Grüße")
      .bytes(utf8("x"))
      .finish();
    const reader = new Reader(bytes);
    expect([reader.u8(), reader.u32(), reader.u64(), reader.text(), reader.bytes()]).toEqual([
      7,
      70_000,
      2 ** 40,
      "Grüße",
      utf8("x"),
    ]);
    expect(() => reader.end()).not.toThrow();
  });

  test("short input, trailing bytes, invalid UTF-8 and numbers beyond 2^53 are rejected", () => {
    expect(() => new Reader(new Uint8Array(3)).u32()).toThrow(MalformedError);
    expect(() => new Reader(new Uint8Array(1)).end()).toThrow(MalformedError);
    expect(() => new Reader(Uint8Array.of(0, 0, 0, 1, 0xff)).text()).toThrow(MalformedError);
    expect(() => new Reader(new Uint8Array(8).fill(0xff)).u64()).toThrow(MalformedError);
    expect(() => new Reader(Uint8Array.of(0xff, 0xff, 0xff, 0xff)).bytes()).toThrow(MalformedError);
  });

  test("bytes are ordered by value, not by locale", () => {
    expect(["b", "a", "Z", "ä", "aa", ""].sort((x, y) => compare(utf8(x), utf8(y)))).toEqual([
      "",
      "Z",
      "a",
      "aa",
      "b",
      "ä",
    ]);
  });
});

describe("content", () => {
  const written = (text: string) => encodeContent({ kind: "text", writtenAt: 1, text });

  test("the size of a plaintext is always a bucket", () => {
    const sizes = new Set<number>();
    for (const length of [0, 1, 100, 238, 239, 1000, 5000, MAX_TEXT]) {
      const text = "x".repeat(length);
      const plaintext = written(text);
      expect(BUCKETS).toContain(plaintext.length);
      expect(decodeContent(plaintext)).toEqual({ kind: "text", writtenAt: 1, text });
      sizes.add(plaintext.length);
    }
    expect(sizes).toEqual(new Set([256, 512, 1024, 8192, 16384]));
  });

  test("text that is too long and invalid padding are rejected", () => {
    expect(() => written("x".repeat(MAX_TEXT + 1))).toThrow(MalformedError);
    const plaintext = written("x");
    const dirty = plaintext.slice();
    dirty[200] = 1;
    expect(() => decodeContent(dirty)).toThrow(MalformedError);
    expect(() => decodeContent(plaintext.slice(0, 100))).toThrow(MalformedError);
    const larger = new Uint8Array(512);
    larger.set(plaintext);
    expect(() => decodeContent(larger)).toThrow(MalformedError);
  });

  test("a change of the lifetime has no text and looks like a short message", () => {
    const change = { kind: "lifetime", writtenAt: 7 } as const;
    const plaintext = encodeContent(change);
    expect(decodeContent(plaintext)).toEqual(change);
    expect(plaintext.length).toBe(written("Hello").length);
    const [version, kind] = [4, 5];
    const withText = written("x");
    withText[kind] = 2;
    expect(() => decodeContent(withText)).toThrow("a change of the lifetime has no text");
    for (const [at, value] of [
      [version, 1],
      [version, 3],
      [kind, 0],
      [kind, 3],
    ] as const) {
      const other = plaintext.slice();
      other[at] = value;
      expect(() => decodeContent(other), `byte ${at}: ${value}`).toThrow(MalformedError);
    }
  });
});

describe("the chain", () => {
  const hash = (byte: number) => new Uint8Array(32).fill(byte);

  test("next, gap, fork and replay are distinguished", () => {
    expect(follow(START, { counter: 1, previous: hash(0) })).toEqual({ kind: "next" });
    const last = { counter: 4, hash: hash(4) };
    expect(follow(last, { counter: 5, previous: hash(4) })).toEqual({ kind: "next" });
    expect(follow(last, { counter: 5, previous: hash(9) })).toEqual({ kind: "fork" });
    expect(follow(last, { counter: 8, previous: hash(7) })).toEqual({ kind: "gap", missing: 3 });
    expect(follow(last, { counter: 4, previous: hash(3) })).toEqual({ kind: "replay" });
  });
});
