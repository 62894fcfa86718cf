// One chat session with the assistant: its messages, and the answer that is streaming.

import { type Api, type Clock, type Http, ProblemError, readRun, type RunSource } from "../../net";
import type { RunEvent, RunId, SessionId } from "../../protocol/wire";
import { Cell } from "../observable";
import { type Trouble, troubleOf, troubleOfProblem } from "../problems";

export interface ChatMessage {
  readonly id: string;
  readonly role: "user" | "assistant";
  readonly content: string;
  readonly reasoning: string;
  readonly at: string;
  readonly state: "done" | "writing" | "stopped" | "failed";
  readonly trouble?: Trouble;
}

export interface ChatSessionState {
  readonly session: SessionId;
  readonly phase: "loading" | "ready" | "unreachable";
  readonly messages: readonly ChatMessage[];
  /** The connection was lost during an answer and is being restored. */
  readonly interrupted: boolean;
  readonly trouble?: Trouble;
}

export interface ChatSessionParts {
  readonly api: Api;
  readonly http: Http;
  readonly clock: Clock;
  readonly random: () => number;
  readonly newId: () => string;
  /** Creates the account if there is none. */
  readonly ready: () => Promise<unknown>;
  /** The session list is out of date. */
  readonly changed: () => void;
  readonly titled: (session: SessionId, title: string) => void;
}

export class ChatSession {
  readonly state: Cell<ChatSessionState>;
  readonly #parts: ChatSessionParts;
  #abort: AbortController | undefined;
  #run: RunId | undefined;
  #stopRequested = false;

  constructor(parts: ChatSessionParts, session: SessionId) {
    this.#parts = parts;
    this.state = new Cell<ChatSessionState>({
      session,
      phase: "loading",
      messages: [],
      interrupted: false,
    });
  }

  get session(): SessionId {
    return this.state.value.session;
  }

  get writing(): boolean {
    return this.#abort !== undefined;
  }

  /** Starts a session without history. */
  begin(): void {
    this.#change({ phase: "ready" });
  }

  /** Loads the history, and continues an answer that is still streaming. */
  async load(): Promise<void> {
    this.#change({ phase: "loading" });
    try {
      const [info, history] = await Promise.all([
        this.#parts.api.session(this.session),
        this.#parts.api.history(this.session),
      ]);
      const messages = history.messages.map(
        ({ id, role, content, created_at: at }): ChatMessage => {
          return { id, role, content, at, reasoning: "", state: "done" };
        },
      );
      this.#change({ phase: "ready", messages, interrupted: false });
      if (info.active_run !== undefined) await this.#read({ kind: "run", run: info.active_run });
    } catch (error) {
      if (error instanceof ProblemError && error.status === 404) return this.begin();
      this.#change({ phase: "unreachable", trouble: troubleOf(error) });
    }
  }

  async ask(message: string, model: string | undefined): Promise<void> {
    if (this.writing) return;
    const question = this.#message("user", message, "done");
    this.#change({
      messages: [
        ...this.state.value.messages.filter((message) => message.state !== "failed"),
        question,
      ],
    });
    const request = {
      session_id: this.session,
      message,
      ...(model === undefined ? {} : { model }),
    };
    await this.#read({ kind: "ask", request, key: this.#parts.newId(), ready: this.#parts.ready });
  }

  /** Asks the last question again. */
  async retry(model: string | undefined): Promise<void> {
    const { messages } = this.state.value;
    const at = messages.findLastIndex((message) => message.role === "user");
    const question = messages[at];
    if (!question || this.writing) return;
    this.#change({ messages: messages.slice(0, at) });
    await this.ask(question.content, model);
  }

  async stop(): Promise<void> {
    this.#stopRequested = true;
    if (this.#run === undefined) return;
    await this.#parts.api.stopRun(this.#run).catch(() => undefined);
  }

  /** Stops reading. The answer continues on the server and is there on the next visit. */
  leave(): void {
    this.#abort?.abort();
  }

  async #read(source: RunSource): Promise<void> {
    const abort = new AbortController();
    this.#abort = abort;
    this.#run = source.kind === "run" ? source.run : undefined;
    this.#stopRequested = false;
    const writing = this.#message("assistant", "", "writing");
    this.#change({ messages: [...this.state.value.messages, writing] });
    const listener = {
      event: (event: RunEvent) => this.#event(event),
      interrupted: (interrupted: boolean) => this.#change({ interrupted }),
    };
    try {
      const end = await readRun(this.#parts, source, listener, abort.signal);
      this.#abort = undefined;
      if (end === "gone") await this.load();
    } catch (error) {
      this.#updateLast({ state: "failed", trouble: troubleOf(error) });
    } finally {
      if (this.#abort === abort) this.#abort = undefined;
      if (!abort.signal.aborted) {
        this.#change({ interrupted: false });
        this.#parts.changed();
      }
    }
  }

  #event(event: RunEvent): void {
    switch (event.event) {
      case "run.started":
        this.#run = event.data.run_id;
        this.#parts.changed();
        if (this.#stopRequested) void this.stop();
        return;
      case "text.delta":
        return this.#updateLast({
          content: (this.state.value.messages.at(-1)?.content ?? "") + event.data.text,
        });
      case "reasoning.delta":
        return this.#updateLast({
          reasoning: (this.state.value.messages.at(-1)?.reasoning ?? "") + event.data.text,
        });
      case "title":
        return this.#parts.titled(this.session, event.data.title);
      case "run.completed":
      case "run.stopped": {
        const { id, content, created_at: at } = event.data.message;
        return this.#updateLast({
          id,
          content,
          at,
          state: event.event === "run.stopped" ? "stopped" : "done",
        });
      }
      case "run.failed":
        return this.#updateLast({ state: "failed", trouble: troubleOfProblem(event.data) });
      default:
        return;
    }
  }

  #message(role: ChatMessage["role"], content: string, state: ChatMessage["state"]): ChatMessage {
    const at = new Date(this.#parts.clock.now()).toISOString();
    return { id: this.#parts.newId(), role, content, reasoning: "", at, state };
  }

  #updateLast(change: Partial<ChatMessage>): void {
    const { messages } = this.state.value;
    const last = messages.at(-1);
    if (last) this.#change({ messages: [...messages.slice(0, -1), { ...last, ...change }] });
  }

  #change(change: Partial<ChatSessionState>): void {
    this.state.update((state) => ({ ...state, ...change }));
  }
}
