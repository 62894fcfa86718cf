// The live connection: hello, requests with a timeout, reconnects with full jitter.

import {
  type ClientFrame,
  type InboxEvent,
  type Notice,
  type Request,
  type ServerFrame,
} from "../protocol/wire";
import { Backoff } from "./backoff";
import type { Clock } from "./clock";

export type Welcome = Extract<ServerFrame, { type: "welcome" }>;
export type Answer = Extract<ServerFrame, { type: "ok" }>;
export type Rejected = Extract<ServerFrame, { type: "err" }>;
export type Hello = Omit<Extract<Request, { type: "hello" }>, "type">;

/** The subset of WebSocket that is used. */
export interface Socket {
  send(text: string): void;
  close(code?: number): void;
}

export interface SocketEvents {
  opened(): void;
  message(text: string): void;
  /** Called once, as the last event. */
  closed(code: number): void;
}

export type OpenSocket = (events: SocketEvents) => Socket;

export type LiveState =
  | { readonly kind: "off" }
  | { readonly kind: "connecting" }
  | { readonly kind: "online" }
  | { readonly kind: "waiting"; readonly retryAt: number }
  /** Closed permanently by the server; the close code is the reason. */
  | { readonly kind: "ended"; readonly code: number };

export interface LiveListener {
  hello(): Promise<Hello>;
  welcome(frame: Welcome): void;
  event(position: number, event: InboxEvent): void;
  notice(notice: Notice): void;
  /** The server rejected the hello. The next attempt follows. */
  rejected(frame: Rejected): void;
  /**
   * The socket closed before it opened: no network, or a rejected handshake. The next attempt
   * follows.
   */
  unopened(): void;
  state(state: LiveState): void;
}

/** The server rejected the request, or did not answer in time (`temporary`, code `lost`). */
export class RequestError extends Error {
  override readonly name = "RequestError";
  constructor(
    readonly code: Rejected["code"] | "lost",
    message: string,
    readonly temporary: boolean,
    readonly retryAfter: number | undefined,
  ) {
    super(message);
  }
}

const TIMEOUT = 10_000;
/** A connection that lasts this long resets the backoff. */
const STABLE = 5_000;
/** After this much silence the connection is probed, because browsers hide the server's pings. */
const SILENCE = 45_000;

interface Pending {
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: RequestError) => void;
  readonly cancelTimeout: () => void;
}

export class Live {
  readonly #open: OpenSocket;
  readonly #clock: Clock;
  readonly #listener: LiveListener;
  readonly #backoff: Backoff;
  #state: LiveState = { kind: "off" };
  #socket: Socket | undefined;
  /** Distinguishes events of the current socket from those of abandoned ones. */
  #generation = 0;
  #nextId = 1;
  #helloId = 0;
  #byeDelay: number | undefined;
  readonly #pending = new Map<number, Pending>();
  #cancelTimer: () => void = () => undefined;
  #cancelReset: () => void = () => undefined;
  #probe: Request | undefined;

  constructor(open: OpenSocket, clock: Clock, random: () => number, listener: LiveListener) {
    this.#open = open;
    this.#clock = clock;
    this.#listener = listener;
    this.#backoff = new Backoff(random);
  }

  get state(): LiveState {
    return this.#state;
  }

