import js from "@eslint/js";
import svelte from "eslint-plugin-svelte";
import globals from "globals";
import ts from "typescript-eslint";
import svelteConfig from "./svelte.config.js";

/**
 * Forbidden imports per layer: view -> domain -> {net, crypto} -> protocol; main.ts injects
 * platform.
 */
const forbidden = {
  protocol: ["crypto", "net", "domain", "platform", "view"],
  crypto: ["net", "domain", "platform", "view"],
  net: ["crypto", "domain", "platform", "view"],
  domain: ["platform", "view"],
  platform: ["view"],
  view: ["crypto", "net", "platform"],
};

const arrows = Object.entries(forbidden).map(([layer, others]) => ({
  files: [`src/${layer}/**/*.{ts,svelte}`],
  ignores: ["**/*.test.ts"],
  rules: {
    "no-restricted-imports": [
      "error",
      {
        patterns: others.map((other) => ({
          group: [`**/${other}/**`],
          message: `${layer} must not import ${other}: view -> domain -> {net, crypto} -> protocol.`,
        })),
      },
    ],
  },
}));

export default ts.config(
  { ignores: ["dist", "node_modules", "test-results", "src/protocol/wire.ts"] },
  js.configs.recommended,
  ...ts.configs.strict,
  ...svelte.configs.recommended,
  { languageOptions: { globals: { ...globals.browser, ...globals.node } } },
  {
    files: ["**/*.svelte", "**/*.svelte.ts"],
    languageOptions: {
      parserOptions: { extraFileExtensions: [".svelte"], parser: ts.parser, svelteConfig },
    },
  },
  {
    rules: {
      "@typescript-eslint/consistent-type-imports": "error",
      "svelte/no-at-html-tags": "error",
      "svelte/no-inline-styles": "error",
      "svelte/no-navigation-without-resolve": "off",
      "no-restricted-properties": [
        "error",
        { property: "innerHTML", message: "Render components instead." },
      ],
    },
  },
  {
    // The domain runs without a DOM.
    files: ["src/domain/**/*.ts", "src/crypto/**/*.ts"],
    ignores: ["**/*.test.ts"],
    rules: {
      "no-restricted-globals": [
        "error",
        "window",
        "document",
        "localStorage",
        "indexedDB",
        "fetch",
        "WebSocket",
        "setTimeout",
        "setInterval",
        "navigator",
        "location",
      ],
    },
  },
  ...arrows,
);
