// The format of rsa-aes-1.json and rust.json. Bytes are hexadecimal, except fields that are
// base64url on the wire or in key lists.

import type { Envelope } from "../../protocol/wire";
import type { Rejection } from "../envelope";

export interface DeviceVector {
  account: string;
  device: string;
  encryption_key: string;
  signing_key: string;
  generation: number;
  created_at: number;
  /** The statement about the keys, signed with the signing key. */
  signature: string;
  /** PKCS #8, base64url: for tests only. */
  encryption_private: string;
  signing_private: string;
  fingerprint: string;
}

export interface LogHeadVector {
  version: number;
  head: string;
}

export interface EnvelopeVector {
  name: string;
  conversation: string;
  sender: string;
  device: string;
  cid: string;
  counter: number;
  previous: string;
  commitment: string;
  lifetime: number;
  own_log: LogHeadVector;
  peer_log: LogHeadVector;
  read: { device: string; counter: number; hash: string };
  /** In no particular order. */
  recipients: { account: string; device: string }[];
  kind: "text" | "lifetime";
  written_at: number;
  /** Empty unless the kind is `text`. */
  text: string;
  message_key: string;
  nonce: string;
  header: string;
  plaintext: string;
  envelope: Envelope;
  hash: string;
}

export interface NegativeVector {
  name: string;
  envelope: Envelope;
  /** The server's description; the claimed sender's key verifies. */
  claimed: { conversation: string; sender: string; device: string; cid: string; lifetime: number };
  reason: Rejection;
}

interface Side {
  account: string;
  identity_key: string;
}

export interface Vectors {
  suite: string;
  devices: DeviceVector[];
  envelopes: EnvelopeVector[];
  negative: NegativeVector[];
  safety: { a: Side; b: Side; number: string }[];
}
