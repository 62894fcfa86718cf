// Parses Markdown into plain data. Components render it, so there is no HTML to sanitise.

import { type Token, type Tokens, lexer } from "marked";

export type Inline =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "strong" | "em" | "del"; readonly children: readonly Inline[] }
  | { readonly kind: "code"; readonly text: string }
  | { readonly kind: "link"; readonly href: string; readonly children: readonly Inline[] }
  | { readonly kind: "break" };

export type Block =
  | { readonly kind: "paragraph"; readonly children: readonly Inline[] }
  | { readonly kind: "heading"; readonly level: number; readonly children: readonly Inline[] }
  | { readonly kind: "code"; readonly language: string; readonly text: string }
  | { readonly kind: "quote"; readonly children: readonly Block[] }
  | {
      readonly kind: "list";
      readonly ordered: boolean;
      readonly start: number;
      readonly items: readonly ListItem[];
    }
  | {
      readonly kind: "table";
      readonly head: readonly Cell[];
      readonly rows: readonly (readonly Cell[])[];
    }
  | { readonly kind: "rule" };

export interface ListItem {
  readonly checked: boolean | undefined;
  readonly children: readonly Block[];
}

export type Cell = readonly Inline[];

export function parseMarkdown(text: string): Block[] {
  return blocks(lexer(text, { gfm: true, breaks: true }));
}

function blocks(tokens: readonly Token[]): Block[] {
  return tokens.flatMap((token) => block(token as Tokens.Generic) ?? []);
}

function block(token: Tokens.Generic): Block | undefined {
  switch (token.type) {
    case "space":
    case "def":
    case "checkbox":
      return undefined;
    case "heading":
      return {
        kind: "heading",
        level: (token as Tokens.Heading).depth,
        children: inlines(token.tokens),
      };
    case "code":
      return {
        kind: "code",
        language: language((token as Tokens.Code).lang),
        text: (token as Tokens.Code).text,
      };
    case "blockquote":
      return { kind: "quote", children: blocks(token.tokens ?? []) };
    case "list":
      return list(token as Tokens.List);
    case "table":
      return table(token as Tokens.Table);
    case "hr":
      return { kind: "rule" };
    default:
      return {
        kind: "paragraph",
        children: token.tokens ? inlines(token.tokens) : [plain(token.raw.trim())],
      };
  }
}

function list({ ordered, start, items }: Tokens.List): Block {
  const read = items.map(({ task, checked, tokens }) => ({
    checked: task ? checked === true : undefined,
    children: blocks(tokens),
  }));
  return { kind: "list", ordered, start: start === "" ? 1 : start, items: read };
}

function table({ header, rows }: Tokens.Table): Block {
  const cell = ({ tokens }: Tokens.TableCell) => inlines(tokens);
  return { kind: "table", head: header.map(cell), rows: rows.map((row) => row.map(cell)) };
}

function inlines(tokens: readonly Token[] = []): Inline[] {
  return tokens.flatMap((token) => inline(token as Tokens.Generic) ?? []);
}

function inline(token: Tokens.Generic): Inline | undefined {
  switch (token.type) {
    case "strong":
    case "em":
    case "del":
      return { kind: token.type, children: inlines(token.tokens) };
    case "codespan":
      return { kind: "code", text: (token as Tokens.Codespan).text };
    case "br":
      return { kind: "break" };
    case "link":
      return link(token as Tokens.Link);
    case "image":
      return image(token as Tokens.Image);
    case "checkbox":
      return undefined;
    case "escape":
      return plain((token as Tokens.Escape).text);
    case "text":
      return plain((token as Tokens.Text).text);
    default:
      return plain(token.raw);
  }
}

/** Only http, https and mailto links. Everything else is shown as text. */
function link({ href, tokens, raw }: Tokens.Link): Inline {
  return isSafe(href) ? { kind: "link", href, children: inlines(tokens) } : plain(raw);
}

/**
 * Remote images are never loaded, because that would reveal the reader to their server. They become
 * links.
 */
function image({ href, text, raw }: Tokens.Image): Inline {
  if (!isSafe(href)) return plain(raw);
  return { kind: "link", href, children: [plain(text === "" ? "Image" : `Image: ${text}`)] };
}

function isSafe(href: string): boolean {
  return /^(https?:\/\/|mailto:)/i.test(href);
}

const ENTITIES: Record<string, string> = {
  amp: "&",
  lt: "<",
  gt: ">",
  quot: '"',
  "#39": "'",
  nbsp: "\u00a0",
};

function plain(text: string): Inline {
  return {
    kind: "text",
    text: text.replace(
      /&(amp|lt|gt|quot|#39|nbsp);/g,
      (all, name: string) => ENTITIES[name] ?? all,
    ),
  };
}

function language(info: string | undefined): string {
  return info?.split(/\s/)[0] ?? "";
}
