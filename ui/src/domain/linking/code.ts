// The code of a link: eight digits to type, or a QR code with an address that also names the
// device.

import { type Bytes, fromBase64url, toBase64url } from "../../crypto";

export interface LinkCode {
  /** Eight digits. */
  readonly code: string;
  /** The link fingerprint of the device that shows it, if it was scanned. */
  readonly fingerprint: Bytes | undefined;
}

const DIGITS = /^[0-9]{8}$/;
const FINGERPRINT_LENGTH = 32;

/** The part after `#` of the address in the QR code. */
export function hashOf(code: string, fingerprint: Bytes): string {
  return `code=${code}&device=${toBase64url(fingerprint)}`;
}

/** Undefined if it is not a code. Spaces and hyphens between the digits do not matter. */
export function parseTyped(text: string): LinkCode | undefined {
  const code = text.replace(/[\s-]/g, "");
  return DIGITS.test(code) ? { code, fingerprint: undefined } : undefined;
}

/** Reads the part after `#` of an address; undefined if it is not a link's. */
export function parseHash(hash: string): LinkCode | undefined {
  const fields = new URLSearchParams(hash.replace(/^#/, ""));
  const code = fields.get("code") ?? "";
  const device = fields.get("device");
  if (!DIGITS.test(code)) return undefined;
  if (device === null) return { code, fingerprint: undefined };
  const fingerprint = fromBase64url(device);
  return fingerprint?.length === FINGERPRINT_LENGTH ? { code, fingerprint } : undefined;
}

/**
 * Reads a scanned QR code. Undefined if it is not the address of a link on this site: another
 * site's code must not start anything here.
 */
export function parseScanned(text: string, origin: string): LinkCode | undefined {
  const url = URL.parse(text);
  if (url?.origin !== origin || url.pathname !== "/link") return undefined;
  return parseHash(url.hash);
}

/** The code as it is shown: `1234 5678`. */
export function grouped(code: string): string {
  return `${code.slice(0, 4)} ${code.slice(4)}`;
}
