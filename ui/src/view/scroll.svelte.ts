// A list that follows its end, as long as the reader is there.

import type { Attachment } from "svelte/attachments";

const NEAR = 80;

export class FollowEnd {
  readonly #isList: () => boolean;
  atEnd = $state(true);
  #element: HTMLElement | undefined;

  /** `isList`: false while something else is shown, which is read from its beginning. */
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
