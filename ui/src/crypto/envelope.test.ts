import { describe, expect, test, vi } from "vitest";
import type { Envelope } from "../protocol/wire";
import { toBase64url } from "./bytes";
import { RejectedError, open, verify } from "./envelope";
import { bytes, encrypt, fromHex, signed } from "./forge.testing";
import { decodeHeader, encodeHeader } from "./header";
import { createOwnKeys } from "./keys";
import { Devices, contentOf, readVectors } from "./vectors/checks.testing";
import { withTwoKeys } from "./vectors/negative";
import type { EnvelopeVector } from "./vectors/shape";

const vectors = readVectors("rsa-aes-1.json");
const devices = new Devices(vectors);
const [first, second] = vectors.envelopes as [EnvelopeVector, EnvelopeVector];
const UNDECRYPTABLE = new RejectedError("undecryptable");

async function verified(envelope = first.envelope) {
  return verify(envelope, first, await devices.identity(first.sender, first.device));
}

const signing = async () => (await devices.privateKeys(first.sender, first.device)).signing;

describe("an envelope", () => {
  test("does not open on a device that is no recipient", async () => {
    const eve = await devices.privateKeys("eve", "den");
    expect(await open(await verified(), "eve", eve)).toBeUndefined();
  });

  test("for different keys of this device is rejected", async () => {
    const bob = { ...(await devices.privateKeys("eve", "den")), device: "desk" };
    await expect(open(await verified(), "bob", bob)).rejects.toThrow(UNDECRYPTABLE);
  });

  test("for a kept generation of this device's key opens, until the key is deleted", async () => {
    const bob = await devices.privateKeys("bob", "desk");
    const { encryption } = await createOwnKeys("desk");
    const [newest, kept] = [
      { ...encryption, generation: 3 },
      { ...encryption, generation: 2, replacedAt: 2 },
    ];
    const retired = [kept, { ...bob.encryption, replacedAt: 1 }];
    const rotated = { ...bob, encryption: newest, retired };
    expect(await open(await verified(), "bob", rotated)).toEqual(contentOf(first));
    const expired = { ...rotated, retired: [kept] };
    await expect(open(await verified(), "bob", expired)).rejects.toThrow(UNDECRYPTABLE);
  });

  test("with the ciphertext of another message, signed by the sender, is rejected", async () => {
    const mixed = { ...first.envelope, ciphertext: second.envelope.ciphertext };
    const envelope = await signed(mixed, (await signing()).privateKey);
    const bob = await devices.privateKeys("bob", "desk");
    await expect(open(await verified(envelope), "bob", bob)).rejects.toThrow(UNDECRYPTABLE);
  });
});

describe("what is no envelope", () => {
  const fields = ["suite", "header", "nonce", "ciphertext", "keys", "signature"] as const;
  const [key] = first.envelope.keys;
  test.each<[string, unknown]>([
    ["null", null],
    ["a text", "envelope"],
    ["an array", []],
    ...fields.map((field): [string, unknown] => [`no ${field}`, without(field)]),
    ...fields.map((field): [string, unknown] => [`a number as ${field}`, altered(field, 7)]),
    ["null among the keys", altered("keys", [null, key])],
    ["a key without its device", altered("keys", [{ key: key?.key }])],
  ])("%s is malformed", async (_, received) => {
    const verifying = verified(received as Envelope);
    await expect(verifying).rejects.toThrow(new RejectedError("malformed"));
  });

  function altered(field: keyof Envelope, value: unknown): unknown {
    return { ...first.envelope, [field]: value };
  }

  function without(field: keyof Envelope): unknown {
    return Object.fromEntries(Object.entries(first.envelope).filter(([name]) => name !== field));
  }
});

describe("the commitment to the message key", () => {
  test("a ciphertext that opens with two keys opens with the committed one only", async () => {
    const other = crypto.getRandomValues(new Uint8Array(32));
    const victim = { identity: await devices.identity("bob", "desk") };
    const envelope = await withTwoKeys(first, other, { signing: await signing() }, victim);
    // AES-GCM accepts both keys.
    for (const messageKey of [fromHex(first.message_key), other]) {
      const key = await crypto.subtle.importKey("raw", messageKey, "AES-GCM", false, ["decrypt"]);
      const iv = bytes(envelope.nonce);
      const algorithm = { name: "AES-GCM", iv, additionalData: bytes(envelope.header) };
      const plaintext = crypto.subtle.decrypt(algorithm, key, bytes(envelope.ciphertext));
      expect((await plaintext).byteLength).toBe(256);
    }
    const received = await verified(envelope);
    const phone = await devices.privateKeys("alice", "phone");
    const shown = await open(received, "alice", phone);
    expect(shown).toMatchObject({ text: expect.stringMatching(/^Meet me at noon\./) as string });

    const decrypt = vi.spyOn(crypto.subtle, "decrypt");
    const bob = await devices.privateKeys("bob", "desk");
    await expect(open(received, "bob", bob)).rejects.toThrow(UNDECRYPTABLE);
    // The key is rejected, not only the text behind it.
    expect(decrypt.mock.calls.map(([algorithm]) => algorithm)).toEqual([
      expect.objectContaining({ name: "RSA-OAEP" }),
    ]);
    decrypt.mockRestore();
  });

  test("a message whose key is not the committed one is rejected", async () => {
    const good = decodeHeader(fromHex(first.header));
    const changed = { ...good, commitment: good.commitment.map((byte) => byte ^ 1) };
    const header = encodeHeader(changed);
    const [key, nonce] = [fromHex(first.message_key), fromHex(first.nonce)];
    const ciphertext = await encrypt(key, nonce, header, fromHex(first.plaintext));
    const text = { header: toBase64url(header), ciphertext: toBase64url(ciphertext) };
    const forged = await signed({ ...first.envelope, ...text }, (await signing()).privateKey);
    const bob = await devices.privateKeys("bob", "desk");
    await expect(open(await verified(forged), "bob", bob)).rejects.toThrow(UNDECRYPTABLE);
  });
});
