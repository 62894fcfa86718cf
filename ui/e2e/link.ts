// Linking a browser, step by step.

import { expect } from "@playwright/test";
import type { Person } from "./person";

const emojiQuestion = { name: "Do these emoji match?" };

/** Shows the code of a new browser. */
export async function showCode({ page }: Person): Promise<string> {
  await page.goto("/link");
  await page.getByRole("button", { name: "Link this browser" }).click();
  const shown = page.getByTestId("link-code").locator("[aria-hidden]");
  await expect(shown).toHaveText(/^\d{4} \d{4}$/);
  return shown.innerText();
}

/** Types the code on a device of the account. */
async function typeCode({ page }: Person, code: string): Promise<void> {
  await page.goto("/settings");
  await page.getByRole("link", { name: "Link a device" }).click();
  await page.getByLabel("Or type the code").fill(code);
  await page.getByRole("button", { name: "Continue" }).click();
}

async function emojiOn({ page }: Person): Promise<string[]> {
  await expect(page.getByRole("heading", emojiQuestion)).toBeVisible();
  return page.getByRole("list", { name: "Emoji" }).getByRole("listitem").allInnerTexts();
}

/** Both devices ask whether the emoji match. */
export async function expectSameEmoji(fresh: Person, old: Person): Promise<void> {
  const emoji = await emojiOn(fresh);
  expect(emoji).toHaveLength(6);
  expect(await emojiOn(old)).toEqual(emoji);
}

/** Links `fresh` as a new device of the account of `old`. */
export async function link(fresh: Person, old: Person): Promise<void> {
  await typeCode(old, await showCode(fresh));
  await expectSameEmoji(fresh, old);
  for (const { page } of [fresh, old])
    await page.getByRole("button", { name: "They match" }).click();
  await expect(fresh.page.getByRole("heading", { name: "This browser is linked" })).toBeVisible();
  await expect(
    old.page.getByRole("heading", { name: "The other browser is linked" }),
  ).toBeVisible();
}
