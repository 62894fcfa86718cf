// What the browser stores: private keys that cannot be exported, and no text in the clear.

import { type Page, expect, test } from "@playwright/test";
import { encodingsIn } from "./encodings";
import { arrive, expectNoComplaints, freshName, send, signUp } from "./person";
import { readStorage } from "./storage";

const SECRET = "Meet me at the lighthouse, Zoë: ±3 o’clock?";

test("private keys cannot be exported, and no message is stored in the clear", async () => {
  const [ada, bob] = await Promise.all([arrive(), arrive()]);
  const names = { ada: freshName("ada"), bob: freshName("bob") };
  await signUp(ada, names.ada);
  await signUp(bob, names.bob);
  await ada.page.goto(`/people/${names.bob}`);
  await send(ada, names.bob, SECRET);
  await bob.page.goto(`/people/${names.ada}`);
  await expect(bob.page.getByRole("log")).toContainText(SECRET);
  await send(bob, names.ada, `${SECRET} Yes.`);
  await expect(ada.page.getByRole("log")).toContainText(`${SECRET} Yes.`);

  for (const { page, peer } of [
    { page: ada.page, peer: names.bob },
    { page: bob.page, peer: names.ada },
  ]) {
    const { keys, bytes, records } = await readStorage(page);
    const secrets = keys.filter(({ type }) => type !== "public");
    for (const algorithm of ["RSA-OAEP", "Ed25519", "AES-GCM"])
      expect(secrets.map((key) => key.algorithm)).toContain(algorithm);
    for (const key of secrets) {
      expect(key, key.path).toMatchObject({ extractable: false, exported: [] });
    }
    // Names are stored in the clear, so the search would find a text that is.
    expect(records).toBeGreaterThan(3);
    expect(encodingsIn(bytes, peer)).toContain("UTF-8");
    expect(encodingsIn(bytes, SECRET)).toEqual([]);
    expect(encodingsIn(bytes, "lighthouse")).toEqual([]);
  }
  expectNoComplaints(ada, bob);
  await Promise.all([ada.leave(), bob.leave()]);
});

test("the search finds texts in each encoding, and keys that can be exported", async () => {
  const person = await arrive();
  await person.page.goto("/settings");
  const before = await readStorage(person.page);
  expect(encodingsIn(before.bytes, SECRET)).toEqual([]);
  await storeInTheClear(person.page, SECRET);
  const { keys, bytes } = await readStorage(person.page);
  const found = new Set(encodingsIn(bytes, SECRET));
  expect(found).toEqual(
    new Set([
      "UTF-8",
      "UTF-16LE",
      "UTF-16BE",
      "hexadecimal",
      "URL-encoded",
      "form-encoded",
      "base64",
      "base64url",
    ]),
  );
  expect(keys).toMatchObject([
    { type: "private", algorithm: "Ed25519", extractable: true },
    { type: "secret", algorithm: "AES-GCM", extractable: true },
  ]);
  expect(keys[0]?.exported).toEqual(expect.arrayContaining(["pkcs8", "jwk", "wrapped pkcs8"]));
  expect(keys[1]?.exported).toEqual(expect.arrayContaining(["raw", "jwk", "wrapped raw"]));
  expectNoComplaints(person);
  await person.leave();
});

/** Stores what the page must never store: the text in many encodings, and exportable keys. */
async function storeInTheClear(page: Page, text: string): Promise<void> {
  const utf16 = Buffer.from(`\u{1F600}${text}`, "utf16le");
  const encoded = {
    base64: Buffer.from(`x${text}`).toString("base64"),
    base64url: Buffer.from(`xy${text}`).toString("base64url"),
    hex: Buffer.from(text).toString("hex"),
    url: encodeURIComponent(text),
    form: new URLSearchParams({ text }).toString(),
    utf16le: [...utf16],
    utf16be: [...Buffer.from(utf16).swap16()],
  };
  await page.evaluate(
    async ({ text, encoded }) => {
      const pair = await crypto.subtle.generateKey("Ed25519", true, ["sign", "verify"]);
      const aes = { name: "AES-GCM", length: 256 };
      const records = [
        new Map([["nested", new Set([{ text: [text] }])]]),
        new Blob([new Uint8Array(encoded.utf16le)]),
        new Uint16Array(new Uint8Array(encoded.utf16be).buffer),
        encoded.base64,
        encoded.base64url,
        encoded.hex,
        { url: encoded.url, form: encoded.form, at: new Date() },
        (pair as CryptoKeyPair).privateKey,
        await crypto.subtle.generateKey(aes, true, ["encrypt"]),
      ];
      await new Promise((done, failed) => {
        const opening = indexedDB.open("control", 1);
        opening.onupgradeneeded = () =>
          opening.result.createObjectStore("records", { autoIncrement: true });
        opening.onerror = failed;
        opening.onsuccess = () => {
          const transaction = opening.result.transaction("records", "readwrite");
          for (const record of records) transaction.objectStore("records").put(record);
          transaction.oncomplete = done;
          transaction.onabort = failed;
        };
      });
    },
    { text, encoded },
  );
}
