// Who is here now, and who is typing. Nothing of it is kept.

import type { AccountId, ConversationId, Notice, User } from "../../protocol/wire";
import { Cell } from "../observable";
import type { Clock } from "../ports";

/** A typing notice is good for so long. */
const TYPING = 5_000;

export class Presence {
  /** Everyone in the lobby but oneself, by name; undefined until the server told. */
  readonly lobby = new Cell<readonly User[] | undefined>(undefined);
  readonly online = new Cell<ReadonlySet<AccountId>>(new Set());
  readonly typing = new Cell<ReadonlySet<ConversationId>>(new Set());
  readonly #me: AccountId;
  readonly #clock: Clock;
  readonly #cancelTyping = new Map<ConversationId, () => void>();

  constructor(me: AccountId, clock: Clock) {
    this.#me = me;
    this.#clock = clock;
  }

  apply(notice: Notice): void {
    switch (notice.kind) {
      case "lobby":
        return this.#setLobby(notice.users);
      case "lobby_change": {
        const others = (this.lobby.value ?? []).filter(
          (user) => user.account_id !== notice.user.account_id,
        );
        return this.#setLobby(notice.present ? [...others, notice.user] : others);
      }
      case "presence":
        return this.online.update((online) => {
          const next = new Set(online);
          if (notice.online) next.add(notice.account);
          else next.delete(notice.account);
          return next;
        });
      case "typing":
        if (notice.account !== this.#me) this.#startTyping(notice.conversation);
        return undefined;
    }
  }

  /** The connection is lost, so presence is unknown. */
  clear(): void {
    this.lobby.set(undefined);
    this.online.set(new Set());
    for (const conversation of [...this.#cancelTyping.keys()]) this.stopTyping(conversation);
  }

  /** What was being typed has come. */
  stopTyping(conversation: ConversationId): void {
    this.#cancelTyping.get(conversation)?.();
    if (!this.#cancelTyping.delete(conversation)) return;
    this.typing.set(new Set(this.#cancelTyping.keys()));
  }

  #startTyping(conversation: ConversationId): void {
    this.#cancelTyping.get(conversation)?.();
    this.#cancelTyping.set(
      conversation,
      this.#clock.after(TYPING, () => this.stopTyping(conversation)),
    );
    this.typing.set(new Set(this.#cancelTyping.keys()));
  }

  #setLobby(users: readonly User[]): void {
    const others = users.filter((user) => user.account_id !== this.#me);
    this.lobby.set(others.sort((a, b) => a.username.localeCompare(b.username)));
  }
}
