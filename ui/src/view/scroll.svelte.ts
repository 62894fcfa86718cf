// Keeps a list scrolled to its end while the reader is at the end.

import type { Attachment } from "svelte/attachments";

const NEAR = 80;

export class FollowEnd {
  readonly #isList: () => boolean;
  atEnd = $state(true);
  #element: HTMLElement | undefined;

  /** `isList`: false while other content is shown, which starts at the top. */
  constructor(isList: () => boolean = () => true) {
    this.#isList = isList;
  }

  readonly attach: Attachment<HTMLElement> = (element) => {
    this.#element = element;
    const onScroll = () => {
      this.atEnd = element.scrollHeight - element.scrollTop - element.clientHeight < NEAR;
    };
    const follow = new ResizeObserver(() => {
      if (this.atEnd && this.#isList()) this.toEnd();
    });
    element.addEventListener("scroll", onScroll, { passive: true });
    follow.observe(element);
    for (const child of element.children) follow.observe(child);
    return () => {
      follow.disconnect();
      element.removeEventListener("scroll", onScroll);
    };
  };

  toEnd(): void {
    this.atEnd = true;
    this.#element?.scrollTo({ top: this.#element.scrollHeight });
  }
}
