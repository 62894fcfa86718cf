import { beforeAll, describe, expect, test } from "vitest";
import { type Bytes, equal, fromBase64url, toBase64url, utf8 } from "./bytes";
import { EMOJI } from "./emoji";
import { type OwnKeys, createOwnKeys, publicKeys } from "./keys";
import { type HistoryPlace, type SealedChunk, openHistory, sealHistory } from "./link-history";
import {
  type Transcript,
  checkReveal,
  emojiOf,
  linkCommitment,
  linkFingerprint,
  linkHash,
  linkNonce,
} from "./linking";
import { rawSigningKey } from "./signing-key";

let phone: OwnKeys;
let laptop: OwnKeys;
let server: OwnKeys;
beforeAll(async () => {
  [phone, laptop, server] = await Promise.all([
    createOwnKeys("phone"),
    createOwnKeys("laptop"),
    createOwnKeys("server"),
  ]);
});

const encryptionKeyOf = async (own: OwnKeys) => {
  const bytes = fromBase64url((await publicKeys(own, "")).encryption_key);
  if (!bytes) throw new Error("own keys are base64url");
  return bytes;
};
const signingKeyOf = (own: OwnKeys) => rawSigningKey(own.signing.publicKey);
const fingerprintOf = async (own: OwnKeys, changed: { device?: string } = {}) =>
  linkFingerprint(
    changed.device ?? own.device,
    await encryptionKeyOf(own),
    await signingKeyOf(own),
  );

const names = (emoji: readonly { name: string }[]) => emoji.map(({ name }) => name).join(" ");

describe("the table of emoji", () => {
  test("has 64 different emoji with different names", () => {
    expect(EMOJI).toHaveLength(64);
    expect(new Set(EMOJI.map(({ emoji }) => emoji)).size).toBe(64);
    expect(new Set(EMOJI.map(({ name }) => name)).size).toBe(64);
    for (const { name } of EMOJI) expect(name).toMatch(/^[a-z]{3,9}$/);
  });

  test("every emoji is one code point that is drawn as an emoji by default", () => {
    for (const { emoji, name } of EMOJI) {
      expect([...emoji], name).toHaveLength(1);
      expect(emoji, name).toMatch(/^\p{Emoji_Presentation}$/u);
      expect(emoji, name).not.toMatch(/\p{Emoji_Modifier_Base}|\p{Regional_Indicator}/u);
    }
  });
});

describe("the emoji of a link", () => {
  const bytes = (byte: number): Bytes => new Uint8Array(32).fill(byte);
  const transcript: Transcript = {
    fingerprint: bytes(1),
    account: "alice",
    identityKey: bytes(2),
    newNonce: bytes(3),
    oldNonce: bytes(4),
  };

  test("are the first 36 bits of the link's hash, six bits each", async () => {
    const hash = await linkHash(transcript);
    const bits = [...hash.subarray(0, 5)].map((byte) => byte.toString(2).padStart(8, "0")).join("");
    const expected = Array.from({ length: 6 }, (_, at) => {
      const value = Number.parseInt(bits.slice(6 * at, 6 * at + 6), 2);
      return EMOJI[value];
    });
    expect(await emojiOf(transcript)).toEqual(expected);
  });

  test("use the whole table", async () => {
    const seen = new Set<string>();
    for (let byte = 0; byte < 200; byte += 1)
      for (const { emoji } of await emojiOf({ ...transcript, newNonce: bytes(byte) }))
        seen.add(emoji);
    expect(seen.size).toBe(64);
  });

  test("and the link's hash differ if the server exchanges any part", async () => {
    const changed: Partial<Transcript>[] = [
      { fingerprint: bytes(9) },
      { account: "bob" },
      { identityKey: bytes(9) },
      { newNonce: bytes(9) },
      { oldNonce: bytes(9) },
      { newNonce: bytes(4), oldNonce: bytes(3) },
    ];
    const own = names(await emojiOf(transcript));
    const hash = await linkHash(transcript);
    for (const change of changed) {
      expect(names(await emojiOf({ ...transcript, ...change }))).not.toBe(own);
      expect(await linkHash({ ...transcript, ...change })).not.toEqual(hash);
    }
  });

  test("are not computed from parts of another length", async () => {
    for (const part of ["fingerprint", "identityKey", "newNonce", "oldNonce"] as const)
      for (const length of [0, 31, 33])
        await expect(emojiOf({ ...transcript, [part]: new Uint8Array(length) })).rejects.toThrow(
          "32 bytes",
        );
  });
});

