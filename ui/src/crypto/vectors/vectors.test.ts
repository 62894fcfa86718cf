// Opens and rejects the published vectors, and seals rsa-aes-1.json. rust.json is sealed by
// e2e/tests/envelope.

import { writeFileSync } from "node:fs";
import { describe } from "vitest";
import { checkVectors, pathOf, readVectors } from "./checks.testing";
import { makeVectors } from "./make";

if (process.env["UPDATE_VECTORS"])
  writeFileSync(pathOf("rsa-aes-1.json"), JSON.stringify(await makeVectors(), null, 2) + "\n");

describe("rsa-aes-1.json", () =>
  checkVectors(readVectors("rsa-aes-1.json"), { account: "bob", device: "desk" }));

describe("rust.json", () =>
  checkVectors(readVectors("rust.json"), { account: "ana-b", device: "desk" }));
