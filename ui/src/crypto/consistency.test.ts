import { describe, expect, test } from "vitest";
import { checkHeads, checkRead, highestRead } from "./consistency";
import { type DeviceLog, readLog, signEntry, startLog } from "./device-log";
import { NOTHING_READ, NO_LOG } from "./header";
import { rawSigningKey } from "./signing-key";

const hash = (byte: number) => new Uint8Array(32).fill(byte);
const log = (...bytes: number[]) => ({ hashes: bytes.map(hash) });
const head = (version: number, byte: number) => ({ version, head: hash(byte) });

describe("the log heads in a header", () => {
  const known = { own: log(11, 12), peer: log(21, 22, 23) };

  test("that match an entry known here are accepted, also of an older version", () => {
    for (const [ownLog, peerLog] of [
      [head(3, 23), head(2, 12)],
      [head(1, 21), head(1, 11)],
      [NO_LOG, NO_LOG],
    ] as const)
      expect(checkHeads({ ownLog, peerLog }, false, known)).toEqual([]);
    expect(checkHeads({ ownLog: NO_LOG, peerLog: NO_LOG }, false, none)).toEqual([]);
  });

  test("with more entries than known here: withheld", () => {
    const withheld = (ownLog: typeof NO_LOG, peerLog: typeof NO_LOG, logs: typeof known) =>
      expect(checkHeads({ ownLog, peerLog }, false, logs)).toEqual(["log-withheld"]);
    withheld(head(4, 24), head(2, 12), known);
    withheld(head(3, 23), head(3, 13), known);
    withheld(head(4, 24), head(3, 13), known);
    withheld(head(Number.MAX_SAFE_INTEGER, 1), NO_LOG, known);
    expect(checkHeads({ ownLog: head(1, 21), peerLog: NO_LOG }, false, none)).toEqual([
      "log-withheld",
    ]);
  });

  test("with another entry than the one known here: fork, of the own log or the other one", () => {
    const heads = (ownLog: typeof NO_LOG, peerLog: typeof NO_LOG, mine: boolean) =>
      checkHeads({ ownLog, peerLog }, mine, known);
    expect(heads(head(2, 99), head(2, 12), false)).toEqual(["log-fork"]);
    expect(heads(head(3, 23), head(1, 99), false)).toEqual(["own-log-fork"]);
    expect(heads(head(1, 99), head(1, 99), false)).toEqual(["own-log-fork", "log-fork"]);
    expect(heads(head(9, 99), head(1, 99), false)).toEqual(["own-log-fork", "log-withheld"]);
  });

  test("of another device of the own account: its own log is the own log", () => {
    const heads = (ownLog: typeof NO_LOG, peerLog: typeof NO_LOG) =>
      checkHeads({ ownLog, peerLog }, true, known);
    expect(heads(head(2, 12), head(3, 23))).toEqual([]);
    expect(heads(head(2, 99), head(3, 23))).toEqual(["own-log-fork"]);
    expect(heads(head(2, 12), head(3, 99))).toEqual(["log-fork"]);
  });

  const none = { own: undefined, peer: undefined };
});

describe("a server with a stolen device that was removed", () => {
  const generate = async () =>
    (await crypto.subtle.generateKey("Ed25519", true, ["sign", "verify"])) as CryptoKeyPair;

  /** Continues a log and reads it like a receiver. */
  async function continued(
    log: DeviceLog,
    operation: "approve" | "remove",
    [device, key]: readonly [string, CryptoKeyPair],
    [signer, by]: readonly [string, CryptoKeyPair],
  ): Promise<DeviceLog> {
    const raw = await rawSigningKey(key.publicKey);
    const signed = { device: signer, key: by.privateKey };
    const entry = await signEntry(log, operation, device, raw, 1, signed);
    const read = await readLog(log.account, log.identityKey, [...log.entries, entry]);
    if (!read) throw new Error("the log is valid");
    return read;
  }

  test("is noticed with the next message in either direction", async () => {
    const identity = ["", await generate()] as const;
    const laptop = ["laptop", await generate()] as const;
    const stolen = ["phone", await generate()] as const;
    const ghost = ["ghost", await generate()] as const;
    const start = startLog("alice", await rawSigningKey(identity[1].publicKey));
    const first = await continued(start, "approve", laptop, identity);
    const both = await continued(first, "approve", stolen, laptop);
    const removed = await continued(both, "remove", stolen, laptop);
    // Both logs are valid under the same identity key.
    const forged = await continued(both, "approve", ghost, stolen);

    const byAlice = { ownLog: removed, peerLog: NO_LOG };
    const atBob = (peer: DeviceLog) => checkHeads(byAlice, false, { own: undefined, peer });
    expect(atBob(both)).toEqual(["log-withheld"]);
    expect(atBob(forged)).toEqual(["log-fork"]);
    expect(atBob(removed)).toEqual([]);

    const byBob = (peerLog: DeviceLog) => ({ ownLog: NO_LOG, peerLog });
    const atAlice = { own: removed, peer: undefined };
    expect(checkHeads(byBob(forged), false, atAlice)).toEqual(["own-log-fork"]);
    expect(checkHeads(byBob(both), false, atAlice)).toEqual([]);
  });
});

describe("the read envelope in a header", () => {
  const sent = { hashes: new Map([1, 2, 3].map((counter) => [counter, hash(counter)])), last: 4 };
  const read = (counter: number, byte = counter) => ({
    device: "laptop",
    counter,
    hash: hash(byte),
  });

  test("that this device sent is accepted, also if its hash is no longer kept", () => {
    for (const reference of [read(1), read(3), read(4), NOTHING_READ])
      expect(checkRead(reference, sent)).toEqual([]);
  });

  test("that this device did not send: mismatch", () => {
    expect(checkRead(read(2, 9), sent)).toEqual(["read-mismatch"]);
    expect(checkRead(read(5), sent)).toEqual(["read-mismatch"]);
  });

  test("before one that was read earlier: rollback", () => {
    expect(checkRead(read(3), { ...sent, before: read(3) })).toEqual([]);
    expect(checkRead(read(3), { ...sent, before: read(2) })).toEqual([]);
    expect(checkRead(read(2), { ...sent, before: read(3) })).toEqual(["read-rollback"]);
    expect(checkRead(read(2, 9), { ...sent, before: read(3) })).toEqual([
      "read-mismatch",
      "read-rollback",
    ]);
  });

  test("of another device of this account is compared as far as it is known", () => {
    const unknown = { hashes: new Map<number, Uint8Array<ArrayBuffer>>() };
    expect(checkRead(read(7), unknown)).toEqual([]);
    expect(checkRead(read(7), { hashes: new Map([[7, hash(9)]]) })).toEqual(["read-mismatch"]);
    expect(checkRead(read(7), { ...unknown, before: read(7, 9) })).toEqual(["read-mismatch"]);
  });

  test("the highest reference to each device is kept", () => {
    const phone = { device: "phone", counter: 1, hash: hash(1) };
    expect(highestRead([], NOTHING_READ)).toEqual([]);
    const first = highestRead([], read(2));
    expect(first).toEqual([read(2)]);
    const both = highestRead(first, phone);
    expect(both).toEqual([read(2), phone]);
    expect(highestRead(both, read(1))).toEqual(both);
    expect(highestRead(both, read(2, 9))).toEqual(both);
    expect(highestRead(both, read(5))).toEqual([phone, read(5)]);
  });
});
