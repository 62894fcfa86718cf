// Rewrites src/crypto/wycheproof/*.json from a checkout of https://github.com/C2SP/wycheproof:
// node scripts/wycheproof.mjs FOLDER. It keeps the groups and fields that the test uses, one vector
// per line. Update the commit in the README next to them, and the counts in `run.testing.ts`.

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const [checkout] = process.argv.slice(2);
if (!checkout) throw new Error("expected the folder of a checkout of C2SP/wycheproof");
const target = new URL("../src/crypto/wycheproof/", import.meta.url);

/** AES-256-GCM: the nonce has 12 bytes, or none, which is invalid. */
const isUsed = ({ keySize, ivSize, tagSize }) =>
  keySize === 256 && tagSize === 128 && (ivSize === 96 || ivSize === 0);

trim("aes_gcm_test", "aes-gcm", isUsed, [], ["key", "iv", "aad", "msg", "ct", "tag"]);
trim(
  "rsa_oaep_3072_sha256_mgf1sha256_test",
  "rsa-oaep",
  () => true,
  ["privateKeyPkcs8"],
  ["msg", "ct", "label"],
);
trim("ed25519_test", "ed25519", () => true, ["publicKeyDer"], ["msg", "sig"]);

function trim(source, name, keep, groupFields, testFields) {
  const path = join(checkout, "testvectors_v1", `${source}.json`);
  const groups = JSON.parse(readFileSync(path, "utf8")).testGroups.filter(keep);
  const fields = ["tcId", "comment", ...testFields, "result"];
  const lines = groups.map((group) => {
    const tests = group.tests.map((vector) => JSON.stringify(pick(vector, fields)));
    const head = JSON.stringify({ ...pick(group, groupFields), tests: [] });
    return head.replace(/\[\]\}$/, `[\n${tests.join(",\n")}\n]}`);
  });
  const text = `[\n${lines.join(",\n")}\n]\n`;
  writeFileSync(new URL(`${name}.json`, target), text);
  const count = groups.reduce((sum, group) => sum + group.tests.length, 0);
  console.log(`${name}.json: ${count} vectors, ${text.length} bytes`);
}

function pick(object, fields) {
  return Object.fromEntries(fields.map((field) => [field, object[field]]));
}
