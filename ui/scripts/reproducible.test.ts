// Anyone can build the page from its sources and get the published bytes: two builds in different
// places, time zones, languages and file modes are equal, compressed copies included.

import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  cpSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  rmSync,
  symlinkSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const UI = fileURLToPath(new URL("../", import.meta.url));
/** What the sources do not contain: dependencies, and results of earlier commands. */
const MADE = new Set(["node_modules", "dist", "test-results"]);

interface Surroundings {
  readonly folder: string;
  readonly umask: string;
  readonly env: Readonly<Record<string, string>>;
}

/** Copies a folder of dependencies: links where the file system can, which is faster. */
function copyFolder(from: string, to: string): void {
  mkdirSync(to, { recursive: true });
  for (const { name } of readdirSync(from, { withFileTypes: true })) {
    // Tools keep caches here, which a clean copy does not have.
    if (name.startsWith(".vite") || name === ".cache") continue;
    const [source, target] = [join(from, name), join(to, name)];
    const status = lstatSync(source);
    if (status.isDirectory()) copyFolder(source, target);
    else if (status.isSymbolicLink()) symlinkSync(readlinkSync(source), target);
    else linkOrCopy(source, target);
  }
}

function linkOrCopy(source: string, target: string): void {
  try {
    linkSync(source, target);
  } catch {
    cpSync(source, target);
  }
}

/** Builds a clean copy; returns the hash of each file by its path. */
function build(root: string, { folder, umask, env }: Surroundings): Record<string, string> {
  const ui = join(root, folder);
  mkdirSync(ui, { recursive: true });
  for (const name of readdirSync(UI).filter((name) => !MADE.has(name)))
    cpSync(join(UI, name), join(ui, name), { recursive: true });
  copyFolder(join(UI, "node_modules"), join(ui, "node_modules"));
  const { PATH = "", HOME = "" } = process.env;
  execFileSync("sh", ["-c", `umask ${umask} && npm run --silent build`], {
    cwd: ui,
    env: { PATH, HOME, ...env },
    stdio: ["ignore", "ignore", "inherit"],
  });
  const dist = join(ui, "dist");
  const files = readdirSync(dist, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
  return Object.fromEntries(
    files.map((file) => [
      relative(dist, file),
      createHash("sha256").update(readFileSync(file)).digest("hex"),
    ]),
  );
}

test("two builds of the same sources are byte-equal", { timeout: 300_000 }, () => {
  const root = mkdtempSync(join(tmpdir(), "gatehouse-build-"));
  try {
    const one = build(root, {
      folder: "a",
      umask: "022",
      env: { TZ: "UTC", LANG: "C", LC_ALL: "C" },
    });
    const other = build(root, {
      folder: "another place/with a longer path",
      umask: "077",
      env: { TZ: "Pacific/Chatham", LANG: "tr_TR.UTF-8", LC_ALL: "tr_TR.UTF-8", CI: "true" },
    });
    expect(other).toEqual(one);
    const names = Object.keys(one);
    for (const kind of [
      /^index\.html$/,
      /\.js$/,
      /\.css$/,
      /\.br$/,
      /\.gz$/,
      /\.zst$/,
      /^manifest/,
    ])
      expect(
        names.some((name) => kind.test(name)),
        String(kind),
      ).toBe(true);
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
});
