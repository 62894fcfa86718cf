// Generates device-log.json. Its Ed25519 keys are fixed. RSA keys and the wrapped keys of the
// history are not, so each run differs. Run it only when the format changes:
// UPDATE_VECTORS=1 npx vitest run src/crypto/vectors/device-log.test.ts

import { recoveryToken, sealIdentity } from "../account-identity";
import { type Bytes, fromBase64url, toBase64url, toHex } from "../bytes";
import { Writer } from "../canonical";
import { EMOJI } from "../emoji";
import { hkdf } from "../hkdf";
import { RSA, SUITE, keysStatement, readIdentity, sha256 } from "../identity";
import { publicKeys } from "../keys";
import { formatRecoveryCode } from "../recovery-code";
import { safetyNumber } from "../safety";
import type {
  AccountVectors,
  IdentityVector,
  RejectedStatement,
  StatementVector,
} from "./account-shape";
import { type Keys, fixed, fixedKeys, flip, fromHex } from "./fixed";
import { makeLinks } from "./make-links";
import { makeLogs } from "./make-log";

const CREATED_AT = 1_800_000_000_000;
const CODES = [
  "00000000000000000000000000000000",
  "ffffffffffffffffffffffffffffffff",
  "00443214c74254b635cf84653a56d7c6",
];

export async function makeAccountVectors(): Promise<AccountVectors> {
  const keys = await fixedKeys();
  const rsa = { ...RSA, modulusLength: 3072, publicExponent: Uint8Array.of(1, 0, 1) };
  const encryption = await crypto.subtle.generateKey(rsa, true, ["encrypt", "decrypt"]);
  const next = await crypto.subtle.generateKey(rsa, true, ["encrypt", "decrypt"]);
  const first = await statement(keys, encryption, 1);
  const second = await statement(keys, next, 2);
  const identities = [
    await identity("alice", keys, CODES[2] ?? ""),
    await identity("böb", keys, CODES[1] ?? ""),
  ];
  return {
    suite: SUITE,
    ...(await makeLogs(keys)),
    statements: [first, second],
    rejected_statements: rejectedStatements(first, second, keys),
    safety: [await safety(keys, "alice", "bob"), await safety(keys, "zoë", "ana")],
    ...(await recoveryCodes()),
    identities,
    rejected_identities: rejectedIdentities(identities, keys),
    emoji: [...EMOJI],
    ...(await makeLinks(keys, encryption)),
  };
}

async function statement(
  keys: Keys,
  pair: CryptoKeyPair,
  generation: number,
): Promise<StatementVector> {
  const { raw, pair: signing } = keys.phone;
  const [account, device] = ["alice", "phone"];
  const createdAt = CREATED_AT + generation;
  const own = { device, signing, encryption: { generation, createdAt, pair } };
  const listed = await publicKeys(own, account);
  const encryptionKey = fromBase64url(listed.encryption_key) ?? new Uint8Array();
  const read = await readIdentity(account, { device, ...listed });
  if (!read) throw new Error("the new keys are valid");
  const fields = { account, device, generation, createdAt, encryptionKey, signingKey: raw };
  const bytes = toHex(keysStatement(fields));
  return { account, device, keys: listed, bytes, fingerprint: toHex(read.fingerprint) };
}

function rejectedStatements(
  { account, device, keys }: StatementVector,
  other: StatementVector,
  { laptop }: Keys,
): RejectedStatement[] {
  const info = fromBase64url(keys.signing_key) ?? new Uint8Array();
  const foreign = toBase64url(Uint8Array.of(...info.slice(0, 12), ...laptop.raw));
  const rejected = (name: string, changes: Partial<typeof keys>): RejectedStatement => {
    return { name, account, device, keys: { ...keys, ...changes } };
  };
  return [
    { name: "another account", account: "bob", device, keys },
    { name: "another device", account, device: "laptop", keys },
    rejected("another suite", { suite: "rsa-aes-0" }),
    rejected("another generation", { generation: 2 }),
    rejected("generation 0", { generation: 0 }),
    rejected("another time", { created_at: CREATED_AT }),
    rejected("the encryption key of another generation", {
      encryption_key: other.keys.encryption_key,
    }),
    rejected("another signing key", { signing_key: foreign }),
    rejected("the signature of another generation", { signature: other.keys.signature }),
    rejected("a flipped bit in the signature", {
      signature: toBase64url(flip(fromBase64url(keys.signature) ?? info)),
    }),
    rejected("a signing key in place of the encryption key", { encryption_key: keys.signing_key }),
    rejected("bytes after the signing key", {
      signing_key: toBase64url(Uint8Array.of(...info, 0)),
    }),
  ];
}

