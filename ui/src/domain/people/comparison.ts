// Compares a scanned safety number with the own one.

export type Comparison =
  | "same"
  /** A safety number, but another one. */
  | "different"
  /** Any other QR code. */
  | "not-a-number";

const SAFETY_NUMBER = /^[0-9]{60}$/;

export function compare(own: string, scanned: string): Comparison {
  const digits = scanned.replace(/\s/g, "");
  if (!SAFETY_NUMBER.test(digits)) return "not-a-number";
  return digits === own ? "same" : "different";
}
