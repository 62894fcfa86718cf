// Usernames: client-side validation, and comparison as a reader sees them.

import { LIMITS } from "../protocol/wire";

/** Why a username is invalid. Covers common mistakes; the server checks the full rules. */
export function nameError(name: string): string | undefined {
  // The server validates after NFKC normalisation, which maps fullwidth characters to ASCII.
  const plain = name.normalize("NFKC");
  if (/[/\\%?#]/.test(plain)) {
    return "Usernames can’t contain / \\ % ? or #. Use letters, digits, dots, hyphens and underscores.";
  }
  if (plain.startsWith(".") || plain.endsWith(".")) {
    return "Usernames can’t start or end with a dot.";
  }
  if (/\s/.test(plain)) return "Usernames can’t contain spaces.";
  const { maxUsername } = LIMITS;
  return [...name].length > maxUsername
    ? `Usernames can have up to ${maxUsername} characters.`
    : undefined;
}

/** True for names that differ only in case or Unicode form. The server rejects lookalikes. */
export function sameName(a: string, b: string): boolean {
  return fold(a) === fold(b);
}

function fold(name: string): string {
  return name.normalize("NFKC").trim().toLowerCase();
}
