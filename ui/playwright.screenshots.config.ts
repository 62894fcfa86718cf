import { defineConfig } from "@playwright/test";
import tests from "./playwright.config";

// Not a test: it takes the pictures of docs/screenshots against a running Gatehouse.
export default defineConfig({
  ...tests,
  testDir: "scripts",
  testMatch: "screenshots.ts",
  timeout: 180_000,
});
