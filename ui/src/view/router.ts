// Maps URLs to pages. Links are real links; clicks on them are handled without a page load.

import { type LinkCode, parseHash } from "../domain/linking/code";
import { Cell } from "../domain/observable";
import type { AccountId } from "../protocol/wire";

/** A conversation's URL contains the account id. A URL with a username must be resolved first. */
export type Person = { readonly account: AccountId } | { readonly username: string };

export type Route =
  | { readonly name: "assistant"; readonly session: string | undefined }
  | { readonly name: "people"; readonly person: Person | undefined }
  | { readonly name: "settings" }
  /** Links a device. `code`: from the address in a scanned QR code. */
  | { readonly name: "link"; readonly code: LinkCode | undefined }
  /** Opens an account with its recovery code. */
  | { readonly name: "recover" };

export class Router {
  readonly route = new Cell<Route>(arrive());

  constructor() {
    addEventListener("popstate", () => this.route.set(arrive()));
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
      // A page load: the camera is only allowed in pages that were loaded at certain paths.
      link.rel === "external" ||
      link.origin !== location.origin ||
      link.hasAttribute("download")
    )
      return;
    event.preventDefault();
    this.go(parse(link.pathname));
  }
}

/** The route of the current URL. A link's code works once, so it does not stay in the history. */
function arrive(): Route {
  const route = parse(location.pathname, location.hash);
  if (route.name === "link" && location.hash !== "")
    history.replaceState(null, "", location.pathname);
  return route;
}

export function parse(path: string, hash = ""): Route {
  const [first, second] = path.split("/").filter((part) => part !== "");
  if (first === "settings") return { name: "settings" };
  if (first === "link") return { name: "link", code: parseHash(hash) };
  if (first === "recover") return { name: "recover" };
  if (first === "people")
    return { name: "people", person: second === undefined ? undefined : personOf(decode(second)) };
  const session =
    first === "chat" && second !== undefined && /^[\w-]{1,64}$/.test(second) ? second : undefined;
  return { name: "assistant", session };
}

export function pathOf(route: Route): string {
  switch (route.name) {
    case "settings":
    case "link":
    case "recover":
      return `/${route.name}`;
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
