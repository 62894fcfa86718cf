import { defineConfig } from "@playwright/test";

// These run in Firefox too. Each of the others tests what does not depend on the browser.
const BOTH = /(assistant|people|crossing|keys|watch|wycheproof)\.spec\.ts$/;
const FIREFOX_ONLY = /crossing\.spec\.ts$/;

// Workers inherit it: requests that a test sends on behalf of a page trust the local CA too.
const ca = process.env["GATEHOUSE_CA"];
if (ca) process.env["NODE_EXTRA_CA_CERTS"] = ca;

export default defineConfig({
  testDir: "e2e",
  outputDir: "test-results",
  timeout: 180_000,
  expect: { timeout: 45_000 },
  workers: 1,
  reporter: [["list"]],
  forbidOnly: true,
  projects: [
    { name: "chromium", testIgnore: FIREFOX_ONLY },
    { name: "firefox", testMatch: BOTH },
  ],
});
