// Generates the test vectors. RSA-OAEP is randomised, so each run differs. Run it only when the
// format changes: UPDATE_VECTORS=1 npx vitest run src/crypto/vectors

import { type Bytes, toBase64url, toHex, utf8 } from "../bytes";
import { type Content, encodeContent } from "../content";
import { type MessagePosition, commitmentTo, seal } from "../envelope";
import { bytes, fromHex } from "../forge.testing";
import { type LogHead, NOTHING_READ, NO_HASH, NO_LOG, type ReadReference } from "../header";
import { RSA, SUITE, readIdentity, sha256 } from "../identity";
import { publicKeys } from "../keys";
import { safetyNumber } from "../safety";
import { type TestDevice, makeNegative } from "./negative";
import type { EnvelopeVector, Vectors } from "./shape";

/** A message without what follows from its sender. */
type Draft = Pick<MessagePosition, "counter" | "previous"> &
  Partial<Pick<MessagePosition, "lifetime" | "ownLog" | "peerLog" | "read">> & {
    readonly name: string;
    /** Undefined: a change of the lifetime. */
    readonly text: string | undefined;
  };

const CONVERSATION = "alice.bob";

export async function makeVectors(): Promise<Vectors> {
  const alice = await makeDevice("alice", "laptop", 1);
  const phone = await makeDevice("alice", "phone", 3);
  const bob = await makeDevice("bob", "desk", 1);
  const eve = await makeDevice("eve", "den", 1);
  const envelopes = await makeEnvelopes(alice, phone, bob);
  const text = "It is me, Alice.";
  const draft = { name: "foreign", counter: 1, previous: NO_HASH, text };
  const foreign = await makeEnvelope(eve, [alice, bob], draft);
  return {
    suite: SUITE,
    devices: [alice, phone, bob, eve].map(({ vector }) => vector),
    envelopes: [...envelopes],
    negative: await makeNegative(envelopes, foreign, alice, bob),
    safety: [await makeSafety("alice", "bob"), await makeSafety("eve", "alice")],
  };
}

async function makeEnvelopes(alice: TestDevice, phone: TestDevice, bob: TestDevice) {
  const everyone = [bob, phone, alice];
  const make = (sender: TestDevice, draft: Draft) => makeEnvelope(sender, everyone, draft);
  const start = { counter: 1, previous: NO_HASH };
  const after = ({ counter, hash }: EnvelopeVector) => ({
    counter: counter + 1,
    previous: fromHex(hash),
  });
  const [own, peer] = [await logHead("alice", 2), await logHead("bob", 1)];
  const first = await make(alice, { name: "the first message", ...start, text: "Hello, Bob!" });
  const second = await make(alice, {
    name: "the second message, in several scripts",
    ...after(first),
    lifetime: 86_400,
    ownLog: own,
    peerLog: peer,
    text: "Grüße — 你好 🌉",
  });
  const long = await make(alice, {
    name: "a message of the largest bucket",
    ...after(second),
    lifetime: 604_800,
    ownLog: own,
    text: "x".repeat(9000),
  });
  const byBob = { lifetime: 604_800, ownLog: peer, peerLog: own, read: reference(long) } as const;
  const empty = await make(bob, {
    name: "an empty message by the other person",
    ...start,
    ...byBob,
    text: "",
  });
  const change = await make(bob, {
    name: "a change of the lifetime",
    ...after(empty),
    ...byBob,
    lifetime: 2_592_000,
    text: undefined,
  });
  const reply = await make(phone, {
    name: "a reply from another device",
    ...start,
    lifetime: 2_592_000,
    ownLog: await logHead("alice", 3),
    peerLog: peer,
    read: reference(change),
    text: "Agreed.",
  });
  return [first, second, long, empty, change, reply] as const;
}

/** Any log: its entries are not part of this file. */
async function logHead(account: string, version: number): Promise<LogHead> {
  return { version, head: await sha256(utf8(`entry ${version} of ${account}`)) };
}

function reference({ device, counter, hash }: EnvelopeVector): ReadReference {
  return { device, counter, hash: fromHex(hash) };
}

async function makeDevice(
  account: string,
  device: string,
  generation: number,
): Promise<TestDevice> {
  const rsa = { ...RSA, modulusLength: 3072, publicExponent: Uint8Array.of(1, 0, 1) };
  const pair = await crypto.subtle.generateKey(rsa, true, ["encrypt", "decrypt"]);
  const signing = (await crypto.subtle.generateKey("Ed25519", true, [
    "sign",
    "verify",
  ])) as CryptoKeyPair;
  const encryption = { generation, createdAt: 1_800_000_000_000 + generation, pair };
  const { suite, ...keys } = await publicKeys({ device, signing, encryption }, account);
  const identity = await readIdentity(account, { device, suite, ...keys });
  if (!identity) throw new Error("the new keys cannot be read");
  const vector = {
    account,
    device,
    ...keys,
    encryption_private: await exported(pair.privateKey),
    signing_private: await exported(signing.privateKey),
    fingerprint: toHex(identity.fingerprint),
  };
  return { vector, identity, signing };
}

async function makeEnvelope(
  sender: TestDevice,
  recipients: readonly TestDevice[],
  { name, text, ...chain }: Draft,
): Promise<EnvelopeVector> {
  const messageKey = crypto.getRandomValues(new Uint8Array(32));
  const nonce = crypto.getRandomValues(new Uint8Array(12));
  const { account, device } = sender.vector;
  const position: MessagePosition = {
    lifetime: 0,
    ownLog: NO_LOG,
    peerLog: NO_LOG,
    read: NOTHING_READ,
    ...chain,
    conversation: CONVERSATION,
    account,
    cid: `cid-${account}-${device}-${chain.counter}`,
  };
  const writtenAt = 1_800_000_000_000 + chain.counter;
  const content: Content =
    text === undefined ? { kind: "lifetime", writtenAt } : { kind: "text", writtenAt, text };
  const { envelope, hash } = await seal(
    { device, signing: sender.signing },
    position,
    recipients.map(({ identity }) => identity),
    content,
    { messageKey: messageKey.slice(), nonce },
  );
  return {
    name,
    conversation: CONVERSATION,
    sender: account,
    device,
    cid: position.cid,
    counter: position.counter,
    previous: toHex(position.previous),
    commitment: toHex(await commitmentTo(messageKey)),
    lifetime: position.lifetime,
    own_log: { ...position.ownLog, head: toHex(position.ownLog.head) },
    peer_log: { ...position.peerLog, head: toHex(position.peerLog.head) },
    read: { ...position.read, hash: toHex(position.read.hash) },
    recipients: recipients.map(({ vector }) => ({
      account: vector.account,
      device: vector.device,
    })),
    kind: content.kind,
    written_at: writtenAt,
    text: text ?? "",
    message_key: toHex(messageKey),
    nonce: toHex(nonce),
    header: toHex(bytes(envelope.header)),
    plaintext: toHex(encodeContent(content)),
    envelope,
    hash: toHex(hash),
  };
}

async function makeSafety(one: string, other: string) {
  const side = async (account: string) => {
    const identityKey: Bytes = await sha256(utf8(`identity of ${account}`));
    return { account, identityKey };
  };
  const [a, b] = [await side(one), await side(other)];
  const listed = ({ account, identityKey }: typeof a) => ({
    account,
    identity_key: toHex(identityKey),
  });
  return { a: listed(a), b: listed(b), number: await safetyNumber(a, b) };
}

async function exported(key: CryptoKey): Promise<string> {
  return toBase64url(new Uint8Array(await crypto.subtle.exportKey("pkcs8", key)));
}
