// How a browser becomes a device of its account: first start, lost keys, starting over.

import { describe, expect, test, vi } from "vitest";
import { equal, fromBase64url, parseRecoveryCode, recoveryToken, toBase64url } from "../../crypto";
import { sha256 } from "../../crypto/identity";
import { Api, Http, OfflineError } from "../../net";
import { browserArchives } from "../../platform/archive";
import { type Enrolment, adopt, enrol, forgetCode, startOver, unsavedCode } from "./enrolment";
import { expectHeld, falseIdentity, holdOf, sentKeys } from "./hostile.testing";
import {
  adaAndBob,
  approve,
  archiveOf,
  expectTexts,
  keysOf,
  logOf,
  notices,
  openWith,
  server,
  start,
  until,
  withPeople,
} from "./person.testing";

withPeople(browserArchives);

/** Enrols a browser profile of Ada's, which may be empty. */
async function enrolled(profile = "ada", fetch = server.fetchAs("ada")) {
  const archive = await browserArchives.open(profile);
  const api = new Api(new Http(fetch));
  const parts = { api, archive, clock: server.clock };
  return { archive, parts, enrolment: await enrol(parts, "ada") };
}

function deviceOf(enrolment: Enrolment) {
  if (enrolment.kind !== "device") throw new Error(`outside: ${enrolment.reason}`);
  return enrolment.keyring;
}

describe("the first start", () => {
  test("creates the account's identity and approves this device", async () => {
    const archive = await archiveOf("ada");
    const { enrolment } = await enrolled();
    const keyring = deviceOf(enrolment);
    const log = await logOf("ada");
    expect([...log.devices.keys()]).toEqual([keyring.device]);
    expect(server.truth("ada").devices).toMatchObject([{ device: keyring.device, generation: 1 }]);
    expect((await archive.get("contacts", "ada"))?.log).toEqual(log);
    const identity = await archive.get("identity", "account");
    expect(identity?.pending).toBeUndefined();
    expect(identity?.keys.privateKey.extractable).toBe(false);
  });

  test("keeps the recovery code, encrypted, until the user has saved it", async () => {
    await archiveOf("ada");
    const { archive, enrolment } = await enrolled();
    const code = (await unsavedCode(archive, deviceOf(enrolment))) ?? "";
    const bytes = await parseRecoveryCode(code);
    if ("fault" in bytes) throw new Error(`the code is invalid: ${bytes.fault}`);
    const hash = await sha256(fromBase64url(await recoveryToken(bytes)) ?? new Uint8Array());
    expect(toBase64url(hash)).toBe(server.identities.get("ada")?.recovery);
    const stored = JSON.stringify(await archive.get("identity", "account"));
    expect(stored).not.toContain(code);
    await forgetCode(archive);
    expect(await unsavedCode(archive, deviceOf(enrolment))).toBeUndefined();
    expect(await archive.get("identity", "account")).toMatchObject({ id: "account" });
  });

  test("is offered to the view until it is confirmed, also after a reload", async () => {
    const ada = await start("ada");
    const code = ada.messenger.recoveryCode.value;
    expect(code).toMatch(/^([0-9A-Z]{4}-){6}[0-9A-Z]{4}$/);
    await ada.messenger.stop();
    const again = await start("ada");
    expect(again.messenger.recoveryCode.value).toBe(code);
    await again.messenger.confirmRecoveryCode();
    expect(again.messenger.recoveryCode.value).toBeUndefined();
    await again.messenger.stop();
    expect((await start("ada")).messenger.recoveryCode.value).toBeUndefined();
  });

  /** Fails the request that `path` ends, before or after the server handled it. */
  function failing(method: string, end: string, handled: boolean) {
    const real = server.fetchAs("ada");
    let failed = false;
    return async (path: string, init: RequestInit): Promise<Response> => {
      if (failed || init.method !== method || !path.endsWith(end)) return real(path, init);
      failed = true;
      if (handled) await real(path, init);
      throw new TypeError("network");
    };
  }

  test.each([
    ["GET", "devices", false],
    ["PUT", "device-ada", false],
    ["PUT", "device-ada", true],
    ["PUT", "identity", false],
    ["PUT", "identity", true],
  ] as const)("continues after a reload: %s %s lost, handled: %s", async (method, end, handled) => {
    await archiveOf("ada");
    await expect(enrolled("ada", failing(method, end, handled))).rejects.toThrow(OfflineError);
    const { archive, enrolment } = await enrolled();
    const keyring = deviceOf(enrolment);
    const log = await logOf("ada");
    expect(log.version).toBe(1);
    expect((await archive.get("contacts", "ada"))?.log?.head).toEqual(log.head);
    expect(await unsavedCode(archive, keyring)).toBeDefined();
    expect(server.truth("ada").devices).toHaveLength(1);
  });

  test("works later without the server", async () => {
    await archiveOf("ada");
    await enrolled();
    const offline = vi.fn(async () => Promise.reject(new TypeError("network")));
    const { enrolment } = await enrolled("ada", offline);
    expect(enrolment.kind).toBe("device");
    expect(offline).not.toHaveBeenCalled();
  });

  test("after another device was first: not approved, and the unused identity is deleted", async () => {
    await archiveOf("ada");
    const fetch = failing("PUT", "identity", false);
    await expect(enrolled("ada", fetch)).rejects.toThrow(OfflineError);
    await start("ada", "ada-phone");
    const { archive, enrolment } = await enrolled();
    expect(enrolment).toEqual({ kind: "outside", reason: "not-approved" });
    expect(await archive.get("identity", "account")).toBeUndefined();
  });
});

