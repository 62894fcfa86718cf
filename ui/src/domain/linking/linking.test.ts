// Linking two devices through a server that relays, and through one that attacks.

import { IDBFactory } from "fake-indexeddb";
import { beforeEach, describe, expect, test, vi } from "vitest";
import {
  createAccountIdentity,
  lock,
  rawSigningKey,
  signEntry,
  startLog,
  toBase64url,
  unlock,
} from "../../crypto";
import { browserArchives } from "../../platform/archive";
import { hashOf, parseHash, parseScanned, parseTyped } from "./code";
import {
  ACCOUNT,
  CODE,
  type Setup,
  agree,
  connect,
  emojiOn,
  expectFailure,
  kindOf,
  pairOf,
  setUp,
  until,
} from "./linking.testing";
import type { Hello, HistoryChunk, LinkMessage, Offer } from "./messages";

let setup: Setup;

beforeEach(async () => {
  vi.stubGlobal("indexedDB", new IDBFactory());
  vi.stubGlobal("navigator", {});
  setup = await setUp(browserArchives);
});

/** Ada's chat with Bob, as the old device stores it. */
async function chat(texts: readonly string[]): Promise<void> {
  const { archive, keys } = setup.old;
  const conversation = "ada.bob";
  const record = {
    id: conversation,
    peer: "bob",
    username: "Bob",
    lastSeq: texts.length,
    readUpto: 1,
    peerReceivedUpto: 1,
    peerReadUpto: 0,
    updatedAt: "2026-01-01T00:00:00Z",
    sent: { counter: 2, hash: new Uint8Array(32).fill(7) },
  };
  await archive.commit([{ table: "conversations", put: record }]);
  for (const [at, text] of texts.entries()) {
    const id = `bob/${at}`;
    const body = {
      kind: "text",
      locked: await lock(keys.history, `${conversation}/${id}`, text),
      warnings: [],
    } as const;
    const put = {
      conversation,
      id,
      order: at + 1,
      sender: "bob",
      device: "device-bob",
      at: new Date(at * 1000).toISOString(),
      body,
    };
    await archive.commit([{ table: "messages", put }]);
  }
}

async function textsOnNew(): Promise<(string | undefined)[]> {
  const archive = await browserArchives.open(ACCOUNT);
  const keys = (await archive.get("device", "self"))?.keys;
  const records = await archive.latest("ada.bob", 1000);
  archive.close();
  if (!keys) throw new Error("the new device has keys");
  const texts = records.map(({ id, body }) =>
    body.kind === "text" ? unlock(keys.history, `ada.bob/${id}`, body.locked) : undefined,
  );
  return Promise.all(texts);
}

async function expectNothingJoined(account: {
  readonly joined: readonly unknown[];
}): Promise<void> {
  expect(setup.server.cookie).toBeUndefined();
  expect(account.joined).toEqual([]);
  expect(await browserArchives.list()).not.toContain(ACCOUNT);
}

/** Changes messages of one type on their way. */
function tamper<T extends LinkMessage["type"]>(
  type: T,
  change: (message: Extract<LinkMessage, { type: T }>) => unknown,
): void {
  setup.server.relay = (_, relayed) => {
    const message = JSON.parse(relayed.body) as LinkMessage;
    if (message.type !== type) return relayed;
    const changed = change(message as Extract<LinkMessage, { type: T }>);
    return changed === undefined ? undefined : { ...relayed, body: JSON.stringify(changed) };
  };
}

