// Generates the test vectors. RSA-OAEP is randomised, so each run differs. Run it only when the
// format changes: UPDATE_VECTORS=1 npx vitest run src/crypto/vectors

import type { Envelope } from "../../protocol/wire";
import { type Bytes, fromBase64url, toBase64url, toHex } from "../bytes";
import { encodeContent } from "../content";
import { seal } from "../envelope";
import { NO_PREVIOUS } from "../header";
import { type Identity, RSA, SUITE, readIdentity } from "../identity";
import { statementOf } from "./checks.testing";
import type { DeviceVector, EnvelopeVector, NegativeVector, Vectors } from "./shape";

interface TestDevice {
  readonly vector: DeviceVector;
  readonly identity: Identity;
  readonly signing: CryptoKeyPair;
}

const CONVERSATION = "alice.bob";

export async function makeVectors(): Promise<Vectors> {
  const alice = await makeDevice("alice", "laptop");
  const phone = await makeDevice("alice", "phone");
  const bob = await makeDevice("bob", "desk");
  const eve = await makeDevice("eve", "den");
  const [first, second, long, empty] = await makeEnvelopes(alice, phone, bob);
  const text = "It is me, Alice.";
  const foreign = await makeEnvelope("foreign", eve, [alice, bob], 1, NO_PREVIOUS, text);
  return {
    suite: SUITE,
    devices: [alice, phone, bob, eve].map(({ vector }) => vector),
    envelopes: [first, second, long, empty],
    negative: [...tampered(first), ...mismatched(first, second, foreign)],
  };
}

async function makeEnvelopes(alice: TestDevice, phone: TestDevice, bob: TestDevice) {
  const everyone = [bob, phone, alice];
  const byAlice = (name: string, counter: number, previous: Bytes, text: string) =>
    makeEnvelope(name, alice, everyone, counter, previous, text);
  const scripts = "Grüße — 你好 🌉";
  const large = "x".repeat(9000);
  const byBob = "an empty message by the other person";
  const first = await byAlice("the first message", 1, NO_PREVIOUS, "Hello, Bob!");
  const afterFirst = fromHex(first.hash);
  const second = await byAlice("the second message, in several scripts", 2, afterFirst, scripts);
  const afterSecond = fromHex(second.hash);
  const long = await byAlice("a message of the largest bucket", 3, afterSecond, large);
  const empty = await makeEnvelope(byBob, bob, everyone, 1, NO_PREVIOUS, "");
  return [first, second, long, empty] as const;
}

async function makeDevice(account: string, device: string): Promise<TestDevice> {
  const rsa = { ...RSA, modulusLength: 3072, publicExponent: Uint8Array.of(1, 0, 1) };
  const encryption = await crypto.subtle.generateKey(rsa, true, ["encrypt", "decrypt"]);
  const signing = (await crypto.subtle.generateKey("Ed25519", true, [
    "sign",
    "verify",
  ])) as CryptoKeyPair;
  const keys = {
    account,
    device,
    encryption_key: await exported("spki", encryption.publicKey),
    signing_key: await exported("spki", signing.publicKey),
    encryption_private: await exported("pkcs8", encryption.privateKey),
    signing_private: await exported("pkcs8", signing.privateKey),
    fingerprint: "",
  };
  const identity = await readIdentity(account, { ...keys, ...(await statementOf(keys)) });
  if (!identity) throw new Error("the new keys cannot be read");
  const vector = { ...keys, fingerprint: toHex(identity.fingerprint) };
  return { vector, identity, signing };
}

async function makeEnvelope(
  name: string,
  sender: TestDevice,
  recipients: readonly TestDevice[],
  counter: number,
  previous: Bytes,
  text: string,
): Promise<EnvelopeVector> {
  const messageKey = crypto.getRandomValues(new Uint8Array(32));
  const nonce = crypto.getRandomValues(new Uint8Array(12));
  const { account, device } = sender.vector;
  const cid = `cid-${account}-${counter}`;
  const writtenAt = 1_800_000_000_000 + counter;
  const position = { conversation: CONVERSATION, account, cid, counter, previous };
  const identities = recipients.map(({ identity }) => identity);
  const random = { messageKey: messageKey.slice(), nonce };
  const { envelope, hash } = await seal(
    { device, signing: sender.signing },
    position,
    identities,
    { writtenAt, text },
    random,
  );
  return {
    name,
    conversation: CONVERSATION,
    sender: account,
    device,
    cid,
    counter,
    previous: toHex(previous),
    recipients: recipients.map(({ vector }) => ({
      account: vector.account,
      device: vector.device,
    })),
    written_at: writtenAt,
    text,
    message_key: toHex(messageKey),
    nonce: toHex(nonce),
    header: toHex(fromBase64url(envelope.header) ?? new Uint8Array()),
    plaintext: toHex(encodeContent({ writtenAt, text })),
    envelope,
    hash: toHex(hash),
  };
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
  const longNonce = change(nonce, (bytes) => [...bytes, 0, 0, 0]);
  const longHeader = change(header, (bytes) => [...bytes, 0]);
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
  return [
    misdirected("the header of another message", { envelope: otherHeader }),
    misdirected("another cid than the server says", { claimed: otherCid }),
    misdirected("another conversation", { claimed: otherConversation }),
    misdirected("another device than the server says", { claimed: otherDevice }),
    { name: "a foreign signer", envelope: otherSignature, claimed, reason: "forged" },
    misdirected("a foreign sender", { envelope: foreign.envelope }),
  ];
}

function claimedBy({ conversation, sender, device, cid }: EnvelopeVector) {
  return { conversation, sender, device, cid };
}

function truncate(text: string): string {
  return change(text, (bytes) => bytes.slice(0, -8));
}

function change(text: string, how: (bytes: number[]) => number[]): string {
  return toBase64url(Uint8Array.from(how([...(fromBase64url(text) ?? [])])));
}

/** Flips a bit in the middle. */
function flip(text: string): string {
  return change(text, (bytes) =>
    bytes.map((byte, at) => (at === Math.floor(bytes.length / 2) ? byte ^ 1 : byte)),
  );
}

function fromHex(text: string): Bytes {
  return Uint8Array.from(text.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}

async function exported(format: "spki" | "pkcs8", key: CryptoKey): Promise<string> {
  return toBase64url(new Uint8Array(await crypto.subtle.exportKey(format, key)));
}
