// One entry of a device log: its fields and their canonical encoding.

import type { AccountId, DeviceId } from "../protocol/wire";
import { type Bytes } from "./bytes";
import { MalformedError, Reader, Writer } from "./canonical";
import { SUITE } from "./identity";
import { SIGNING_KEY_LENGTH } from "./signing-key";

const LABEL = "gatehouse/device-log/1";
const HASH_LENGTH = 32;

/** The `previous` of the first entry. */
export const NO_ENTRY: Bytes = new Uint8Array(HASH_LENGTH);

export type Operation = "approve" | "remove";

export interface LogEntry {
  /** From 1, without gaps. */
  readonly version: number;
  /** Hash of the entry before; zeros for the first. */
  readonly previous: Bytes;
  readonly operation: Operation;
  readonly device: DeviceId;
  /** The device's Ed25519 key: 32 bytes. */
  readonly signingKey: Bytes;
  /** By the signer's clock: milliseconds since 1970. */
  readonly time: number;
  /** A device, or "" for the identity key. */
  readonly signer: DeviceId;
}

export interface EntryFields extends LogEntry {
  readonly account: AccountId;
  /** The Ed25519 key of the account: 32 bytes. */
  readonly identityKey: Bytes;
}

const OPERATIONS: readonly Operation[] = ["approve", "remove"];

export function encodeEntry(entry: EntryFields): Bytes {
  return new Writer()
    .text(LABEL)
    .text(SUITE)
    .text(entry.account)
    .u64(entry.version)
    .raw(entry.previous)
    .raw(entry.identityKey)
    .u8(OPERATIONS.indexOf(entry.operation) + 1)
    .text(entry.device)
    .raw(entry.signingKey)
    .u64(entry.time)
    .text(entry.signer)
    .finish();
}

/** Undefined if the bytes are not the canonical encoding of an entry. */
export function decodeEntry(bytes: Bytes): EntryFields | undefined {
  try {
    return read(new Reader(bytes));
  } catch (error) {
    if (error instanceof MalformedError) return undefined;
    throw error;
  }
}

function read(reader: Reader): EntryFields {
  if (reader.text() !== LABEL) throw new MalformedError("not a device log entry");
  if (reader.text() !== SUITE) throw new MalformedError("the entry has a different suite");
  const place = {
    account: reader.text(),
    version: reader.u64(),
    previous: reader.raw(HASH_LENGTH),
    identityKey: reader.raw(SIGNING_KEY_LENGTH),
  };
  const operation = OPERATIONS[reader.u8() - 1];
  if (!operation) throw new MalformedError("the operation is unknown");
  const subject = {
    device: reader.text(),
    signingKey: reader.raw(SIGNING_KEY_LENGTH),
    time: reader.u64(),
    signer: reader.text(),
  };
  reader.end();
  if (subject.device === "") throw new MalformedError("a device has a name");
  return { ...place, operation, ...subject };
}
