import { beforeAll, describe, expect, test } from "vitest";
import type { SignedEntry } from "../protocol/wire";
import { type Bytes, fromBase64url, toBase64url } from "./bytes";
import {
  type DeviceLog,
  type Signer,
  entriesOf,
  extendLog,
  hashAt,
  isApproved,
  readLog,
  replay,
  signEntry,
  startLog,
} from "./device-log";
import { sha256 } from "./identity";
import { type EntryFields, NO_ENTRY, encodeEntry } from "./log-entry";
import { rawSigningKey } from "./signing-key";

interface TestKey {
  readonly pair: CryptoKeyPair;
  readonly raw: Bytes;
}

const newKey = async (): Promise<TestKey> => {
  const pair = (await crypto.subtle.generateKey("Ed25519", false, [
    "sign",
    "verify",
  ])) as CryptoKeyPair;
  return { pair, raw: await rawSigningKey(pair.publicKey) };
};

const NAMES = ["identity", "laptop", "phone", "tablet", "ghost", "server"] as const;
let keys: Record<(typeof NAMES)[number], TestKey>;
/** The laptop approves the phone, and the phone removes the tablet, which the laptop approved. */
let log: DeviceLog;

const by = (name: "" | keyof typeof keys): Signer => ({
  device: name,
  key: keys[name === "" ? "identity" : name].pair.privateKey,
});

beforeAll(async () => {
  const made = await Promise.all(NAMES.map(async (name) => [name, await newKey()] as const));
  keys = Object.fromEntries(made) as typeof keys;
  log = startLog("alice", keys.identity.raw);
  log = await continued(log, "approve", "laptop", by(""));
  log = await continued(log, "approve", "phone", by("laptop"));
  log = await continued(log, "approve", "tablet", by("laptop"));
  log = await continued(log, "remove", "tablet", by("phone"));
});

async function continued(
  from: DeviceLog,
  operation: "approve" | "remove",
  device: keyof typeof keys,
  signer: Signer,
): Promise<DeviceLog> {
  const signed = await signEntry(from, operation, device, keys[device].raw, 1_000, signer);
  const next = await replay(from, [signed]);
  if ("fault" in next) throw new Error(next.fault);
  return next;
}

/** The fields of the entry that the phone would sign next to approve the ghost. */
const next = (from: DeviceLog = log): EntryFields => ({
  account: "alice",
  identityKey: keys.identity.raw,
  version: from.version + 1,
  previous: from.head,
  operation: "approve",
  device: "ghost",
  signingKey: keys.ghost.raw,
  time: 2_000,
  signer: "phone",
});

/** Signs any entry with any key, as an attacker does. */
async function forge(fields: EntryFields, key: CryptoKey): Promise<SignedEntry> {
  return signBytes(encodeEntry(fields), key);
}

async function signBytes(entry: Bytes, key: CryptoKey): Promise<SignedEntry> {
  const signature = new Uint8Array(await crypto.subtle.sign("Ed25519", key, entry));
  return { entry: toBase64url(entry), signature: toBase64url(signature) };
}

/** The fault of an entry after `from`. The whole list is rejected too, read or as an extension. */
async function faultAfter(from: DeviceLog, signed: SignedEntry): Promise<string | undefined> {
  const result = await replay(from, [signed]);
  if (!("fault" in result)) return undefined;
  expect(result.version).toBe(from.version + 1);
  const list = [...from.entries, signed];
  expect(await readLog(from.account, from.identityKey, list)).toBeUndefined();
  if (from.version > 0)
    expect(await extendLog(from, from.identityKey, list)).toEqual({ fault: "invalid" });
  return result.fault;
}

const forged = async (changes: Partial<EntryFields>, signer: keyof typeof keys) =>
  faultAfter(log, await forge({ ...next(), ...changes }, keys[signer].pair.privateKey));

