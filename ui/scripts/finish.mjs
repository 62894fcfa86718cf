// After the build: hashes in the page, the published manifest of hashes, compressed copies of files.
// Equal sources give equal bytes: nothing here depends on time, place or order of the file system.

import { createHash } from "node:crypto";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, relative, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";
import { compress as zstd, init } from "@bokuweb/zstd-wasm";
import { withIntegrity } from "./integrity.mjs";

const dist = fileURLToPath(new URL("../dist/", import.meta.url));
const { version } = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8"));
const COMPRESSIBLE = /\.(html|js|css|svg|json|webmanifest|txt)$/;
/** A compressed copy must be at least 5 % smaller. */
const MAX_RATIO = 0.95;
const PAGE = "/index.html";
const MANIFEST = "/manifest.json";
/** Written below, by this run or an earlier one. */
const FINISHED = /(\.(br|gz|zst)|^\/manifest\.json)$/;

/** The content of each file by its path, in the order of paths. */
const files = new Map(
  readdirSync(dist, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .map((file) => [`/${relative(dist, file).split(sep).join("/")}`, readFileSync(file)])
    .filter(([path]) => !FINISHED.test(path))
    .sort(([one], [other]) => (one < other ? -1 : 1)),
);

const html = withIntegrity(files.get(PAGE).toString(), [...files.keys()], (path) =>
  files.get(path),
);
files.set(PAGE, Buffer.from(html));

const listed = [...files].map(([path, content]) => [
  path,
  { size: content.length, sha256: createHash("sha256").update(content).digest("hex") },
]);
const manifest = { format: 1, version, files: Object.fromEntries(listed) };
files.set(MANIFEST, Buffer.from(`${JSON.stringify(manifest, null, 2)}\n`));

for (const path of [PAGE, MANIFEST]) writeFileSync(join(dist, path), files.get(path));

await init();
for (const [path, content] of files) {
  if (!COMPRESSIBLE.test(path)) continue;
  const encodings = {
    br: brotliCompressSync(content, {
      params: { [constants.BROTLI_PARAM_SIZE_HINT]: content.length },
    }),
    gz: gzipSync(content, { level: 9 }),
    zst: zstd(content, 19),
  };
  for (const [extension, encoded] of Object.entries(encodings)) {
    if (encoded.length < content.length * MAX_RATIO)
      writeFileSync(join(dist, `${path}.${extension}`), encoded);
  }
}
console.log(`dist: ${listed.length} files, hashes in manifest.json`);
