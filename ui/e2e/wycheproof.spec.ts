// The Wycheproof vectors in the browser, through the functions that the page uses. The bundle with
// the vectors is built here and is not part of the page.

import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, test } from "@playwright/test";
import { build } from "vite";
import type { Tallies } from "../src/crypto/wycheproof/run.testing";
import { arrive, expectNoComplaints } from "./person";

const FOLDER = new URL("../src/crypto/wycheproof/", import.meta.url);
const FILES = { "AES-GCM": "aes-gcm", "RSA-OAEP": "rsa-oaep", Ed25519: "ed25519" } as const;

test("every vector has the expected result in this browser", async () => {
  await using server = await serve(`<!doctype html><script>${await bundle()}</script>`);
  const person = await arrive();
  // A page on localhost is a secure context without HTTPS.
  await person.page.goto(server.url);
  const { results, expected } = await person.page.evaluate(
    async () =>
      ({
        results: await wycheproof.runWycheproof(),
        expected: wycheproof.EXPECTED,
      }) as { results: Tallies; expected: Tallies },
  );
  expect(results).toEqual(expected);
  for (const [name, file] of Object.entries(FILES) as [keyof Tallies, string][]) {
    const { accepted, rejected } = results[name];
    expect(accepted + rejected, `${name}: vectors run`).toBe(countOf(file));
  }
  expectNoComplaints(person);
  await person.leave();
});

/** The global of the bundle. */
declare const wycheproof: { runWycheproof(): Promise<Tallies>; EXPECTED: Tallies };

function countOf(file: string): number {
  return readFileSync(new URL(`${file}.json`, FOLDER), "utf8").split('"tcId":').length - 1;
}

async function bundle(): Promise<string> {
  const built = await build({
    configFile: false,
    logLevel: "error",
    build: {
      write: false,
      target: "es2023",
      lib: {
        entry: new URL("run.testing.ts", FOLDER).pathname,
        formats: ["iife"],
        name: "wycheproof",
      },
    },
  });
  const outputs = Array.isArray(built) ? built : [built];
  const chunks = outputs.flatMap((output) => ("output" in output ? output.output : []));
  const [chunk] = chunks;
  if (chunk?.type !== "chunk" || chunks.length !== 1)
    throw new Error("expected one script from the build");
  return chunk.code;
}

async function serve(html: string): Promise<{ url: string } & AsyncDisposable> {
  const server = createServer(({ url }, response) => {
    response.statusCode = url === "/" ? 200 : 204;
    response.setHeader("content-type", "text/html; charset=utf-8");
    response.end(url === "/" ? html : undefined);
  });
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://localhost:${port}/`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((closed) => server.close(closed));
    },
  };
}
