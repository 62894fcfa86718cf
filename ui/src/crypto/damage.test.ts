// Envelopes with a flipped bit, and envelopes with a field of another one. The second implementation
// (e2e/tests/envelope/damage.rs) flips every bit of every field.

import { expect, test } from "vitest";
import type { Envelope } from "../protocol/wire";
import { type Bytes, equal, toBase64url } from "./bytes";
import { RejectedError, open, verify } from "./envelope";
import { bytes, signed } from "./forge.testing";
import { type Header, type Lifetime, decodeHeader, encodeHeader } from "./header";
import { Devices, readVectors } from "./vectors/checks.testing";
import type { EnvelopeVector } from "./vectors/shape";

const vectors = readVectors("rsa-aes-1.json");
const devices = new Devices(vectors);
const [first, second] = vectors.envelopes as [EnvelopeVector, EnvelopeVector];
const bob = await devices.privateKeys("bob", "desk");
const senders = new Map(
  await Promise.all(
    vectors.envelopes.map(
      async ({ name, sender, device }) => [name, await devices.identity(sender, device)] as const,
    ),
  ),
);

/** How bob's device receives it, with what the server says about `vector`. */
async function received(envelope: Envelope, vector: EnvelopeVector): Promise<string> {
  const sender = senders.get(vector.name);
  if (!sender) throw new Error("every sender is known");
  try {
    const verified = await verify(envelope, vector, sender);
    return (await open(verified, "bob", bob)) ? "opened" : "not for this device";
  } catch (error) {
    if (error instanceof RejectedError) return error.reason;
    throw error;
  }
}

test("the intact envelopes open", async () => {
  for (const vector of vectors.envelopes) {
    expect(await received(vector.envelope, vector), vector.name).toBe("opened");
    expect(joined(vector.envelope, split(vector.envelope))).toEqual(vector.envelope);
  }
});

function flipped(text: string, bit: number): string {
  const changed = bytes(text);
  const at = bit >> 3;
  changed[at] = (changed[at] ?? 0) ^ (1 << (bit & 7));
  return toBase64url(changed);
}

test.each(["header", "nonce", "signature"] as const)(
  "every flipped bit of the %s is rejected",
  async (field) => {
    const { envelope } = first;
    const bits = bytes(envelope[field]).length * 8;
    for (let bit = 0; bit < bits; bit += 1) {
      const outcome = await received(
        { ...envelope, [field]: flipped(envelope[field], bit) },
        first,
      );
      const expected = field === "header" ? /^(malformed|misdirected|forged)$/ : /^forged$/;
      expect(outcome, `bit ${bit}`).toMatch(expected);
    }
    expect(bits).toBeGreaterThanOrEqual(96);
  },
);

test("flipped bits of ciphertexts and wrapped keys are rejected", async () => {
  const random = sequence(20_261_128);
  for (const vector of vectors.envelopes) {
    const { envelope } = vector;
    for (let i = 0; i < 50; i += 1) {
      const bit = random(bytes(envelope.ciphertext).length * 8);
      const ciphertext = flipped(envelope.ciphertext, bit);
      expect(await received({ ...envelope, ciphertext }, vector), `bit ${bit}`).toBe("forged");
      const [at, keyBit] = [random(envelope.keys.length), random(3072)];
      const keys = envelope.keys.map(({ device, key }, index) => ({
        device,
        key: index === at ? flipped(key, keyBit) : key,
      }));
      const outcome = await received({ ...envelope, keys }, vector);
      expect(outcome, `key ${at}, bit ${keyBit}`).toBe("forged");
    }
  }
});

/** Numbers below a limit, from a fixed seed (xorshift32). */
function sequence(seed: number): (limit: number) => number {
  let state = seed;
  return (limit) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % limit;
  };
}

/** The fields of an envelope, grouped by type. */
interface Fields {
  readonly texts: readonly string[];
  readonly hashes: readonly Bytes[];
  readonly numbers: readonly number[];
  readonly lifetimes: readonly Lifetime[];
  /** Nonce, ciphertext, signature, wrapped keys: base64url. */
  readonly binary: readonly string[];
}

function split({ header: encoded, nonce, ciphertext, signature, keys }: Envelope): Fields {
  const header = decodeHeader(bytes(encoded));
  const { ownLog, peerLog, read, recipients } = header;
  return {
    texts: [
      ...[header.conversation, header.sender, header.device, header.cid, read.device],
      ...recipients.flatMap(({ account, device }) => [account, device]),
      ...keys.map(({ device }) => device),
    ],
    hashes: [
      ...[header.previous, header.commitment, ownLog.head, peerLog.head, read.hash],
      ...recipients.map(({ fingerprint }) => fingerprint),
    ],
    numbers: [header.counter, ownLog.version, peerLog.version, read.counter],
    lifetimes: [header.lifetime],
    binary: [nonce, ciphertext, signature, ...keys.map(({ key }) => key)],
  };
}

