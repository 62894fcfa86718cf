import { afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import {
  type CreatedIdentity,
  createAccountIdentity,
  recoveryToken,
  restoreAccountIdentity,
  sealIdentity,
} from "./account-identity";
import { type Bytes, fromBase64url, toBase64url, toHex } from "./bytes";
import { Writer } from "./canonical";
import { hkdf } from "./hkdf";
import { sha256 } from "./identity";
import { formatRecoveryCode, parseRecoveryCode, randomCode } from "./recovery-code";
import { rawSigningKey } from "./signing-key";

const fromHex = (text: string): Bytes =>
  Uint8Array.from(text.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));

async function codeOf(text: string): Promise<Bytes> {
  const code = await parseRecoveryCode(text);
  if ("fault" in code) throw new Error(code.fault);
  return code;
}

afterEach(() => void vi.restoreAllMocks());

describe("HKDF-SHA256", () => {
  const range = (from: number, to: number) =>
    Uint8Array.from({ length: to - from + 1 }, (_, at) => from + at);

  test.each([
    {
      name: "A.1, basic",
      secret: new Uint8Array(22).fill(0x0b),
      salt: range(0, 0x0c),
      info: range(0xf0, 0xf9),
      okm:
        "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf" + "34007208d5b887185865",
    },
    {
      name: "A.2, longer input and output",
      secret: range(0, 0x4f),
      salt: range(0x60, 0xaf),
      info: range(0xb0, 0xff),
      okm:
        "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c" +
        "59045a99cac7827271cb41c65e590e09da3275600c2f09b8367793a9aca3db71" +
        "cc30c58179ec3e87c14c01d5c1f3434f1d87",
    },
    {
      name: "A.3, empty salt and info",
      secret: new Uint8Array(22).fill(0x0b),
      salt: new Uint8Array(),
      info: new Uint8Array(),
      okm:
        "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d" + "9d201395faa4b61a96c8",
    },
  ])("RFC 5869 appendix $name", async ({ secret, salt, info, okm }) => {
    expect(toHex(await hkdf(secret, salt, info, okm.length / 2))).toBe(okm);
  });
});

describe("the recovery code", () => {
  test("is shown in seven groups of four and read back", async () => {
    for (let i = 0; i < 50; i += 1) {
      const code = randomCode();
      const text = await formatRecoveryCode(code);
      expect(text).toMatch(/^([0-9A-HJKMNP-TV-Z]{4}-){6}[0-9A-HJKMNP-TV-Z]{4}$/);
      expect(await parseRecoveryCode(text)).toEqual(code);
    }
  });

  test("has fixed forms for fixed bytes", async () => {
    expect(await formatRecoveryCode(new Uint8Array(16))).toMatch(/^(0000-){6}00../);
    const text = await formatRecoveryCode(new Uint8Array(16).fill(0xff));
    expect(text).toMatch(/^(ZZZZ-){6}ZW../);
    expect(await parseRecoveryCode(text)).toEqual(new Uint8Array(16).fill(0xff));
  });

  test("is read in any case, with any separators, and with O, I and L for digits", async () => {
    const code = fromHex("00443214c74254b635cf84653a56d7c6");
    const text = await formatRecoveryCode(code);
    expect(text).toMatch(/0.*1/);
    const typed = [
      text.toLowerCase(),
      text.replaceAll("-", ""),
      text.replaceAll("-", " "),
      text.replaceAll("-", " – "),
      `\u200b ${text.replaceAll("-", "\u2011")}\n`,
      text.replaceAll("0", "O").replaceAll("1", "I"),
      text.replaceAll("0", "o").replaceAll("1", "l"),
      text.replaceAll("1", "L"),
      text.replaceAll("1", "i"),
    ];
    for (const variant of typed) expect(await parseRecoveryCode(variant), variant).toEqual(code);
  });

  test("that is too short or too long: says by how much", async () => {
    const text = await formatRecoveryCode(randomCode());
    const parse = parseRecoveryCode;
    expect(await parse("")).toEqual({ fault: "too-short", missing: 28 });
    expect(await parse(" - ")).toEqual({ fault: "too-short", missing: 28 });
    expect(await parse(text.slice(0, -1))).toEqual({ fault: "too-short", missing: 1 });
    expect(await parse(`${text}7`)).toEqual({ fault: "too-long", extra: 1 });
    expect(await parse(text + text)).toEqual({ fault: "too-long", extra: 28 });
  });

  test("with a character that is never used: says which and where", async () => {
    const text = await formatRecoveryCode(randomCode());
    for (const character of ["U", "u", "!", "ß", "ı", "ſ", "\u212a", "🔑", "_"]) {
      const typed = `${text.slice(0, 5)}${character}${text.slice(6)}`;
      expect(await parseRecoveryCode(typed)).toEqual({
        fault: "character",
        character,
        position: 5,
      });
    }
  });

  test("with one wrong or two exchanged characters: says so, with few exceptions", async () => {
    const text = (await formatRecoveryCode(fromHex("c0ffee00112233445566778899aabbcc"))).replaceAll(
      "-",
      "",
    );
    let [tried, missed] = [0, 0];
    const expectFault = async (typed: string) => {
      tried += 1;
      const read = await parseRecoveryCode(typed);
      if ("fault" in read) expect(read).toEqual({ fault: "check" });
      else missed += 1;
    };
    for (let at = 0; at < text.length; at += 1) {
      for (const letter of "0123456789ABCDEFGHJKMNPQRSTVWXYZ") {
        if (letter === text[at]) continue;
        await expectFault(text.slice(0, at) + letter + text.slice(at + 1));
      }
      const [a, b] = [text.charAt(at), text.charAt(at + 1)];
      if (b !== "" && a !== b) await expectFault(text.slice(0, at) + b + a + text.slice(at + 2));
    }
    // Two check characters miss 1 of 1,024.
    expect(tried).toBeGreaterThan(850);
    expect(missed).toBeLessThan(10);
  });

  test("with other bits after the last byte: check", async () => {
    const text = await formatRecoveryCode(new Uint8Array(16));
    const typed = `${text.slice(0, 31)}1${text.slice(32)}`;
    expect(await parseRecoveryCode(typed)).toEqual({ fault: "check" });
  });
});

