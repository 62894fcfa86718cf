// Envelopes that must be rejected: altered on the way, or made by a malicious sender.

import type { Envelope } from "../../protocol/wire";
import { type Bytes, toBase64url } from "../bytes";
import { Writer } from "../canonical";
import { encodeContent } from "../content";
import { commitmentTo } from "../envelope";
import { bytes, encrypt, fromHex, signed } from "../forge.testing";
import { type Header, NOTHING_READ, NO_HASH, decodeHeader, encodeHeader } from "../header";
import { type Identity, RSA } from "../identity";
import { sealForTwoKeys } from "../two-keys.testing";
import type { DeviceVector, EnvelopeVector, NegativeVector } from "./shape";

/** A device with exportable keys. */
export interface TestDevice {
  readonly vector: DeviceVector;
  readonly identity: Identity;
  readonly signing: CryptoKeyPair;
}

/** The bad envelopes of the file, each rejected by `receiver`. */
export async function makeNegative(
  [first, second]: readonly [EnvelopeVector, EnvelopeVector, ...EnvelopeVector[]],
  foreign: EnvelopeVector,
  sender: TestDevice,
  receiver: TestDevice,
): Promise<NegativeVector[]> {
  return [
    ...tampered(first),
    ...mismatched(first, second, foreign),
    ...(await badHeaders(first, sender)),
    ...(await badContents(first, sender)),
    ...(await badKeys(first, sender, receiver)),
  ];
}

/** Envelopes with an altered field. */
function tampered(first: EnvelopeVector): NegativeVector[] {
  const { envelope } = first;
  const { ciphertext, nonce, signature, header } = envelope;
  const claimed = claimedBy(first);
  const reject = (
    name: string,
    changed: Partial<Envelope>,
    reason: NegativeVector["reason"],
  ): NegativeVector => ({ name, envelope: { ...envelope, ...changed }, claimed, reason });
  const [key, ...keys] = envelope.keys;
  if (!key) throw new Error("the first message has recipients");
  const flippedKeys = [{ ...key, key: flip(key.key) }, ...keys];
  const longNonce = change(nonce, (all) => [...all, 0, 0, 0]);
  const longHeader = change(header, (all) => [...all, 0]);
  const notBase64url = `${ciphertext.slice(0, -1)}=`;
  return [
    reject("another suite", { suite: "rsa-aes-0" }, "malformed"),
    reject("a flipped bit in the ciphertext", { ciphertext: flip(ciphertext) }, "forged"),
    reject("a flipped bit in the nonce", { nonce: flip(nonce) }, "forged"),
    reject("a flipped bit in the signature", { signature: flip(signature) }, "forged"),
    reject("a flipped bit in a wrapped key", { keys: flippedKeys }, "forged"),
    reject("a truncated ciphertext", { ciphertext: truncate(ciphertext) }, "forged"),
    reject("a nonce of another length", { nonce: longNonce }, "malformed"),
    reject("a truncated header", { header: truncate(header) }, "malformed"),
    reject("bytes after the header", { header: longHeader }, "malformed"),
    reject("text that is not base64url", { ciphertext: notBase64url }, "malformed"),
    reject("a missing wrapped key", { keys }, "malformed"),
    reject("wrapped keys in another order", { keys: [...keys, key] }, "malformed"),
  ];
}

/** Envelopes that do not match the server's description or the sender's keys. */
function mismatched(
  first: EnvelopeVector,
  second: EnvelopeVector,
  foreign: EnvelopeVector,
): NegativeVector[] {
  const { envelope } = first;
  const claimed = claimedBy(first);
  const misdirected = (name: string, changed: Partial<NegativeVector>): NegativeVector => {
    return { name, envelope, claimed, reason: "misdirected", ...changed };
  };
  const otherHeader = { ...envelope, header: second.envelope.header };
  const otherSignature = { ...envelope, signature: foreign.envelope.signature };
  const otherCid = { ...claimed, cid: "cid-other" };
  const otherConversation = { ...claimed, conversation: "alice.eve" };
  const otherDevice = { ...claimed, device: "phone" };
  const otherLifetime = { ...claimed, lifetime: 86_400 };
  return [
    misdirected("the header of another message", { envelope: otherHeader }),
    misdirected("another cid than the server says", { claimed: otherCid }),
    misdirected("another conversation", { claimed: otherConversation }),
    misdirected("another device than the server says", { claimed: otherDevice }),
    misdirected("another lifetime than the server says", { claimed: otherLifetime }),
    { name: "a foreign signer", envelope: otherSignature, claimed, reason: "forged" },
    misdirected("a foreign sender", { envelope: foreign.envelope }),
  ];
}

