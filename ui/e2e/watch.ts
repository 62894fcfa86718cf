// Records what a page does on the wire, and everything that a healthy page does not do.

import type { BrowserContext, Page } from "@playwright/test";
import type { BrowserName } from "./browsers";

export interface Frame {
  readonly direction: "sent" | "received";
  readonly text: string;
}

export interface Record {
  /** Every WebSocket frame that the pages sent or received. */
  readonly frames: Frame[];
  /**
   * Console errors, uncaught exceptions, violations of the content security policy, and error
   * responses.
   */
  readonly complaints: string[];
}

/** The name of the function that a page of Firefox calls for each WebSocket frame. */
const BINDING = "recordFrame";

/** Call once, before the first page is opened. */
export async function watchContext(
  browser: BrowserName,
  context: BrowserContext,
  { frames }: Record,
): Promise<void> {
  // WebDriver BiDi has no events for WebSocket frames.
  if (browser !== "firefox") return;
  await context.exposeFunction(BINDING, (direction: Frame["direction"], text: string) =>
    frames.push({ direction, text }),
  );
  await context.addInitScript((binding) => {
    const record = (direction: string, data: unknown) => {
      const bound = (globalThis as unknown as { [name: string]: unknown })[binding];
      (bound as (direction: string, text: string) => void)(direction, String(data));
    };
    globalThis.WebSocket = class extends WebSocket {
      constructor(...parts: ConstructorParameters<typeof WebSocket>) {
        super(...parts);
        this.addEventListener("message", ({ data }) => record("received", data));
      }
      override send(data: Parameters<WebSocket["send"]>[0]): void {
        record("sent", data);
        super.send(data);
      }
    };
  }, BINDING);
}

export function watchPage(browser: BrowserName, page: Page, { frames, complaints }: Record): void {
  page.on("console", (message) => {
    if (message.type() === "error")
      complaints.push(`${message.text()} (${message.location().url})`);
  });
  page.on("pageerror", (error) => complaints.push(String(error)));
  if (browser === "firefox") {
    // Chromium writes these to the console.
    page.on("response", (response) => {
      if (response.status() >= 400)
        complaints.push(`the server answered ${response.status()} (${response.url()})`);
    });
    return;
  }
  page.on("websocket", (socket) => {
    socket.on("framesent", ({ payload }) =>
      frames.push({ direction: "sent", text: payload.toString() }),
    );
    socket.on("framereceived", ({ payload }) =>
      frames.push({ direction: "received", text: payload.toString() }),
    );
  });
}
