// Seals and opens envelopes of suite rsa-aes-1. The format is defined in docs/E2E.md.

import type { AccountId, ClientMessageId, ConversationId, Envelope } from "../protocol/wire";
import { type Bytes, equal, fromBase64url, toBase64url } from "./bytes";
import { MalformedError, Writer } from "./canonical";
import { type Content, decodeContent, encodeContent } from "./content";
import {
  type Header,
  type Lifetime,
  type LogHead,
  type ReadReference,
  decodeHeader,
  encodeHeader,
  inOrder,
} from "./header";
import { type Identity, SUITE, sha256 } from "./identity";
import { type OwnKeys, decryptionKey } from "./keys";
import {
  MESSAGE_KEY_LENGTH,
  NONCE_LENGTH,
  decrypt,
  encrypt,
  importMessageKey,
  isSigned,
  sign,
  unwrap,
  wrap,
} from "./primitives";

/** Why an envelope was rejected. Its content is never shown. */
export type Rejection =
  /** A different suite or version, a missing field, or a non-canonical encoding. */
  | "malformed"
  /** Conversation, sender, device, cid or lifetime in the header differ from the server's. */
  | "misdirected"
  /** The signature was not made by the sender's device. */
  | "forged"
  /** The message key or the ciphertext cannot be decrypted, or the key is not the committed one. */
  | "undecryptable";

export class RejectedError extends Error {
  override readonly name = "RejectedError";
  constructor(readonly reason: Rejection) {
    super(`envelope rejected: ${reason}`);
  }
}

export interface Sealed {
  readonly envelope: Envelope;
  /** The `previous` hash of this device's next envelope in this conversation. */
  readonly hash: Bytes;
}

/**
 * A message's conversation, id, place in the sender's chain and lifetime, and what this device knows
 * when it seals the message.
 */
export interface MessagePosition {
  readonly conversation: ConversationId;
  readonly account: AccountId;
  readonly cid: ClientMessageId;
  readonly counter: number;
  readonly previous: Bytes;
  readonly lifetime: Lifetime;
  readonly ownLog: LogHead;
  readonly peerLog: LogHead;
  readonly read: ReadReference;
}

/** Random values, injectable to reproduce test vectors. */
export interface Fresh {
  readonly messageKey: Bytes;
  readonly nonce: Bytes;
}

export function fresh(): Fresh {
  return {
    messageKey: crypto.getRandomValues(new Uint8Array(MESSAGE_KEY_LENGTH)),
    nonce: crypto.getRandomValues(new Uint8Array(NONCE_LENGTH)),
  };
}

/** Encrypts once, wraps the key for each recipient including this device, and signs everything. */
export async function seal(
  own: Pick<OwnKeys, "device" | "signing">,
  position: MessagePosition,
  recipients: readonly Identity[],
  content: Content,
  random: Fresh = fresh(),
): Promise<Sealed> {
  const ordered = inOrder(recipients);
  const header = encodeHeader({
    ...position,
    sender: position.account,
    device: own.device,
    commitment: await commitmentTo(random.messageKey),
    recipients: ordered,
  });
  const key = await importMessageKey(random.messageKey, "encrypt");
  const ciphertext = await encrypt(key, random.nonce, header, encodeContent(content));
  const keys = await Promise.all(
    ordered.map(async ({ device, encryption }) => ({
      device,
      key: await wrap(encryption, random.messageKey),
    })),
  );
  random.messageKey.fill(0);
  const signed = signedBytes(header, random.nonce, ciphertext, keys);
  const signature = await sign(own.signing.privateKey, signed);
  return {
    envelope: {
      suite: SUITE,
      header: toBase64url(header),
      nonce: toBase64url(random.nonce),
      ciphertext: toBase64url(ciphertext),
      keys: keys.map(({ device, key }) => ({ device, key: toBase64url(key) })),
      signature: toBase64url(signature),
    },
    hash: await sha256(signed),
  };
}

/** An envelope with a verified sender. It may not be for this device. */
export interface Verified {
  readonly header: Header;
  readonly hash: Bytes;
  readonly parts: Parts;
}

interface Parts {
  readonly headerBytes: Bytes;
  readonly nonce: Bytes;
  readonly ciphertext: Bytes;
  readonly keys: readonly { device: string; key: Bytes }[];
}

/** The server's description of an envelope. The signed header must match it. */
export interface Claimed {
  readonly conversation: ConversationId;
  readonly sender: AccountId;
  readonly device: string;
  readonly cid: ClientMessageId;
  /** Seconds; missing: the message is kept. */
  readonly lifetime?: number | undefined;
}

