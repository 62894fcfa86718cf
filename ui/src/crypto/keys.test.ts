import { beforeAll, describe, expect, test } from "vitest";
import { toBase64url } from "./bytes";
import { type Content } from "./content";
import { open, seal, verify } from "./envelope";
import { NOTHING_READ, NO_HASH, NO_LOG } from "./header";
import { RSA, fingerprintOf, keysStatement, readIdentity } from "./identity";
import {
  type OwnKeys,
  createOwnKeys,
  decryptionKey,
  publicKeys,
  rotate,
  withoutExpired,
} from "./keys";
import { lock, unlock } from "./locker";
import { safetyNumber } from "./safety";
import { rawSigningKey, signingKeyOf } from "./signing-key";

const DAY = 86_400_000;

let first: OwnKeys;
let second: OwnKeys;
beforeAll(async () => {
  first = await createOwnKeys("laptop", 1_000);
  second = await rotate(first, 8 * DAY);
});

const listedFor = async (own: OwnKeys, account = "alice") => ({
  device: own.device,
  ...(await publicKeys(own, account)),
});

describe("this device's keys", () => {
  test("private keys cannot be exported, and local history is bound to its context", async () => {
    const encryption = [first.encryption, second.encryption].map(({ pair }) => pair.privateKey);
    for (const key of [...encryption, first.signing.privateKey, first.history]) {
      expect(key.extractable).toBe(false);
      await expect(crypto.subtle.exportKey("jwk", key)).rejects.toThrow();
    }
    const locked = await lock(first.history, "here", "a secret");
    expect(Buffer.from(locked.data).toString("latin1")).not.toContain("secret");
    expect(await unlock(first.history, "here", locked)).toBe("a secret");
    expect(await unlock(first.history, "there", locked)).toBeUndefined();
  });

  test("a rotation replaces the encryption key only, and retires the old one", () => {
    expect(second).toMatchObject({ device: "laptop", encryption: { generation: 2 } });
    expect(second.encryption.createdAt).toBe(8 * DAY);
    expect(second.signing).toBe(first.signing);
    expect(second.history).toBe(first.history);
    expect(second.encryption.pair.privateKey).not.toBe(first.encryption.pair.privateKey);
    expect(second.retired).toEqual([{ ...first.encryption, replacedAt: 8 * DAY }]);
  });

  test("a replaced key is kept until the retention has passed since its replacement", () => {
    const at = 8 * DAY;
    expect(withoutExpired(second, at + 30 * DAY - 1, 30 * DAY)).toBe(second);
    expect(withoutExpired(second, at + 30 * DAY, 30 * DAY)).toEqual({ ...second, retired: [] });
  });

  test("a message sealed for a retired key opens until the key is deleted", async () => {
    const old = await readIdentity("alice", await listedFor(first));
    if (!old) throw new Error("the keys are valid");
    const place = { conversation: "alice.bob", account: "alice", cid: "c", counter: 1 };
    const seen = { ownLog: NO_LOG, peerLog: NO_LOG, read: NOTHING_READ } as const;
    const position = { ...place, ...seen, previous: NO_HASH, lifetime: 0 } as const;
    const content: Content = { kind: "text", writtenAt: 1, text: "Late." };
    const { envelope } = await seal(first, position, [old], content);
    const claimed = { ...place, sender: "alice", device: "laptop" };
    const verified = await verify(envelope, claimed, old);
    expect(await open(verified, "alice", second)).toEqual(content);
    const expired = withoutExpired(second, 100 * DAY, DAY);
    await expect(open(verified, "alice", expired)).rejects.toMatchObject({
      reason: "undecryptable",
    });
  });

  test("a fingerprint of another account or device has no key", async () => {
    const info = async (key: CryptoKey) =>
      new Uint8Array(await crypto.subtle.exportKey("spki", key));
    const keys = [
      await info(first.encryption.pair.publicKey),
      await info(first.signing.publicKey),
    ] as const;
    const { privateKey } = first.encryption.pair;
    const own = await fingerprintOf("alice", "laptop", ...keys);
    expect(await decryptionKey(second, "alice", own)).toBe(privateKey);
    expect(await decryptionKey(second, "bob", own)).toBeUndefined();
    const other = await fingerprintOf("alice", "phone", ...keys);
    expect(await decryptionKey(second, "alice", other)).toBeUndefined();
  });
});

