// One AES-GCM ciphertext that opens with two keys ("invisible salamanders": Dodis, Grubbs,
// Ristenpart and Woodage, CRYPTO 2018). GHASH is linear in each block (NIST SP 800-38D section 6.4),
// so one block of the ciphertext can make the tags of both keys equal.

import type { Bytes } from "./bytes";

const BLOCK = 16;
/** x^128 + x^7 + x^2 + x + 1; the first bit of a block is the coefficient of x^0. */
const POLYNOMIAL = 0xe1n << 120n;
/** The first bit of every byte: ASCII has none of them. */
const NOT_ASCII = 0x80808080808080808080808080808080n;

/**
 * Encrypts an ASCII plaintext under the first key, with a tag that the second key accepts too. The
 * last full block but one of the text, and the one before it, are replaced by other ASCII
 * characters. The second key opens the same ciphertext to other bytes.
 */
export async function sealForTwoKeys(
  keys: readonly [Bytes, Bytes],
  nonce: Bytes,
  header: Bytes,
  plaintext: Bytes,
): Promise<Bytes> {
  const [one, two] = await Promise.all([cipher(keys[0], nonce), cipher(keys[1], nonce)]);
  const blocks = plaintext.length / BLOCK;
  const [varied, solved] = [blocks - 3, blocks - 2];
  const stream = await keystream(keys[0], nonce, plaintext.length);
  const ciphertext = plaintext.map((byte, at) => byte ^ (stream[at] ?? 0));
  ciphertext.fill(0, solved * BLOCK, (solved + 1) * BLOCK);

  // With X in the solved block, the tags differ by D + X (H1^p + H2^p): zero for one X.
  const weight = (at: number) => power(one.h, blocks - at + 1) ^ power(two.h, blocks - at + 1);
  const inverse = invert(weight(solved));
  let x = multiply(tag(one, header, ciphertext) ^ tag(two, header, ciphertext), inverse);
  // A flipped bit in the varied block flips fixed bits of X. A Gray code tries combinations until X
  // is ASCII under the first key.
  const mask = number(stream.subarray(solved * BLOCK, (solved + 1) * BLOCK));
  const factor = multiply(weight(varied), inverse);
  const flips: bigint[] = [];
  for (let step = 1; ((x ^ mask) & NOT_ASCII) !== 0n; step += 1) {
    const bit = 31 - Math.clz32(step & -step);
    const [byte, shift] = [Math.floor(bit / 5), bit % 5];
    const at = varied * BLOCK + byte;
    ciphertext[at] = (ciphertext[at] ?? 0) ^ (1 << shift);
    x ^= flips[bit] ??= multiply(1n << BigInt(8 * (BLOCK - 1 - byte) + shift), factor);
  }
  ciphertext.set(block(x), solved * BLOCK);
  const result = new Uint8Array(ciphertext.length + BLOCK);
  result.set(ciphertext);
  result.set(block(tag(one, header, ciphertext)), ciphertext.length);
  return result;
}

interface Cipher {
  /** The GHASH key: the encrypted block of zeros. */
  readonly h: bigint;
  /** The encrypted first counter block, added to the GHASH. */
  readonly first: bigint;
}

async function cipher(key: Bytes, nonce: Bytes): Promise<Cipher> {
  const cbc = await crypto.subtle.importKey("raw", key, "AES-CBC", false, ["encrypt"]);
  const encrypt = async (plain: Bytes) => {
    const algorithm = { name: "AES-CBC", iv: new Uint8Array(BLOCK) };
    const encrypted = await crypto.subtle.encrypt(algorithm, cbc, plain);
    return number(new Uint8Array(encrypted, 0, BLOCK));
  };
  return { h: await encrypt(new Uint8Array(BLOCK)), first: await encrypt(counter(nonce, 1)) };
}

async function keystream(key: Bytes, nonce: Bytes, length: number): Promise<Bytes> {
  const ctr = await crypto.subtle.importKey("raw", key, "AES-CTR", false, ["encrypt"]);
  const algorithm = { name: "AES-CTR", counter: counter(nonce, 2), length: 32 };
  return new Uint8Array(await crypto.subtle.encrypt(algorithm, ctr, new Uint8Array(length)));
}

function counter(nonce: Bytes, value: number): Bytes {
  const result = new Uint8Array(BLOCK);
  result.set(nonce);
  result[BLOCK - 1] = value;
  return result;
}

function tag({ h, first }: Cipher, header: Bytes, ciphertext: Bytes): bigint {
  const lengths = new Uint8Array(BLOCK);
  const view = new DataView(lengths.buffer);
  view.setBigUint64(0, BigInt(header.length * 8));
  view.setBigUint64(8, BigInt(ciphertext.length * 8));
  let hash = 0n;
  for (const part of [header, ciphertext, lengths])
    for (let at = 0; at < part.length; at += BLOCK) {
      const padded = new Uint8Array(BLOCK);
      padded.set(part.subarray(at, at + BLOCK));
      hash = multiply(hash ^ number(padded), h);
    }
  return hash ^ first;
}

/** NIST SP 800-38D section 6.3. */
function multiply(x: bigint, y: bigint): bigint {
  let [product, shifted] = [0n, y];
  for (let bit = 127n; bit >= 0n; bit -= 1n) {
    if ((x >> bit) & 1n) product ^= shifted;
    shifted = shifted & 1n ? (shifted >> 1n) ^ POLYNOMIAL : shifted >> 1n;
  }
  return product;
}

function power(x: bigint, exponent: number): bigint {
  let result = x;
  for (let i = 1; i < exponent; i += 1) result = multiply(result, x);
  return result;
}

/** x^(2^128 - 2), the product of x^2, x^4, … x^(2^127). */
function invert(x: bigint): bigint {
  let square = multiply(x, x);
  let result = square;
  for (let i = 2; i < 128; i += 1) {
    square = multiply(square, square);
    result = multiply(result, square);
  }
  return result;
}

function number(bytes: Uint8Array): bigint {
  return bytes.reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
}

function block(value: bigint): Bytes {
  const bytes = new Uint8Array(BLOCK);
  for (let at = 0; at < BLOCK; at += 1)
    bytes[at] = Number((value >> BigInt(8 * (BLOCK - 1 - at))) & 0xffn);
  return bytes;
}
