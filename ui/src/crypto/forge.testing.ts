// Envelopes that a malicious sender makes: altered, then encrypted and signed again.

import type { Envelope } from "../protocol/wire";
import { type Bytes, fromBase64url, toBase64url, utf8 } from "./bytes";

/** Encrypts any bytes under any header. */
export async function encrypt(
  messageKey: Bytes,
  nonce: Bytes,
  header: Bytes,
  plaintext: Bytes,
): Promise<Bytes> {
  const key = await crypto.subtle.importKey("raw", messageKey, "AES-GCM", false, ["encrypt"]);
  const algorithm = { name: "AES-GCM", iv: nonce, additionalData: header };
  return new Uint8Array(await crypto.subtle.encrypt(algorithm, key, plaintext));
}

/** The envelope with the sender's signature. An independent implementation of docs/E2E.md. */
export async function signed(envelope: Envelope, signing: CryptoKey): Promise<Envelope> {
  const signature = await crypto.subtle.sign("Ed25519", signing, signedBytes(envelope));
  return { ...envelope, signature: toBase64url(new Uint8Array(signature)) };
}

function signedBytes(envelope: Envelope): Bytes {
  const number = (value: number) => {
    const length = new Uint8Array(4);
    new DataView(length.buffer).setUint32(0, value);
    return length;
  };
  const field = (part: Uint8Array) => [number(part.length), part];
  const parts = [
    ...field(utf8("gatehouse/envelope/2")),
    ...field(bytes(envelope.header)),
    ...field(bytes(envelope.nonce)),
    ...field(bytes(envelope.ciphertext)),
    number(envelope.keys.length),
    ...envelope.keys.flatMap(({ device, key }) => [...field(utf8(device)), ...field(bytes(key))]),
  ];
  return Uint8Array.from(parts.flatMap((part) => [...part]));
}

export function bytes(text: string): Bytes {
  const read = fromBase64url(text);
  if (!read) throw new Error("not base64url");
  return read;
}

export function fromHex(text: string): Bytes {
  return Uint8Array.from(text.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}
