// Small settings in localStorage. A browser that refuses storage only forgets them.

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
      // Refused or full: nothing of worth is lost.
    }
  },
  observe(name, observer) {
    addEventListener("storage", ({ key, newValue }) => {
      if (key === PREFIX + name) observer(newValue ?? undefined);
      // The whole storage was cleared.
      else if (key === null) observer(undefined);
    });
  },
};
