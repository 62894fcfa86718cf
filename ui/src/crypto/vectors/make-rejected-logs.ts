// Generates the logs of device-log.json that are rejected. The attackers sign with their own keys.

import type { SignedEntry } from "../../protocol/wire";
import { type Bytes, toBase64url, toHex } from "../bytes";
import type { DeviceLog } from "../device-log";
import { type EntryFields, NO_ENTRY, encodeEntry } from "../log-entry";
import type { RejectedLog } from "./account-shape";
import type { Keys, Name } from "./fixed";

type Fault = RejectedLog["fault"];

/** `log`: the phone and the laptop are approved, the tablet is removed. */
export async function rejectedLogs(keys: Keys, log: DeviceLog): Promise<RejectedLog[]> {
  const attacker = new Attacker(keys, log);
  return [
    ...(await ghosts(attacker)),
    ...(await returns(attacker)),
    ...(await removals(attacker)),
    ...(await places(attacker)),
    ...(await encodings(attacker)),
    ...(await beginnings(attacker)),
  ];
}

class Attacker {
  readonly keys: Keys;
  readonly log: DeviceLog;
  /** The phone approves the ghost: valid, if the phone signs it. */
  readonly next: EntryFields;

  constructor(keys: Keys, log: DeviceLog) {
    const { account, identityKey, version, head } = log;
    this.keys = keys;
    this.log = log;
    this.next = {
      account,
      identityKey,
      version: version + 1,
      previous: head,
      operation: "approve",
      device: "ghost",
      signingKey: keys.ghost.raw,
      time: 1_800_000_000_000,
      signer: "phone",
    };
  }

  async sign(bytes: Bytes, by: Name): Promise<SignedEntry> {
    const { privateKey } = this.keys[by].pair;
    const signature = new Uint8Array(await crypto.subtle.sign("Ed25519", privateKey, bytes));
    return { entry: toBase64url(bytes), signature: toBase64url(signature) };
  }

  list(name: string, entries: SignedEntry[], fault: Fault): RejectedLog {
    const { account, identityKey } = this.log;
    const version = entries.length;
    return { name, account, identity_key: toHex(identityKey), entries, version, fault };
  }

  after(name: string, signed: SignedEntry, fault: Fault): RejectedLog {
    return this.list(name, [...this.log.entries, signed], fault);
  }

  async forged(
    name: string,
    fault: Fault,
    by: Name,
    changes: Partial<EntryFields>,
  ): Promise<RejectedLog> {
    const bytes = encodeEntry({ ...this.next, ...changes });
    return this.after(name, await this.sign(bytes, by), fault);
  }
}

async function ghosts(attacker: Attacker): Promise<RejectedLog[]> {
  const by = (name: string, fault: Fault, by: Name, changes: Partial<EntryFields>) =>
    attacker.forged(`a ghost, ${name}`, fault, by, changes);
  return [
    await by("signed by the server for the identity key", "signature", "server", { signer: "" }),
    await by("signed by the server for a device", "signature", "server", {}),
    await by("signed by its own key", "signer", "ghost", { signer: "ghost" }),
    await by("signed by a removed device", "signer", "tablet", { signer: "tablet" }),
    await by("signed by a removed device, backdated", "signer", "tablet", {
      signer: "tablet",
      time: 1,
    }),
  ];
}

async function returns(attacker: Attacker): Promise<RejectedLog[]> {
  const { tablet, laptop, identity } = attacker.keys;
  const again = { device: "tablet", signingKey: tablet.raw };
  const reused = (name: string, by: Name, changes: Partial<EntryFields>) =>
    attacker.forged(name, "reused", by, changes);
  return [
    await reused("a removed device with its own key", "phone", again),
    await reused("a removed device, by the identity key", "identity", { ...again, signer: "" }),
    await reused("a removed device with a new key", "phone", { device: "tablet" }),
    await reused("a removed device under a new name", "phone", { signingKey: tablet.raw }),
    await reused("a device that is approved already", "phone", {
      device: "laptop",
      signingKey: laptop.raw,
    }),
    await reused("the key of another device", "phone", { signingKey: laptop.raw }),
    await reused("the identity key as a device", "phone", { signingKey: identity.raw }),
  ];
}

async function removals(attacker: Attacker): Promise<RejectedLog[]> {
  const { tablet } = attacker.keys;
  const removal = (name: string, changes: Partial<EntryFields>) =>
    attacker.forged(name, "not-approved", "phone", { operation: "remove", ...changes });
  return [
    await removal("the removal of an unknown device", {}),
    await removal("the removal of a removed device", { device: "tablet", signingKey: tablet.raw }),
    await removal("a removal with another key", { device: "laptop" }),
  ];
}

async function places(attacker: Attacker): Promise<RejectedLog[]> {
  const { keys, log, next } = attacker;
  const [, second = NO_ENTRY] = log.hashes;
  const last = log.entries.at(-1) ?? (await attacker.sign(encodeEntry(next), "phone"));
  const otherKey = { identityKey: keys.server.raw, signer: "" };
  return [
    await attacker.forged("a version that is left out", "order", "phone", { version: 6 }),
    await attacker.forged("a version that is repeated", "order", "phone", { version: 4 }),
    await attacker.forged("the hash of an earlier entry", "order", "phone", { previous: second }),
    attacker.after("an entry twice", last, "order"),
    await attacker.forged("another account", "account", "phone", { account: "bob" }),
    await attacker.forged("another identity key", "account", "server", otherKey),
  ];
}

async function encodings(attacker: Attacker): Promise<RejectedLog[]> {
  const bytes = encodeEntry(attacker.next);
  const signed = await attacker.sign(bytes, "phone");
  const { entry, signature } = signed;
  const malformed = async (name: string, changed: Bytes) =>
    attacker.after(name, await attacker.sign(changed, "phone"), "encoding");
  return [
    await attacker.forged("a device without a name", "encoding", "phone", { device: "" }),
    await malformed("bytes after the entry", Uint8Array.of(...bytes, 0)),
    await malformed("a truncated entry", bytes.slice(0, -1)),
    await malformed("an unknown operation", withOperation(bytes, attacker.next.account, 3)),
    await malformed("no bytes", new Uint8Array()),
    attacker.after("an entry with padding", { ...signed, entry: `${entry}=` }, "encoding"),
    attacker.after(
      "a signature with padding",
      { ...signed, signature: `${signature}=` },
      "encoding",
    ),
    attacker.after(
      "a truncated signature",
      { ...signed, signature: signature.slice(4) },
      "signature",
    ),
  ];
}

async function beginnings(attacker: Attacker): Promise<RejectedLog[]> {
  const first = async (name: string, by: Name, changes: Partial<EntryFields>) => {
    const fields = { ...attacker.next, version: 1, previous: NO_ENTRY, ...changes };
    return attacker.list(name, [await attacker.sign(encodeEntry(fields), by)], "first");
  };
  return [
    await first("a first entry by a device", "ghost", { signer: "ghost" }),
    await first("a first entry that removes", "identity", { operation: "remove", signer: "" }),
    attacker.list("no entries", [], "empty"),
  ];
}

/** Label, suite, account, version and both 32-byte fields are in front of the operation. */
function withOperation(bytes: Bytes, account: string, operation: number): Bytes {
  const at = 4 + 22 + 4 + 9 + 4 + account.length + 8 + 32 + 32;
  return bytes.map((byte, index) => (index === at ? operation : byte));
}
