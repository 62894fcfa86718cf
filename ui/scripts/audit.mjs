// Checks package-lock.json offline: each dependency has a hash, comes from the registry, has an
// allowed licence, and runs no install script unless listed here. For advisories run `npm audit`.

import { readFileSync } from "node:fs";

const LICENCES = new Set([
  "0BSD",
  "Apache-2.0",
  "BlueOak-1.0.0",
  "BSD-2-Clause",
  "BSD-3-Clause",
  "CC-BY-4.0",
  "CC0-1.0",
  "ISC",
  "MIT",
  "MPL-2.0",
  "OFL-1.1",
  "Python-2.0",
]);
// Packages that may run an install script, each with the reason.
const INSTALL_SCRIPTS = new Map([["fsevents", "macOS only: a native module for watching files"]]);

const lock = JSON.parse(readFileSync(new URL("../package-lock.json", import.meta.url), "utf8"));
const packages = Object.entries(lock.packages).filter(([path]) => path !== "");
const faults = packages.flatMap(([path, entry]) =>
  faultsOf(path, entry).map((fault) => `${path}: ${fault}`),
);

function faultsOf(path, entry) {
  const name = path.slice(path.lastIndexOf("node_modules/") + "node_modules/".length);
  const faults = [];
  // Bundled dependencies are covered by the hash of their package.
  if (!entry.inBundle && !entry.integrity?.startsWith("sha512-")) faults.push("no sha512 hash");
  if (entry.link || /^(git|file|http:)/.test(entry.resolved ?? ""))
    faults.push(`not from the registry: ${entry.resolved}`);
  const licences = (entry.license ?? "none").replaceAll(/[()]/g, "").split(" OR ");
  if (!licences.some((licence) => licence.split(" AND ").every((one) => LICENCES.has(one))))
    faults.push(`licence ${entry.license ?? "not stated"}`);
  if (entry.hasInstallScript && !INSTALL_SCRIPTS.has(name)) faults.push("runs an install script");
  return faults;
}

if (packages.length === 0) faults.push("package-lock.json lists no packages");
for (const fault of faults) console.error(fault);
console.log(`${packages.length} locked packages, ${faults.length} faults`);
process.exitCode = faults.length === 0 ? 0 : 1;
