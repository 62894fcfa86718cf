// Who is online and who is typing. Not stored.

import type { AccountId, ConversationId, Notice, User } from "../../protocol/wire";
import { Cell } from "../observable";
import type { Clock } from "../ports";

/** How long a typing notice is shown. */
const TYPING_TIMEOUT = 5_000;

export class Presence {
  /** Everyone else in the lobby, sorted by name; undefined until the server sends it. */
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

  /** Presence is unknown while the connection is down. */
  clear(): void {
    this.lobby.set(undefined);
    this.online.set(new Set());
    for (const conversation of [...this.#cancelTyping.keys()]) this.stopTyping(conversation);
  }

  /** The message arrived. */
  stopTyping(conversation: ConversationId): void {
    this.#cancelTyping.get(conversation)?.();
    if (!this.#cancelTyping.delete(conversation)) return;
    this.typing.set(new Set(this.#cancelTyping.keys()));
  }

  #startTyping(conversation: ConversationId): void {
    this.#cancelTyping.get(conversation)?.();
    this.#cancelTyping.set(
      conversation,
      this.#clock.after(TYPING_TIMEOUT, () => this.stopTyping(conversation)),
    );
    this.typing.set(new Set(this.#cancelTyping.keys()));
  }

  #setLobby(users: readonly User[]): void {
    const others = users.filter((user) => user.account_id !== this.#me);
    this.lobby.set(others.sort((a, b) => a.username.localeCompare(b.username)));
  }
}