describe("an honest server", () => {
  test("links a device: same emoji, account, approval, history", async () => {
    await chat(["Hello.", "How are you?"]);
    const pair = await connect(setup);
    expect(emojiOn(pair.fresh)).toHaveLength(6);
    expect(emojiOn(pair.fresh)).toEqual(emojiOn(pair.old));
    agree(pair);
    for (const side of [pair.fresh, pair.old])
      await until(setup.server, () => expect(kindOf(side)).toBe("done"));
    expect(pair.fresh.state.value).toMatchObject({ me: { username: "Ada" }, missing: undefined });
    expect(pair.old.state.value).toEqual({ kind: "done", missing: undefined });
    expect(pair.account.joined).toEqual([{ account_id: ACCOUNT, username: "Ada" }]);
    expect(await textsOnNew()).toEqual(["Hello.", "How are you?"]);
    const archive = await browserArchives.open(ACCOUNT);
    const keys = (await archive.get("device", "self"))?.keys;
    const log = await setup.server.readLog();
    expect(log.version).toBe(2);
    expect(log.devices.get(keys?.device ?? "")?.signingKey).toEqual(
      keys && (await rawSigningKey(keys.signing.publicKey)),
    );
    // The new device starts its own chain, and continues to check the old device's.
    expect(await archive.get("conversations", "ada.bob")).toMatchObject({
      lastSeq: 2,
      sent: { counter: 0 },
    });
    expect(await archive.get("chains", ["ada.bob", ACCOUNT, "device-old"])).toMatchObject({
      link: { counter: 2, hash: new Uint8Array(32).fill(7) },
    });
    archive.close();
    expect(setup.server.clock.waiting).toBe(0);
  });

  test("relays no text and no key that opens one", async () => {
    await chat(["The heron lands at noon."]);
    const pair = await connect(setup);
    agree(pair);
    await until(setup.server, () => expect(kindOf(pair.fresh)).toBe("done"));
    const seen = JSON.stringify(setup.server.posted);
    expect(seen).not.toContain("heron");
    expect(seen).not.toContain(Buffer.from("The heron lands").toString("base64url").slice(0, 16));
  });

  test("the device that shows the scanned code is accepted", async () => {
    const pair = pairOf(setup);
    void pair.fresh.start();
    await until(setup.server, () => expect(kindOf(pair.fresh)).toBe("waiting"));
    const { value } = pair.fresh.state;
    const scanned = value.kind === "waiting" ? parseHash(value.hash) : undefined;
    expect(scanned?.code).toBe(CODE);
    expect(scanned?.fingerprint).toHaveLength(32);
    if (scanned) void pair.old.join(scanned);
    await until(setup.server, () => expect(kindOf(pair.old)).toBe("comparing"));
  });

  test("approves only after both users answered", async () => {
    const pair = await connect(setup);
    pair.old.answer(true);
    const requests = setup.server.requests.length;
    await until(setup.server, () =>
      expect(setup.server.requests.length).toBeGreaterThan(requests + 4),
    );
    expect(pair.old.state.value).toMatchObject({ kind: "comparing", answered: true });
    expect(setup.server.log).toHaveLength(1);
    pair.fresh.answer(true);
    await until(setup.server, () => expect(kindOf(pair.fresh)).toBe("done"));
  });

  test("sends the newest messages if not all fit", async () => {
    const long = "x".repeat(16_000);
    await chat(Array.from({ length: 200 }, (_, at) => `${at} ${long}`));
    const pair = await connect(setup);
    agree(pair);
    for (const side of [pair.fresh, pair.old])
      await until(setup.server, () => expect(kindOf(side)).toBe("done"));
    expect(pair.old.state.value).toEqual({ kind: "done", missing: "older" });
    const texts = await textsOnNew();
    expect(texts.at(-1)).toMatch(/^199 /);
    expect(texts.length).toBeGreaterThan(150);
    expect(texts.length).toBeLessThan(200);
    const sizes = setup.server.posted.map(({ message }) => JSON.stringify(message).length);
    expect(Math.max(...sizes)).toBeLessThan(192 * 1024);
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThan(4 * 1024 * 1024);
    expect(sizes.length).toBeLessThan(64);
  });

  test("another device appends to the log at the same time: the approval is signed again", async () => {
    const pair = await connect(setup);
    const { keys } = setup.old;
    setup.server.beforeAppend = async () => {
      setup.server.beforeAppend = () => Promise.resolve();
      const log = await setup.server.readLog();
      const raw = crypto.getRandomValues(new Uint8Array(32));
      const signer = { device: keys.device, key: keys.signing.privateKey };
      setup.server.log.push(await signEntry(log, "approve", "device-other", raw, 2, signer));
    };
    agree(pair);
    await until(setup.server, () => expect(kindOf(pair.fresh)).toBe("done"));
    expect((await setup.server.readLog()).version).toBe(3);
  });

  test("a lost connection does not end the link", async () => {
    const pair = await connect(setup);
    setup.server.offline = true;
    const requests = setup.server.requests.length;
    await until(setup.server, () => expect(setup.server.requests.length).toBeGreaterThan(requests));
    setup.server.offline = false;
    agree(pair);
    await until(setup.server, () => expect(kindOf(pair.fresh)).toBe("done"));
  });
});

