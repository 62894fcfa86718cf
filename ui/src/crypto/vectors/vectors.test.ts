// Opens and rejects the published vectors, and seals rsa-aes-1.json. rust.json is sealed by
// e2e/tests/envelope.

import { readFileSync, writeFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { type Bytes, toBase64url, utf8 } from "../bytes";
import { RejectedError, open, verify } from "../envelope";
import { readIdentity } from "../identity";
import { Devices, bytes, checkVectors, statementOf } from "./checks.testing";
import { makeVectors } from "./make";
import type { EnvelopeVector, Vectors } from "./shape";

const path = (name: string) => new URL(name, import.meta.url).pathname;
const read = (name: string) => JSON.parse(readFileSync(path(name), "utf8")) as Vectors;

if (process.env["UPDATE_VECTORS"])
  writeFileSync(path("rsa-aes-1.json"), JSON.stringify(await makeVectors(), null, 2) + "\n");

const vectors = read("rsa-aes-1.json");
const devices = new Devices(vectors);

describe("rsa-aes-1.json", () => checkVectors(vectors, { account: "bob", device: "desk" }));

describe("rust.json", () => checkVectors(read("rust.json"), { account: "ana-b", device: "desk" }));

describe("wrong keys", () => {
  test("a key of the wrong kind is rejected", async () => {
    const vector = devices.vector("alice", "laptop");
    const swapped = { ...vector, encryption_key: vector.signing_key };
    const listed = { ...swapped, ...(await statementOf(swapped)) };
    expect(await readIdentity("alice", listed)).toBeUndefined();
    const other = { ...vector, ...(await statementOf(vector)), suite: "rsa-aes-0" };
    expect(await readIdentity("alice", other)).toBeUndefined();
  });

  test("another device cannot open it", async () => {
    const [vector] = vectors.envelopes;
    if (!vector) throw new Error("there are envelopes");
    const verified = await verify(
      vector.envelope,
      vector,
      await devices.identity(vector.sender, vector.device),
    );
    expect(await open(verified, "eve", await devices.privateKeys("eve", "den"))).toBeUndefined();
  });

  test("an envelope for different keys of this device is rejected", async () => {
    const [vector] = vectors.envelopes;
    if (!vector) throw new Error("there are envelopes");
    const verified = await verify(
      vector.envelope,
      vector,
      await devices.identity(vector.sender, vector.device),
    );
    const eve = await devices.privateKeys("eve", "den");
    const bob = { ...eve, device: "desk" };
    await expect(open(verified, "bob", bob)).rejects.toThrow(new RejectedError("undecryptable"));
  });

  test("a ciphertext that does not match its header, signed by the sender", async () => {
    const [first, second] = vectors.envelopes;
    if (!first || !second) throw new Error("there are envelopes");
    const { signing } = await devices.privateKeys(first.sender, first.device);
    const mixed = { ...first.envelope, ciphertext: second.envelope.ciphertext };
    const signature = await crypto.subtle.sign("Ed25519", signing.privateKey, signedBytes(mixed));
    const envelope = { ...mixed, signature: toBase64url(new Uint8Array(signature)) };
    const verified = await verify(
      envelope,
      first,
      await devices.identity(first.sender, first.device),
    );
    const bob = await devices.privateKeys("bob", "desk");
    await expect(open(verified, "bob", bob)).rejects.toThrow(new RejectedError("undecryptable"));
  });
});

/** An independent implementation of docs/E2E.md. */
function signedBytes(envelope: EnvelopeVector["envelope"]): Bytes {
  const field = (part: Uint8Array) => {
    const length = new Uint8Array(4);
    new DataView(length.buffer).setUint32(0, part.length);
    return [length, part];
  };
  const count = new Uint8Array(4);
  new DataView(count.buffer).setUint32(0, envelope.keys.length);
  const parts = [
    ...field(utf8("gatehouse/envelope/1")),
    ...field(bytes(envelope.header)),
    ...field(bytes(envelope.nonce)),
    ...field(bytes(envelope.ciphertext)),
    count,
    ...envelope.keys.flatMap(({ device, key }) => [...field(utf8(device)), ...field(bytes(key))]),
  ];
  return Uint8Array.from(parts.flatMap((part) => [...part]));
}