describe("a server between both devices", () => {
  /** What each device computes, if the server passes on what these functions return. */
  async function link(attack: {
    /** The keys that the old device receives. */
    keys?: () => Promise<Bytes>;
    identity?: Bytes;
    oldNonce?: Bytes;
    newNonce?: Bytes;
    commitment?: (sent: Bytes) => Promise<Bytes>;
  }) {
    const [newNonce, oldNonce] = [linkNonce(), linkNonce()];
    const identityKey = await signingKeyOf(laptop);
    const fingerprint = await fingerprintOf(phone);
    const commitment = await linkCommitment(newNonce, fingerprint);
    const received = {
      fingerprint: (await attack.keys?.()) ?? fingerprint,
      commitment: (await attack.commitment?.(commitment)) ?? commitment,
      newNonce: attack.newNonce ?? newNonce,
    };
    const revealed = await checkReveal(
      received.commitment,
      received.newNonce,
      received.fingerprint,
    );
    const onOld = await emojiOf({
      fingerprint: received.fingerprint,
      account: "alice",
      identityKey,
      newNonce: received.newNonce,
      oldNonce,
    });
    const onNew = await emojiOf({
      fingerprint,
      account: "alice",
      identityKey: attack.identity ?? identityKey,
      newNonce,
      oldNonce: attack.oldNonce ?? oldNonce,
    });
    return { revealed, matches: names(onOld) === names(onNew), fingerprint: received.fingerprint };
  }

  test("that only relays: the emoji match", async () => {
    const { revealed, matches, fingerprint } = await link({});
    expect([revealed, matches]).toEqual([true, true]);
    // What the old device scans.
    expect(equal(fingerprint, await fingerprintOf(phone))).toBe(true);
  });

  test("exchanges the new device's keys: the commitment does not fit", async () => {
    const { revealed, fingerprint } = await link({ keys: () => fingerprintOf(server) });
    expect(revealed).toBe(false);
    expect(equal(fingerprint, await fingerprintOf(phone))).toBe(false);
  });

  test("exchanges only one of the keys, or the name: the commitment does not fit", async () => {
    const mixed = async () =>
      linkFingerprint("phone", await encryptionKeyOf(server), await signingKeyOf(phone));
    const other = async () =>
      linkFingerprint("phone", await encryptionKeyOf(phone), await signingKeyOf(server));
    const renamed = () => fingerprintOf(phone, { device: "server" });
    for (const keys of [mixed, other, renamed]) expect((await link({ keys })).revealed).toBe(false);
  });

  test("exchanges keys, nonce and commitment: the emoji differ", async () => {
    const newNonce = linkNonce();
    const fingerprint = await fingerprintOf(server);
    const { revealed, matches } = await link({
      keys: () => fingerprintOf(server),
      newNonce,
      commitment: () => linkCommitment(newNonce, fingerprint),
    });
    expect([revealed, matches]).toEqual([true, false]);
  });

  test("exchanges the identity key or the old device's nonce: the emoji differ", async () => {
    const identity = await signingKeyOf(server);
    expect(await link({ identity })).toMatchObject({ revealed: true, matches: false });
    expect(await link({ oldNonce: linkNonce() })).toMatchObject({ matches: false });
  });

  test("exchanges the new device's nonce after it was committed: the commitment does not fit", async () => {
    expect((await link({ newNonce: linkNonce() })).revealed).toBe(false);
    expect((await link({ newNonce: new Uint8Array(32) })).revealed).toBe(false);
  });

  test("replays the commitment of an earlier link: it does not fit", async () => {
    const earlier = await linkCommitment(linkNonce(), await fingerprintOf(phone));
    expect((await link({ commitment: () => Promise.resolve(earlier) })).revealed).toBe(false);
  });

  test("moves bytes between the nonce and the fingerprint: the commitment does not fit", async () => {
    const nonce = linkNonce();
    const fingerprint = await fingerprintOf(phone);
    const commitment = await linkCommitment(nonce, fingerprint);
    const joined = Uint8Array.of(...nonce, ...fingerprint);
    expect(await checkReveal(commitment, nonce, fingerprint)).toBe(true);
    for (const length of [0, 31, 33, 64])
      expect(await checkReveal(commitment, joined.slice(0, length), joined.slice(length))).toBe(
        false,
      );
  });
});

