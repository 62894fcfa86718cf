// Debian's browsers with a fresh profile. They trust the local CA through NSS, so a wrong
// certificate still fails.

import { execFileSync } from "node:child_process";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import {
  type BrowserContext,
  type BrowserContextOptions,
  chromium,
  firefox,
} from "@playwright/test";

export type BrowserName = "chromium" | "firefox";

const FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--no-first-run",
];

/**
 * Starts a browser whose profile is in this folder. `ca` is the PEM file of an authority, `flags`
 * are more command line switches.
 */
export async function launch(
  browser: BrowserName,
  home: string,
  ca: string | undefined,
  flags: readonly string[],
  options: BrowserContextOptions,
): Promise<BrowserContext> {
  const profile = join(home, "profile");
  const settings = {
    headless: true,
    env: { ...process.env, HOME: home } as Record<string, string>,
    ...options,
  };
  if (browser === "chromium") {
    if (ca) await trust(join(home, ".pki/nssdb"), ca);
    const executablePath = process.env["CHROMIUM"] ?? "/usr/bin/chromium";
    return chromium.launchPersistentContext(profile, {
      executablePath,
      args: [...FLAGS, ...flags],
      ...settings,
    });
  }
  if (ca) await trust(profile, ca);
  // The channel selects WebDriver BiDi, the protocol of an unpatched Firefox.
  const executablePath = new URL("firefox.mjs", import.meta.url).pathname;
  return firefox.launchPersistentContext(profile, {
    channel: "moz-firefox",
    executablePath,
    args: [...flags],
    ...settings,
  });
}

/** Creates an NSS database that trusts the CA. */
async function trust(folder: string, ca: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  execFileSync("certutil", ["-N", "-d", `sql:${folder}`, "--empty-password"]);
  execFileSync("certutil", ["-A", "-d", `sql:${folder}`, "-n", "gatehouse", "-t", "C,,", "-i", ca]);
}
