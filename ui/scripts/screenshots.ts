// Takes the screenshots in docs/screenshots: desktop and phone, light and dark.

import { mkdirSync } from "node:fs";
import { type Page, expect, test } from "@playwright/test";
import { arrive, signUp } from "../e2e/person";

const FOLDER = new URL("../../docs/screenshots/", import.meta.url).pathname;
const SIZES = { desktop: { width: 1440, height: 900 }, phone: { width: 390, height: 844 } };
const THEMES = ["light", "dark"] as const;

const TALK = [
  ["mira", "Are you on the evening train?"],
  ["theo", "Yes, second carriage. There is a seat beside me."],
  ["mira", "Lovely. I have the tickets for the exhibition, both of them."],
  ["theo", "And only we know that we’re skipping the opening speech."],
  ["mira", "Not even the server."],
] as const;

async function picture(page: Page, name: string): Promise<void> {
  for (const [size, viewport] of Object.entries(SIZES)) {
    await page.setViewportSize(viewport);
    for (const colorScheme of THEMES) {
      await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
      await page.mouse.move(0, 0);
      await page.evaluate(() => document.fonts.ready);
      // Wait two frames for the layout.
      await page.evaluate(
        () => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))),
      );
      await page.screenshot({ path: `${FOLDER}${name}-${size}-${colorScheme}.png` });
    }
  }
  await page.setViewportSize(SIZES.desktop);
}

async function write(page: Page, label: RegExp, text: string): Promise<void> {
  const composer = page.getByRole("textbox", { name: label });
  await composer.fill(text);
  await composer.press("Enter");
}

test.beforeAll(() => mkdirSync(FOLDER, { recursive: true }));

test("the assistant", async () => {
  const { page, leave } = await arrive();
  await page.goto("/");
  await expect(page.getByRole("heading", { name: "What can I help with?" })).toBeVisible();
  await picture(page, "welcome");
  await write(page, /assistant/, "What are the pros and cons of a four-day work week?");
  await expect(page.getByRole("article", { name: "Assistant" })).toHaveAttribute(
    "data-state",
    "done",
    {
      timeout: 60_000,
    },
  );
  await picture(page, "assistant");
  await leave();
});

test("a private chat", async () => {
  const [mira, theo] = await Promise.all([arrive(), arrive()]);
  const people = { mira, theo };
  const mark = process.env["SCREENSHOT_NAMES"] ?? "";
  await picture((await mira.page.goto("/people"), mira.page), "name");
  await signUp(mira, `Mira${mark}`);
  await signUp(theo, `Theo${mark}`);
  await mira.page
    .getByRole("list", { name: "Lobby" })
    .getByRole("link", { name: `Theo${mark}` })
    .click();
  await theo.page.goto(`/people/Mira${mark}`);
  for (const [who, text] of TALK) {
    await write(people[who].page, /Message to/, text);
    for (const { page } of [mira, theo]) await expect(page.getByRole("log")).toContainText(text);
  }
  await expect(mira.page.locator('[data-delivery="read"]')).toHaveCount(3);
  await picture(mira.page, "private");
  await mira.page.getByRole("button", { name: "Safety number" }).click();
  await expect(mira.page.getByTestId("safety-number")).toBeVisible();
  await picture(mira.page, "safety-number");
  await mira.page.keyboard.press("Escape");
  await mira.page.goto("/people");
  await expect(mira.page.getByRole("list", { name: "Lobby" })).toBeVisible();
  await picture(mira.page, "people");
  await mira.page.goto("/settings");
  await expect(mira.page.getByText("This device", { exact: true })).toBeVisible();
  await picture(mira.page, "settings");
  await Promise.all([mira.leave(), theo.leave()]);
});
