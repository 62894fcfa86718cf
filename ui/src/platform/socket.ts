// The browser's WebSocket to /ws on this origin.

import { SUBPROTOCOL } from "../protocol/wire";
import type { OpenSocket } from "../domain/ports";

export const openBrowserSocket: OpenSocket = (events) => {
  const url = new URL("/ws", location.href);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  const socket = new WebSocket(url, SUBPROTOCOL);
  socket.addEventListener("open", () => events.opened());
  socket.addEventListener("message", ({ data }: MessageEvent<unknown>) => {
    if (typeof data === "string") events.message(data);
  });
  socket.addEventListener("close", ({ code }) => events.closed(code));
  return {
    send(text) {
      if (socket.readyState === WebSocket.OPEN) socket.send(text);
    },
    close: (code) => socket.close(code),
  };
};
