// Svelte context shared by all components.

import { getContext, setContext } from "svelte";
import type { Gatehouse } from "../domain/gatehouse";
import type { Router } from "./router";
import type { Toasts } from "./toasts";

export interface Ui {
  readonly gatehouse: Gatehouse;
  readonly router: Router;
  readonly toasts: Toasts;
}

const KEY = Symbol("ui");

export function provideUi(ui: Ui): Ui {
  return setContext(KEY, ui);
}

export function useUi(): Ui {
  return getContext<Ui>(KEY);
}
