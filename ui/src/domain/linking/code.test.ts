import { expect, test } from "vitest";
import { hashOf, parseScanned, parseTyped } from "./code";

const CODE = "12345678";

test("a code is typed with or without a space", () => {
  for (const text of ["12345678", "1234 5678", " 1234-5678 "])
    expect(parseTyped(text)).toEqual({ code: CODE, fingerprint: undefined });
  for (const text of ["", "1234567", "123456789", "1234567a"])
    expect(parseTyped(text)).toBeUndefined();
});

test("a code is scanned only from this site's address", () => {
  const fingerprint = new Uint8Array(32).fill(5);
  const hash = hashOf(CODE, fingerprint);
  const read = (text: string) => parseScanned(text, "https://chat.example");
  expect(read(`https://chat.example/link#${hash}`)).toEqual({ code: CODE, fingerprint });
  for (const text of [
    `https://evil.example/link#${hash}`,
    `http://chat.example/link#${hash}`,
    `https://chat.example/people#${hash}`,
    "https://chat.example/link",
    `https://chat.example/link#code=${CODE}&device=AAAA`,
    CODE,
  ])
    expect(read(text), text).toBeUndefined();
});
