// The format of device-log.json: device logs, key statements, safety numbers, recovery, linking.
// Bytes are hexadecimal, except fields that are base64url on the wire.

import type { DeviceKeys, SignedEntry } from "../../protocol/wire";
import type { EntryFault, LogFault } from "../device-log";
import type { SealedChunk } from "../link-history";
import type { CodeFault } from "../recovery-code";

export interface EntryVector {
  version: number;
  previous: string;
  operation: "approve" | "remove";
  device: string;
  signing_key: string;
  time: number;
  signer: string;
  bytes: string;
  hash: string;
  signed: SignedEntry;
}

export interface LogVector {
  account: string;
  identity_key: string;
  entries: EntryVector[];
  /** By name. */
  devices: { device: string; signing_key: string; approved_in: number; removed_in?: number }[];
}

export interface RejectedLog {
  name: string;
  account: string;
  identity_key: string;
  entries: SignedEntry[];
  /** The first entry that is rejected; 0 if the list is empty. */
  version: number;
  fault: EntryFault | "empty";
}

/** A list that is received after `log` was stored. */
export interface ReceivedLog {
  name: string;
  identity_key: string;
  entries: SignedEntry[];
  result: LogFault | "valid";
}

export interface StatementVector {
  account: string;
  device: string;
  keys: DeviceKeys;
  bytes: string;
  fingerprint: string;
}

export interface RejectedStatement {
  name: string;
  account: string;
  device: string;
  keys: DeviceKeys;
}

interface Side {
  account: string;
  identity_key: string;
}

export interface SealedIdentity {
  account: string;
  identity_key: string;
  /** 16 bytes. */
  code: string;
  sealed: string;
}

export interface IdentityVector extends SealedIdentity {
  /** PKCS #8: for tests only. */
  private_key: string;
  nonce: string;
  seal_key: string;
  token: string;
  /** As sent in `recovery`. */
  recovery: string;
}

export interface LinkVector {
  device: string;
  /** SubjectPublicKeyInfo in DER. */
  encryption_key: string;
  signing_key: string;
  fingerprint: string;
  account: string;
  identity_key: string;
  new_nonce: string;
  old_nonce: string;
  commitment: string;
  hash: string;
  emoji: string[];
}

export interface ChunkVector {
  link: string;
  account: string;
  /** The old device's signing key. */
  signer: string;
  index: number;
  total: number;
  chunk: SealedChunk;
}

export interface AccountVectors {
  suite: string;
  log: LogVector;
  rejected_logs: RejectedLog[];
  received_logs: ReceivedLog[];
  statements: StatementVector[];
  rejected_statements: RejectedStatement[];
  safety: { a: Side; b: Side; number: string }[];
  recovery_codes: { code: string; text: string; typed: string[] }[];
  rejected_codes: ({ typed: string } & CodeFault)[];
  identities: IdentityVector[];
  rejected_identities: ({ name: string } & SealedIdentity)[];
  emoji: { emoji: string; name: string }[];
  links: LinkVector[];
  rejected_reveals: { name: string; commitment: string; nonce: string; fingerprint: string }[];
  /** The new device's RSA key, PKCS #8, base64url: for tests only. */
  history_private: string;
  history: (ChunkVector & { content: string })[];
  rejected_history: ({ name: string } & ChunkVector)[];
}
