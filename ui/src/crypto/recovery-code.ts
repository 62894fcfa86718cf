// The recovery code: 16 random bytes as Crockford Base32, with two check characters, in seven groups
// of four.

import { type Bytes } from "./bytes";
import { Writer } from "./canonical";
import { sha256 } from "./identity";

const LABEL = "gatehouse/recovery-code/1";
const ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const CODE_BYTES = 16;
/** 128 bits, and two zero bits. */
const DATA_CHARACTERS = 26;
const CHARACTERS = DATA_CHARACTERS + 2;
const GROUP = 4;

/** Both cases, and the letters that are read as digits. */
const VALUES = new Map([
  ...[...ALPHABET].flatMap((letter, value): [string, number][] => [
    [letter, value],
    [letter.toLowerCase(), value],
  ]),
  ...[..."oO"].map((letter): [string, number] => [letter, 0]),
  ...[..."iIlL"].map((letter): [string, number] => [letter, 1]),
]);

/** What is between the groups: white space, and hyphens, also those that programs insert. */
const SEPARATORS = /[\s\u00ad\u200b\u2010-\u2015\u2212\ufeff-]/gu;

/** Why a text is not a recovery code. */
export type CodeFault =
  | { readonly fault: "too-short"; readonly missing: number }
  | { readonly fault: "too-long"; readonly extra: number }
  /** `position` counts the characters without separators, from 1. */
  | { readonly fault: "character"; readonly character: string; readonly position: number }
  /** At least one character is wrong, or two are exchanged. */
  | { readonly fault: "check" };

export function randomCode(): Bytes {
  return crypto.getRandomValues(new Uint8Array(CODE_BYTES));
}

/** `code`: 16 bytes. */
export async function formatRecoveryCode(code: Bytes): Promise<string> {
  const text = toBase32(code, DATA_CHARACTERS) + (await checkOf(code));
  return (text.match(new RegExp(`.{${GROUP}}`, "g")) ?? []).join("-");
}

/** The 16 bytes of a code that a person typed. */
export async function parseRecoveryCode(text: string): Promise<Bytes | CodeFault> {
  const characters = [...text.replace(SEPARATORS, "")];
  const at = characters.findIndex((character) => !VALUES.has(character));
  const character = characters[at];
  if (character !== undefined) return { fault: "character", character, position: at + 1 };
  const missing = CHARACTERS - characters.length;
  if (missing > 0) return { fault: "too-short", missing };
  if (missing < 0) return { fault: "too-long", extra: -missing };
  const values = characters.map((letter) => VALUES.get(letter) ?? 0);
  const code = fromBase32(values.slice(0, DATA_CHARACTERS));
  const check = values.slice(DATA_CHARACTERS).map((value) => ALPHABET.charAt(value));
  return code && check.join("") === (await checkOf(code)) ? code : { fault: "check" };
}

/** The first 10 bits of a hash of the code. */
async function checkOf(code: Bytes): Promise<string> {
  return toBase32(await sha256(new Writer().text(LABEL).raw(code).finish()), 2);
}

/** The first characters; bits beyond the bytes are zero. */
function toBase32(bytes: Bytes, characters: number): string {
  let text = "";
  for (let character = 0; character < characters; character += 1) {
    let value = 0;
    for (let bit = character * 5; bit < character * 5 + 5; bit += 1)
      value = (value << 1) | (((bytes[bit >> 3] ?? 0) >> (7 - (bit & 7))) & 1);
    text += ALPHABET.charAt(value);
  }
  return text;
}

/** Undefined if the bits after the last byte are not zero. */
function fromBase32(values: readonly number[]): Bytes | undefined {
  const bytes = new Uint8Array(CODE_BYTES);
  for (let bit = 0; bit < values.length * 5; bit += 1) {
    const set = ((values[Math.floor(bit / 5)] ?? 0) >> (4 - (bit % 5))) & 1;
    if (bit >= CODE_BYTES * 8 && set !== 0) return undefined;
    if (set !== 0) bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) | (0x80 >> (bit & 7));
  }
  return bytes;
}
