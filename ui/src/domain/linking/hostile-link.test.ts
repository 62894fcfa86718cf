// A server that relays a link and attacks it.

import { IDBFactory } from "fake-indexeddb";
import { beforeEach, describe, expect, test, vi } from "vitest";
import { createAccountIdentity, signEntry, startLog, toBase64url } from "../../crypto";
import { browserArchives } from "../../platform/archive";
import { parseHash } from "./code";
import {
  ACCOUNT,
  CODE,
  type Setup,
  agree,
  chat,
  connect,
  emojiOn,
  expectFailure,
  expectNothingJoined,
  kindOf,
  pairOf,
  setUp,
  tamper,
  until,
} from "./linking.testing";
import { type Hello, type HistoryChunk, type LinkMessage, type Offer } from "./messages";

let setup: Setup;

beforeEach(async () => {
  vi.stubGlobal("indexedDB", new IDBFactory());
  vi.stubGlobal("navigator", {});
  setup = await setUp(browserArchives);
});

describe("a server that attacks", () => {
  const bytes = () => toBase64url(crypto.getRandomValues(new Uint8Array(32)));

  test("presents another device with the new one's commitment", async () => {
    tamper(setup.server, "hello", (hello: Hello) => ({ ...hello, device: "device-mallory" }));
    const pair = pairOf(setup);
    void pair.fresh.start();
    await until(setup.server, () => expect(kindOf(pair.fresh)).toBe("waiting"));
    void pair.old.join({ code: CODE, fingerprint: undefined });
    await expectFailure(setup.server, pair.old, "wrong-commitment");
    expect(setup.server.log).toHaveLength(1);
  });

  test.each<[string, Partial<Hello>]>([
    ["of another suite", { suite: "rsa-aes-2" }],
    ["with an encryption key that is none", { encryption_key: "AAAA" }],
    ["with a signing key that is none", { signing_key: "AAAA" }],
    ["with a name that is none", { device: "../device" }],
    ["with a short commitment", { commitment: "AAAA" }],
  ])("presents a device %s", async (_, change) => {
    tamper(setup.server, "hello", (hello: Hello) => ({ ...hello, ...change }));
    const pair = pairOf(setup);
    void pair.fresh.start();
    await until(setup.server, () => expect(kindOf(pair.fresh)).toBe("waiting"));
    void pair.old.join({ code: CODE, fingerprint: undefined });
    await expectFailure(setup.server, pair.old, "wrong-answer");
    expect(setup.server.sent("offer")).toEqual([]);
  });

  test("presents its own keys for a scanned code: noticed without emoji", async () => {
    tamper(setup.server, "hello", (hello: Hello) => ({ ...hello, device: "device-mallory" }));
    const pair = pairOf(setup);
    void pair.fresh.start();
    await until(setup.server, () => expect(kindOf(pair.fresh)).toBe("waiting"));
    const { value } = pair.fresh.state;
    const scanned = value.kind === "waiting" ? parseHash(value.hash) : undefined;
    if (scanned) void pair.old.join(scanned);
    await expectFailure(setup.server, pair.old, "wrong-device");
    expect(setup.server.sent("offer")).toEqual([]);
  });

  test("speaks the protocol with both devices, each over a link of its own: the emoji differ", async () => {
    // Mallory is the new device for the old one, and shows its account and identity to the new one.
    const withOld = await connect(setup);
    const between = await setUp(browserArchives);
    const { identityKey } = setup.server;
    between.server.relay = (_, relayed) => {
      const message = JSON.parse(relayed.body) as LinkMessage;
      if (message.type !== "offer") return relayed;
      return { ...relayed, body: JSON.stringify({ ...message, identity_key: identityKey }) };
    };
    const withNew = await connect(between);
    expect(emojiOn(withOld.old)).not.toEqual(emojiOn(withNew.fresh));
  });

  test("presents another identity to the new device: the emoji differ", async () => {
    tamper(setup.server, "offer", (offer: Offer) => ({ ...offer, identity_key: bytes() }));
    const pair = await connect(setup);
    expect(emojiOn(pair.fresh)).not.toEqual(emojiOn(pair.old));
  });

  test("presents another account to the new device: the emoji differ", async () => {
    tamper(setup.server, "offer", (offer: Offer) => ({ ...offer, account: "mallory" }));
    const pair = await connect(setup);
    expect(emojiOn(pair.fresh)).not.toEqual(emojiOn(pair.old));
  });

  test("changes the old device's nonce: the emoji differ", async () => {
    tamper(setup.server, "offer", (offer: Offer) => ({ ...offer, nonce: bytes() }));
    const pair = await connect(setup);
    expect(emojiOn(pair.fresh)).not.toEqual(emojiOn(pair.old));
  });

  test("changes the revealed nonce: not the committed one", async () => {
    tamper(setup.server, "reveal", () => ({ type: "reveal", nonce: bytes() }));
    const pair = pairOf(setup);
    void pair.fresh.start();
    await until(setup.server, () => expect(kindOf(pair.fresh)).toBe("waiting"));
    void pair.old.join({ code: CODE, fingerprint: undefined });
    await expectFailure(setup.server, pair.old, "wrong-commitment");
    await expectFailure(setup.server, pair.fresh, "cancelled");
  });

  test("claims that the account approved: the log lacks the approval", async () => {
    const pair = await connect(setup);
    setup.server.claimsApproved = true;
    pair.fresh.answer(true);
    await expectFailure(setup.server, pair.fresh, "not-approved");
    await expectNothingJoined(setup, pair.account);
  });

  test("approves under an identity of its own", async () => {
    const pair = await connect(setup);
    setup.server.claimsApproved = true;
    const forged = await createAccountIdentity(ACCOUNT);
    const [hello] = setup.server.sent("hello");
    const signer = { device: "", key: forged.identity.privateKey };
    const start = startLog(ACCOUNT, forged.publicKey);
    const key = crypto.getRandomValues(new Uint8Array(32));
    const entry = await signEntry(start, "approve", hello?.device ?? "", key, 1, signer);
    setup.server.identityKey = toBase64url(forged.publicKey);
    setup.server.shownLog = [entry];
    pair.fresh.answer(true);
    await expectFailure(setup.server, pair.fresh, "not-approved");
    await expectNothingJoined(setup, pair.account);
  });

  test("shows the new device an older log than the offer's", async () => {
    const pair = await connect(setup);
    const before = setup.server.log.slice();
    agree(pair);
    setup.server.shownLog = before;
    await expectFailure(setup.server, pair.fresh, "not-approved");
  });

  test("gives the credential of another account", async () => {
    const pair = await connect(setup);
    setup.server.claimed = { account_id: "mallory", username: "Ada" };
    agree(pair);
    await expectFailure(setup.server, pair.fresh, "wrong-account");
    await expectNothingJoined(setup, pair.account);
  });

  test.each([
    ["not JSON", "hello"],
    ["an unknown type", { type: "gift" }],
    ["a missing field", { type: "hello", device: "x" }],
    ["another field", { type: "confirmed", also: 1 }],
    ["a message of the other side", { type: "reveal", nonce: "" }],
  ])("relays %s", async (_, message) => {
    const pair = pairOf(setup);
    void pair.fresh.start();
    await until(setup.server, () => expect(kindOf(pair.fresh)).toBe("waiting"));
    setup.server.inject("old", message);
    await expectFailure(setup.server, pair.fresh, "wrong-answer");
  });

  test("relays with a gap", async () => {
    setup.server.relay = (_, message) => ({ ...message, index: message.index + 1 });
    const pair = pairOf(setup);
    void pair.fresh.start();
    await until(setup.server, () => expect(kindOf(pair.fresh)).toBe("waiting"));
    void pair.old.join({ code: CODE, fingerprint: undefined });
    await expectFailure(setup.server, pair.old, "wrong-answer");
  });

  async function linkWithHistory(): Promise<unknown> {
    const long = "x".repeat(16_000);
    await chat(
      setup,
      Array.from({ length: 20 }, (_, at) => `${at} ${long}`),
    );
    const pair = await connect(setup);
    agree(pair);
    await until(setup.server, () => expect(kindOf(pair.fresh)).toBe("done"));
    // The device is linked all the same.
    expect(pair.account.joined).toHaveLength(1);
    return pair.fresh.state.value;
  }

  test("leaves out a chunk of the history", async () => {
    const { server } = setup;
    let dropped = 0;
    server.relay = (_, relayed) => {
      const message = JSON.parse(relayed.body) as LinkMessage;
      if (message.type !== "history") return relayed;
      const body = JSON.stringify({
        ...message,
        index: message.index + (message.index > 0 ? 1 : 0),
      });
      dropped += 1;
      return { ...relayed, body };
    };
    expect(await linkWithHistory()).toMatchObject({ missing: "chunk-missing" });
    expect(dropped).toBeGreaterThan(1);
  });

  test("changes a chunk of the history", async () => {
    tamper(setup.server, "history", (chunk: HistoryChunk) => {
      const flipped = chunk.ciphertext.startsWith("A") ? "B" : "A";
      return { ...chunk, ciphertext: `${flipped}${chunk.ciphertext.slice(1)}` };
    });
    expect(await linkWithHistory()).toMatchObject({ missing: "damaged" });
  });

  test("says that there are fewer chunks", async () => {
    tamper(setup.server, "history", (chunk: HistoryChunk) => ({ ...chunk, total: 1 }));
    expect(await linkWithHistory()).toMatchObject({ missing: "damaged" });
  });

  test("ends the link during the history", async () => {
    const { server } = setup;
    server.relay = (_, relayed) => {
      const message = JSON.parse(relayed.body) as LinkMessage;
      if (message.type !== "history" || message.index === 0) return relayed;
      server.ended = server.requests.some((request) => request.endsWith("/claim"));
      return undefined;
    };
    expect(await linkWithHistory()).toMatchObject({ missing: "stopped" });
  });
});
