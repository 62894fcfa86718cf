// The assistant: list of chat sessions, models, and the open session.

import type { Api, Clock, Http } from "../../net";
import type { Model, Session, SessionId } from "../../protocol/wire";
import type { Account } from "../account";
import { Cell } from "../observable";
import type { Settings } from "../ports";
import { type Trouble, troubleOf } from "../problems";
import { ChatSession } from "./chat-session";

export interface AssistantParts {
  readonly api: Api;
  readonly http: Http;
  readonly clock: Clock;
  readonly random: () => number;
  readonly newId: () => string;
  readonly settings: Settings;
  readonly account: Account;
}

const LAST_SESSION = "session";
const MODEL = "model";

export class Assistant {
  /** Undefined until loaded. */
  readonly sessions = new Cell<readonly Session[] | undefined>(undefined);
  readonly models = new Cell<readonly Model[]>([]);
  readonly model = new Cell<Model | undefined>(undefined);
  readonly chatSession = new Cell<ChatSession | undefined>(undefined);
  readonly trouble = new Cell<Trouble | undefined>(undefined);
  readonly #parts: AssistantParts;

  constructor(parts: AssistantParts) {
    this.#parts = parts;
  }

  /** The session that was open last, also across visits. */
  get lastSession(): SessionId | undefined {
    return this.#parts.settings.get(LAST_SESSION);
  }

  async load(): Promise<void> {
    await Promise.all([this.refresh(), this.#loadModels()]);
  }

  async refresh(): Promise<void> {
    // A visitor has no sessions, and the request would fail.
    if (this.#isVisitor) return this.sessions.set([]);
    try {
      this.sessions.set((await this.#parts.api.sessions()).sessions);
      this.trouble.set(undefined);
    } catch (error) {
      this.trouble.set(troubleOf(error));
    }
  }

  choose(model: Model): void {
    this.model.set(model);
    this.#parts.settings.set(MODEL, model.id);
  }

  /** Opens a session, which may not exist. Does nothing if it is open already. */
  open(session: SessionId): void {
    if (this.chatSession.value?.session === session) return;
    const chatSession = this.#replace(session);
    this.#parts.settings.set(LAST_SESSION, session);
    if (this.#isVisitor) chatSession.begin();
    else void chatSession.load();
  }

  /** Stops reading the answer that is streaming. */
  leave(): void {
    this.chatSession.value?.leave();
  }

  /** Opens a new session. The server creates it with the first question. */
  begin(): void {
    this.#parts.settings.set(LAST_SESSION, undefined);
    this.#replace(this.#parts.newId()).begin();
  }

  /** Asks in the open session. */
  ask(message: string): void {
    const chatSession = this.chatSession.value;
    if (!chatSession) return;
    this.#parts.settings.set(LAST_SESSION, chatSession.session);
    void chatSession.ask(message, this.model.value?.id);
  }

  retry(): void {
    void this.chatSession.value?.retry(this.model.value?.id);
  }

  async rename(session: SessionId, title: string): Promise<void> {
    this.#titled(session, title);
    try {
      await this.#parts.api.patchSession(session, { title });
    } catch (error) {
      void this.refresh();
      throw error;
    }
  }

  async delete(session: SessionId): Promise<void> {
    await this.#parts.api.deleteSession(session);
    this.sessions.update((sessions) => sessions?.filter(({ id }) => id !== session));
    if (this.chatSession.value?.session === session) this.begin();
  }

  get #isVisitor(): boolean {
    return this.#parts.account.status.value.kind === "visitor";
  }

  #replace(session: SessionId): ChatSession {
    this.chatSession.value?.leave();
    const chatSession = new ChatSession(
      {
        ...this.#parts,
        ready: () => this.#parts.account.ensure(),
        changed: () => void this.refresh(),
        titled: (id, title) => this.#titled(id, title),
      },
      session,
    );
    this.chatSession.set(chatSession);
    return chatSession;
  }

  #titled(session: SessionId, title: string): void {
    this.sessions.update((list) =>
      list?.map((known) => (known.id === session ? { ...known, title } : known)),
    );
  }

  async #loadModels(): Promise<void> {
    try {
      const { models } = await this.#parts.api.models();
      const wanted = this.#parts.settings.get(MODEL);
      this.models.set(models);
      this.model.set(models.find(({ id }) => id === wanted) ?? models[0]);
    } catch (error) {
      this.trouble.set(troubleOf(error));
    }
  }
}
