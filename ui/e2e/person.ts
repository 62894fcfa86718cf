// A person with their own browser profile: Debian's Chromium, which trusts the CA through NSS, and
// a record of everything that a healthy page does not do.

import { execFileSync } from "node:child_process";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  type BrowserContext,
  type BrowserContextOptions,
  type Page,
  chromium,
  expect,
} from "@playwright/test";

export interface Person {
  readonly page: Page;
  readonly context: BrowserContext;
  /** Every WebSocket frame that this page sent or received. */
  readonly frames: { readonly direction: "sent" | "received"; readonly text: string }[];
  /** Console errors, uncaught exceptions and violations of the content security policy. */
  readonly complaints: string[];
  leave(): Promise<void>;
}

const FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--no-first-run",
];

/** The URL of the running Gatehouse, started by the caller. */
export function gatehouseUrl(): string {
  const url = process.env["GATEHOUSE_URL"];
  if (!url)
    throw new Error(
      "set GATEHOUSE_URL to the running Gatehouse, for example https://localhost:8443",
    );
  return url;
}

/** `flags`: more command line switches of Chromium. */
export async function arrive(
  options: BrowserContextOptions = {},
  flags: readonly string[] = [],
): Promise<Person> {
  const home = await mkdtemp(join(tmpdir(), "gatehouse-e2e-"));
  await trust(home);
  const context = await chromium.launchPersistentContext(join(home, "profile"), {
    executablePath: process.env["CHROMIUM"] ?? "/usr/bin/chromium",
    headless: true,
    args: [...FLAGS, ...flags],
    env: { ...process.env, HOME: home } as Record<string, string>,
    baseURL: gatehouseUrl(),
    locale: "en-GB",
    viewport: { width: 1440, height: 900 },
    ...options,
  });
  const page = context.pages()[0] ?? (await context.newPage());
  const person: Person = {
    page,
    context,
    frames: [],
    complaints: [],
    async leave() {
      await context.close();
      await rm(home, { recursive: true, force: true, maxRetries: 5 });
    },
  };
  watch(page, person);
  return person;
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

async function trust(home: string): Promise<void> {
  const ca = process.env["GATEHOUSE_CA"];
  if (!ca) return;
  const store = join(home, ".pki/nssdb");
  await mkdir(store, { recursive: true });
  execFileSync("certutil", ["-N", "-d", `sql:${store}`, "--empty-password"]);
  execFileSync("certutil", ["-A", "-d", `sql:${store}`, "-n", "gatehouse", "-t", "C,,", "-i", ca]);
}

/** Another page of the same browser profile, watched like the first one. */
export async function anotherPage(person: Person): Promise<Page> {
  const page = await person.context.newPage();
  watch(page, person);
  return page;
}

function watch(page: Page, { frames, complaints }: Pick<Person, "frames" | "complaints">): void {
  page.on("console", (message) => {
    if (message.type() === "error")
      complaints.push(`${message.text()} (${message.location().url})`);
  });
  page.on("pageerror", (error) => complaints.push(String(error)));
  page.on("websocket", (socket) => {
    socket.on("framesent", ({ payload }) =>
      frames.push({ direction: "sent", text: payload.toString() }),
    );
    socket.on("framereceived", ({ payload }) =>
      frames.push({ direction: "received", text: payload.toString() }),
    );
  });
}
