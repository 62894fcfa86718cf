// Small settings in localStorage. If storage is unavailable, they are lost on reload.

import type { Settings } from "../domain/ports";

const PREFIX = "gatehouse.";

export const browserSettings: Settings = {
  get(name) {
    try {
      return localStorage.getItem(PREFIX + name) ?? undefined;
    } catch {
      return undefined;
    }
  },
  set(name, value) {
    try {
      if (value === undefined) localStorage.removeItem(PREFIX + name);
      else localStorage.setItem(PREFIX + name, value);
    } catch {
      // Storage is unavailable or full.
    }
  },
  observe(name, observer) {
    addEventListener("storage", ({ key, newValue }) => {
      if (key === PREFIX + name) observer(newValue ?? undefined);
      // All of localStorage was cleared.
      else if (key === null) observer(undefined);
    });
  },
};