describe("the history", () => {
  const texts = ["contacts", "conversations", "messages"];
  const link = new Uint8Array(32).fill(7);
  const place: HistoryPlace = { link, account: "alice", index: 0, total: texts.length };
  let chunks: SealedChunk[];
  beforeAll(async () => {
    chunks = await sealAll(place);
  });

  async function sealAll(first: HistoryPlace, to = phone): Promise<SealedChunk[]> {
    const key = await encryptionKeyOf(to);
    return Promise.all(
      texts.map((text, index) => sealHistory(laptop, key, { ...first, index }, utf8(text))),
    );
  }

  /** As the new device reads them: each at the place it expects. The number that it accepted. */
  async function accepted(received: readonly SealedChunk[], first = place): Promise<number> {
    const signer = await signingKeyOf(laptop);
    for (const [index, chunk] of received.entries()) {
      const content = await openHistory(phone, signer, { ...first, index }, chunk);
      if (!content) return index;
      expect(content).toEqual(utf8(texts[index] ?? ""));
    }
    return received.length;
  }

  const at = (index: number): SealedChunk => {
    const chunk = chunks[index];
    if (!chunk) throw new Error(`no chunk ${index}`);
    return chunk;
  };

  test("is read in order", async () => {
    expect(await accepted(chunks)).toBe(3);
  });

  test("is not readable for the server", () => {
    const sent = chunks.map(({ ciphertext }) => Buffer.from(ciphertext, "base64url").toString());
    for (const text of texts) expect(sent.join()).not.toContain(text);
    expect(new Set(chunks.map(({ nonce }) => nonce)).size).toBe(3);
  });

  test("reordered, repeated or with a chunk left out: rejected at that place", async () => {
    expect(await accepted([at(1), at(0), at(2)])).toBe(0);
    expect(await accepted([at(0), at(2), at(1)])).toBe(1);
    expect(await accepted([at(0), at(0), at(1), at(2)])).toBe(1);
    expect(await accepted([at(0), at(2)])).toBe(1);
  });

  test("cut short with another total: rejected", async () => {
    expect(await accepted([at(0), at(1)], { ...place, total: 2 })).toBe(0);
    const other = await sealAll({ ...place, total: 2 });
    expect(await accepted([at(0), ...other.slice(1)])).toBe(1);
  });

  test("of another link, account or device: rejected", async () => {
    const otherLink = await sealAll({ ...place, link: new Uint8Array(32).fill(8) });
    const otherAccount = await sealAll({ ...place, account: "bob" });
    const otherDevice = await sealAll(place, server);
    for (const other of [otherLink, otherAccount, otherDevice]) {
      expect(await accepted(other)).toBe(0);
      expect(await accepted([at(0), ...other.slice(1)])).toBe(1);
    }
  });

  test("signed by another device: rejected", async () => {
    const key = await encryptionKeyOf(phone);
    const sealed = await sealHistory(server, key, place, utf8("contacts"));
    expect(await accepted([sealed])).toBe(0);
    expect(await accepted([{ ...sealed, signature: at(0).signature }])).toBe(0);
  });

  test("with parts of another chunk, or any flipped bit: rejected", async () => {
    for (const field of ["nonce", "ciphertext", "key", "signature"] as const) {
      expect(await accepted([{ ...at(0), [field]: at(1)[field] }]), field).toBe(0);
      const bytes = fromBase64url(at(0)[field]) ?? new Uint8Array();
      for (const index of [0, Math.floor(bytes.length / 2), bytes.length - 1]) {
        const flipped = bytes.slice();
        flipped[index] = (flipped[index] ?? 0) ^ 1;
        const changed = { ...at(0), [field]: toBase64url(flipped) };
        expect(await accepted([changed]), `${field} ${index}`).toBe(0);
      }
      expect(await accepted([{ ...at(0), [field]: `${at(0)[field]}=` }]), field).toBe(0);
      expect(await accepted([{ ...at(0), [field]: "" }]), field).toBe(0);
    }
  });

  test("is not sealed for a key that is not of this suite", async () => {
    const seal = (key: Bytes) => sealHistory(laptop, key, place, utf8("contacts"));
    await expect(seal(await signingKeyOf(phone))).rejects.toThrow("encryption key is invalid");
    await expect(seal(new Uint8Array())).rejects.toThrow("encryption key is invalid");
  });

  test("a chunk may be empty, or as large as a message of a link", async () => {
    const key = await encryptionKeyOf(phone);
    const signer = await signingKeyOf(laptop);
    for (const length of [0, 120 * 1024]) {
      const content = new Uint8Array(length).fill(65);
      const sealed = await sealHistory(laptop, key, place, content);
      expect(await openHistory(phone, signer, place, sealed)).toEqual(content);
      expect(JSON.stringify(sealed).length).toBeLessThan(192 * 1024 - 1024);
    }
  });
});
