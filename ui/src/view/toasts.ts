// Short messages that disappear after a few seconds.

import { Cell } from "../domain/observable";

export interface Toast {
  readonly id: number;
  readonly text: string;
  readonly kind: "info" | "error";
}

const SHOWN = 6_000;

export class Toasts {
  readonly list = new Cell<readonly Toast[]>([]);
  #next = 1;

  show(text: string, kind: Toast["kind"] = "info"): void {
    const id = this.#next++;
    this.list.update((list) => [...list.slice(-3), { id, text, kind }]);
    setTimeout(() => this.dismiss(id), SHOWN);
  }

  dismiss(id: number): void {
    this.list.update((list) => list.filter((toast) => toast.id !== id));
  }
}
