// The hashes in the page, with pages as Vite writes them.

import { createHash } from "node:crypto";
import { expect, test } from "vitest";
import { withIntegrity } from "./integrity.mjs";

const FILES: Readonly<Record<string, string>> = {
  "/theme.js": "theme",
  "/assets/index-1.js": "entry",
  "/assets/scan-1.js": "scanner",
  "/assets/style-1.css": "style",
  "/assets/inter-1.woff2": "font",
  "/icon.svg": "icon",
};

const ENTRY = '<script type="module" crossorigin src="/assets/index-1.js"></script>';
const STYLE = '<link rel="stylesheet" crossorigin href="/assets/style-1.css">';

function secured(html: string, files = FILES): string {
  return withIntegrity(html, Object.keys(files), (path) => files[path]);
}

function attributes(path: string): string {
  const hash = createHash("sha384")
    .update(FILES[path] ?? "")
    .digest("base64");
  return `crossorigin="anonymous" integrity="sha384-${hash}"`;
}

test("every script, style and preload gets its hash, and other links stay as they are", () => {
  const html = `<link rel="icon" href="/icon.svg" type="image/svg+xml" />
    <link rel="preload" as="font" type="font/woff2" href="/assets/inter-1.woff2" crossorigin />
    <link rel="modulepreload" crossorigin href="/assets/scan-1.js">
    <script src="/theme.js"></script>
    ${ENTRY}
    ${STYLE}`;
  expect(secured(html)).toBe(`<link rel="icon" href="/icon.svg" type="image/svg+xml" />
    <link rel="preload" as="font" type="font/woff2" href="/assets/inter-1.woff2" ${attributes("/assets/inter-1.woff2")}>
    <link rel="modulepreload" href="/assets/scan-1.js" ${attributes("/assets/scan-1.js")}>
    <script src="/theme.js" ${attributes("/theme.js")}></script>
    <script type="module" src="/assets/index-1.js" ${attributes("/assets/index-1.js")}></script>
    <link rel="stylesheet" href="/assets/style-1.css" ${attributes("/assets/style-1.css")}>`);
  expect(secured(secured(html))).toBe(secured(html));
});

test("a module that only an import() loads is preloaded with its hash before the first module", () => {
  const page = secured(`<script src="/theme.js"></script>${ENTRY}${STYLE}`);
  const preload = `<link rel="modulepreload" fetchpriority="low" href="/assets/scan-1.js" ${attributes("/assets/scan-1.js")}>`;
  expect(page).toContain(preload);
  expect(page.indexOf(preload)).toBeLessThan(page.indexOf('<script type="module"'));
});

test("a page whose hashes would be incomplete fails the build", () => {
  const whole = `${ENTRY}${STYLE}`;
  for (const [html, reason] of [
    [`${whole}<script>inline()</script>`, /expected a file of this site in <script>/],
    [`${whole}<script src="https://elsewhere.example/x.js"></script>`, /expected a file of this/],
    [`${whole}<script src="//elsewhere.example/x.js"></script>`, /expected a file of this site/],
    [`${whole}<script src="/gone.js"></script>`, /there is no file \/gone\.js/],
    [ENTRY, /expected a link to the style \/assets\/style-1\.css/],
    [STYLE, /expected a module script/],
  ] as const) {
    expect(() => secured(html), html).toThrow(reason);
  }
});
