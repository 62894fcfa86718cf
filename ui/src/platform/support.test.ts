// Browsers that lack what private chat needs, before a key is generated.

import "fake-indexeddb/auto";
import { IDBFactory, IDBObjectStore } from "fake-indexeddb";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { checkBrowser } from "./support";

const noKeyWasGenerated = () => expect(crypto.subtle.generateKey).not.toHaveBeenCalled();

beforeEach(() => {
  vi.stubGlobal("indexedDB", new IDBFactory());
  vi.spyOn(crypto.subtle, "generateKey");
});
afterEach(() => {
  noKeyWasGenerated();
  vi.restoreAllMocks();
  vi.unstubAllGlobals();
});

test("a current browser lacks nothing, and the check leaves no data behind", async () => {
  expect(await checkBrowser()).toBeUndefined();
  expect(await indexedDB.databases()).toEqual([]);
});

test("without HTTPS there is no WebCrypto", async () => {
  vi.stubGlobal("crypto", {
    subtle: undefined,
  });
  expect(await checkBrowser()).toBe("https");
  vi.unstubAllGlobals();
});

test("without Ed25519", async () => {
  const unsupported = new DOMException("no such algorithm", "NotSupportedError");
  vi.spyOn(crypto.subtle, "importKey").mockRejectedValue(unsupported);
  expect(await checkBrowser()).toBe("ed25519");
});

test("with an Ed25519 that computes other signatures", async () => {
  vi.spyOn(crypto.subtle, "sign").mockResolvedValue(new ArrayBuffer(64));
  expect(await checkBrowser()).toBe("ed25519");
});

test("with a private mode that refuses to open a database", async () => {
  vi.spyOn(indexedDB, "open").mockImplementation(() => {
    throw new DOMException("denied", "SecurityError");
  });
  expect(await checkBrowser()).toBe("key-storage");
});

test("with a private mode that refuses to store keys", async () => {
  vi.spyOn(IDBObjectStore.prototype, "put").mockImplementation(() => {
    throw new DOMException("cannot clone a key", "DataCloneError");
  });
  expect(await checkBrowser()).toBe("key-storage");
  expect(await indexedDB.databases()).toEqual([]);
});

test("with a database that forgets keys", async () => {
  const put = IDBObjectStore.prototype.put;
  vi.spyOn(IDBObjectStore.prototype, "put").mockImplementation(function (
    this: IDBObjectStore,
    _: unknown,
    key?: IDBValidKey,
  ) {
    return put.call(this, {}, key);
  });
  expect(await checkBrowser()).toBe("key-storage");
});
