// A person with their own browser profile, and a record of everything that a healthy page does not
// do.

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  type BrowserContext,
  type BrowserContextOptions,
  type Page,
  expect,
  test,
} from "@playwright/test";
import { type BrowserName, launch } from "./browsers";
import { type Record, watchContext, watchPage } from "./watch";

export interface Person extends Record {
  readonly browser: BrowserName;
  readonly page: Page;
  readonly context: BrowserContext;
  leave(): Promise<void>;
}

export interface Arrival extends BrowserContextOptions {
  /** Default: the browser of the project. */
  readonly browser?: BrowserName;
  /** The PEM file of the authority to trust. Default: the one of this Gatehouse. */
  readonly ca?: string | undefined;
  /** More command line switches of the browser. */
  readonly flags?: readonly string[];
}

/** The URL of the running Gatehouse, started by the caller. */
export function gatehouseUrl(): string {
  const url = process.env["GATEHOUSE_URL"];
  if (!url)
    throw new Error(
      "set GATEHOUSE_URL to the running Gatehouse, for example https://localhost:8443",
    );
  return url;
}

export async function arrive(arrival: Arrival = {}): Promise<Person> {
  const { browser, ca, flags, ...options } = {
    browser: projectBrowser(),
    ca: process.env["GATEHOUSE_CA"],
    flags: [],
    ...arrival,
  };
  const home = await mkdtemp(join(tmpdir(), "gatehouse-e2e-"));
  const context = await launch(browser, home, ca, flags, {
    baseURL: gatehouseUrl(),
    locale: "en-GB",
    viewport: { width: 1440, height: 900 },
    ...options,
  });
  const record: Record = { frames: [], complaints: [] };
  await watchContext(browser, context, record);
  const page = context.pages()[0] ?? (await context.newPage());
  watchPage(browser, page, record);
  return {
    ...record,
    browser,
    page,
    context,
    async leave() {
      await context.close();
      await rm(home, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

/** The project selects the browser: `playwright.config.ts`. */
function projectBrowser(): BrowserName {
  return test.info().project.name === "firefox" ? "firefox" : "chromium";
}

/** Chooses a username, saves the recovery code, and waits for the people page. Returns the code. */
export async function signUp({ page }: Person, name: string): Promise<string> {
  await page.goto("/people");
  await page.getByLabel("Username").fill(name);
  await page.getByRole("button", { name: "Continue" }).click();
  const code = await saveCode(page);
  await expect(page.getByRole("heading", { name: "People", exact: true })).toBeVisible();
  return code;
}

/** Reads the recovery code, and answers that it was saved. */
export async function saveCode(page: Page): Promise<string> {
  const dialog = page.getByRole("dialog", { name: "Save your recovery code" });
  const code = await dialog.getByTestId("recovery-code").locator(".sr-only").innerText();
  await dialog.getByRole("button", { name: "I saved it" }).click();
  await expect(dialog).toHaveCount(0);
  return code;
}

/** Sends a message in the open conversation. */
export async function send({ page }: Person, to: string, text: string): Promise<void> {
  const composer = page.getByRole("textbox", { name: `Message to ${to}` });
  await composer.fill(text);
  await composer.press("Enter");
  // A message in the log is stored and survives a reload.
  await expect(page.getByRole("log")).toContainText(text);
}

/** Opens the safety number of the open conversation and returns its digits. */
export async function safetyNumber({ page }: Person): Promise<string> {
  await page.getByRole("button", { name: "Safety number" }).click();
  const number = page.getByTestId("safety-number");
  await expect(number).toHaveText(/\d{5}/);
  return (await number.innerText()).replace(/\D/g, "");
}

export async function closeDialog({ page }: Person): Promise<void> {
  await page.keyboard.press("Escape");
  await expect(page.getByRole("dialog")).toHaveCount(0);
}

/** A unique username. */
export function freshName(stem: string): string {
  return `${stem}-${Math.random().toString(36).slice(2, 8)}`;
}

/** Expects only complaints that match: the browser logs each error response. */
export function expectOnlyComplaints(person: Person, about: RegExp): void {
  expect(person.complaints.filter((complaint) => !about.test(complaint))).toEqual([]);
}

/** Expects no complaints. */
export function expectNoComplaints(...people: Person[]): void {
  for (const person of people) expect(person.complaints).toEqual([]);
}

/** Another page of the same browser profile, watched like the first one. */
export async function anotherPage(person: Person): Promise<Page> {
  const page = await person.context.newPage();
  watchPage(person.browser, page, person);
  return page;
}
