// Why linking a device failed, exactly enough for a person to know what to do next.

import { OfflineError, ProblemError } from "../../net";

export type LinkFailure =
  /** Ten minutes are over, or the server forgot the link. */
  | "expired"
  /** No new device shows this code now. */
  | "unknown-code"
  /** Too many codes were tried from this address. */
  | "rate-limited"
  /** The user of the other device cancelled. */
  | "cancelled"
  /** The user answered here that the emoji differ. */
  | "mismatch"
  /** The user answered on the other device that the emoji differ. */
  | "mismatch-there"
  /** The scanned code belongs to another device than the one that the server presents. */
  | "wrong-device"
  /** The new device's number is not the one it committed to. */
  | "wrong-commitment"
  /** The server relayed something that the other device never sends. */
  | "wrong-answer"
  /** The other device uses another account than this browser. */
  | "wrong-account"
  /** The account's device log is invalid or lacks the approval of this device. */
  | "not-approved"
  /** The own device log cannot be trusted, or another device changed it at each attempt. */
  | "log-changed"
  /** The device log has the new device already: it cannot be approved twice. */
  | "known-device"
  /** The account has as many devices as the server allows. */
  | "too-many-devices"
  /** This device already left the account or was removed from it. */
  | "not-allowed"
  | "offline"
  /** The server failed. */
  | "server"
  /** This page failed: for example, it could not store the keys. */
  | "unexpected";

export class LinkError extends Error {
  override readonly name = "LinkError";
  constructor(readonly failure: LinkFailure) {
    super(`linking failed: ${failure}`);
  }
}

export function failureOf(error: unknown): LinkFailure {
  if (error instanceof LinkError) return error.failure;
  if (error instanceof OfflineError) return "offline";
  if (!(error instanceof ProblemError)) return "unexpected";
  if (error.status === 404) return "expired";
  if (error.problem.type === "limit-reached") return "too-many-devices";
  if (error.status === 429) return "rate-limited";
  if (error.status === 401 || error.status === 403 || error.status === 410) return "not-allowed";
  return "server";
}

/** True if the same request may succeed later. */
export function isTemporary(error: unknown): boolean {
  if (error instanceof OfflineError) return true;
  return error instanceof ProblemError && (error.status === 429 || error.status >= 500);
}
