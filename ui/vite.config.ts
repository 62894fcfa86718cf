import tailwindcss from "@tailwindcss/vite";
import { svelte } from "@sveltejs/vite-plugin-svelte";
import { defineConfig } from "vitest/config";

const gateway = process.env["GATEHOUSE_URL"] ?? "https://localhost:8443";

export default defineConfig({
  plugins: [tailwindcss(), svelte()],
  build: {
    target: "es2023",
    modulePreload: { polyfill: false },
    // Inlined fonts or images would need `data:` in the content security policy.
    assetsInlineLimit: 0,
    sourcemap: false,
  },
  server: {
    proxy: {
      "/api": { target: gateway, changeOrigin: false },
      "/ws": { target: gateway, ws: true, changeOrigin: false },
    },
  },
  test: {
    include: ["src/**/*.test.ts", "scripts/**/*.test.ts"],
    environment: "node",
    // Generating RSA keys takes seconds on a busy machine.
    testTimeout: 120_000,
    hookTimeout: 60_000,
  },
});
