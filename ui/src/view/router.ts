// Maps URLs to pages. Links are real links; clicks on them are handled without a page load.

import { Cell } from "../domain/observable";
import type { AccountId } from "../protocol/wire";

/** A conversation's URL contains the account id. A URL with a username must be resolved first. */
export type Person = { readonly account: AccountId } | { readonly username: string };

export type Route =
  | { readonly name: "assistant"; readonly session: string | undefined }
  | { readonly name: "people"; readonly person: Person | undefined }
  | { readonly name: "settings" };

export class Router {
  readonly route = new Cell<Route>(parse(location.pathname));

  constructor() {
    addEventListener("popstate", () => this.route.set(parse(location.pathname)));
    document.addEventListener("click", (event) => this.#click(event));
  }

  go(route: Route, replace = false): void {
    const path = pathOf(route);
    if (path !== location.pathname) history[replace ? "replaceState" : "pushState"](null, "", path);
    this.route.set(route);
  }

  #click(event: MouseEvent): void {
    if (
      event.defaultPrevented ||
      event.button !== 0 ||
      event.metaKey ||
      event.ctrlKey ||
      event.shiftKey
    )
      return;
    const link = event.target instanceof Element ? event.target.closest("a") : null;
    if (
      !link ||
      link.target !== "" ||
      link.origin !== location.origin ||
      link.hasAttribute("download")
    )
      return;
    event.preventDefault();
    this.go(parse(link.pathname));
  }
}

export function parse(path: string): Route {
  const [first, second] = path.split("/").filter((part) => part !== "");
  if (first === "settings") return { name: "settings" };
  if (first === "people")
    return { name: "people", person: second === undefined ? undefined : personOf(decode(second)) };
  const session =
    first === "chat" && second !== undefined && /^[\w-]{1,64}$/.test(second) ? second : undefined;
  return { name: "assistant", session };
}

export function pathOf(route: Route): string {
  switch (route.name) {
    case "settings":
      return "/settings";
    case "people":
      return route.person === undefined ? "/people" : `/people/${segmentOf(route.person)}`;
    case "assistant":
      return route.session === undefined ? "/" : `/chat/${route.session}`;
  }
}

function segmentOf(person: Person): string {
  return encodeURIComponent("account" in person ? person.account : person.username);
}

/** Account ids are 32 hex digits. A username of this form is not reachable by URL. */
function personOf(part: string): Person {
  return /^[0-9a-f]{32}$/.test(part) ? { account: part } : { username: part };
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