describe("the users stop", () => {
  test("a device that leaves stops polling, and the other one is told", async () => {
    const pair = await connect(setup);
    await pair.fresh.leave();
    await expectFailure(setup.server, pair.old, "cancelled");
    expect(setup.server.clock.waiting).toBe(0);
    expect(kindOf(pair.fresh)).toBe("comparing");
  });

  test("the old device leaves", async () => {
    const pair = await connect(setup);
    await pair.old.leave();
    await expectFailure(setup.server, pair.fresh, "cancelled");
    expect(setup.server.log).toHaveLength(1);
  });

  test("the emoji do not match on the old device", async () => {
    const pair = await connect(setup);
    pair.fresh.answer(true);
    pair.old.answer(false);
    await expectFailure(setup.server, pair.old, "mismatch");
    await expectFailure(setup.server, pair.fresh, "mismatch-there");
    expect(setup.server.log).toHaveLength(1);
    await expectNothingJoined(pair.account);
  });

  test("the emoji do not match on the new device", async () => {
    const pair = await connect(setup);
    pair.old.answer(true);
    pair.fresh.answer(false);
    await expectFailure(setup.server, pair.fresh, "mismatch");
    await expectFailure(setup.server, pair.old, "mismatch-there");
    expect(setup.server.log).toHaveLength(1);
  });

  test("a new device that leaves before it saw its approval is removed again", async () => {
    const pair = await connect(setup);
    setup.server.claimsApproved = false;
    agree(pair);
    setup.server.beforeAppend = () => pair.fresh.leave();
    await expectFailure(setup.server, pair.old, "cancelled");
    expect(pair.removed).toHaveLength(1);
  });

  test("a code that no device shows", async () => {
    const { old } = pairOf(setup);
    void old.join({ code: "00000000", fingerprint: undefined });
    await expectFailure(setup.server, old, "unknown-code");
  });

  test("a code that expired", async () => {
    const pair = pairOf(setup);
    void pair.fresh.start();
    await until(setup.server, () => expect(kindOf(pair.fresh)).toBe("waiting"));
    setup.server.clock.advance(600_000);
    await expectFailure(setup.server, pair.fresh, "expired");
  });

  test("a link that the server forgot", async () => {
    const pair = await connect(setup);
    setup.server.ended = true;
    await expectFailure(setup.server, pair.fresh, "expired");
    await expectFailure(setup.server, pair.old, "expired");
  });

  test("the user does not wait for the history", async () => {
    const pair = await connect(setup);
    tamper("history", () => undefined);
    agree(pair);
    await until(setup.server, () => expect(kindOf(pair.fresh)).toBe("receiving"));
    await pair.fresh.leave();
    expect(kindOf(pair.fresh)).toBe("receiving");
    pair.fresh.skip();
    await until(setup.server, () => expect(kindOf(pair.fresh)).toBe("done"));
    expect(pair.fresh.state.value).toMatchObject({ missing: "skipped" });
    expect(pair.account.joined).toHaveLength(1);
  });

  test("a browser with a username may only join its own account", async () => {
    const pair = pairOf(setup, "another-account");
    void pair.fresh.start();
    await until(setup.server, () => expect(kindOf(pair.fresh)).toBe("waiting"));
    void pair.old.join({ code: CODE, fingerprint: undefined });
    await expectFailure(setup.server, pair.fresh, "wrong-account");
    await expectFailure(setup.server, pair.old, "wrong-account");
  });

  test("a browser with keys but without approval keeps them, and its messages", async () => {
    await chat(["Hello."]);
    const archive = await browserArchives.open(ACCOUNT);
    const { keys } = setup.old;
    const own = { ...keys, device: "device-mine" };
    const pair = await crypto.subtle.generateKey("Ed25519", false, ["sign", "verify"]);
    const signing = pair as CryptoKeyPair;
    await archive.commit([{ table: "device", put: { id: "self", keys: { ...own, signing } } }]);
    archive.close();
    const devices = await connect(setup, ACCOUNT);
    agree(devices);
    await until(setup.server, () => expect(kindOf(devices.fresh)).toBe("done"));
    expect((await setup.server.readLog()).devices.has("device-mine")).toBe(true);
    expect(await textsOnNew()).toEqual(["Hello."]);
  });
});

