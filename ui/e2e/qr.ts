// QR codes on a page: read from the drawing, and shown to a browser's fake camera.

import { writeFile } from "node:fs/promises";
import type { Locator } from "@playwright/test";
import decode from "qr/decode.js";
import { encode } from "uqr";

/** Reads a drawn code: one path element `Mx yh1v1h-1z` per dark module. */
export async function readQr(drawing: Locator): Promise<string> {
  const size = Number((await drawing.getAttribute("viewBox"))?.split(" ")[2]);
  const path = (await drawing.locator("path").getAttribute("d")) ?? "";
  const dark = new Set([...path.matchAll(/M(\d+) (\d+)h1v1h-1z/g)].map(([, x, y]) => `${x},${y}`));
  const scale = 6;
  const side = (size + 6) * scale;
  const data = new Uint8ClampedArray(side * side * 4).fill(255);
  for (let y = 0; y < side; y += 1) {
    for (let x = 0; x < side; x += 1) {
      // A margin of three modules around the drawing.
      const at = `${Math.floor(x / scale) - 3},${Math.floor(y / scale) - 3}`;
      if (dark.has(at)) data.fill(0, (y * side + x) * 4, (y * side + x) * 4 + 3);
    }
  }
  return decode({ data, width: side, height: side });
}

const [WIDTH, HEIGHT] = [640, 480];

/** Switches of Chromium: the camera shows this file, and no permission is asked. */
export function cameraFlags(file: string): string[] {
  return [
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
    `--use-file-for-fake-video-capture=${file}`,
  ];
}

/** Writes a video (YUV4MPEG2) that shows this code. The browser reads it when the camera starts. */
export async function showToCamera(file: string, text: string): Promise<void> {
  const { data, size } = encode(text, { border: 4, ecc: "M" });
  const scale = Math.floor(HEIGHT / size);
  const left = Math.floor((WIDTH - size * scale) / 2);
  const light = Buffer.alloc(WIDTH * HEIGHT, 235);
  for (let y = 0; y < size * scale; y += 1) {
    for (let x = 0; x < size * scale; x += 1) {
      const dark = data[Math.floor(y / scale)]?.[Math.floor(x / scale)] ?? false;
      if (dark) light[y * WIDTH + left + x] = 16;
    }
  }
  const colour = Buffer.alloc((WIDTH * HEIGHT) / 2, 128);
  const frame = Buffer.concat([Buffer.from("FRAME\n"), light, colour]);
  const head = Buffer.from(`YUV4MPEG2 W${WIDTH} H${HEIGHT} F10:1 Ip A1:1 C420jpeg\n`);
  await writeFile(file, Buffer.concat([head, frame, frame, frame]));
}