describe("the identity of an account", () => {
  let created: CreatedIdentity;
  let code: Bytes;
  beforeAll(async () => {
    created = await createAccountIdentity("alice");
    code = await codeOf(created.code);
  });

  const message = new Uint8Array([1, 2, 3]);
  async function signs(pair: CryptoKeyPair, publicKey: Bytes): Promise<boolean> {
    const key = await crypto.subtle.importKey("raw", publicKey, "Ed25519", false, ["verify"]);
    const signature = await crypto.subtle.sign("Ed25519", pair.privateKey, message);
    return crypto.subtle.verify("Ed25519", key, signature, message);
  }
  const restore = (changed: {
    code?: Bytes;
    account?: string;
    identityKey?: Bytes;
    sealed?: string;
  }) =>
    restoreAccountIdentity(
      changed.code ?? code,
      changed.account ?? "alice",
      changed.identityKey ?? created.publicKey,
      changed.sealed ?? created.sealed,
    );

  async function expectSecret(pair: CryptoKeyPair): Promise<void> {
    expect(pair.privateKey.extractable).toBe(false);
    expect(pair.privateKey.usages).toEqual(["sign"]);
    for (const format of ["pkcs8", "jwk"] as const)
      await expect(crypto.subtle.exportKey(format, pair.privateKey)).rejects.toThrow();
    expect(await rawSigningKey(pair.publicKey)).toEqual(created.publicKey);
    expect(await signs(pair, created.publicKey)).toBe(true);
  }

  test("cannot be exported, neither when created nor when restored", async () => {
    await expectSecret(created.identity);
    const restored = await restore({});
    if (!restored) throw new Error("the code is right");
    await expectSecret(restored);
  });

  test("differs for each account, as does the recovery code", async () => {
    const other = await createAccountIdentity("alice");
    expect(other.publicKey).not.toEqual(created.publicKey);
    expect(other.code).not.toBe(created.code);
    expect(other.sealed.slice(0, 16)).not.toBe(created.sealed.slice(0, 16));
  });

  test("its private bytes are overwritten after use", async () => {
    const buffers: Bytes[] = [];
    const { subtle } = crypto;
    const keep = (buffer: ArrayBuffer) => {
      const bytes = new Uint8Array(buffer);
      expect(bytes.some((byte) => byte !== 0)).toBe(true);
      buffers.push(bytes);
    };
    const exportKey = subtle.exportKey.bind(subtle) as (
      format: string,
      key: CryptoKey,
    ) => Promise<ArrayBuffer>;
    vi.spyOn(subtle, "exportKey").mockImplementation((async (format: string, key: CryptoKey) => {
      const exported = await exportKey(format, key);
      if (format === "pkcs8") keep(exported);
      return exported;
    }) as typeof subtle.exportKey);
    const decrypt = subtle.decrypt.bind(subtle);
    vi.spyOn(subtle, "decrypt").mockImplementation(async (algorithm, key, data) => {
      const plaintext = await decrypt(algorithm, key, data);
      keep(plaintext);
      return plaintext;
    });
    const seeds: Uint8Array[] = [];
    const random = crypto.getRandomValues.bind(crypto);
    vi.spyOn(crypto, "getRandomValues").mockImplementation(((array: Uint8Array) => {
      if (array.length === 16) seeds.push(array);
      return random(array as Bytes);
    }) as typeof crypto.getRandomValues);

    const made = await createAccountIdentity("alice");
    expect([buffers.length, seeds.length]).toEqual([1, 1]);
    const opened = await restoreAccountIdentity(
      await codeOf(made.code),
      "alice",
      made.publicKey,
      made.sealed,
    );
    expect(opened).toBeDefined();
    expect(buffers.map(({ length }) => length)).toEqual([48, 48]);
    for (const bytes of [...buffers, ...seeds])
      expect(bytes.every((byte) => byte === 0)).toBe(true);
  });

  test("its private bytes are overwritten if the creation fails", async () => {
    const buffers: Bytes[] = [];
    const { subtle } = crypto;
    const exportKey = subtle.exportKey.bind(subtle) as (
      format: string,
      key: CryptoKey,
    ) => Promise<ArrayBuffer>;
    vi.spyOn(subtle, "exportKey").mockImplementation((async (format: string, key: CryptoKey) => {
      const exported = await exportKey(format, key);
      if (format === "pkcs8") buffers.push(new Uint8Array(exported));
      return exported;
    }) as typeof subtle.exportKey);
    vi.spyOn(subtle, "encrypt").mockRejectedValue(new Error("no memory"));
    await expect(createAccountIdentity("alice")).rejects.toThrow("no memory");
    expect(buffers).toHaveLength(1);
    expect(buffers[0]?.every((byte) => byte === 0)).toBe(true);
  });

  test("is not restored with another code, for another account or as another key", async () => {
    const other = await createAccountIdentity("alice");
    const flipped = code.slice();
    flipped[15] = (flipped[15] ?? 0) ^ 1;
    expect(await restore({ code: await codeOf(other.code) })).toBeUndefined();
    expect(await restore({ code: flipped })).toBeUndefined();
    expect(await restore({ account: "bob" })).toBeUndefined();
    expect(await restore({ identityKey: other.publicKey })).toBeUndefined();
    expect(await restore({ sealed: other.sealed })).toBeUndefined();
  });

  test("is not restored from changed, cut or extended bytes", async () => {
    const bytes = fromBase64url(created.sealed) ?? new Uint8Array();
    expect(bytes).toHaveLength(12 + 48 + 16);
    for (let at = 0; at < bytes.length; at += 1) {
      const flipped = bytes.slice();
      flipped[at] = (flipped[at] ?? 0) ^ 0x80;
      expect(await restore({ sealed: toBase64url(flipped) }), `byte ${at}`).toBeUndefined();
    }
    for (const length of [0, 5, 12, 27, 28, 75])
      expect(await restore({ sealed: toBase64url(bytes.slice(0, length)) })).toBeUndefined();
    expect(await restore({ sealed: toBase64url(Uint8Array.of(...bytes, 0)) })).toBeUndefined();
    expect(await restore({ sealed: `${created.sealed}=` })).toBeUndefined();
    expect(await restore({ sealed: "" })).toBeUndefined();
  });

  test("is not restored if another private key is sealed under its name", async () => {
    const pair = (await crypto.subtle.generateKey("Ed25519", true, [
      "sign",
      "verify",
    ])) as CryptoKeyPair;
    const pkcs8 = new Uint8Array(await crypto.subtle.exportKey("pkcs8", pair.privateKey));
    const sealed = await sealIdentity(code, "alice", created.publicKey, pkcs8);
    expect(await restore({ sealed: toBase64url(sealed) })).toBeUndefined();
    const noise = await sealIdentity(code, "alice", created.publicKey, new Uint8Array(48));
    expect(await restore({ sealed: toBase64url(noise) })).toBeUndefined();
  });

  test("the server gets the hash of the token, and the token does not open the seal", async () => {
    const token = fromBase64url(await recoveryToken(code)) ?? new Uint8Array();
    expect(token).toHaveLength(32);
    expect(created.recovery).toBe(toBase64url(await sha256(token)));
    const sealed = fromBase64url(created.sealed) ?? new Uint8Array();
    const additionalData = new Writer()
      .text("gatehouse/identity/1")
      .text("alice")
      .raw(created.publicKey)
      .finish();
    const opened = async (bytes: Bytes) => {
      const key = await crypto.subtle.importKey("raw", bytes, "AES-GCM", false, ["decrypt"]);
      const algorithm = { name: "AES-GCM", iv: sealed.slice(0, 12), additionalData };
      return crypto.subtle.decrypt(algorithm, key, sealed.slice(12));
    };
    const derive = (info: string) =>
      hkdf(code, new Uint8Array(), new Writer().text(info).finish(), 32);
    expect(await derive("gatehouse/recovery/1/open")).toEqual(token);
    const sealKey = await derive("gatehouse/recovery/1/seal");
    expect(sealKey).not.toEqual(token);
    await expect(opened(token)).rejects.toThrow();
    expect((await opened(sealKey)).byteLength).toBe(48);
  });
});
