// Opening an account with its recovery code, also against a server that lies.

import { IDBFactory } from "fake-indexeddb";
import { beforeEach, expect, test, vi } from "vitest";
import { createAccountIdentity, rawSigningKey, signEntry } from "../crypto";
import { browserArchives } from "../platform/archive";
import { ACCOUNT, FakeAccount, type Setup, setUp } from "./linking/linking.testing";
import { Recovery } from "./recovery";

let setup: Setup;
let account: FakeAccount;

beforeEach(async () => {
  vi.stubGlobal("indexedDB", new IDBFactory());
  vi.stubGlobal("navigator", {});
  setup = await setUp(browserArchives);
  account = new FakeAccount(setup.server);
});

function recovery(mine?: string): Recovery {
  const { server, archives } = setup;
  const joined = async (me: { account_id: string }) => void account.joined.push(me);
  return new Recovery({ api: server.api(), archives, clock: server.clock, account, joined, mine });
}

async function expectNothing(): Promise<void> {
  expect(setup.server.cookie).toBeUndefined();
  expect(account.joined).toEqual([]);
  expect(await browserArchives.list()).not.toContain(ACCOUNT);
  expect(setup.server.log).toHaveLength(1);
}

test("the code opens the account, and the identity approves this browser", async () => {
  const { server } = setup;
  const typed = ` ${server.recoveryCode.toLowerCase().replaceAll("-", " ")}`;
  expect(await recovery().open(typed)).toBeUndefined();
  expect(account.joined).toEqual([{ account_id: ACCOUNT, username: "Ada" }]);
  const archive = await browserArchives.open(ACCOUNT);
  const keys = (await archive.get("device", "self"))?.keys;
  const log = await server.readLog();
  expect(log.version).toBe(2);
  expect(log.devices.get(keys?.device ?? "")?.signingKey).toEqual(
    keys && (await rawSigningKey(keys.signing.publicKey)),
  );
  // The private chat starts with a checked log, and can approve other devices.
  expect((await archive.get("contacts", ACCOUNT))?.log?.head).toEqual(log.head);
  expect((await archive.get("identity", "account"))?.keys.privateKey.extractable).toBe(false);
  archive.close();
});

test("the code never reaches the server", async () => {
  const { server } = setup;
  await recovery().open(server.recoveryCode);
  expect(server.bodies.join()).toContain("token");
  for (const code of [server.recoveryCode, server.recoveryCode.replaceAll("-", "")])
    expect(server.bodies.join()).not.toContain(code);
});

test("a code with a mistake is not sent", async () => {
  const { recoveryCode: code, requests } = setup.server;
  const wrong = `${code.startsWith("A") ? "B" : "A"}${code.slice(1)}`;
  expect(await recovery().open(wrong)).toEqual({ kind: "code", fault: { fault: "check" } });
  expect(await recovery().open(code.slice(5))).toMatchObject({
    kind: "code",
    fault: { fault: "too-short", missing: 4 },
  });
  expect(requests).toEqual([]);
});

test("a code of no account", async () => {
  const { code } = await createAccountIdentity("another");
  expect(await recovery().open(code)).toEqual({ kind: "unknown-code" });
  await expectNothing();
});

test("no connection", async () => {
  setup.server.offline = true;
  expect(await recovery().open(setup.server.recoveryCode)).toEqual({ kind: "offline" });
});

test("the server has another identity for this code: signed out again", async () => {
  const other = await createAccountIdentity(ACCOUNT);
  setup.server.sealed = other.sealed;
  expect(await recovery().open(setup.server.recoveryCode)).toEqual({ kind: "wrong-answer" });
  await expectNothing();
});

test("the server answers with another account: its identity does not open", async () => {
  setup.server.claimed = { account_id: "mallory", username: "Ada" };
  expect(await recovery().open(setup.server.recoveryCode)).toEqual({ kind: "wrong-answer" });
  await expectNothing();
});

test("the server shows a device log that the identity did not sign: signed out again", async () => {
  const [entry] = setup.server.log;
  setup.server.shownLog = entry ? [{ ...entry, signature: "A".repeat(86) }] : [];
  expect(await recovery().open(setup.server.recoveryCode)).toEqual({ kind: "wrong-answer" });
  await expectNothing();
});

test("another device appends at the same time: the approval is signed again", async () => {
  const { server, old } = setup;
  server.beforeAppend = async () => {
    server.beforeAppend = () => Promise.resolve();
    const log = await server.readLog();
    const raw = crypto.getRandomValues(new Uint8Array(32));
    const signer = { device: old.keys.device, key: old.keys.signing.privateKey };
    server.log.push(await signEntry(log, "approve", "device-other", raw, 2, signer));
  };
  expect(await recovery().open(server.recoveryCode)).toBeUndefined();
  expect((await server.readLog()).version).toBe(3);
});

test("a browser with keys but without approval keeps them", async () => {
  const archive = await browserArchives.open(ACCOUNT);
  const pair = await crypto.subtle.generateKey("Ed25519", false, ["sign", "verify"]);
  const signing = pair as CryptoKeyPair;
  const keys = { ...setup.old.keys, device: "device-mine", signing };
  await archive.commit([{ table: "device", put: { id: "self", keys } }]);
  archive.close();
  expect(await recovery(ACCOUNT).open(setup.server.recoveryCode)).toBeUndefined();
  expect((await setup.server.readLog()).devices.has("device-mine")).toBe(true);
});