describe("a valid log", () => {
  test("is read with its devices, versions and hashes", async () => {
    const read = await readLog("alice", keys.identity.raw, log.entries);
    expect(read).toEqual(log);
    expect(log.version).toBe(4);
    expect([...log.devices]).toEqual([
      ["laptop", { signingKey: keys.laptop.raw, approvedIn: 1 }],
      ["phone", { signingKey: keys.phone.raw, approvedIn: 2 }],
      ["tablet", { signingKey: keys.tablet.raw, approvedIn: 3, removedIn: 4 }],
    ]);
    expect(
      entriesOf(log).map(({ operation, device, signer }) => [operation, device, signer]),
    ).toEqual([
      ["approve", "laptop", ""],
      ["approve", "phone", "laptop"],
      ["approve", "tablet", "laptop"],
      ["remove", "tablet", "phone"],
    ]);
    expect(hashAt(log, 0)).toEqual(NO_ENTRY);
    expect(hashAt(log, 4)).toEqual(log.head);
    expect(hashAt(log, 5)).toBeUndefined();
    const last = fromBase64url(log.entries[3]?.entry ?? "") ?? new Uint8Array();
    expect(log.head).toEqual(await sha256(last));
  });

  test("approves a device only with its own key, and not after its removal", () => {
    const approves = (device: keyof typeof keys, key: keyof typeof keys = device) =>
      isApproved(log, { device, signingKey: keys[key].raw });
    expect(approves("phone")).toBe(true);
    expect(approves("phone", "ghost")).toBe(false);
    expect(approves("tablet")).toBe(false);
    expect(approves("ghost")).toBe(false);
  });

  test("is continued by new entries, which alone are verified", async () => {
    const longer = await continued(log, "approve", "ghost", by("phone"));
    expect(await extendLog(log, keys.identity.raw, longer.entries)).toEqual({ log: longer });
    expect(await extendLog(log, keys.identity.raw, log.entries)).toEqual({ log });
  });

  test("survives the removal of every device: the identity key can approve again", async () => {
    const alone = await continued(
      await continued(log, "remove", "phone", by("laptop")),
      "remove",
      "laptop",
      by("laptop"),
    );
    const recovered = await continued(alone, "approve", "ghost", by(""));
    expect(await readLog("alice", keys.identity.raw, recovered.entries)).toEqual(recovered);
  });

  test("can be stored and continued afterwards", async () => {
    const longer = await continued(log, "approve", "ghost", by("phone"));
    const stored = structuredClone(log);
    expect(await extendLog(stored, keys.identity.raw, longer.entries)).toEqual({ log: longer });
  });

  test("of 1,000 entries is read in seconds", async () => {
    let long = await continued(startLog("alice", keys.identity.raw), "approve", "laptop", by(""));
    const sign = keys.laptop.pair.privateKey;
    const added: SignedEntry[] = [];
    let [version, previous] = [long.version, long.head];
    while (version < 1_000) {
      version += 1;
      const operation = version % 2 === 0 ? ("approve" as const) : ("remove" as const);
      const number = Math.floor(version / 2);
      const signingKey = new Uint8Array(32).fill(1);
      new DataView(signingKey.buffer).setUint32(0, number);
      const device = `device-${number}`;
      const fields = { ...next(), version, previous, operation, device, signingKey };
      const entry = encodeEntry({ ...fields, signer: "laptop" });
      previous = await sha256(entry);
      added.push(await signBytes(entry, sign));
    }
    const begin = performance.now();
    const read = await readLog("alice", keys.identity.raw, [...long.entries, ...added]);
    const milliseconds = performance.now() - begin;
    long = read ?? long;
    expect(long.version).toBe(1_000);
    expect(long.devices.size).toBe(501);
    expect(milliseconds).toBeLessThan(20_000);
  }, 60_000);
});

describe("a ghost device is not approved", () => {
  test("by the server's own key", async () => {
    expect(await forged({ signer: "" }, "server")).toBe("signature");
    expect(await forged({ signer: "phone" }, "server")).toBe("signature");
    expect(await forged({ signer: "server" }, "server")).toBe("signer");
  });

  test("by its own key", async () => {
    expect(await forged({ signer: "ghost" }, "ghost")).toBe("signer");
  });

  test("by a removed device", async () => {
    expect(await forged({ signer: "tablet" }, "tablet")).toBe("signer");
    expect(await forged({ signer: "phone" }, "tablet")).toBe("signature");
  });

  test("by a removed device that dates the entry before its removal", async () => {
    expect(await forged({ signer: "tablet", time: 1 }, "tablet")).toBe("signer");
    // In place of its removal, the list is another history than the stored one.
    const earlier = await readLog("alice", keys.identity.raw, log.entries.slice(0, 3));
    if (!earlier) throw new Error("a prefix is valid");
    const ghost = await signEntry(earlier, "approve", "ghost", keys.ghost.raw, 1, by("tablet"));
    const entries = [...earlier.entries, ghost];
    expect(await extendLog(log, keys.identity.raw, entries)).toEqual({ fault: "fork" });
    // The removal does not follow it either.
    const mixed = [...entries, ...log.entries.slice(3)];
    expect(await extendLog(log, keys.identity.raw, mixed)).toEqual({ fault: "invalid" });
  });

  test("by an entry of another account with the same identity key", async () => {
    expect(await forged({ account: "bob" }, "phone")).toBe("account");
  });

  test("under another identity key", async () => {
    const changes = { identityKey: keys.server.raw, signer: "" };
    expect(await forged(changes, "server")).toBe("account");
  });

  test("by a signature of another entry", async () => {
    const [first] = log.entries;
    const { entry } = await forge(next(), keys.phone.pair.privateKey);
    expect(await faultAfter(log, { entry, signature: first?.signature ?? "" })).toBe("signature");
  });
});

