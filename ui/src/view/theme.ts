// Theme: light, dark, or the system's setting.

import type { Settings } from "../domain/ports";

export type Theme = "system" | "light" | "dark";

export function currentTheme(settings: Settings): Theme {
  const theme = settings.get("theme");
  return theme === "light" || theme === "dark" ? theme : "system";
}

export function applyTheme(settings: Settings, theme: Theme): void {
  settings.set("theme", theme === "system" ? undefined : theme);
  if (theme === "system") delete document.documentElement.dataset["theme"];
  else document.documentElement.dataset["theme"] = theme;
}
