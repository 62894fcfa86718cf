// Entry point: creates the domain with the browser's platform and mounts the view.

import "./view/style.css";
import { mount } from "svelte";
import { Gatehouse } from "./domain/gatehouse";
import { browserArchives } from "./platform/archive";
import { browserClock } from "./platform/clock";
import { browserExclusive } from "./platform/exclusive";
import { browserSettings } from "./platform/settings";
import { openBrowserSocket } from "./platform/socket";
import { checkBrowser } from "./platform/support";
import { browserTabLock } from "./platform/tab-lock";
import App from "./view/App.svelte";

const gatehouse = new Gatehouse({
  fetch: (path, init) => fetch(path, init),
  openSocket: openBrowserSocket,
  clock: browserClock,
  random: Math.random,
  archives: browserArchives,
  settings: browserSettings,
  tabLock: browserTabLock,
  exclusive: browserExclusive,
  checkSupport: checkBrowser,
});

const target = document.getElementById("app");
if (target) mount(App, { target, props: { gatehouse } });

void gatehouse.start();
addEventListener("online", () => gatehouse.privateChat.wake());
document.addEventListener("visibilitychange", () => {
  if (document.visibilityState === "visible") gatehouse.privateChat.wake();
});
