// The decoder reads the codes that this page draws.

import decode from "qr/decode.js";
import { encode } from "uqr";
import { expect, test } from "vitest";

/** The picture of a code: `scale` pixels per module, in grey on a darker ground. */
function picture(text: string, scale: number) {
  const { data: modules, size } = encode(text, { border: 4, ecc: "M" });
  const side = size * scale;
  const data = new Uint8ClampedArray(side * side * 4);
  for (let y = 0; y < side; y += 1) {
    for (let x = 0; x < side; x += 1) {
      const dark = modules[Math.floor(y / scale)]?.[Math.floor(x / scale)] ?? false;
      data.set(dark ? [28, 33, 31, 255] : [236, 236, 230, 255], (y * side + x) * 4);
    }
  }
  return { data, width: side, height: side };
}

test("of a link and of a safety number", () => {
  const address = `https://chat.example.org/link#code=12345678&device=${"Ab-_".repeat(10)}Abc`;
  for (const text of [address, "0123456789".repeat(6)])
    for (const scale of [4, 7]) expect(decode(picture(text, scale))).toBe(text);
});

test("and nothing in a picture without one", () => {
  const { data, ...size } = picture("0", 6);
  expect(() => decode({ data: data.fill(200), ...size })).toThrow();
});
