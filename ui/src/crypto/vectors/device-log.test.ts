// Checks this implementation against device-log.json, and writes the file.

import { readFileSync, writeFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { recoveryToken, restoreAccountIdentity, sealIdentity } from "../account-identity";
import { fromBase64url, toBase64url, toHex } from "../bytes";
import { extendLog, readLog, replay, startLog } from "../device-log";
import { EMOJI } from "../emoji";
import { RSA, keysStatement, readIdentity, sha256 } from "../identity";
import { openHistory } from "../link-history";
import { checkReveal, emojiOf, linkCommitment, linkFingerprint, linkHash } from "../linking";
import { encodeEntry } from "../log-entry";
import { formatRecoveryCode, parseRecoveryCode } from "../recovery-code";
import { safetyNumber } from "../safety";
import type { AccountVectors, ChunkVector } from "./account-shape";
import { fromHex } from "./fixed";
import { makeAccountVectors } from "./make-account";

const FILE = new URL("device-log.json", import.meta.url).pathname;

if (process.env["UPDATE_VECTORS"])
  writeFileSync(FILE, JSON.stringify(await makeAccountVectors(), null, 2) + "\n");

const vectors = JSON.parse(readFileSync(FILE, "utf8")) as AccountVectors;

describe("the device log", () => {
  const { account, identity_key, entries, devices } = vectors.log;
  const identityKey = fromHex(identity_key);
  const stored = readLog(
    account,
    identityKey,
    entries.map(({ signed }) => signed),
  );

  test.each(entries)("entry $version is encoded and hashed as published", async (entry) => {
    const bytes = encodeEntry({
      ...entry,
      account,
      identityKey,
      previous: fromHex(entry.previous),
      signingKey: fromHex(entry.signing_key),
    });
    expect(toHex(bytes)).toBe(entry.bytes);
    expect(toBase64url(bytes)).toBe(entry.signed.entry);
    expect(toHex(await sha256(bytes))).toBe(entry.hash);
  });

  test("is read with its devices", async () => {
    const log = await stored;
    expect(log?.version).toBe(entries.length);
    expect(log?.hashes.map(toHex)).toEqual(entries.map(({ hash }) => hash));
    const expected = devices.map(({ device, signing_key, approved_in, removed_in }) => [
      device,
      {
        signingKey: fromHex(signing_key),
        approvedIn: approved_in,
        ...(removed_in === undefined ? {} : { removedIn: removed_in }),
      },
    ]);
    expect([...(log?.devices ?? [])]).toEqual(expected);
  });

  test.each(vectors.rejected_logs)("with $name: $fault", async (rejected) => {
    const key = fromHex(rejected.identity_key);
    expect(await readLog(rejected.account, key, rejected.entries)).toBeUndefined();
    const { version, fault } = rejected;
    const replayed = await replay(startLog(rejected.account, key), rejected.entries);
    expect(replayed).toMatchObject(fault === "empty" ? { version } : { version, fault });
  });

  test.each(vectors.received_logs)("then $name: $result", async (received) => {
    const log = await stored;
    if (!log) throw new Error("the log is valid");
    const extended = await extendLog(log, fromHex(received.identity_key), received.entries);
    const result = "fault" in extended ? extended.fault : "valid";
    expect(result).toBe(received.result);
  });
});

describe("key statements", () => {
  test.each(vectors.statements)(
    "of generation $keys.generation are read as published",
    async ({ account, device, keys, bytes, fingerprint }) => {
      const read = await readIdentity(account, { device, ...keys });
      if (!read) throw new Error("the statement is valid");
      const { generation, createdAt, signingKey } = read;
      const encryptionKey = fromBase64url(keys.encryption_key) ?? new Uint8Array();
      const fields = { account, device, generation, createdAt, encryptionKey, signingKey };
      expect(toHex(keysStatement(fields))).toBe(bytes);
      expect(toHex(read.fingerprint)).toBe(fingerprint);
    },
  );

  test.each(vectors.rejected_statements)("with $name", async ({ account, device, keys }) => {
    expect(await readIdentity(account, { device, ...keys })).toBeUndefined();
  });
});

test.each(vectors.safety)("the safety number $number", async ({ a, b, number }) => {
  const side = ({ account, identity_key }: typeof a) => ({
    account,
    identityKey: fromHex(identity_key),
  });
  expect(number).toMatch(/^\d{60}$/);
  expect(await safetyNumber(side(a), side(b))).toBe(number);
  expect(await safetyNumber(side(b), side(a))).toBe(number);
});

describe("recovery codes", () => {
  test.each(vectors.recovery_codes)("$text", async ({ code, text, typed }) => {
    expect(await formatRecoveryCode(fromHex(code))).toBe(text);
    for (const variant of [text, ...typed])
      expect(await parseRecoveryCode(variant)).toEqual(fromHex(code));
  });

  test.each(vectors.rejected_codes)("$typed: $fault", async ({ typed, ...fault }) => {
    expect(await parseRecoveryCode(typed)).toEqual(fault);
  });
});

describe("sealed identities", () => {
  test.each(vectors.identities)("of $account are sealed and restored", async (vector) => {
    const [code, key] = [fromHex(vector.code), fromHex(vector.identity_key)];
    const [pkcs8, nonce] = [fromHex(vector.private_key), fromHex(vector.nonce)];
    const sealed = await sealIdentity(code, vector.account, key, pkcs8, nonce);
    expect(toBase64url(sealed)).toBe(vector.sealed);
    const token = fromBase64url(await recoveryToken(code)) ?? new Uint8Array();
    expect(toHex(token)).toBe(vector.token);
    expect(toBase64url(await sha256(token))).toBe(vector.recovery);
    expect(await restoreAccountIdentity(code, vector.account, key, vector.sealed)).toBeDefined();
  });

  test.each(vectors.rejected_identities)("with $name are not restored", async (vector) => {
    const [code, key] = [fromHex(vector.code), fromHex(vector.identity_key)];
    expect(await restoreAccountIdentity(code, vector.account, key, vector.sealed)).toBeUndefined();
  });
});

describe("links", () => {
  test("have the published emoji", () => {
    expect(EMOJI).toEqual(vectors.emoji);
  });

  test.each(vectors.links)("of $device are compared as published", async (vector) => {
    const [newNonce, oldNonce] = [fromHex(vector.new_nonce), fromHex(vector.old_nonce)];
    const keys = [fromHex(vector.encryption_key), fromHex(vector.signing_key)] as const;
    const fingerprint = await linkFingerprint(vector.device, ...keys);
    const commitment = await linkCommitment(newNonce, fingerprint);
    const { account } = vector;
    const identityKey = fromHex(vector.identity_key);
    const transcript = { fingerprint, account, identityKey, newNonce, oldNonce };
    expect(toHex(fingerprint)).toBe(vector.fingerprint);
    expect(toHex(commitment)).toBe(vector.commitment);
    expect(await checkReveal(commitment, newNonce, fingerprint)).toBe(true);
    expect(toHex(await linkHash(transcript))).toBe(vector.hash);
    expect((await emojiOf(transcript)).map(({ name }) => name)).toEqual(vector.emoji);
  });

  test.each(vectors.rejected_reveals)("with $name", async ({ commitment, nonce, fingerprint }) => {
    const revealed = checkReveal(fromHex(commitment), fromHex(nonce), fromHex(fingerprint));
    expect(await revealed).toBe(false);
  });
});

describe("the history of a link", () => {
  async function opened({ link, account, signer, index, total, chunk }: ChunkVector) {
    const pkcs8 = fromBase64url(vectors.history_private) ?? new Uint8Array();
    const privateKey = await crypto.subtle.importKey("pkcs8", pkcs8, RSA, false, ["decrypt"]);
    const pair = { privateKey, publicKey: privateKey };
    const own = { encryption: { generation: 1, createdAt: 0, pair } };
    const place = { link: fromHex(link), account, index, total };
    return openHistory(own, fromHex(signer), place, chunk);
  }

  test.each(vectors.history)("chunk $index opens", async (vector) => {
    expect(await opened(vector)).toEqual(fromHex(vector.content));
  });

  test.each(vectors.rejected_history)("$name: not opened", async (vector) => {
    expect(await opened(vector)).toBeUndefined();
  });
});