describe("a server that attacks", () => {
  const bytes = () => toBase64url(crypto.getRandomValues(new Uint8Array(32)));

  test("presents another device with the new one's commitment", async () => {
    tamper("hello", (hello: Hello) => ({ ...hello, device: "device-mallory" }));
    const pair = pairOf(setup);
    void pair.fresh.start();
    await until(setup.server, () => expect(kindOf(pair.fresh)).toBe("waiting"));
    void pair.old.join({ code: CODE, fingerprint: undefined });
    await expectFailure(setup.server, pair.old, "wrong-commitment");
    expect(setup.server.log).toHaveLength(1);
  });

  test("presents its own keys for a scanned code: noticed without emoji", async () => {
    tamper("hello", (hello: Hello) => ({ ...hello, device: "device-mallory" }));
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
    tamper("offer", (offer: Offer) => ({ ...offer, identity_key: bytes() }));
    const pair = await connect(setup);
    expect(emojiOn(pair.fresh)).not.toEqual(emojiOn(pair.old));
  });

  test("presents another account to the new device: the emoji differ", async () => {
    tamper("offer", (offer: Offer) => ({ ...offer, account: "mallory" }));
    const pair = await connect(setup);
    expect(emojiOn(pair.fresh)).not.toEqual(emojiOn(pair.old));
  });

  test("changes the old device's nonce: the emoji differ", async () => {
    tamper("offer", (offer: Offer) => ({ ...offer, nonce: bytes() }));
    const pair = await connect(setup);
    expect(emojiOn(pair.fresh)).not.toEqual(emojiOn(pair.old));
  });

  test("changes the revealed nonce: not the committed one", async () => {
    tamper("reveal", () => ({ type: "reveal", nonce: bytes() }));
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
    await expectNothingJoined(pair.account);
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
    await expectNothingJoined(pair.account);
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
    await expectNothingJoined(pair.account);
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
    await chat(Array.from({ length: 20 }, (_, at) => `${at} ${long}`));
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
    tamper("history", (chunk: HistoryChunk) => {
      const flipped = chunk.ciphertext.startsWith("A") ? "B" : "A";
      return { ...chunk, ciphertext: `${flipped}${chunk.ciphertext.slice(1)}` };
    });
    expect(await linkWithHistory()).toMatchObject({ missing: "damaged" });
  });

  test("says that there are fewer chunks", async () => {
    tamper("history", (chunk: HistoryChunk) => ({ ...chunk, total: 1 }));
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

describe("the code", () => {
  test("is typed with or without a space", () => {
    for (const text of ["12345678", "1234 5678", " 1234-5678 "])
      expect(parseTyped(text)).toEqual({ code: CODE, fingerprint: undefined });
    for (const text of ["", "1234567", "123456789", "1234567a"])
      expect(parseTyped(text)).toBeUndefined();
  });

  test("is scanned only from this site's address", () => {
    const fingerprint = new Uint8Array(32).fill(5);
    const hash = hashOf(CODE, fingerprint);
    const read = (text: string) => parseScanned(text, "https://chat.example");
    expect(read(`https://chat.example/link#${hash}`)).toEqual({ code: CODE, fingerprint });
    for (const text of [
      `https://evil.example/link#${hash}`,
      `http://chat.example/link#${hash}`,
      `https://chat.example/people#${hash}`,
      "https://chat.example/link",
      `https://chat.example/link#code=${CODE}&device=AAAA`,
      CODE,
    ])
      expect(read(text), text).toBeUndefined();
  });
});