describe("a removed device never returns", () => {
  test("with its name, even with another key", async () => {
    expect(await forged({ device: "tablet" }, "phone")).toBe("reused");
    const same = { device: "tablet", signingKey: keys.tablet.raw };
    expect(await forged(same, "phone")).toBe("reused");
    expect(await forged({ ...same, signer: "" }, "identity")).toBe("reused");
  });

  test("with its key under another name", async () => {
    expect(await forged({ signingKey: keys.tablet.raw }, "phone")).toBe("reused");
  });

  test("and is removed only once", async () => {
    const changes = { operation: "remove", device: "tablet" } as const;
    expect(await forged({ ...changes, signingKey: keys.tablet.raw }, "phone")).toBe("not-approved");
  });
});

describe("an entry is rejected", () => {
  test("if it approves a device, a key or the identity key a second time", async () => {
    expect(await forged({ device: "phone" }, "phone")).toBe("reused");
    expect(await forged({ signingKey: keys.laptop.raw }, "phone")).toBe("reused");
    expect(await forged({ signingKey: keys.identity.raw }, "phone")).toBe("reused");
  });

  test("if it removes an unknown device, or one with another key", async () => {
    expect(await forged({ operation: "remove" }, "phone")).toBe("not-approved");
    expect(await forged({ operation: "remove", device: "laptop" }, "phone")).toBe("not-approved");
  });

  test("if it leaves a version out, repeats one or does not follow the last one", async () => {
    expect(await forged({ version: 6 }, "phone")).toBe("order");
    expect(await forged({ version: 4 }, "phone")).toBe("order");
    expect(await forged({ previous: NO_ENTRY }, "phone")).toBe("order");
    expect(await forged({ previous: log.hashes[2] ?? NO_ENTRY }, "phone")).toBe("order");
    const [, second] = log.entries;
    expect(second && (await faultAfter(log, second))).toBe("order");
  });

  test("if it is first and not an approval by the identity key", async () => {
    const start = startLog("alice", keys.identity.raw);
    const first = { ...next(start), device: "laptop", signingKey: keys.laptop.raw };
    const { privateKey } = keys.laptop.pair;
    const self = await forge({ ...first, signer: "laptop" }, privateKey);
    expect(await faultAfter(start, self)).toBe("first");
    const removal = { ...first, operation: "remove", signer: "" } as const;
    const removed = await forge(removal, keys.identity.pair.privateKey);
    expect(await faultAfter(start, removed)).toBe("first");
  });

  test("if its encoding is not canonical", async () => {
    const { privateKey } = keys.phone.pair;
    const bytes = encodeEntry(next());
    const trailing = await signBytes(Uint8Array.of(...bytes, 0), privateKey);
    expect(await faultAfter(log, trailing)).toBe("encoding");
    expect(await faultAfter(log, await signBytes(bytes.slice(0, -1), privateKey))).toBe("encoding");
    expect(await faultAfter(log, await signBytes(new Uint8Array(), privateKey))).toBe("encoding");
    const signed = await signBytes(bytes, privateKey);
    const padded = { ...signed, entry: `${signed.entry}=` };
    expect(await faultAfter(log, padded)).toBe("encoding");
    const signature = `${signed.signature}=`;
    expect(await faultAfter(log, { ...signed, signature })).toBe("encoding");
    expect(await faultAfter(log, { ...signed, signature: "" })).toBe("signature");
  });

  test("if its operation is unknown, its label another or its device has no name", async () => {
    const bytes = encodeEntry(next());
    // Label, suite, account, version and both hashes are in front of the operation.
    const at = 4 + 22 + 4 + 9 + 4 + 5 + 8 + 32 + 32;
    expect(bytes[at]).toBe(1);
    for (const operation of [0, 3, 255]) {
      const changed = bytes.slice();
      changed[at] = operation;
      const signed = await signBytes(changed, keys.phone.pair.privateKey);
      expect(await faultAfter(log, signed)).toBe("encoding");
    }
    const label = bytes.slice();
    label[25] = 0x32;
    const signed = await signBytes(label, keys.phone.pair.privateKey);
    expect(await faultAfter(log, signed)).toBe("encoding");
    expect(await forged({ device: "" }, "phone")).toBe("encoding");
  });

  test("if any bit of it is flipped", async () => {
    const signed = await forge(next(), keys.phone.pair.privateKey);
    const bytes = fromBase64url(signed.entry) ?? new Uint8Array();
    for (let at = 0; at < bytes.length; at += 1) {
      const flipped = bytes.slice();
      flipped[at] = (flipped[at] ?? 0) ^ 1;
      const changed = { ...signed, entry: toBase64url(flipped) };
      expect(await replay(log, [changed]), `byte ${at}`).toHaveProperty("fault");
    }
  });
});

