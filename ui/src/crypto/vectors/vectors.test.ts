// Checks this implementation against the published vectors, positive and negative.

import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { type Bytes, fromBase64url, toBase64url, toHex, utf8 } from "../bytes";
import { encodeContent } from "../content";
import { RejectedError, open, seal, verify } from "../envelope";
import { type Identity, RSA, readIdentity } from "../identity";
import { safetyNumber } from "../safety";
import { makeVectors } from "./make";
import type { DeviceVector, EnvelopeVector, Vectors } from "./shape";

const PATH = new URL("rsa-aes-1.json", import.meta.url).pathname;
if (process.env["UPDATE_VECTORS"] || !existsSync(PATH)) {
  writeFileSync(PATH, JSON.stringify(await makeVectors(), null, 2) + "\n");
}
const vectors = JSON.parse(readFileSync(PATH, "utf8")) as Vectors;

const deviceVector = (account: string, device: string): DeviceVector => {
  const found = vectors.devices.find(
    (vector) => vector.account === account && vector.device === device,
  );
  if (!found) throw new Error(`no device ${account}/${device} in the vectors`);
  return found;
};

async function identity(account: string, device: string): Promise<Identity> {
  const read = await readIdentity(account, {
    ...deviceVector(account, device),
    suite: vectors.suite,
  });
  if (!read) throw new Error(`the keys of ${account}/${device} cannot be read`);
  return read;
}

async function privateKeys({ encryption_private, signing_private, device }: DeviceVector) {
  const encryption = await crypto.subtle.importKey("pkcs8", bytes(encryption_private), RSA, false, [
    "decrypt",
  ]);
  const signing = await crypto.subtle.importKey("pkcs8", bytes(signing_private), "Ed25519", false, [
    "sign",
  ]);
  const pair = (privateKey: CryptoKey) => ({ privateKey, publicKey: privateKey });
  return { device, encryption: pair(encryption), signing: pair(signing) };
}

function bytes(text: string): Bytes {
  const read = fromBase64url(text);
  if (!read) throw new Error("not base64url");
  return read;
}

const fromHex = (text: string): Bytes =>
  Uint8Array.from(text.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));

describe("devices", () => {
  test.each(vectors.devices)(
    "the fingerprint of $account/$device",
    async ({ account, device, fingerprint }) => {
      expect(toHex((await identity(account, device)).fingerprint)).toBe(fingerprint);
    },
  );

  test("a key of the wrong kind is rejected", async () => {
    const vector = deviceVector("alice", "laptop");
    const swapped = { ...vector, suite: vectors.suite, encryption_key: vector.signing_key };
    expect(await readIdentity("alice", swapped)).toBeUndefined();
    expect(await readIdentity("alice", { ...vector, suite: "rsa-aes-0" })).toBeUndefined();
  });
});

describe("envelopes", () => {
  test.each(vectors.envelopes)("$name opens on every recipient device", async (vector) => {
    const sender = await identity(vector.sender, vector.device);
    const verified = await verify(vector.envelope, vector, sender);
    expect(toHex(verified.hash)).toBe(vector.hash);
    for (const { account, device } of vector.recipients) {
      const { fingerprint } = await identity(account, device);
      const content = await open(
        verified,
        account,
        await privateKeys(deviceVector(account, device)),
        fingerprint,
      );
      expect(content).toEqual({ writtenAt: vector.written_at, text: vector.text });
    }
  });

  test.each(vectors.envelopes)("$name is encoded exactly as published", async (vector) => {
    const sealed = await resealed(vector);
    expect(toHex(bytes(sealed.header))).toBe(vector.header);
    expect(toHex(encodeContent({ writtenAt: vector.written_at, text: vector.text }))).toBe(
      vector.plaintext,
    );
    expect(sealed.ciphertext).toBe(vector.envelope.ciphertext);
    expect(sealed.keys.map(({ device }) => device)).toEqual(
      vector.envelope.keys.map(({ device }) => device),
    );
  });

  test("another device cannot open it", async () => {
    const [vector] = vectors.envelopes;
    if (!vector) throw new Error("there are envelopes");
    const verified = await verify(
      vector.envelope,
      vector,
      await identity(vector.sender, vector.device),
    );
    const eve = deviceVector("eve", "den");
    const { fingerprint } = await identity("eve", "den");
    expect(await open(verified, "eve", await privateKeys(eve), fingerprint)).toBeUndefined();
  });

  test("an envelope for different keys of this device is rejected", async () => {
    const [vector] = vectors.envelopes;
    if (!vector) throw new Error("there are envelopes");
    const verified = await verify(
      vector.envelope,
      vector,
      await identity(vector.sender, vector.device),
    );
    const bob = await privateKeys(deviceVector("bob", "desk"));
    const { fingerprint } = await identity("eve", "den");
    await expect(open(verified, "bob", bob, fingerprint)).rejects.toThrow(
      new RejectedError("undecryptable"),
    );
  });
});

describe("rejected envelopes", () => {
  test.each(vectors.negative)("$name: $reason", async ({ envelope, claimed, reason }) => {
    const sender = await identity(claimed.sender, claimed.device);
    await expect(verify(envelope, claimed, sender)).rejects.toMatchObject({
      name: "RejectedError",
      reason,
    });
  });

  test("a ciphertext that does not match its header, signed by the sender", async () => {
    const [first, second] = vectors.envelopes;
    if (!first || !second) throw new Error("there are envelopes");
    const { signing } = await privateKeys(deviceVector(first.sender, first.device));
    const mixed = { ...first.envelope, ciphertext: second.envelope.ciphertext };
    const signature = await crypto.subtle.sign("Ed25519", signing.privateKey, signedBytes(mixed));
    const envelope = { ...mixed, signature: toBase64url(new Uint8Array(signature)) };
    const verified = await verify(envelope, first, await identity(first.sender, first.device));
    const bob = await privateKeys(deviceVector("bob", "desk"));
    const { fingerprint } = await identity("bob", "desk");
    await expect(open(verified, "bob", bob, fingerprint)).rejects.toThrow(
      new RejectedError("undecryptable"),
    );
  });
});

describe("safety numbers", () => {
  test.each(vectors.safety)("$number", async ({ a, b, number }) => {
    const side = async ({ account, devices }: typeof a) => {
      return {
        account,
        devices: await Promise.all(devices.map((device) => identity(account, device))),
      };
    };
    const [sideA, sideB] = [await side(a), await side(b)];
    expect(number).toMatch(/^\d{60}$/);
    expect(await safetyNumber(sideA, sideB)).toBe(number);
    expect(await safetyNumber(sideB, sideA)).toBe(number);
    expect(await safetyNumber({ ...sideA, devices: sideA.devices.slice(1) }, sideB)).not.toBe(
      number,
    );
  });
});

async function resealed(vector: EnvelopeVector) {
  const recipients = await Promise.all(
    vector.recipients.map(({ account, device }) => identity(account, device)),
  );
  const position = {
    conversation: vector.conversation,
    account: vector.sender,
    cid: vector.cid,
    counter: vector.counter,
    previous: fromHex(vector.previous),
  };
  const own = await privateKeys(deviceVector(vector.sender, vector.device));
  const random = { messageKey: fromHex(vector.message_key), nonce: fromHex(vector.nonce) };
  const content = { writtenAt: vector.written_at, text: vector.text };
  return (await seal(own, position, recipients, content, random)).envelope;
}

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
