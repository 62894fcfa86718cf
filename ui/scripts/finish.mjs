// After the build: compressed copies of files, and the published manifest of hashes.
import { createHash } from "node:crypto";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join, relative, sep } from "node:path";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";
import { compress as zstd, init } from "@bokuweb/zstd-wasm";

const dist = new URL("../dist/", import.meta.url).pathname;
const COMPRESSIBLE = /\.(html|js|css|svg|json|webmanifest|txt)$/;
const ENCODED = /\.(br|gz|zst)$/;
/** A compressed copy must be at least 5 % smaller. */
const MAX_RATIO = 0.95;

const files = (await readdir(dist, { recursive: true, withFileTypes: true }))
  .filter((entry) => entry.isFile() && !ENCODED.test(entry.name) && entry.name !== "manifest.json")
  .map((entry) => join(entry.parentPath, entry.name))
  .sort();

const name = (file) => "/" + relative(dist, file).split(sep).join("/");
const hashes = {};
for (const file of files) {
  hashes[name(file)] = createHash("sha256")
    .update(await readFile(file))
    .digest("hex");
}
const manifest = join(dist, "manifest.json");
await writeFile(manifest, JSON.stringify({ algorithm: "sha256", files: hashes }, null, 2) + "\n");

await init();
for (const file of [...files, manifest].filter((file) => COMPRESSIBLE.test(file))) {
  const content = await readFile(file);
  const encodings = {
    br: brotliCompressSync(content, {
      params: { [constants.BROTLI_PARAM_SIZE_HINT]: content.length },
    }),
    gz: gzipSync(content, { level: 9 }),
    zst: zstd(content, 19),
  };
  for (const [extension, encoded] of Object.entries(encodings)) {
    if (encoded.length < content.length * MAX_RATIO)
      await writeFile(`${file}.${extension}`, encoded);
  }
}
console.log(`dist: ${files.length} files, hashes in manifest.json`);
