// The assistant: ask, stream the answer, reload, stop, rename, delete.

import { expect, test } from "@playwright/test";
import { type Person, arrive, expectNoComplaints } from "./person";

let person: Person;

test.beforeEach(async () => {
  person = await arrive();
  await person.page.goto("/");
});

test.afterEach(async () => {
  expectNoComplaints(person);
  await person.leave();
});

async function ask(text: string): Promise<void> {
  const composer = person.page.getByRole("textbox", { name: "Message to the assistant" });
  await composer.fill(text);
  await composer.press("Enter");
}

const answer = () => person.page.getByRole("article", { name: "Assistant" }).last();

/** Waits until the answer has had this many different lengths. */
async function observeGrowth(observations: number): Promise<void> {
  const lengths = new Set<number>();
  await expect
    .poll(async () => lengths.add((await answer().innerText()).length).size, { intervals: [20] })
    .toBeGreaterThanOrEqual(observations);
}

test("an answer streams in, and is still there after a reload", async () => {
  const { page } = person;
  await ask("Explain TLS to me, please.");
  await observeGrowth(4);
  await expect(answer()).toHaveAttribute("data-state", "done");
  const written = await answer().innerText();
  expect(new URL(page.url()).pathname).toMatch(/^\/chat\/[\w-]+$/);

  await page.reload();
  await expect(page.getByRole("article", { name: "You" })).toHaveText("Explain TLS to me, please.");
  await expect(answer()).toHaveText(written, { useInnerText: true });

  await page.goto("/");
  await expect(page.getByRole("article", { name: "You" })).toHaveText("Explain TLS to me, please.");
});

test("a reload during an answer continues it", async () => {
  const { page } = person;
  await ask("Write a long text about bridges.");
  await observeGrowth(2);
  await page.reload();
  await expect(answer()).toHaveAttribute("data-state", "writing");
  await observeGrowth(3);
  await page.getByRole("button", { name: "Stop" }).click();
  await expect(page.getByRole("button", { name: "Send" })).toBeVisible();
});

test("stop ends the answer and keeps its text", async () => {
  const { page } = person;
  await ask("Write a very long text about rivers.");
  await observeGrowth(3);
  await page.getByRole("button", { name: "Stop" }).click();
  await expect(answer()).toHaveAttribute("data-state", "stopped");
  const kept = (await answer().innerText()).split("Stopped.")[0]?.trim() ?? "";
  expect(kept.length).toBeGreaterThan(0);
  await page.reload();
  await expect(answer()).toContainText(kept.slice(0, 20));
});

test("a chat session can be renamed and deleted", async () => {
  const { page } = person;
  await ask("A question to forget.");
  await expect(answer()).toHaveAttribute("data-state", "done");
  const row = page.getByRole("complementary", { name: "Chats" }).getByRole("listitem").first();
  await row.hover();
  await row.getByRole("button", { name: /^Rename/ }).click();
  await page.getByRole("textbox", { name: "Chat title" }).fill("Renamed by me");
  const saved = page.waitForResponse(
    (response) => response.request().method() === "PATCH" && response.ok(),
  );
  await page.keyboard.press("Enter");
  await expect(row.getByRole("link")).toContainText("Renamed by me");
  await saved;
  await page.reload();
  await expect(row.getByRole("link")).toContainText("Renamed by me");

  await row.hover();
  await row.getByRole("button", { name: /^Delete/ }).click();
  await row.getByRole("button", { name: "Delete" }).click();
  await expect(page.getByText("No chats yet")).toBeVisible();
  await expect(page.getByRole("article")).toHaveCount(0);
});

test("the demo model is labelled as a demo", async () => {
  await expect(person.page.getByText("This is the built-in demo model.")).toBeVisible();
});
