import { defineConfig } from "@playwright/test";
import tests from "./playwright.config";

// Not a test: takes the screenshots in docs/screenshots from a running Gatehouse.
export default defineConfig({
  ...tests,
  testDir: "scripts",
  testMatch: "screenshots.ts",
  timeout: 180_000,
});