/** Puts the fields back into an envelope of this form. */
function joined(form: Envelope, fields: Fields): Envelope {
  const old = decodeHeader(bytes(form.header));
  const texts = fields.texts.values();
  const [hashes, numbers, binary] = [
    fields.hashes.values(),
    fields.numbers.values(),
    fields.binary,
  ];
  const next = <T>(values: Iterator<T>): T => {
    const { value, done } = values.next();
    if (done) throw new Error("the form has the same number of fields");
    return value;
  };
  const [conversation, sender, device] = [next(texts), next(texts), next(texts)];
  const [cid, readDevice] = [next(texts), next(texts)];
  const [previous, commitment, ownHead] = [next(hashes), next(hashes), next(hashes)];
  const [peerHead, readHash] = [next(hashes), next(hashes)];
  const header: Header = {
    ...{ conversation, sender, device, cid, previous, commitment },
    counter: next(numbers),
    lifetime: next(fields.lifetimes.values()),
    ownLog: { version: next(numbers), head: ownHead },
    peerLog: { version: next(numbers), head: peerHead },
    read: { device: readDevice, counter: next(numbers), hash: readHash },
    recipients: old.recipients.map(() => ({
      account: next(texts),
      device: next(texts),
      fingerprint: next(hashes),
    })),
  };
  const [nonce = "", ciphertext = "", signature = "", ...keys] = binary;
  return {
    ...form,
    ...{ header: toBase64url(encodeHeader(header)), nonce, ciphertext, signature },
    keys: keys.map((key) => ({ device: next(texts), key })),
  };
}

/** Every envelope of `mine` with one field of `other`. */
function* mixed(mine: Fields, other: Fields): Generator<{ fields: Fields; field: string }> {
  const same = (a: unknown, b: unknown) =>
    a instanceof Uint8Array && b instanceof Uint8Array ? equal(a, b) : a === b;
  for (const type of ["texts", "hashes", "numbers", "lifetimes", "binary"] as const)
    for (const [at, before] of mine[type].entries())
      for (const value of other[type]) {
        if (same(before, value)) continue;
        const values = mine[type].map((old, index) => (index === at ? value : old));
        yield { fields: { ...mine, [type]: values }, field: `${type}[${at}]` };
      }
}

test("a field of another envelope is rejected", async () => {
  let count = 0;
  for (const vector of vectors.envelopes) {
    const mine = split(vector.envelope);
    for (const other of vectors.envelopes)
      for (const { fields, field } of mixed(mine, split(other.envelope))) {
        const outcome = await received(joined(vector.envelope, fields), vector);
        const message = `${vector.name} with ${field} of ${other.name}`;
        expect(outcome, message).toMatch(/^(malformed|misdirected|forged)$/);
        count += 1;
      }
  }
  expect(count).toBeGreaterThan(5000);
}, 60_000);

test("a field of another envelope is rejected, also if the sender signs it", async () => {
  const { signing } = await devices.privateKeys(first.sender, first.device);
  const mine = split(first.envelope);
  const own = 3 + first.envelope.keys.findIndex(({ device }) => device === "desk");
  let count = 0;
  for (const { fields, field } of mixed(mine, split(second.envelope))) {
    // Its signature is replaced, and keys of other recipients are the sender's choice.
    const index = Number(/^binary\[(\d+)\]$/.exec(field)?.[1] ?? 0);
    if (index >= 2 && index !== own) continue;
    const envelope = await signed(joined(first.envelope, fields), signing.privateKey);
    const outcome = await received(envelope, first);
    expect(outcome, field).toMatch(/^(malformed|misdirected|undecryptable|not for this device)$/);
    count += 1;
  }
  expect(count).toBeGreaterThan(100);
}, 60_000);

test("a header or a list of keys of another envelope is rejected", async () => {
  for (const vector of vectors.envelopes)
    for (const other of vectors.envelopes.filter(({ name }) => name !== vector.name))
      for (const claimed of [vector, other]) {
        const { header, keys } = other.envelope;
        for (const changed of [{ header }, { keys }]) {
          const outcome = await received({ ...vector.envelope, ...changed }, claimed);
          expect(outcome).toMatch(/^(malformed|misdirected|forged)$/);
        }
      }
});