/** Headers that no sender encodes, signed by the sender. */
async function badHeaders(first: EnvelopeVector, sender: TestDevice): Promise<NegativeVector[]> {
  const good = decodeHeader(fromHex(first.header));
  const hash = new Uint8Array(32).fill(7);
  const read = { device: "desk", counter: 1, hash };
  const headers: [string, Partial<Header>][] = [
    ["counter 0", { counter: 0 }],
    ["a lifetime of one hour", { lifetime: 3600 as never }],
    ["the own log at version 0 with a head", { ownLog: { version: 0, head: hash } }],
    ["the own log at version 1 without a head", { ownLog: { version: 1, head: NO_HASH } }],
    ["the other log at version 0 with a head", { peerLog: { version: 0, head: hash } }],
    ["the other log at version 1 without a head", { peerLog: { version: 1, head: NO_HASH } }],
    ["a counter read from no device", { read: { ...NOTHING_READ, counter: 1 } }],
    ["a hash read from no device", { read: { ...NOTHING_READ, hash } }],
    ["a read device with counter 0", { read: { ...read, counter: 0 } }],
    ["a read device without a hash", { read: { ...read, hash: NO_HASH } }],
  ];
  const encoded: [string, Bytes][] = [
    ["an envelope of version 1", versionOne(good)],
    ...headers.map(([name, changes]): [string, Bytes] => [
      name,
      encodeHeader({ ...good, ...changes }),
    ]),
  ];
  return Promise.all(
    encoded.map(async ([name, header]) =>
      rejected(name, first, "malformed", await resealed(first, sender, { header })),
    ),
  );
}

/** The header of version 1, which was never released. */
function versionOne(header: Header): Bytes {
  const writer = new Writer().text("gatehouse/header/1").text("rsa-aes-1");
  writer.text(header.conversation).text(header.sender).text(header.device).text(header.cid);
  writer.u64(header.counter).raw(header.previous).u32(header.recipients.length);
  for (const { account, device, fingerprint } of header.recipients)
    writer.text(account).text(device).raw(fingerprint);
  return writer.finish();
}

async function badContents(first: EnvelopeVector, sender: TestDevice): Promise<NegativeVector[]> {
  const body = (version: number, kind: number, text: string) => {
    const content = new Writer().u8(version).u8(kind).u64(1).text(text).finish();
    const plaintext = new Uint8Array(256);
    plaintext.set(new Writer().bytes(content).finish());
    return plaintext;
  };
  const contents: [string, Bytes][] = [
    ["a content of version 1", body(1, 1, "bad")],
    ["a content of kind 0", body(2, 0, "bad")],
    ["a content of kind 3", body(2, 3, "bad")],
    ["a change of the lifetime with a text", body(2, 2, "bad")],
  ];
  return Promise.all(
    contents.map(async ([name, plaintext]) =>
      rejected(name, first, "undecryptable", await resealed(first, sender, { plaintext })),
    ),
  );
}

/** Message keys that are not the committed one. */
async function badKeys(
  first: EnvelopeVector,
  sender: TestDevice,
  receiver: TestDevice,
): Promise<NegativeVector[]> {
  const good = decodeHeader(fromHex(first.header));
  const other = crypto.getRandomValues(new Uint8Array(32));
  const header = encodeHeader({ ...good, commitment: await commitmentTo(other) });
  const uncommitted = await resealed(first, sender, { header });
  return [
    rejected("a commitment to another message key", first, "undecryptable", uncommitted),
    rejected(
      "a second message key that opens the ciphertext too",
      first,
      "undecryptable",
      await withTwoKeys(first, other, sender, receiver),
    ),
  ];
}

/** `victim` gets another key than the other recipients. Both keys open the ciphertext. */
export async function withTwoKeys(
  vector: EnvelopeVector,
  second: Bytes,
  sender: Pick<TestDevice, "signing">,
  victim: Pick<TestDevice, "identity">,
): Promise<Envelope> {
  const { device, encryption } = victim.identity;
  const text = "Meet me at noon. ".repeat(14);
  const plaintext = encodeContent({ kind: "text", writtenAt: 1, text });
  const wrapped = new Uint8Array(await crypto.subtle.encrypt(RSA, encryption, second));
  const ciphertext = await sealForTwoKeys(
    [fromHex(vector.message_key), second],
    fromHex(vector.nonce),
    fromHex(vector.header),
    plaintext,
  );
  const keys = vector.envelope.keys.map((to) =>
    to.device === device ? { device, key: toBase64url(wrapped) } : to,
  );
  const envelope = { ...vector.envelope, keys, ciphertext: toBase64url(ciphertext) };
  return signed(envelope, sender.signing.privateKey);
}

/** The same message with another header or plaintext, encrypted and signed by the sender. */
async function resealed(
  vector: EnvelopeVector,
  sender: TestDevice,
  changed: { readonly header?: Bytes; readonly plaintext?: Bytes },
): Promise<Envelope> {
  const header = changed.header ?? fromHex(vector.header);
  const plaintext = changed.plaintext ?? fromHex(vector.plaintext);
  const key = fromHex(vector.message_key);
  const ciphertext = await encrypt(key, fromHex(vector.nonce), header, plaintext);
  const envelope = {
    ...vector.envelope,
    header: toBase64url(header),
    ciphertext: toBase64url(ciphertext),
  };
  return signed(envelope, sender.signing.privateKey);
}

function rejected(
  name: string,
  vector: EnvelopeVector,
  reason: NegativeVector["reason"],
  envelope: Envelope,
): NegativeVector {
  return { name, envelope, claimed: claimedBy(vector), reason };
}

function claimedBy({ conversation, sender, device, cid, lifetime }: EnvelopeVector) {
  return { conversation, sender, device, cid, lifetime };
}

function truncate(text: string): string {
  return change(text, (all) => all.slice(0, -8));
}

function change(text: string, how: (all: number[]) => number[]): string {
  return toBase64url(Uint8Array.from(how([...bytes(text)])));
}

/** Flips a bit in the middle. */
function flip(text: string): string {
  return change(text, (all) =>
    all.map((byte, at) => (at === Math.floor(all.length / 2) ? byte ^ 1 : byte)),
  );
}
