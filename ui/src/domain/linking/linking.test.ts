// Linking two devices through an honest server, and the ways in which people stop.

import { IDBFactory } from "fake-indexeddb";
import { beforeEach, describe, expect, test, vi } from "vitest";
import { createAccountIdentity, rawSigningKey, readLog, signEntry, startLog } from "../../crypto";
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
  textsOnNew,
  until,
} from "./linking.testing";

let setup: Setup;

beforeEach(async () => {
  vi.stubGlobal("indexedDB", new IDBFactory());
  vi.stubGlobal("navigator", {});
  setup = await setUp(browserArchives);
});

describe("an honest server", () => {
  test("links a device: same emoji, account, approval, history", async () => {
    await chat(setup, ["Hello.", "How are you?"]);
    const pair = await connect(setup);
    expect(emojiOn(pair.fresh)).toHaveLength(6);
    expect(emojiOn(pair.fresh)).toEqual(emojiOn(pair.old));
    agree(pair);
    for (const side of [pair.fresh, pair.old])
      await until(setup.server, () => expect(kindOf(side)).toBe("done"));
    expect(pair.fresh.state.value).toMatchObject({ me: { username: "Ada" }, missing: undefined });
    expect(pair.old.state.value).toEqual({ kind: "done", missing: undefined });
    expect(pair.account.joined).toEqual([{ account_id: ACCOUNT, username: "Ada" }]);
    expect(await textsOnNew(setup)).toEqual(["Hello.", "How are you?"]);
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

  test("contacts arrive with their checked device logs and compared safety numbers", async () => {
    const bob = await createAccountIdentity("bob");
    const key = crypto.getRandomValues(new Uint8Array(32));
    const signer = { device: "", key: bob.identity.privateKey };
    const start = startLog("bob", bob.publicKey);
    const entry = await signEntry(start, "approve", "device-bob", key, 1, signer);
    const log = await readLog("bob", bob.publicKey, [entry]);
    if (!log) throw new Error("the log is valid");
    const verified = "1".repeat(60);
    const contact = { account: "bob", username: "Bob", log, devices: [], verified };
    await setup.old.archive.commit([{ table: "contacts", put: contact }]);
    const pair = await connect(setup);
    agree(pair);
    await until(setup.server, () => expect(kindOf(pair.fresh)).toBe("done"));
    const archive = await browserArchives.open(ACCOUNT);
    expect(await archive.get("contacts", "bob")).toEqual(contact);
    archive.close();
  });

  test("relays no text and no key that opens one", async () => {
    await chat(setup, ["The heron lands at noon."]);
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
    await chat(
      setup,
      Array.from({ length: 200 }, (_, at) => `${at} ${long}`),
    );
    const pair = await connect(setup);
    agree(pair);
    for (const side of [pair.fresh, pair.old])
      await until(setup.server, () => expect(kindOf(side)).toBe("done"));
    expect(pair.old.state.value).toEqual({ kind: "done", missing: "older" });
    const texts = await textsOnNew(setup);
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
    await expectNothingJoined(setup, pair.account);
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
    tamper(setup.server, "history", () => undefined);
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
    await chat(setup, ["Hello."]);
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
    expect(await textsOnNew(setup)).toEqual(["Hello."]);
  });
});