describe("a server that changes the stored history", () => {
  test("without the latest entries: older", async () => {
    const shorter = log.entries.slice(0, 3);
    expect(await extendLog(log, keys.identity.raw, shorter)).toEqual({ fault: "older" });
    expect(await extendLog(log, keys.identity.raw, [])).toEqual({ fault: "older" });
  });

  test("with another valid history: fork, whether shorter, as long or longer", async () => {
    const start = startLog("alice", keys.identity.raw);
    let other = await continued(start, "approve", "ghost", by(""));
    for (const device of ["laptop", "phone", "tablet", "server"] as const) {
      const fork = await extendLog(log, keys.identity.raw, other.entries);
      expect(fork, `${other.version} entries`).toEqual({ fault: "fork" });
      other = await continued(other, "approve", device, by("ghost"));
    }
    expect(await extendLog(log, keys.identity.raw, other.entries)).toEqual({ fault: "fork" });
  });

  test("with an entry left out, exchanged or altered: invalid", async () => {
    const [first, second, third, fourth] = log.entries as [
      SignedEntry,
      SignedEntry,
      SignedEntry,
      SignedEntry,
    ];
    const lists = [
      [first, third, fourth],
      [second, third, fourth],
      [first, third, second, fourth],
      [first, second, third, { ...fourth, entry: first.entry }],
      [first, second, second, third, fourth],
      [first, second, third, fourth, fourth],
    ];
    for (const list of lists)
      expect(await extendLog(log, keys.identity.raw, list)).toEqual({ fault: "invalid" });
  });

  test("under another identity key: identity-changed, even with a valid log", async () => {
    const server = startLog("alice", keys.server.raw);
    const signer = { device: "", key: keys.server.pair.privateKey };
    const other = await continued(server, "approve", "ghost", signer);
    const changed = { fault: "identity-changed" };
    expect(await extendLog(log, keys.server.raw, other.entries)).toEqual(changed);
    expect(await extendLog(log, keys.server.raw, log.entries)).toEqual(changed);
  });

  test("keeps the stored signatures if the server sends others for stored entries", async () => {
    const entries = log.entries.map((signed) => ({ ...signed, signature: "" }));
    expect(await extendLog(log, keys.identity.raw, entries)).toEqual({ log });
  });
});

describe("reading", () => {
  test("an empty list, another account or another identity key is no valid log", async () => {
    expect(await readLog("alice", keys.identity.raw, [])).toBeUndefined();
    expect(await readLog("bob", keys.identity.raw, log.entries)).toBeUndefined();
    expect(await readLog("alice", keys.server.raw, log.entries)).toBeUndefined();
  });

  test("an approved key that is no point of the curve signs nothing", async () => {
    const signingKey = new Uint8Array(32).fill(0xff);
    const signed = await signEntry(log, "approve", "ghost", signingKey, 1, by("phone"));
    const odd = await replay(log, [signed]);
    if ("fault" in odd) throw new Error(odd.fault);
    const after = { ...next(odd), device: "server", signingKey: keys.server.raw, signer: "ghost" };
    expect(await faultAfter(odd, await forge(after, keys.ghost.pair.privateKey))).toBe("signature");
  });
});

describe("signing", () => {
  test("refuses what the log would not accept", async () => {
    const sign = (device: keyof typeof keys, signer: Signer) =>
      signEntry(log, "approve", device, keys[device].raw, 1, signer);
    await expect(sign("phone", by("laptop"))).rejects.toThrow("reused");
    await expect(sign("ghost", by("tablet"))).rejects.toThrow("signer");
    const wrong = { device: "phone", key: keys.ghost.pair.privateKey };
    await expect(sign("ghost", wrong)).rejects.toThrow("signature");
  });
});
