// The history that an old device sends to a linked one, in numbered chunks. A chunk opens only at
// its place, among as many chunks as announced, in its own link.

import type { AccountId } from "../protocol/wire";
import { type Bytes, fromBase64url, toBase64url } from "./bytes";
import { Writer } from "./canonical";
import { RSA, readEncryptionKey } from "./identity";
import { type OwnKeys } from "./keys";

const LABEL = "gatehouse/link-history/1";
const NONCE_LENGTH = 12;
const KEY_LENGTH = 32;

/** Where a chunk belongs. The reader passes the place that it expects next. */
export interface HistoryPlace {
  /** `linkHash` of the link. */
  readonly link: Bytes;
  readonly account: AccountId;
  /** From 0, without gaps. */
  readonly index: number;
  /** How many chunks there are. The reader keeps the number of the first one. */
  readonly total: number;
}

/** Every field is base64url. */
export interface SealedChunk {
  readonly nonce: string;
  readonly ciphertext: string;
  /** The key of this chunk, wrapped for the new device. */
  readonly key: string;
  /** By the old device. */
  readonly signature: string;
}

/**
 * `own`: the old device. `encryptionKey`: of the new device, SubjectPublicKeyInfo in DER. Throws if
 * it is not a key of this suite.
 */
export async function sealHistory(
  own: Pick<OwnKeys, "signing">,
  encryptionKey: Bytes,
  place: HistoryPlace,
  content: Bytes,
): Promise<SealedChunk> {
  const encryption = await readEncryptionKey(encryptionKey);
  if (!encryption) throw new Error("the new device's encryption key is invalid");
  const nonce = crypto.getRandomValues(new Uint8Array(NONCE_LENGTH));
  const chunkKey = crypto.getRandomValues(new Uint8Array(KEY_LENGTH));
  const context = contextOf(place);
  const key = await crypto.subtle.importKey("raw", chunkKey, "AES-GCM", false, ["encrypt"]);
  const algorithm = { name: "AES-GCM", iv: nonce, additionalData: context };
  const ciphertext = new Uint8Array(await crypto.subtle.encrypt(algorithm, key, content));
  const wrapped = new Uint8Array(await crypto.subtle.encrypt(RSA, encryption, chunkKey));
  chunkKey.fill(0);
  const signed = signedBytes(context, nonce, ciphertext, wrapped);
  const signature = await crypto.subtle.sign("Ed25519", own.signing.privateKey, signed);
  return {
    nonce: toBase64url(nonce),
    ciphertext: toBase64url(ciphertext),
    key: toBase64url(wrapped),
    signature: toBase64url(new Uint8Array(signature)),
  };
}

/**
 * `own`: the new device. `signer`: the old device's signing key, 32 bytes. Undefined if the chunk
 * was not sealed by the old device for this device and this place.
 */
export async function openHistory(
  own: Pick<OwnKeys, "encryption">,
  signer: Bytes,
  place: HistoryPlace,
  chunk: SealedChunk,
): Promise<Bytes | undefined> {
  const [nonce, ciphertext] = [fromBase64url(chunk.nonce), fromBase64url(chunk.ciphertext)];
  const [wrapped, signature] = [fromBase64url(chunk.key), fromBase64url(chunk.signature)];
  if (!nonce || !ciphertext || !wrapped || !signature || nonce.length !== NONCE_LENGTH)
    return undefined;
  const context = contextOf(place);
  try {
    const verifying = await crypto.subtle.importKey("raw", signer, "Ed25519", false, ["verify"]);
    const signed = signedBytes(context, nonce, ciphertext, wrapped);
    if (!(await crypto.subtle.verify("Ed25519", verifying, signature, signed))) return undefined;
    const { privateKey } = own.encryption.pair;
    const chunkKey = await crypto.subtle.decrypt(RSA, privateKey, wrapped);
    if (chunkKey.byteLength !== KEY_LENGTH) return undefined;
    const key = await crypto.subtle.importKey("raw", chunkKey, "AES-GCM", false, ["decrypt"]);
    const algorithm = { name: "AES-GCM", iv: nonce, additionalData: context };
    return new Uint8Array(await crypto.subtle.decrypt(algorithm, key, ciphertext));
  } catch {
    return undefined;
  }
}

function contextOf({ link, account, index, total }: HistoryPlace): Bytes {
  return new Writer().text(LABEL).raw(link).text(account).u32(index).u32(total).finish();
}

function signedBytes(context: Bytes, nonce: Bytes, ciphertext: Bytes, wrapped: Bytes): Bytes {
  return new Writer().raw(context).bytes(nonce).bytes(ciphertext).bytes(wrapped).finish();
}
