// Usernames: which the page refuses before it asks the server, and when two of them are one name to a reader.

import { LIMITS } from "../protocol/wire";

/** The part of the server's rules that a person may run into; the server has the last word on the rest. */
export function nameRefusal(name: string): string | undefined {
  const sign = /[/\\%?#]/.exec(name)?.[0];
  if (sign !== undefined) {
    return `A username cannot contain “${sign}”. Letters, digits and other visible signs are allowed, but not / \\ % ? #.`;
  }
  if (/^\.+$/.test(name)) return "A username cannot consist of dots only. It needs a letter or a digit.";
  if (name.startsWith(".") || name.endsWith(".")) {
    return "A username cannot start or end with a dot. A dot between other signs is allowed.";
  }
  if (/\s/.test(name)) return "A username cannot contain spaces.";
  if ([...name].length > LIMITS.maxUsername) return `A username has at most ${LIMITS.maxUsername} characters.`;
  return undefined;
}

/** The same for names that differ only in how they are typed. Names that merely look alike are the server's to compare. */
export function sameName(a: string, b: string): boolean {
  return fold(a) === fold(b);
}

function fold(name: string): string {
  return name.normalize("NFKC").trim().toLowerCase();
}
