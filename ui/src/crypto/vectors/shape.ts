// The format of rsa-aes-1.json and rust.json. Bytes are hexadecimal, except fields that are base64url on the
// wire.

import type { Envelope } from "../../protocol/wire";
import type { Rejection } from "../envelope";

export interface DeviceVector {
  account: string;
  device: string;
  encryption_key: string;
  signing_key: string;
  /** PKCS #8, base64url: for tests only. */
  encryption_private: string;
  signing_private: string;
  fingerprint: string;
}

export interface EnvelopeVector {
  name: string;
  conversation: string;
  sender: string;
  device: string;
  cid: string;
  counter: number;
  previous: string;
  /** In no particular order. */
  recipients: { account: string; device: string }[];
  written_at: number;
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
  claimed: { conversation: string; sender: string; device: string; cid: string };
  reason: Rejection;
}

export interface Vectors {
  suite: string;
  devices: DeviceVector[];
  envelopes: EnvelopeVector[];
  negative: NegativeVector[];
}
