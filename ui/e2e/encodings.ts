// A text in each encoding in which a program might have stored or sent it.

/** Names of the encodings of the text that occur in these bytes. */
export function encodingsIn(haystack: Uint8Array, text: string): string[] {
  const bytes = Buffer.from(haystack);
  return encodings(text)
    .filter(([, encoded]) => bytes.includes(encoded))
    .map(([name]) => name);
}

function encodings(text: string): [name: string, encoded: Buffer][] {
  const utf8 = Buffer.from(text);
  const throughout = [...utf8].map((byte) => `%${byte.toString(16).padStart(2, "0")}`).join("");
  const found: [string, Buffer][] = [
    ["UTF-8", utf8],
    ["UTF-16LE", Buffer.from(text, "utf16le")],
    ["UTF-16BE", Buffer.from(text, "utf16le").swap16()],
    ["hexadecimal", Buffer.from(utf8.toString("hex"))],
    ["upper-case hexadecimal", Buffer.from(utf8.toString("hex").toUpperCase())],
    ["URL-encoded", Buffer.from(encodeURIComponent(text))],
    ["form-encoded", Buffer.from(new URLSearchParams([["", text]]).toString().slice(1))],
    ["URL-encoded throughout", Buffer.from(throughout)],
    ["upper-case URL-encoded throughout", Buffer.from(throughout.toUpperCase())],
  ];
  for (const encoding of ["base64", "base64url"] as const)
    for (const before of [0, 1, 2]) found.push([encoding, aligned(encoding, before, utf8)]);
  return found;
}

/** The characters that depend on the text only, if this many bytes (modulo 3) precede it. */
function aligned(encoding: "base64" | "base64url", before: number, text: Buffer): Buffer {
  const all = Buffer.concat([Buffer.alloc(before), text]);
  const [first, end] = [Math.ceil((before * 8) / 6), Math.floor((all.length * 8) / 6)];
  return Buffer.from(all.toString(encoding).slice(first, end));
}