  start(): void {
    if (this.#state.kind === "off" || this.#state.kind === "ended") this.#connect();
  }

  stop(): void {
    this.#abandon(1000);
    this.#change({ kind: "off" });
  }

  /** The network is back or the page is visible again: reconnect now, or probe the open socket. */
  wake(): void {
    if (this.#state.kind === "waiting") this.#connect();
    else if (this.#state.kind === "online") this.#sendProbe();
  }

  /** Reconnects after a permanent close, with the usual backoff. */
  resume(): void {
    if (this.#state.kind === "ended") this.#wait(0);
  }

  /** An event could not be processed: reconnect and receive it again. */
  restart(): void {
    if (this.#state.kind === "online") this.#lose();
  }

  /** Sets the request that probes the connection. */
  probeWith(request: Request): void {
    this.#probe = request;
  }

  request(request: Request): Promise<Answer> {
    if (this.#state.kind !== "online") return Promise.reject(lost());
    return this.#request(request);
  }

  #request(request: Request): Promise<Answer> {
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      const cancelTimeout = this.#clock.after(TIMEOUT, () => this.#lose());
      this.#pending.set(id, { resolve, reject, cancelTimeout });
      this.#send({ id, do: request });
    });
  }

  #connect(): void {
    this.#abandon();
    const generation = this.#generation;
    const current = (call: () => void) => () => {
      if (generation === this.#generation) call();
    };
    this.#change({ kind: "connecting" });
    this.#cancelTimer = this.#clock.after(TIMEOUT, () => this.#lose());
    let opened = false;
    this.#socket = this.#open({
      opened: current(() => {
        opened = true;
        void this.#greet(generation);
      }),
      message: (text) => current(() => this.#receive(text))(),
      closed: (code) =>
        current(() => {
          this.#handleClose(code);
          if (!opened) this.#listener.unopened();
        })(),
    });
  }

  async #greet(generation: number): Promise<void> {
    try {
      const hello = await this.#listener.hello();
      if (generation !== this.#generation) return;
      this.#helloId = this.#nextId++;
      this.#send({ id: this.#helloId, do: { type: "hello", ...hello } });
    } catch {
      if (generation === this.#generation) this.#lose();
    }
  }

  #receive(text: string): void {
    const frame = parse(text);
    if (!frame) return this.#lose();
    if (this.#state.kind === "online") this.#watchSilence();
    switch (frame.type) {
      case "welcome":
        this.#cancelReset = this.#clock.after(STABLE, () => this.#backoff.reset());
        this.#watchSilence();
        this.#change({ kind: "online" });
        return this.#listener.welcome(frame);
      case "ok":
        return this.#settle(frame.id)?.resolve(frame);
      case "err": {
        if (frame.id === this.#helloId) {
          this.#listener.rejected(frame);
          return this.#lose();
        }
        const { code, message, temporary, retry_after } = frame;
        return this.#settle(frame.id)?.reject(
          new RequestError(code, message, temporary, retry_after),
        );
      }
      case "event":
        return this.#listener.event(frame.position, frame.event);
      case "notice":
        return this.#listener.notice(frame.notice);
      case "bye":
        this.#byeDelay = frame.retry_after;
        return undefined;
    }
  }

  #settle(id: number): Pending | undefined {
    const pending = this.#pending.get(id);
    this.#pending.delete(id);
    pending?.cancelTimeout();
    return pending;
  }

  #watchSilence(): void {
    this.#cancelTimer();
    this.#cancelTimer = this.#clock.after(SILENCE, () => this.#sendProbe());
  }

  #sendProbe(): void {
    if (this.#probe) this.#request(this.#probe).catch(() => undefined);
  }

  #handleClose(code: number): void {
    const bye = this.#byeDelay;
    this.#abandon();
    if (code >= 4500 && code <= 4999) return this.#change({ kind: "ended", code });
    this.#wait(bye ?? 0);
  }

  #wait(least: number): void {
    const wait = least + this.#backoff.next();
    this.#cancelTimer = this.#clock.after(wait, () => this.#connect());
    this.#change({ kind: "waiting", retryAt: this.#clock.now() + wait });
  }

  /** Drops the connection and reconnects. */
  #lose(): void {
    this.#socket?.close();
    this.#handleClose(1006);
  }

  #abandon(code?: number): void {
    this.#generation += 1;
    this.#cancelTimer();
    this.#cancelReset();
    this.#byeDelay = undefined;
    this.#socket?.close(code);
    this.#socket = undefined;
    const pending = [...this.#pending.values()];
    this.#pending.clear();
    for (const { reject, cancelTimeout } of pending) {
      cancelTimeout();
      reject(lost());
    }
  }

  #send(frame: ClientFrame): void {
    this.#socket?.send(JSON.stringify(frame));
  }

  #change(state: LiveState): void {
    this.#state = state;
    this.#listener.state(state);
  }
}

function lost(): RequestError {
  return new RequestError("lost", "connection lost before the response", true, undefined);
}

function parse(text: string): ServerFrame | undefined {
  try {
    const frame: unknown = JSON.parse(text);
    return typeof frame === "object" && frame !== null && "type" in frame
      ? (frame as ServerFrame)
      : undefined;
  } catch {
    return undefined;
  }
}