describe("a listed device", () => {
  test("is read with its generation and its raw signing key", async () => {
    const identity = await readIdentity("alice", await listedFor(second));
    expect(identity).toMatchObject({ device: "laptop", generation: 2, createdAt: 8 * DAY });
    expect(identity?.signingKey).toEqual(await rawSigningKey(first.signing.publicKey));
  });

  test.each([
    ["a short modulus", 2048, [1, 0, 1]],
    ["another public exponent", 3072, [3]],
  ])("with %s is invalid", async (_, modulusLength, exponent) => {
    const publicExponent = new Uint8Array(exponent);
    const rsa = { ...RSA, modulusLength, publicExponent };
    const pair = await crypto.subtle.generateKey(rsa, true, ["encrypt", "decrypt"]);
    const own = { ...first, encryption: { ...first.encryption, pair } };
    expect(await readIdentity("alice", await listedFor(own))).toBeUndefined();
  });

  test("whose statement is about anything else is invalid", async () => {
    const listed = await listedFor(second);
    const other = await listedFor(await createOwnKeys("laptop"));
    const changes = [
      { device: "phone" },
      { suite: "rsa-aes-2" },
      { generation: 3 },
      { created_at: 9 * DAY },
      { encryption_key: (await listedFor(first)).encryption_key },
      { signing_key: other.signing_key },
      { signature: other.signature },
      { signature: "" },
      { signature: `${listed.signature}=` },
    ];
    expect(await readIdentity("alice", listed)).toBeDefined();
    expect(await readIdentity("bob", listed)).toBeUndefined();
    for (const change of changes)
      expect(await readIdentity("alice", { ...listed, ...change }), JSON.stringify(change)).toBe(
        undefined,
      );
  });

  test.each([0, -1, 1.5, 2 ** 53, Number.NaN])(
    "of generation %s is invalid",
    async (generation) => {
      const own = { ...first, encryption: { ...first.encryption, generation } };
      const listed = { ...(await listedFor(first)), generation };
      expect(await readIdentity("alice", listed)).toBeUndefined();
      if (Number.isInteger(generation) && generation >= 0)
        expect(await readIdentity("alice", await listedFor(own))).toBeUndefined();
    },
  );

  test("whose signing key has another encoding is invalid", async () => {
    const info = new Uint8Array(await crypto.subtle.exportKey("spki", first.signing.publicKey));
    expect(signingKeyOf(info)).toEqual(await rawSigningKey(first.signing.publicKey));
    expect(signingKeyOf(info.slice(1))).toBeUndefined();
    expect(signingKeyOf(Uint8Array.of(...info, 0))).toBeUndefined();
    expect(signingKeyOf(info.map((byte, at) => (at === 8 ? byte + 1 : byte)))).toBeUndefined();
    const rsa = await crypto.subtle.exportKey("spki", first.encryption.pair.publicKey);
    const listed = await listedFor(first);
    const swapped = { ...listed, signing_key: toBase64url(new Uint8Array(rsa)) };
    expect(await readIdentity("alice", swapped)).toBeUndefined();
  });

  test("a statement is encoded as in docs/E2E.md", () => {
    const statement = {
      account: "a",
      device: "d",
      generation: 1,
      createdAt: 2,
      encryptionKey: Uint8Array.of(7, 8),
      signingKey: new Uint8Array(32).fill(9),
    };
    const number = (length: number, value: number) => [
      ...(new Array(length - 1).fill(0) as number[]),
      value,
    ];
    const text = (value: string) => [...number(4, value.length), ...Buffer.from(value)];
    expect([...keysStatement(statement)]).toEqual([
      ...text("gatehouse/device-keys/1"),
      ...text("rsa-aes-1"),
      ...text("a"),
      ...text("d"),
      ...number(8, 1),
      ...number(8, 2),
      ...number(4, 2),
      7,
      8,
      ...(new Array(32).fill(9) as number[]),
    ]);
  });
});

describe("the safety number", () => {
  const key = (byte: number) => new Uint8Array(32).fill(byte);
  const alice = { account: "alice", identityKey: key(1) };
  const bob = { account: "bob", identityKey: key(2) };

  test("has 60 digits and is the same for both people", async () => {
    const number = await safetyNumber(alice, bob);
    expect(number).toMatch(/^\d{60}$/);
    expect(await safetyNumber(bob, alice)).toBe(number);
  });

  test("depends on both accounts and both identity keys", async () => {
    const numbers = await Promise.all([
      safetyNumber(alice, bob),
      safetyNumber({ ...alice, identityKey: key(3) }, bob),
      safetyNumber(alice, { ...bob, identityKey: key(3) }),
      safetyNumber({ ...alice, account: "eve" }, bob),
      safetyNumber({ ...alice, identityKey: key(2) }, { ...bob, identityKey: key(1) }),
    ]);
    expect(new Set(numbers).size).toBe(numbers.length);
  });
});
