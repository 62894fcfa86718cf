// Layers: view -> domain -> {net, crypto} -> protocol. Only main.ts passes the platform to the
// domain.

import { readFileSync, readdirSync } from "node:fs";
import { dirname, join, normalize, relative } from "node:path";
import { expect, test } from "vitest";

const ROOT = new URL(".", import.meta.url).pathname;
const ALLOWED: Record<string, readonly string[]> = {
  protocol: [],
  crypto: ["protocol"],
  net: ["protocol"],
  domain: ["net", "crypto", "protocol"],
  platform: ["domain", "protocol"],
  view: ["domain", "protocol"],
};
const IMPORT = /(?:from|import)\s*\(?\s*["'](\.[^"']*)["']/g;

const layerOf = (path: string) => path.split("/")[0]?.replace(/\.ts$/, "") ?? "";

const files = readdirSync(ROOT, { recursive: true, encoding: "utf8" }).filter(
  (file) => /\.(ts|svelte)$/.test(file) && !file.endsWith(".test.ts"),
);

test("imports only point to lower layers", () => {
  const against: string[] = [];
  let followed = 0;
  for (const file of files) {
    const layer = layerOf(file);
    if (layer === "main") continue;
    for (const [, target] of readFileSync(join(ROOT, file), "utf8").matchAll(IMPORT)) {
      const other = layerOf(relative(ROOT, normalize(join(ROOT, dirname(file), target ?? ""))));
      followed += 1;
      if (other !== layer && !ALLOWED[layer]?.includes(other))
        against.push(`${file} imports ${other}`);
    }
  }
  expect(against).toEqual([]);
  expect(followed).toBeGreaterThan(100);
});

test("there are no unknown layers", () => {
  const layers = new Set(files.map(layerOf).filter((layer) => layer !== "main"));
  expect([...layers].sort()).toEqual(Object.keys(ALLOWED).sort());
});

test("only primitives.ts encrypts, wraps and signs, so its vectors test what the page uses", () => {
  const CALL = /subtle\s*\.\s*(encrypt|decrypt|sign|verify|wrapKey|unwrapKey)\b/;
  // The browser check signs the vector of RFC 8032; the others are not part of the page.
  const exempt = /^platform\/support\.ts$|^crypto\/(vectors|wycheproof)\/|\.testing\.ts$/;
  const calling = files.filter(
    (file) => !exempt.test(file) && CALL.test(readFileSync(join(ROOT, file), "utf8")),
  );
  expect(calling).toEqual(["crypto/primitives.ts"]);
});

test("imports form no circle", () => {
  const open: string[] = [];
  const done = new Set<string>();
  const circles: string[] = [];
  const visit = (file: string) => {
    if (done.has(file)) return;
    if (open.includes(file)) {
      circles.push([...open.slice(open.indexOf(file)), file].join(" -> "));
      return;
    }
    open.push(file);
    for (const imported of importsOf(file)) visit(imported);
    open.pop();
    done.add(file);
  };
  files.forEach(visit);
  expect(circles).toEqual([]);
});

/** The files imported by a file, without imports of itself (recursive components). */
function importsOf(file: string): string[] {
  const targets = [...readFileSync(join(ROOT, file), "utf8").matchAll(IMPORT)].map(([, to]) =>
    relative(ROOT, normalize(join(ROOT, dirname(file), to ?? ""))),
  );
  return targets.flatMap((target) => {
    const found = ["", ".ts", ".svelte.ts"].map((end) => target + end);
    return files.filter((known) => known !== file && found.includes(known));
  });
}
