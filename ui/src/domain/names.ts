// Usernames: which the page refuses before it asks the server, and when two of them are one name to a reader.

import { LIMITS } from "../protocol/wire";

/** The server's rules that a person may run into, in its words; the server has the last word on the rest. */
export function nameRefusal(name: string): string | undefined {
  // The server judges what is left after normalisation, which makes ordinary signs of fullwidth ones.
  const plain = name.normalize("NFKC");
  if (/[/\\%?#]/.test(plain)) {
    return "A username has none of the signs / \\ % ? #; letters and digits of any script, - _ and . are fine.";
  }
  if (plain.startsWith(".") || plain.endsWith(".")) {
    return "A username has dots only between other characters, as in ada.l: not at its beginning or end.";
  }
  if (/\s/.test(plain))
    return "A username has letters and digits of any script and visible ASCII signs, no spaces.";
  const { maxUsername } = LIMITS;
  return [...name].length > maxUsername
    ? `A username has 1 to ${maxUsername} characters.`
    : undefined;
}

/** The same for names that differ only in how they are typed. Names that merely look alike are the server's to compare. */
export function sameName(a: string, b: string): boolean {
  return fold(a) === fold(b);
}

function fold(name: string): string {
  return name.normalize("NFKC").trim().toLowerCase();
}
