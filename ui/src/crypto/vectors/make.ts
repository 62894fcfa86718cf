// Generates the test vectors. RSA-OAEP is randomised, so each run differs. Run it only when the format
// changes: UPDATE_VECTORS=1 npx vitest run src/crypto/vectors

import type { Envelope } from "../../protocol/wire";
import { type Bytes, fromBase64url, toBase64url, toHex } from "../bytes";
import { encodeContent } from "../content";
import { seal } from "../envelope";
import { NO_PREVIOUS } from "../header";
import { type Identity, RSA, SUITE, readIdentity } from "../identity";
import { safetyNumber } from "../safety";
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
  const everyone = [bob, phone, alice];
  const first = await makeEnvelope(
    "the first message",
    alice,
    everyone,
    1,
    NO_PREVIOUS,
    "Hello, Bob!",
  );
  const previous = fromHex(first.hash);
  const second = await makeEnvelope(
    "the second message, in several scripts",
    alice,
    everyone,
    2,
    previous,
    "Grüße — 你好 🌉",
  );
  const long = await makeEnvelope(
    "a message of the largest bucket",
    alice,
    everyone,
    3,
    fromHex(second.hash),
    "x".repeat(9000),
  );
  const empty = await makeEnvelope(
    "an empty message by the other person",
    bob,
    everyone,
    1,
    NO_PREVIOUS,
    "",
  );
  const foreign = await makeEnvelope(
    "foreign",
    eve,
    [alice, bob],
    1,
    NO_PREVIOUS,
    "It is me, Alice.",
  );
  return {
    suite: SUITE,
    devices: [alice, phone, bob, eve].map(({ vector }) => vector),
    envelopes: [first, second, long, empty],
    negative: negatives(first, second, foreign),
    safety: [
      {
        a: { account: "alice", devices: ["laptop", "phone"] },
        b: { account: "bob", devices: ["desk"] },
        number: await safetyNumber(
          { account: "alice", devices: [alice.identity, phone.identity] },
          { account: "bob", devices: [bob.identity] },
        ),
      },
    ],
  };
}

async function makeDevice(account: string, device: string): Promise<TestDevice> {
  const rsa = { ...RSA, modulusLength: 3072, publicExponent: Uint8Array.of(1, 0, 1) };
  const encryption = await crypto.subtle.generateKey(rsa, true, ["encrypt", "decrypt"]);
  const signing = (await crypto.subtle.generateKey("Ed25519", true, [
    "sign",
    "verify",
  ])) as CryptoKeyPair;
  const listed = {
    device,
    suite: SUITE,
    encryption_key: await exported("spki", encryption.publicKey),
    signing_key: await exported("spki", signing.publicKey),
  };
  const identity = await readIdentity(account, listed);
  if (!identity) throw new Error("the new keys cannot be read");
  const vector = {
    account,
    device,
    encryption_key: listed.encryption_key,
    signing_key: listed.signing_key,
    encryption_private: await exported("pkcs8", encryption.privateKey),
    signing_private: await exported("pkcs8", signing.privateKey),
    fingerprint: toHex(identity.fingerprint),
  };
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

function negatives(
  first: EnvelopeVector,
  second: EnvelopeVector,
  foreign: EnvelopeVector,
): NegativeVector[] {
  const { envelope } = first;
  const claimed = {
    conversation: first.conversation,
    sender: first.sender,
    device: first.device,
    cid: first.cid,
  };
  const refuse = (
    name: string,
    changed: Partial<Envelope>,
    reason: NegativeVector["reason"],
  ): NegativeVector => {
    return { name, envelope: { ...envelope, ...changed }, claimed, reason };
  };
  const [key, ...keys] = envelope.keys;
  if (!key) throw new Error("the first message has recipients");
  return [
    refuse("another suite", { suite: "rsa-aes-0" }, "malformed"),
    refuse("a flipped bit in the ciphertext", { ciphertext: flip(envelope.ciphertext) }, "forged"),
    refuse("a flipped bit in the nonce", { nonce: flip(envelope.nonce) }, "forged"),
    refuse("a flipped bit in the signature", { signature: flip(envelope.signature) }, "forged"),
    refuse(
      "a flipped bit in a wrapped key",
      { keys: [{ ...key, key: flip(key.key) }, ...keys] },
      "forged",
    ),
    refuse(
      "a truncated ciphertext",
      { ciphertext: change(envelope.ciphertext, (bytes) => bytes.slice(0, -8)) },
      "forged",
    ),
    refuse(
      "a nonce of another length",
      { nonce: change(envelope.nonce, (bytes) => [...bytes, 0, 0, 0]) },
      "malformed",
    ),
    refuse(
      "a truncated header",
      { header: change(envelope.header, (bytes) => bytes.slice(0, -8)) },
      "malformed",
    ),
    refuse(
      "bytes after the header",
      { header: change(envelope.header, (bytes) => [...bytes, 0]) },
      "malformed",
    ),
    refuse(
      "text that is not base64url",
      { ciphertext: `${envelope.ciphertext.slice(0, -1)}=` },
      "malformed",
    ),
    refuse("a missing wrapped key", { keys }, "malformed"),
    refuse("wrapped keys in another order", { keys: [...keys, key] }, "malformed"),
    refuse("the header of another message", { header: second.envelope.header }, "misdirected"),
    {
      name: "another cid than the server says",
      envelope,
      claimed: { ...claimed, cid: "cid-other" },
      reason: "misdirected",
    },
    {
      name: "another conversation",
      envelope,
      claimed: { ...claimed, conversation: "alice.eve" },
      reason: "misdirected",
    },
    {
      name: "another device than the server says",
      envelope,
      claimed: { ...claimed, device: "phone" },
      reason: "misdirected",
    },
    {
      name: "a foreign signer",
      envelope: { ...envelope, signature: foreign.envelope.signature },
      claimed,
      reason: "forged",
    },
    { name: "a foreign sender", envelope: foreign.envelope, claimed, reason: "misdirected" },
  ];
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
