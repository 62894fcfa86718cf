// Reads the events of a run: asks once, then resumes after each lost connection until the last
// event.

import type { ChatRequest, RunEvent, RunId } from "../protocol/wire";
import { Backoff } from "./backoff";
import { type Clock, sleep } from "./clock";
import { type Http, OfflineError, ProblemError, jsonBody } from "./http";
import { SseParser } from "./sse";

/** The server sends a comment every 15 s. A longer silence means a dead connection. */
const SILENCE = 40_000;
const MAX_ATTEMPTS = 8;
const LAST_EVENTS = new Set(["run.completed", "run.stopped", "run.failed"]);

export interface RunReaderParts {
  readonly http: Http;
  readonly clock: Clock;
  readonly random: () => number;
}

export type RunSource =
  /** A new question. The idempotency key makes a repeated request return the same run. */
  | {
      readonly kind: "ask";
      readonly request: ChatRequest;
      readonly key: string;
      /** Creates the account of this browser if there is none. */
      readonly ready: () => Promise<unknown>;
    }
  | { readonly kind: "run"; readonly run: RunId };

/** `gone`: nothing left to read; the session's history is complete. */
export type RunEnd = "last" | "gone" | "aborted";

export interface RunListener {
  event(event: RunEvent): void;
  /** True while a lost connection is being restored. */
  interrupted(interrupted: boolean): void;
}

/**
 * Resolves after the last event. Throws `ProblemError`, or `OfflineError` after too many attempts.
 */
export async function readRun(
  parts: RunReaderParts,
  source: RunSource,
  listener: RunListener,
  signal: AbortSignal,
): Promise<RunEnd> {
  const backoff = new Backoff(parts.random, { base: 400, cap: 8_000 });
  let position = "";
  let run = source.kind === "run" ? source.run : undefined;
  for (let attempt = 0; ; attempt += 1) {
    try {
      const response = await connect(parts.http, source, run, position, signal);
      if (response.status === 204 || !response.body) return "gone";
      listener.interrupted(false);
      for await (const event of events(response.body, parts.clock, signal)) {
        attempt = 0;
        backoff.reset();
        position = event.id;
        const parsed = { event: event.event, data: JSON.parse(event.data) as unknown } as RunEvent;
        if (parsed.event === "run.started") run = parsed.data.run_id;
        listener.event(parsed);
        if (LAST_EVENTS.has(event.event)) return "last";
      }
    } catch (error) {
      if (signal.aborted) return "aborted";
      if (!isTemporary(error) || attempt >= MAX_ATTEMPTS) throw error;
    }
    if (signal.aborted) return "aborted";
    if (attempt >= MAX_ATTEMPTS) throw new OfflineError();
    listener.interrupted(true);
    await sleep(parts.clock, 200 + backoff.next(), signal);
  }
}

async function connect(
  http: Http,
  source: RunSource,
  run: RunId | undefined,
  position: string,
  signal: AbortSignal,
): Promise<Response> {
  if (run === undefined && source.kind === "ask") {
    await source.ready();
    const { body, headers } = jsonBody(source.request);
    const ask = { ...headers, accept: "text/event-stream", "idempotency-key": source.key };
    return http.send("/api/chat", { method: "POST", body, headers: ask, signal });
  }
  const headers: Record<string, string> = { accept: "text/event-stream" };
  if (position !== "") headers["last-event-id"] = position;
  return http.send(`/api/runs/${encodeURIComponent(run ?? "")}/events`, {
    method: "GET",
    headers,
    signal,
  });
}

async function* events(body: ReadableStream<Uint8Array>, clock: Clock, signal: AbortSignal) {
  const reader = body.getReader();
  const parser = new SseParser();
  const abort = () => void reader.cancel().catch(() => undefined);
  signal.addEventListener("abort", abort);
  try {
    while (!signal.aborted) {
      const cancel = clock.after(SILENCE, abort);
      const { done, value } = await reader.read().finally(cancel);
      if (done) return;
      yield* parser.push(value);
    }
  } finally {
    signal.removeEventListener("abort", abort);
    abort();
  }
}

function isTemporary(error: unknown): boolean {
  if (error instanceof ProblemError)
    return error.status === 502 || error.status === 503 || error.status === 504;
  // Streams report a lost connection as a TypeError.
  return error instanceof OfflineError || error instanceof TypeError;
}
