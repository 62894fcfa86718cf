#!/usr/bin/env node
// Debian's Firefox ESR for Playwright: starts it with the given arguments and relays WebDriver
// BiDi.
//
// Playwright sends `emulation.setMediaFeaturesOverride` for each context, even when there is
// nothing to override. Firefox ESR 153 does not know the command, so the relay answers it and
// changes nothing. Delete this file once Firefox ESR knows the command.

import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { WebSocket, WebSocketServer } from "ws";

const UNKNOWN = "emulation.setMediaFeaturesOverride";
/** A screenshot is one message. */
const MAX_MESSAGE = 256 * 1024 * 1024;
const OPTIONS = { perMessageDeflate: false, maxPayload: MAX_MESSAGE };

const firefox = spawn(process.env.FIREFOX ?? "/usr/bin/firefox-esr", process.argv.slice(2), {
  stdio: ["ignore", "inherit", "pipe"],
});
firefox.on("error", (error) => {
  console.error(`cannot start Firefox: ${error.message}`);
  process.exit(1);
});
firefox.on("exit", (code) => process.exit(code ?? 1));
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"])
  process.on(signal, () => firefox.kill(signal));

for await (const line of createInterface({ input: firefox.stderr })) {
  const [, address] = line.match(/^WebDriver BiDi listening on (ws:\S+)$/) ?? [];
  if (address) console.error(`WebDriver BiDi listening on ${await listen(address)}`);
  else console.error(line);
}

/** Returns the address of the relay, for Playwright to read. */
async function listen(address) {
  const server = new WebSocketServer({ host: "127.0.0.1", port: 0, ...OPTIONS });
  server.on("connection", (client, { url }) => relay(client, address + url));
  await new Promise((listening) => server.once("listening", listening));
  return `ws://127.0.0.1:${server.address().port}`;
}

function relay(client, address) {
  const browser = new WebSocket(address, OPTIONS);
  const waiting = [];
  browser.on("open", () => waiting.splice(0).forEach((text) => browser.send(text)));
  browser.on("message", (data) => client.send(data.toString()));
  client.on("message", (data) => {
    const text = data.toString();
    const { id, method } = JSON.parse(text);
    if (method === UNKNOWN) client.send(JSON.stringify({ type: "success", id, result: {} }));
    else if (browser.readyState === WebSocket.OPEN) browser.send(text);
    else waiting.push(text);
  });
  browser.on("error", (error) => console.error(`the relay to Firefox failed: ${error.message}`));
  browser.on("close", () => client.close());
  client.on("error", () => browser.close());
  client.on("close", () => browser.close());
}
