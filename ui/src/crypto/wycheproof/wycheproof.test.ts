import { expect, test } from "vitest";
import { MalformedError } from "../canonical";
import { decrypt, encrypt, importMessageKey } from "../primitives";
import { EXPECTED, runWycheproof } from "./run.testing";

test("every vector has the expected result", async () => {
  expect(await runWycheproof()).toEqual(EXPECTED);
});

test("keys and nonces of other sizes are rejected", async () => {
  for (const size of [0, 16, 24, 31, 33])
    await expect(importMessageKey(new Uint8Array(size), "encrypt"), `${size}`).rejects.toThrow(
      MalformedError,
    );
  const none = new Uint8Array();
  for (const [use, call] of [
    ["encrypt", encrypt],
    ["decrypt", decrypt],
  ] as const) {
    const key = await importMessageKey(new Uint8Array(32), use);
    for (const size of [0, 8, 11, 13, 16])
      await expect(call(key, new Uint8Array(size), none, none), `${size}`).rejects.toThrow(
        MalformedError,
      );
  }
});