/** Checks encoding, header and signature. Throws `RejectedError`. */
export async function verify(
  envelope: Envelope,
  claimed: Claimed,
  sender: Pick<Identity, "account" | "device" | "signing">,
): Promise<Verified> {
  const { parts, header, signature } = parse(envelope);
  const matches =
    header.conversation === claimed.conversation &&
    header.sender === claimed.sender &&
    header.device === claimed.device &&
    header.cid === claimed.cid &&
    header.lifetime === (claimed.lifetime ?? 0) &&
    sender.account === claimed.sender &&
    sender.device === claimed.device;
  if (!matches) throw new RejectedError("misdirected");
  const signed = signedBytes(parts.headerBytes, parts.nonce, parts.ciphertext, parts.keys);
  if (!(await isSigned(sender.signing, signature, signed))) throw new RejectedError("forged");
  return { header, hash: await sha256(signed), parts };
}

/** The keys that open envelopes. */
export type OpeningKeys = Pick<OwnKeys, "device" | "signing" | "encryption" | "retired">;

/** Returns the content, or undefined if it is not for this device. Throws `RejectedError`. */
export async function open(
  { header, parts }: Verified,
  account: AccountId,
  own: OpeningKeys,
): Promise<Content | undefined> {
  const at = header.recipients.findIndex(
    (to) => to.account === account && to.device === own.device,
  );
  const recipient = header.recipients[at];
  const wrapped = parts.keys[at];
  if (!recipient || !wrapped) return undefined;
  const decryption = await decryptionKey(own, account, recipient.fingerprint);
  if (!decryption) throw new RejectedError("undecryptable");
  try {
    const messageKey = await unwrap(decryption, wrapped.key);
    // AES-GCM opens one ciphertext with several keys if the sender prepares it: without the
    // commitment, two devices can be shown different texts. The comparison needs no constant time:
    // the server reads the commitment too, and the sender chose the key.
    if (!equal(await commitmentTo(messageKey), header.commitment))
      throw new MalformedError("the message key is not the committed one");
    const key = await importMessageKey(messageKey, "decrypt");
    messageKey.fill(0);
    return decodeContent(await decrypt(key, parts.nonce, parts.headerBytes, parts.ciphertext));
  } catch {
    throw new RejectedError("undecryptable");
  }
}

export async function commitmentTo(messageKey: Bytes): Promise<Bytes> {
  return sha256(new Writer().text("gatehouse/message-key/1").raw(messageKey).finish());
}

function parse(envelope: unknown): { parts: Parts; header: Header; signature: Bytes } {
  if (!isEnvelope(envelope) || envelope.suite !== SUITE) throw new RejectedError("malformed");
  const field = (text: string): Bytes => {
    const bytes = fromBase64url(text);
    if (!bytes) throw new RejectedError("malformed");
    return bytes;
  };
  const parts = {
    headerBytes: field(envelope.header),
    nonce: field(envelope.nonce),
    ciphertext: field(envelope.ciphertext),
    keys: envelope.keys.map(({ device, key }) => ({ device, key: field(key) })),
  };
  const header = readHeader(parts.headerBytes);
  const matches =
    header.recipients.length === parts.keys.length &&
    header.recipients.every(({ device }, at) => parts.keys[at]?.device === device);
  if (!matches || parts.nonce.length !== NONCE_LENGTH) throw new RejectedError("malformed");
  return { parts, header, signature: field(envelope.signature) };
}

/** A server may deliver anything. */
function isEnvelope(received: unknown): received is Envelope {
  const { suite, header, nonce, ciphertext, keys, signature } = fieldsOf(received);
  const texts = [suite, header, nonce, ciphertext, signature];
  return texts.every(isText) && Array.isArray(keys) && keys.every(isWrappedKey);
}

function isWrappedKey(received: unknown): boolean {
  const { device, key } = fieldsOf(received);
  return isText(device) && isText(key);
}

function fieldsOf(received: unknown): Partial<Record<string, unknown>> {
  return typeof received === "object" && received !== null ? { ...received } : {};
}

function isText(received: unknown): received is string {
  return typeof received === "string";
}

function readHeader(bytes: Bytes): Header {
  try {
    return decodeHeader(bytes);
  } catch (error) {
    if (error instanceof MalformedError) throw new RejectedError("malformed");
    throw error;
  }
}

function signedBytes(
  header: Bytes,
  nonce: Bytes,
  ciphertext: Bytes,
  keys: readonly { device: string; key: Bytes }[],
): Bytes {
  const writer = new Writer()
    .text("gatehouse/envelope/2")
    .bytes(header)
    .bytes(nonce)
    .bytes(ciphertext);
  writer.u32(keys.length);
  for (const { device, key } of keys) writer.text(device).bytes(key);
  return writer.finish();
}
