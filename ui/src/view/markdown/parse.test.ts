import { expect, test } from "vitest";
import { parseMarkdown } from "./parse";

const text = (content: string) => ({ kind: "text", text: content });
const paragraph = (...children: unknown[]) => ({ kind: "paragraph", children });

test("blocks and inline content", () => {
  expect(
    parseMarkdown("# Title\n\nSome **bold** and `code`.\n\n```rust\nfn main() {}\n```\n\n---"),
  ).toEqual([
    { kind: "heading", level: 1, children: [text("Title")] },
    paragraph(
      text("Some "),
      { kind: "strong", children: [text("bold")] },
      text(" and "),
      { kind: "code", text: "code" },
      text("."),
    ),
    { kind: "code", language: "rust", text: "fn main() {}" },
    { kind: "rule" },
  ]);
});

test("lists keep their numbers and checkboxes", () => {
  expect(parseMarkdown("3. three\n4. four")).toMatchObject([
    { kind: "list", ordered: true, start: 3 },
  ]);
  expect(parseMarkdown("- [x] done\n- [ ] open")).toMatchObject([
    { kind: "list", ordered: false, items: [{ checked: true }, { checked: false }] },
  ]);
});

test("a table has a head and rows", () => {
  expect(parseMarkdown("| a | b |\n|---|---|\n| 1 | 2 |")).toEqual([
    { kind: "table", head: [[text("a")], [text("b")]], rows: [[[text("1")], [text("2")]]] },
  ]);
});

test("HTML stays text", () => {
  for (const html of [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "a <b onclick=x>b</b>",
  ]) {
    const flat = JSON.stringify(parseMarkdown(html));
    expect(flat).not.toContain('"kind":"html"');
    expect(flat).toContain(JSON.stringify(html.slice(0, 2)).slice(1, -1));
  }
});

test("an image becomes a link and is never loaded", () => {
  expect(parseMarkdown("![A cat](https://evil.example/cat.png)")).toEqual([
    paragraph({
      kind: "link",
      href: "https://evil.example/cat.png",
      children: [text("Image: A cat")],
    }),
  ]);
});

test("only http, https and mailto links are links", () => {
  for (const href of [
    "javascript:alert(1)",
    "JaVaScRiPt:alert(1)",
    "data:text/html,x",
    "vbscript:x",
    "/api/logout",
    "//evil.example",
  ]) {
    expect(JSON.stringify(parseMarkdown(`[click](${href})`)), href).not.toContain('"kind":"link"');
  }
  for (const href of ["https://example.org", "http://example.org", "mailto:ada@example.org"]) {
    expect(parseMarkdown(`[click](${href})`)).toEqual([
      paragraph({ kind: "link", href, children: [text("click")] }),
    ]);
  }
});

test("partial text is rendered while it streams in", () => {
  const whole = "Some **bold** text\n\n```js\nlet x = 1;\n```\n\n| a | b |\n|---|---|\n| 1 | 2 |";
  for (let length = 0; length <= whole.length; length += 1) {
    expect(() => parseMarkdown(whole.slice(0, length)), `${length}`).not.toThrow();
  }
  expect(parseMarkdown("```js\nlet x")).toEqual([{ kind: "code", language: "js", text: "let x" }]);
});

test("HTML entities are decoded", () => {
  expect(parseMarkdown("a &amp; b &lt;c&gt;")).toEqual([paragraph(text("a & b <c>"))]);
});
