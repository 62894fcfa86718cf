// Checks this implementation against a vector file.

import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { toHex } from "../bytes";
import { START, follow } from "../chain";
import { type Content, encodeContent } from "../content";
import { open, seal, verify } from "../envelope";
import { bytes, fromHex } from "../forge.testing";
import { decodeHeader, isLifetime } from "../header";
import { type Identity, type ListedDevice, RSA, readIdentity } from "../identity";
import type { OwnKeys } from "../keys";
import { safetyNumber } from "../safety";
import type { DeviceVector, EnvelopeVector, Vectors } from "./shape";

export const pathOf = (name: string) => new URL(name, import.meta.url).pathname;

export function readVectors(name: "rsa-aes-1.json" | "rust.json"): Vectors {
  return JSON.parse(readFileSync(pathOf(name), "utf8")) as Vectors;
}

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

  listed(account: string, device: string): ListedDevice {
    return { ...this.vector(account, device), suite: this.#vectors.suite };
  }

  async identity(account: string, device: string): Promise<Identity> {
    const read = await readIdentity(account, this.listed(account, device));
    if (!read) throw new Error(`the keys of ${account}/${device} cannot be read`);
    return read;
  }

  async privateKeys(account: string, device: string): Promise<Omit<OwnKeys, "history">> {
    const vector = this.vector(account, device);
    const encryption = await pair(
      [vector.encryption_private, vector.encryption_key],
      RSA,
      ["decrypt"],
      ["encrypt"],
    );
    const signing = await pair(
      [vector.signing_private, vector.signing_key],
      "Ed25519",
      ["sign"],
      ["verify"],
    );
    const { generation, created_at: createdAt } = vector;
    return {
      device,
      signing,
      encryption: { generation, createdAt, pair: encryption },
      retired: [],
    };
  }
}

async function pair(
  [pkcs8, spki]: readonly [string, string],
  algorithm: typeof RSA | "Ed25519",
  privateUses: KeyUsage[],
  publicUses: KeyUsage[],
): Promise<CryptoKeyPair> {
  const { subtle } = crypto;
  return {
    privateKey: await subtle.importKey("pkcs8", bytes(pkcs8), algorithm, false, privateUses),
    publicKey: await subtle.importKey("spki", bytes(spki), algorithm, true, publicUses),
  };
}

/** What the recipients of a vector see. */
export function contentOf({ kind, written_at: writtenAt, text }: EnvelopeVector): Content {
  return kind === "text" ? { kind, writtenAt, text } : { kind, writtenAt };
}

/** Registers the tests of everything in the file. `receiver` rejects the bad envelopes. */
export function checkVectors(
  vectors: Vectors,
  receiver: { account: string; device: string },
): void {
  const devices = new Devices(vectors);
  describe("devices", () => checkDevices(vectors, devices));
  describe("envelopes", () => checkEnvelopes(vectors, devices));
  describe("rejected envelopes", () => checkRejected(vectors, devices, receiver));
  describe("safety numbers", () => checkSafety(vectors));
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
      expect(content).toEqual(contentOf(vector));
    }
  });

  test.each(vectors.envelopes)("$name is encoded exactly as published", async (vector) => {
    const sealed = await resealed(devices, vector);
    expect(toHex(bytes(sealed.header))).toBe(vector.header);
    const { commitment } = decodeHeader(bytes(sealed.header));
    expect(toHex(commitment)).toBe(vector.commitment);
    expect(toHex(encodeContent(contentOf(vector)))).toBe(vector.plaintext);
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

function checkSafety(vectors: Vectors): void {
  test.each(vectors.safety)("$number", async ({ a, b, number }) => {
    const side = ({ account, identity_key }: typeof a) => ({
      account,
      identityKey: fromHex(identity_key),
    });
    expect(number).toMatch(/^\d{60}$/);
    expect(await safetyNumber(side(a), side(b))).toBe(number);
    expect(await safetyNumber(side(b), side(a))).toBe(number);
    const other = { ...side(a), identityKey: side(b).identityKey };
    expect(await safetyNumber(other, side(b))).not.toBe(number);
  });
}

async function resealed(devices: Devices, vector: EnvelopeVector) {
  const recipients = await Promise.all(
    vector.recipients.map(({ account, device }) => devices.identity(account, device)),
  );
  const { lifetime, own_log: ownLog, peer_log: peerLog, read } = vector;
  if (!isLifetime(lifetime)) throw new Error(`${lifetime} is no lifetime`);
  const position = {
    conversation: vector.conversation,
    account: vector.sender,
    cid: vector.cid,
    counter: vector.counter,
    previous: fromHex(vector.previous),
    lifetime,
    ownLog: { ...ownLog, head: fromHex(ownLog.head) },
    peerLog: { ...peerLog, head: fromHex(peerLog.head) },
    read: { ...read, hash: fromHex(read.hash) },
  };
  const own = await devices.privateKeys(vector.sender, vector.device);
  const random = { messageKey: fromHex(vector.message_key), nonce: fromHex(vector.nonce) };
  return (await seal(own, position, recipients, contentOf(vector), random)).envelope;
}
