// Checks this implementation against a vector file.

import { describe, expect, test } from "vitest";
import { type Bytes, fromBase64url, toBase64url, toHex } from "../bytes";
import { START, follow } from "../chain";
import { encodeContent } from "../content";
import { open, seal, verify } from "../envelope";
import { type Identity, RSA, keysStatement, readIdentity } from "../identity";
import type { OwnKeys } from "../keys";
import { signingKeyOf } from "../signing-key";
import type { DeviceVector, EnvelopeVector, Vectors } from "./shape";

/** The devices of a vector file. */
export class Devices {
  readonly #vectors: Vectors;

  constructor(vectors: Vectors) {
    this.#vectors = vectors;
  }

  vector(account: string, device: string): DeviceVector {
    const found = this.#vectors.devices.find(
      (vector) => vector.account === account && vector.device === device,
    );
    if (!found) throw new Error(`no device ${account}/${device} in the vectors`);
    return found;
  }

  async identity(account: string, device: string): Promise<Identity> {
    const vector = this.vector(account, device);
    const read = await readIdentity(account, { ...vector, ...(await statementOf(vector)) });
    if (!read) throw new Error(`the keys of ${account}/${device} cannot be read`);
    return read;
  }

  async privateKeys(account: string, device: string): Promise<Omit<OwnKeys, "history">> {
    const { encryption_private, signing_private } = this.vector(account, device);
    const { encryption_key, signing_key } = this.vector(account, device);
    const { subtle } = crypto;
    const encryption = {
      privateKey: await subtle.importKey("pkcs8", bytes(encryption_private), RSA, false, [
        "decrypt",
      ]),
      publicKey: await subtle.importKey("spki", bytes(encryption_key), RSA, true, ["encrypt"]),
    };
    const signing = {
      privateKey: await signingKey(signing_private),
      publicKey: await subtle.importKey("spki", bytes(signing_key), "Ed25519", true, ["verify"]),
    };
    return { device, signing, encryption: { ...FIRST, pair: encryption }, retired: [] };
  }
}

const FIRST = { generation: 1, createdAt: 0 };

/** The listed form of a vector's keys, as their first generation. */
export async function statementOf(vector: DeviceVector) {
  const { account, device } = vector;
  const statement = keysStatement({
    ...FIRST,
    account,
    device,
    encryptionKey: bytes(vector.encryption_key),
    signingKey: signingKeyOf(bytes(vector.signing_key)) ?? new Uint8Array(),
  });
  const key = await signingKey(vector.signing_private);
  const signature = new Uint8Array(await crypto.subtle.sign("Ed25519", key, statement));
  return { suite: "rsa-aes-1", generation: 1, created_at: 0, signature: toBase64url(signature) };
}

function signingKey(pkcs8: string): Promise<CryptoKey> {
  return crypto.subtle.importKey("pkcs8", bytes(pkcs8), "Ed25519", false, ["sign"]);
}

export function bytes(text: string): Bytes {
  const read = fromBase64url(text);
  if (!read) throw new Error("not base64url");
  return read;
}

const fromHex = (text: string): Bytes =>
  Uint8Array.from(text.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));

/** Registers the tests of everything in the file. `receiver` rejects the bad envelopes. */
export function checkVectors(
  vectors: Vectors,
  receiver: { account: string; device: string },
): void {
  const devices = new Devices(vectors);
  describe("devices", () => checkDevices(vectors, devices));
  describe("envelopes", () => checkEnvelopes(vectors, devices));
  describe("rejected envelopes", () => checkRejected(vectors, devices, receiver));
}

function checkDevices(vectors: Vectors, devices: Devices): void {
  test.each(vectors.devices)(
    "the fingerprint of $account/$device",
    async ({ account, device, fingerprint }) => {
      expect(toHex((await devices.identity(account, device)).fingerprint)).toBe(fingerprint);
    },
  );
}

function checkEnvelopes(vectors: Vectors, devices: Devices): void {
  test.each(vectors.envelopes)("$name opens on every recipient device", async (vector) => {
    const sender = await devices.identity(vector.sender, vector.device);
    const verified = await verify(vector.envelope, vector, sender);
    expect(toHex(verified.hash)).toBe(vector.hash);
    for (const { account, device } of vector.recipients) {
      const own = await devices.privateKeys(account, device);
      const content = await open(verified, account, own);
      expect(content).toEqual({ writtenAt: vector.written_at, text: vector.text });
    }
  });

  test.each(vectors.envelopes)("$name is encoded exactly as published", async (vector) => {
    const sealed = await resealed(devices, vector);
    expect(toHex(bytes(sealed.header))).toBe(vector.header);
    expect(toHex(encodeContent({ writtenAt: vector.written_at, text: vector.text }))).toBe(
      vector.plaintext,
    );
    expect(sealed.ciphertext).toBe(vector.envelope.ciphertext);
    expect(sealed.keys.map(({ device }) => device)).toEqual(
      vector.envelope.keys.map(({ device }) => device),
    );
  });

  test("each sender's envelopes form a chain", async () => {
    const heads = new Map<string, typeof START>();
    for (const vector of vectors.envelopes) {
      const sender = await devices.identity(vector.sender, vector.device);
      const { header, hash } = await verify(vector.envelope, vector, sender);
      const name = JSON.stringify([vector.sender, vector.device]);
      expect(follow(heads.get(name) ?? START, header)).toEqual({ kind: "next" });
      heads.set(name, { counter: header.counter, hash });
    }
  });
}

function checkRejected(
  vectors: Vectors,
  devices: Devices,
  receiver: { account: string; device: string },
): void {
  test.each(vectors.negative)("$name: $reason", async ({ envelope, claimed, reason }) => {
    const sender = await devices.identity(claimed.sender, claimed.device);
    const { account, device } = receiver;
    const own = await devices.privateKeys(account, device);
    const received = async () => open(await verify(envelope, claimed, sender), account, own);
    await expect(received()).rejects.toMatchObject({ name: "RejectedError", reason });
  });
}

async function resealed(devices: Devices, vector: EnvelopeVector) {
  const recipients = await Promise.all(
    vector.recipients.map(({ account, device }) => devices.identity(account, device)),
  );
  const position = {
    conversation: vector.conversation,
    account: vector.sender,
    cid: vector.cid,
    counter: vector.counter,
    previous: fromHex(vector.previous),
  };
  const own = await devices.privateKeys(vector.sender, vector.device);
  const random = { messageKey: fromHex(vector.message_key), nonce: fromHex(vector.nonce) };
  const content = { writtenAt: vector.written_at, text: vector.text };
  return (await seal(own, position, recipients, content, random)).envelope;
}