describe("a browser that is not a device of its account", () => {
  test("without keys: it does not silently become a new device", async () => {
    const ada = await start("ada");
    await ada.messenger.stop();
    const { archive, enrolment } = await enrolled("empty");
    expect(enrolment).toEqual({ kind: "outside", reason: "keys-lost" });
    expect(await archive.get("device", "self")).toBeUndefined();
    expect(server.truth("ada").devices).toHaveLength(1);
  });

  test("with keys that are not in the log: not approved, and no keys are listed", async () => {
    await (await start("ada")).messenger.stop();
    await archiveOf("ada-phone");
    const { enrolment } = await enrolled("ada-phone");
    expect(enrolment).toEqual({ kind: "outside", reason: "not-approved" });
    expect(server.truth("ada").devices).toHaveLength(1);
  });

  test("an identity that the server invented, which approves this device, is not believed", async () => {
    await archiveOf("ada");
    server.lie("ada", "ada", await falseIdentity("ada", "ada"));
    const { archive, enrolment } = await enrolled();
    expect(enrolment).toEqual({ kind: "outside", reason: "not-approved" });
    expect(await archive.get("contacts", "ada")).toBeUndefined();
  });

  test("linked by another device: it starts, and contacts encrypt for it", async () => {
    const [, bob] = await adaAndBob();
    const archive = await archiveOf("ada-phone");
    await approve("ada", "ada-phone");
    await adopt(archive, "ada", { keys: await keysOf("ada-phone"), log: await logOf("ada") });
    const phone = await start("ada", "ada-phone");
    expect(phone.messenger.recoveryCode.value).toBeUndefined();
    server.announce("ada");
    await until(() => expect(notices(bob)).toContain("device-added"));
    await openWith(phone, "bob");
    await bob.messenger.write("Welcome.");
    await expectTexts(phone, ["Welcome."]);
  });
});

describe("starting over", () => {
  test("replaces the identity, and contacts hold messages until they accept it", async () => {
    const [ada, bob] = await adaAndBob();
    await bob.messenger.write("Before.");
    await expectTexts(ada, ["Before."]);
    await ada.messenger.stop();
    const { archive, parts } = await enrolled("empty");
    const before = await logOf("ada");
    const keyring = deviceOf(await startOver(parts, "ada"));
    const log = await logOf("ada");
    expect(equal(log.identityKey, before.identityKey)).toBe(false);
    expect([...log.devices.keys()]).toEqual([keyring.device]);
    expect(await unsavedCode(archive, keyring)).toBeDefined();
    expect((await enrolled("empty")).enrolment.kind).toBe("device");
    server.announce("ada");
    await until(() => expect(notices(bob)).toContain("identity-changed"));
    await bob.messenger.write("Is it you?");
    await until(() => expect(holdOf(bob, "ada")).toBe("identity-changed"));
    await bob.messenger.decisions.acceptIdentity("ada");
    await until(() => expect(server.conversations.get("ada.bob")).toHaveLength(2));
    expect(sentKeys()).toEqual([keyring.device, "device-bob"]);
  });

  test("the devices of the replaced identity stop sending", async () => {
    const [ada] = await adaAndBob();
    await archiveOf("ada-copy");
    const { parts } = await enrolled("ada-copy");
    deviceOf(await startOver(parts, "ada"));
    server.announce("ada");
    await expectHeld(ada, "own-identity-changed");
  });

  test("twice at the same time: the later one is not approved", async () => {
    await (await start("ada")).messenger.stop();
    for (const profile of ["ada-copy", "ada-phone"]) await archiveOf(profile);
    const [one, two] = [await enrolled("ada-copy"), await enrolled("ada-phone")];
    let raced = false;
    server.before = (method, what) => {
      if (raced || method !== "PUT" || what !== "identity") return;
      raced = true;
      const identity = server.identities.get("ada");
      if (identity) server.identities.set("ada", { ...identity, identity_key: "another" });
    };
    expect(await startOver(one.parts, "ada")).toEqual({ kind: "outside", reason: "not-approved" });
    server.before = undefined;
    expect((await startOver(two.parts, "ada")).kind).toBe("device");
  });
});
