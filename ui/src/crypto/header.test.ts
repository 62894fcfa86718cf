import { describe, expect, test } from "vitest";
import { toBase64url, utf8 } from "./bytes";
import { MalformedError, Writer } from "./canonical";
import {
  type Header,
  LIFETIMES,
  NOTHING_READ,
  NO_HASH,
  NO_LOG,
  decodeHeader,
  encodeHeader,
  inOrder,
} from "./header";

/** `MAX_ID_LENGTH`, `MAX_DEVICES` and the limit of a header in backend/protocol. */
const [LONGEST_ID, MOST_DEVICES, LARGEST_HEADER] = [64, 8, 8 * 1024];

const hash = (byte: number) => new Uint8Array(32).fill(byte);

const HEADER: Header = {
  conversation: "alice.bob",
  sender: "alice",
  device: "laptop",
  cid: "cid-1",
  counter: 3,
  previous: hash(1),
  commitment: hash(2),
  lifetime: 604_800,
  ownLog: { version: 2, head: hash(3) },
  peerLog: { version: 1, head: hash(4) },
  read: { device: "desk", counter: 9, hash: hash(5) },
  recipients: [
    { account: "alice", device: "laptop", fingerprint: hash(6) },
    { account: "bob", device: "desk", fingerprint: hash(7) },
  ],
};

const header = (changes: Partial<Header>): Header => ({ ...HEADER, ...changes });

describe("a header", () => {
  test("round-trips", () => {
    expect(decodeHeader(encodeHeader(HEADER))).toEqual(HEADER);
    for (const lifetime of LIFETIMES)
      expect(decodeHeader(encodeHeader(header({ lifetime }))).lifetime).toBe(lifetime);
  });

  test("states that no log is known and nothing was read", () => {
    const fresh = header({ ownLog: NO_LOG, peerLog: NO_LOG, read: NOTHING_READ });
    expect(decodeHeader(encodeHeader(fresh))).toEqual(fresh);
  });

  test.each<[string, Partial<Header>]>([
    ["counter 0", { counter: 0 }],
    ["a lifetime of one second", { lifetime: 1 as never }],
    ["a lifetime of one hour", { lifetime: 3600 as never }],
    ["the own log at version 0 with a head", { ownLog: { version: 0, head: hash(3) } }],
    ["the own log at version 1 without a head", { ownLog: { version: 1, head: NO_HASH } }],
    ["the peer's log at version 0 with a head", { peerLog: { version: 0, head: hash(3) } }],
    ["the peer's log at version 1 without a head", { peerLog: { version: 1, head: NO_HASH } }],
    ["a counter read from no device", { read: { ...NOTHING_READ, counter: 1 } }],
    ["a hash read from no device", { read: { ...NOTHING_READ, hash: hash(5) } }],
    ["an envelope read from no device", { read: { ...HEADER.read, device: "" } }],
    ["a read device without an envelope", { read: { ...NOTHING_READ, device: "desk" } }],
    ["a read device with counter 0", { read: { ...HEADER.read, counter: 0 } }],
    ["a read device without a hash", { read: { ...HEADER.read, hash: NO_HASH } }],
    ["unsorted recipients", { recipients: [...HEADER.recipients].reverse() }],
    ["a recipient twice", { recipients: HEADER.recipients.flatMap((to) => [to, to]) }],
  ])("with %s is rejected", (_, changes) => {
    expect(() => decodeHeader(encodeHeader(header(changes)))).toThrow(MalformedError);
  });

  test("of version 1 is rejected", () => {
    const bytes = encodeHeader(HEADER);
    const { length } = new Writer().text("gatehouse/header/2").finish();
    const label = new Writer().text("gatehouse/header/1").finish();
    expect(() => decodeHeader(Uint8Array.from([...label, ...bytes.slice(length)]))).toThrow(
      "not a header",
    );
  });

  test("is rejected if it is truncated or longer", () => {
    const bytes = encodeHeader(HEADER);
    for (let length = 0; length < bytes.length; length += 1)
      expect(() => decodeHeader(bytes.slice(0, length)), `${length}`).toThrow(MalformedError);
    expect(() => decodeHeader(Uint8Array.from([...bytes, 0]))).toThrow("trailing bytes");
  });

  test("for the most recipients with the longest ids fits the server's limit", () => {
    const id = (letter: string, at: number) => `${letter}${at}`.padEnd(LONGEST_ID, letter);
    const [alice, bob] = [id("a", 0), id("b", 0)];
    const recipients = [alice, bob].flatMap((account) =>
      Array.from({ length: MOST_DEVICES }, (_, at) => ({
        account,
        device: id("d", at),
        fingerprint: hash(6),
      })),
    );
    const bytes = encodeHeader({
      ...HEADER,
      conversation: `${alice}.${bob}`,
      sender: alice,
      device: id("d", 0),
      cid: id("c", 0),
      read: { ...HEADER.read, device: id("d", 0) },
      recipients: inOrder(recipients),
    });
    expect(decodeHeader(bytes).recipients).toHaveLength(2 * MOST_DEVICES);
    expect(utf8(toBase64url(bytes)).length).toBe(4438);
    expect(4438).toBeLessThan(LARGEST_HEADER);
  });
});
