// Generates the links of device-log.json: fingerprints, emoji, and the history.

import { type Bytes, fromBase64url, toBase64url, toHex, utf8 } from "../bytes";
import { type SealedChunk, sealHistory } from "../link-history";
import { type Transcript, emojiOf, linkCommitment, linkFingerprint, linkHash } from "../linking";
import type { AccountVectors, ChunkVector, LinkVector } from "./account-shape";
import { type Keys, fixed, flip, fromHex } from "./fixed";

type LinkVectors = Pick<
  AccountVectors,
  "links" | "rejected_reveals" | "history_private" | "history" | "rejected_history"
>;

export async function makeLinks(keys: Keys, encryption: CryptoKeyPair): Promise<LinkVectors> {
  const info = new Uint8Array(await crypto.subtle.exportKey("spki", encryption.publicKey));
  const pkcs8 = new Uint8Array(await crypto.subtle.exportKey("pkcs8", encryption.privateKey));
  const phone = await link("phone", "alice", info, keys);
  const links = [phone, await link("～🌉", "zoë", info, keys)];
  const history = await makeHistory(phone, info, keys);
  return {
    links,
    rejected_reveals: await rejectedReveals(phone),
    history_private: toBase64url(pkcs8),
    history,
    rejected_history: await rejectedHistory(history, info, keys),
  };
}

async function link(
  device: string,
  account: string,
  encryptionKey: Bytes,
  { identity, phone }: Keys,
): Promise<LinkVector> {
  const fingerprint = await linkFingerprint(device, encryptionKey, phone.raw);
  const transcript: Transcript = {
    fingerprint,
    account,
    identityKey: identity.raw,
    newNonce: await fixed(`nonce of the new device ${device}`),
    oldNonce: await fixed(`nonce of the old device for ${device}`),
  };
  return {
    device,
    encryption_key: toHex(encryptionKey),
    signing_key: toHex(phone.raw),
    fingerprint: toHex(fingerprint),
    account,
    identity_key: toHex(identity.raw),
    new_nonce: toHex(transcript.newNonce),
    old_nonce: toHex(transcript.oldNonce),
    commitment: toHex(await linkCommitment(transcript.newNonce, fingerprint)),
    hash: toHex(await linkHash(transcript)),
    emoji: (await emojiOf(transcript)).map(({ name }) => name),
  };
}

async function rejectedReveals(phone: LinkVector): Promise<AccountVectors["rejected_reveals"]> {
  const { commitment, new_nonce: nonce, fingerprint } = phone;
  const earlier = await linkCommitment(await fixed("earlier nonce"), fromHex(fingerprint));
  const base = { commitment, nonce, fingerprint };
  const other = toHex(await fixed("other fingerprint"));
  return [
    { ...base, name: "another nonce", nonce: phone.old_nonce },
    { ...base, name: "a nonce of another length", nonce: nonce.slice(2) },
    { ...base, name: "other keys", fingerprint: other },
    { ...base, name: "a commitment of an earlier link", commitment: toHex(earlier) },
  ];
}

const TEXTS = ["contacts", "", "Grüße — 你好 🌉"];

async function makeHistory(
  { hash, account }: LinkVector,
  encryptionKey: Bytes,
  { laptop }: Keys,
): Promise<AccountVectors["history"]> {
  const total = TEXTS.length;
  return Promise.all(
    TEXTS.map(async (text, index) => {
      const content = utf8(text);
      const place = { link: fromHex(hash), account, index, total };
      const chunk = await sealHistory({ signing: laptop.pair }, encryptionKey, place, content);
      const signer = toHex(laptop.raw);
      return { link: hash, account, signer, index, total, content: toHex(content), chunk };
    }),
  );
}

async function rejectedHistory(
  history: AccountVectors["history"],
  encryptionKey: Bytes,
  { server, laptop }: Keys,
): Promise<AccountVectors["rejected_history"]> {
  const [first, second] = history;
  if (!first || !second) throw new Error("the history has chunks");
  const { link, account, signer, index, total, chunk } = first;
  const rejected = (name: string, changes: Partial<ChunkVector>) => {
    return { name, link, account, signer, index, total, chunk, ...changes };
  };
  const changed = (name: string, field: keyof SealedChunk) => {
    const bytes = flip(fromBase64url(chunk[field]) ?? new Uint8Array());
    return rejected(name, { chunk: { ...chunk, [field]: toBase64url(bytes) } });
  };
  const otherLink = await fixed("another link");
  const place = { link: fromHex(link), account, index, total };
  const content = utf8("contacts");
  const elsewhere = { ...place, link: otherLink };
  const owner = { signing: laptop.pair };
  const foreign = await sealHistory(owner, encryptionKey, elsewhere, content);
  const forged = await sealHistory({ signing: server.pair }, encryptionKey, place, content);
  return [
    rejected("at another place", { index: 1 }),
    rejected("another chunk at this place", { chunk: second.chunk }),
    rejected("cut short with another total", { total: 2 }),
    rejected("in another account", { account: "bob" }),
    rejected("in another link", { link: toHex(otherLink) }),
    rejected("a chunk of another link", { chunk: foreign }),
    rejected("signed by another device", { chunk: forged }),
    rejected("read with another signing key", { signer: toHex(server.raw) }),
    changed("a flipped bit in the nonce", "nonce"),
    changed("a flipped bit in the ciphertext", "ciphertext"),
    changed("a flipped bit in the wrapped key", "key"),
    changed("a flipped bit in the signature", "signature"),
    rejected("a nonce with padding", { chunk: { ...chunk, nonce: `${chunk.nonce}=` } }),
  ];
}
