import { describe, expect, test } from "vitest";
import type { RunEvent } from "../protocol/wire";
import { TestClock } from "./clock.testing";
import { Http, OfflineError, ProblemError } from "./http";
import { type RunEnd, type RunSource, readRun } from "./runs";

const started = 'id: 1\nevent: run.started\ndata: {"run_id":"r1","session_id":"s1"}\n\n';
const delta = (id: number, text: string) =>
  `id: ${id}\nevent: text.delta\ndata: ${JSON.stringify({ text })}\n\n`;
const completed = (id: number) => `id: ${id}\nevent: run.completed\ndata: {}\n\n`;
const ASK: RunSource = {
  kind: "ask",
  request: { message: "hi" },
  key: "k1",
  ready: async () => undefined,
};

type Answer = string | Response | Error;

/** Reads a run from a server that returns these answers, one per request. */
async function read(source: RunSource, answers: Answer[]) {
  const clock = new TestClock();
  const requests: { path: string; headers: Headers }[] = [];
  const http = new Http(async (path, init) => {
    requests.push({ path, headers: new Headers(init.headers) });
    const answer = answers.shift() ?? new Error("no answer is left");
    if (answer instanceof Error) throw answer;
    return typeof answer === "string" ? new Response(answer) : answer;
  });
  const events: RunEvent[] = [];
  const interruptions: boolean[] = [];
  const listener = {
    event: (event: RunEvent) => void events.push(event),
    interrupted: (interrupted: boolean) => {
      interruptions.push(interrupted);
      // Skip the backoff delay.
      queueMicrotask(() => clock.advance(60_000));
    },
  };
  const parts = { http, clock, random: () => 0.5 };
  let end: RunEnd | Error;
  try {
    end = await readRun(parts, source, listener, new AbortController().signal);
  } catch (error) {
    end = error as Error;
  }
  const texts = events.flatMap((event) => (event.event === "text.delta" ? [event.data.text] : []));
  return { end, texts, requests, interruptions };
}

describe("reading a run", () => {
  test("a question is sent once, with its idempotency key", async () => {
    const { end, texts, requests } = await read(ASK, [
      started + delta(2, "Hel") + delta(3, "lo") + completed(4),
    ]);
    expect(end).toBe("last");
    expect(texts).toEqual(["Hel", "lo"]);
    expect(requests.map(({ path }) => path)).toEqual(["/api/chat"]);
    expect(requests[0]?.headers.get("idempotency-key")).toBe("k1");
  });

  test("after a lost connection it resumes after the last event", async () => {
    const { end, texts, requests, interruptions } = await read(ASK, [
      started + delta(2, "Hel"),
      new TypeError("network error"),
      delta(3, "lo") + completed(4),
    ]);
    expect(end).toBe("last");
    expect(texts).toEqual(["Hel", "lo"]);
    expect(requests.map(({ path }) => path)).toEqual([
      "/api/chat",
      "/api/runs/r1/events",
      "/api/runs/r1/events",
    ]);
    expect(requests[2]?.headers.get("last-event-id")).toBe("2");
    expect(interruptions).toEqual([false, true, true, false]);
  });

  test("a question without an answer is sent again with the same key", async () => {
    const { requests } = await read(ASK, [new TypeError("network error"), started + completed(2)]);
    expect(requests.map(({ path, headers }) => [path, headers.get("idempotency-key")])).toEqual([
      ["/api/chat", "k1"],
      ["/api/chat", "k1"],
    ]);
  });

  test("a run without more events is gone", async () => {
    const { end } = await read({ kind: "run", run: "r1" }, [new Response(null, { status: 204 })]);
    expect(end).toBe("gone");
  });

  test("a rejected question is not retried", async () => {
    const problem = { type: "content-filtered", title: "No", status: 422 };
    const { end, requests } = await read(ASK, [Response.json(problem, { status: 422 })]);
    expect(end).toBeInstanceOf(ProblemError);
    expect(end).toMatchObject({ problem: { type: "content-filtered" } });
    expect(requests).toHaveLength(1);
  });

  test("an unreachable server fails after several attempts", async () => {
    const { end, requests } = await read(ASK, []);
    expect(end).toBeInstanceOf(OfflineError);
    expect(requests.length).toBeGreaterThan(4);
    expect(requests.length).toBeLessThan(12);
  });
});