async function safety(keys: Keys, a: string, b: string): Promise<AccountVectors["safety"][number]> {
  const [first, second] = [keys.identity.raw, keys.server.raw];
  const number = await safetyNumber(
    { account: a, identityKey: first },
    { account: b, identityKey: second },
  );
  const side = (account: string, key: Bytes) => ({ account, identity_key: toHex(key) });
  return { a: side(a, first), b: side(b, second), number };
}

async function recoveryCodes(): Promise<Pick<AccountVectors, "recovery_codes" | "rejected_codes">> {
  const recovery_codes = await Promise.all(
    CODES.map(async (code) => {
      const text = await formatRecoveryCode(fromHex(code));
      const typed = [
        text.toLowerCase(),
        text.replaceAll("-", ""),
        ` ${text.replaceAll("-", " ")} `,
        text.replaceAll("0", "O").replaceAll("1", "l"),
        text.replaceAll("0", "o").replaceAll("1", "I"),
      ];
      return { code, text, typed };
    }),
  );
  const text = recovery_codes[2]?.text ?? "";
  const zeros = recovery_codes[0]?.text ?? "";
  const changed = (at: number, to: string) => text.slice(0, at) + to + text.slice(at + 1);
  const [a, b] = [text.charAt(5), text.charAt(6)];
  return {
    recovery_codes,
    rejected_codes: [
      { typed: "", fault: "too-short", missing: 28 },
      { typed: text.slice(0, -1), fault: "too-short", missing: 1 },
      { typed: `${text}7`, fault: "too-long", extra: 1 },
      { typed: changed(5, "U"), fault: "character", character: "U", position: 5 },
      { typed: changed(0, "!"), fault: "character", character: "!", position: 1 },
      { typed: changed(33, "é"), fault: "character", character: "é", position: 28 },
      { typed: changed(0, text.startsWith("2") ? "3" : "2"), fault: "check" },
      { typed: text.slice(0, 5) + b + a + text.slice(7), fault: "check" },
      { typed: `${zeros.slice(0, 31)}1${zeros.slice(32)}`, fault: "check" },
    ],
  };
}

async function identity(account: string, keys: Keys, code: string): Promise<IdentityVector> {
  const { raw, pkcs8 } = keys.identity;
  const secret = fromHex(code);
  const nonce = await fixed(`nonce of the identity of ${account}`, 12);
  const sealed = await sealIdentity(secret, account, raw, pkcs8, nonce);
  const info = new Writer().text("gatehouse/recovery/1/seal").finish();
  const token = fromBase64url(await recoveryToken(secret)) ?? new Uint8Array();
  return {
    account,
    identity_key: toHex(raw),
    code,
    sealed: toBase64url(sealed),
    private_key: toHex(pkcs8),
    nonce: toHex(nonce),
    seal_key: toHex(await hkdf(secret, new Uint8Array(), info, 32)),
    token: toHex(token),
    recovery: toBase64url(await sha256(token)),
  };
}

function rejectedIdentities(
  [first, second]: readonly IdentityVector[],
  keys: Keys,
): AccountVectors["rejected_identities"] {
  if (!first || !second) throw new Error("there are two identities");
  const { account, identity_key, code, sealed } = first;
  const base = { account, identity_key, code, sealed };
  const bytes = fromBase64url(sealed) ?? new Uint8Array();
  return [
    { ...base, name: "another code", code: second.code },
    { ...base, name: "another account", account: "bob" },
    { ...base, name: "another identity key", identity_key: toHex(keys.server.raw) },
    { ...base, name: "the seal of another account", sealed: second.sealed },
    { ...base, name: "a flipped bit", sealed: toBase64url(flip(bytes)) },
    { ...base, name: "a truncated seal", sealed: toBase64url(bytes.slice(0, -1)) },
    { ...base, name: "an empty seal", sealed: "" },
    { ...base, name: "padding", sealed: `${sealed}=` },
  ];
}
