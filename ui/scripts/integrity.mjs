// Subresource Integrity (https://www.w3.org/TR/sri-2/): the hash of every script, style and preload
// in the page.

import { createHash } from "node:crypto";

const TAG = /<(script|link)\b[^>]*>/g;
/** Values of `rel` for which browsers check the hash. */
const CHECKED = new Set(["stylesheet", "modulepreload", "preload"]);

/**
 * The page with `integrity` and `crossorigin` on every script, style and preload.
 *
 * A module that the page does not name (loaded by `import()`) is preloaded with its hash and a low
 * priority: an import cannot state a hash, but it uses the module that the preload has checked. An
 * import map with hashes would be an inline script, which the content security policy forbids.
 *
 * `read` returns the content of a file by its path, such as `/assets/x.js`, or undefined. Throws if
 * a file is missing, from another origin, inline, or a style that the page does not name.
 */
export function withIntegrity(html, paths, read) {
  const named = new Set();
  const secured = html.replaceAll(TAG, (tag, name) => {
    const path = checkedPath(tag, name);
    if (path === undefined) return tag;
    named.add(path);
    return secure(tag, path, read);
  });
  const others = paths.filter((path) => !named.has(path));
  const style = others.find((path) => path.endsWith(".css"));
  if (style) throw new Error(`index.html: expected a link to the style ${style}, found none`);
  const preloads = others
    .filter((path) => path.startsWith("/assets/") && path.endsWith(".js"))
    .map((path) =>
      secure(`<link rel="modulepreload" fetchpriority="low" href="${path}">`, path, read),
    );
  const place = secured.search(/<script type="module"/);
  if (preloads.length > 0 && place < 0)
    throw new Error("index.html: expected a module script, found none");
  if (preloads.length === 0) return secured;
  return `${secured.slice(0, place)}${preloads.join("\n    ")}\n    ${secured.slice(place)}`;
}

/** The path of the file whose hash the browser checks; undefined for other links. */
function checkedPath(tag, name) {
  if (name === "link" && !CHECKED.has(attribute(tag, "rel"))) return undefined;
  const url = attribute(tag, name === "script" ? "src" : "href");
  if (!url?.startsWith("/") || url.startsWith("//"))
    throw new Error(`index.html: expected a file of this site in ${tag}`);
  return url;
}

function secure(tag, path, read) {
  const content = read(path);
  if (content === undefined) throw new Error(`index.html: there is no file ${path}`);
  const hash = createHash("sha384").update(content).digest("base64");
  // Browsers check the hash only of requests in CORS mode (sri-2, section 3.3).
  const plain = tag
    .replaceAll(/\s+(crossorigin|integrity)(="[^"]*")?/g, "")
    .replace(/\s*\/?>$/, "");
  return `${plain} crossorigin="anonymous" integrity="sha384-${hash}">`;
}

function attribute(tag, name) {
  return new RegExp(`\\s${name}="([^"]*)"`).exec(tag)?.[1];
}
