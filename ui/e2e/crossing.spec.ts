// Firefox and Chromium chat with each other.

import { expect, test } from "@playwright/test";
import { encodingsIn } from "./encodings";
import {
  type Person,
  arrive,
  closeDialog,
  expectNoComplaints,
  freshName,
  safetyNumber,
  send,
  signUp,
} from "./person";

// Other scripts, characters outside the basic plane, and text that must not be normalised.
const FROM_FIREFOX = "Grüße aus Firefox 🦊 – ‏שלום, e\u0301 ≠ é, 𝔘𝔫𝔦𝔠𝔬𝔡𝔢.";
const FROM_CHROMIUM = "Grüße aus Chromium 👩‍🚀 – こんにちは, “quoted” & <b>not bold</b>.";

test("Firefox and Chromium chat in private, in both directions", async () => {
  const [fox, chrome] = await Promise.all([
    arrive({ browser: "firefox" }),
    arrive({ browser: "chromium" }),
  ]);
  const names = { fox: freshName("fox"), chrome: freshName("chrome") };
  await signUp(fox, names.fox);
  await signUp(chrome, names.chrome);
  const inLobby = ({ page }: Person, name: string) =>
    page.getByRole("list", { name: "Lobby" }).getByRole("link", { name });
  await expect(inLobby(chrome, names.fox)).toBeVisible();
  await inLobby(fox, names.chrome).click();
  await send(fox, names.chrome, FROM_FIREFOX);
  await chrome.page
    .getByRole("list", { name: "Conversations" })
    .getByRole("link", { name: names.fox })
    .click();
  await expect(fox.page.locator('[data-delivery="read"]')).toHaveCount(1);
  await send(chrome, names.fox, FROM_CHROMIUM);
  await expect(chrome.page.locator('[data-delivery="read"]')).toHaveCount(1);

  for (const { page } of [fox, chrome]) {
    const texts = page.getByRole("log").getByRole("paragraph");
    await expect.poll(() => texts.allTextContents()).toContain(FROM_FIREFOX);
    await expect.poll(() => texts.allTextContents()).toContain(FROM_CHROMIUM);
  }
  expect(await safetyNumber(fox)).toBe(await safetyNumber(chrome));
  await closeDialog(fox);
  await closeDialog(chrome);

  for (const { frames } of [fox, chrome]) {
    const wire = Buffer.from(frames.map(({ text }) => text).join("\n"));
    expect(wire.toString()).toContain('"rsa-aes-1"');
    for (const text of [FROM_FIREFOX, FROM_CHROMIUM]) expect(encodingsIn(wire, text)).toEqual([]);
  }
  for (const { page } of [fox, chrome]) {
    const texts = page.getByRole("log").getByRole("paragraph");
    await page.reload();
    await expect.poll(() => texts.allTextContents()).toContain(FROM_FIREFOX);
    await expect.poll(() => texts.allTextContents()).toContain(FROM_CHROMIUM);
  }
  expectNoComplaints(fox, chrome);
  await Promise.all([fox.leave(), chrome.leave()]);
});
