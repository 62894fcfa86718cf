import { describe, expect, test, vi } from "vitest";
import { Api, Http } from "../../net";
import { TestClock } from "../../net/clock.testing";
import { Dialogue } from "./dialogue";

const message = (id: string, role: string, content: string) => ({
  id,
  role,
  content,
  created_at: "2026-01-01T00:00:00Z",
});
const answer = (content: string) =>
  JSON.stringify({
    session_id: "s1",
    run_id: "r1",
    message: message("m2", "assistant", content),
    usage: { prompt_tokens: 1, completion_tokens: 1 },
  });
const event = (id: number, name: string, data: unknown) =>
  `id: ${id}\nevent: ${name}\ndata: ${typeof data === "string" ? data : JSON.stringify(data)}\n\n`;
const started = event(1, "run.started", { run_id: "r1", session_id: "s1" });

/** A stream that a test writes to. */
function stream() {
  let sink: ReadableStreamDefaultController<Uint8Array> | undefined;
  const body = new ReadableStream<Uint8Array>({ start: (controller) => void (sink = controller) });
  return {
    response: new Response(body),
    write: (text: string) => sink?.enqueue(new TextEncoder().encode(text)),
    end: () => sink?.close(),
  };
}

function arrange(routes: Record<string, () => Response>) {
  const requests: string[] = [];
  const http = new Http(async (path, { method }) => {
    requests.push(`${method} ${path}`);
    const route = routes[`${method} ${path}`];
    return (
      route?.() ??
      Response.json({ type: "not-found", title: "Not found", status: 404 }, { status: 404 })
    );
  });
  let next = 0;
  const titles: string[] = [];
  const dialogue = new Dialogue(
    {
      api: new Api(http),
      http,
      clock: new TestClock(),
      random: () => 0,
      newId: () => `id-${next++}`,
      ready: async () => undefined,
      changed: () => undefined,
      titled: (_, title) => void titles.push(title),
    },
    "s1",
  );
  const turns = () =>
    dialogue.state.value.turns.map(({ role, content, state }) => [role, content, state]);
  return { dialogue, requests, titles, turns };
}

describe("a dialogue", () => {
  test("grows as the answer is written", async () => {
    const { response, write } = stream();
    const { dialogue, turns, titles } = arrange({ "POST /api/chat": () => response });
    dialogue.begin();
    const done = dialogue.ask("Why?", undefined);
    write(started + event(2, "text.delta", { text: "Be" }));
    await vi.waitFor(() =>
      expect(turns()).toEqual([
        ["user", "Why?", "done"],
        ["assistant", "Be", "writing"],
      ]),
    );
    write(event(3, "text.delta", { text: "cause" }) + event(4, "title", { title: "Reasons" }));
    await vi.waitFor(() => expect(turns().at(-1)).toEqual(["assistant", "Because", "writing"]));
    write(event(5, "run.completed", answer("Because.")));
    await done;
    expect(turns().at(-1)).toEqual(["assistant", "Because.", "done"]);
    expect(titles).toEqual(["Reasons"]);
    expect(dialogue.writing).toBe(false);
  });

  test("goes on with an answer that is being written when it is opened", async () => {
    const info = {
      id: "s1",
      title: "",
      model: "m",
      message_count: 1,
      created_at: "",
      updated_at: "",
      active_run: "r1",
    };
    const { dialogue, turns, requests } = arrange({
      "GET /api/sessions/s1/info": () => Response.json(info),
      "GET /api/sessions/s1/messages": () =>
        Response.json({ messages: [message("m1", "user", "Why?")] }),
      "GET /api/runs/r1/events": () =>
        new Response(started + event(2, "run.completed", answer("Because."))),
    });
    await dialogue.load();
    expect(turns()).toEqual([
      ["user", "Why?", "done"],
      ["assistant", "Because.", "done"],
    ]);
    expect(requests).toContain("GET /api/runs/r1/events");
  });

  test("a session that nobody knows begins empty", async () => {
    const { dialogue, turns } = arrange({});
    await dialogue.load();
    expect(dialogue.state.value.phase).toBe("ready");
    expect(turns()).toEqual([]);
  });

  test("stop is told to the server, also when it is asked before the run has a name", async () => {
    const { response, write } = stream();
    const { dialogue, requests, turns } = arrange({
      "POST /api/chat": () => response,
      "POST /api/runs/r1/stop": () => new Response(null, { status: 204 }),
    });
    dialogue.begin();
    const done = dialogue.ask("Why?", undefined);
    await dialogue.stop();
    expect(requests).not.toContain("POST /api/runs/r1/stop");
    write(started + event(2, "text.delta", { text: "Be" }));
    await vi.waitFor(() => expect(requests).toContain("POST /api/runs/r1/stop"));
    write(event(3, "run.stopped", answer("Be")));
    await done;
    expect(turns().at(-1)).toEqual(["assistant", "Be", "stopped"]);
  });

  test("a failure is readable, and the question can be asked again", async () => {
    const problem = { type: "upstream-unavailable", title: "x", status: 502 };
    let attempts = 0;
    const { dialogue, turns } = arrange({
      "POST /api/chat": () => {
        attempts += 1;
        return new Response(
          started +
            (attempts === 1
              ? event(2, "run.failed", problem)
              : event(2, "run.completed", answer("Yes."))),
        );
      },
    });
    dialogue.begin();
    await dialogue.ask("Well?", undefined);
    expect(turns().at(-1)).toEqual(["assistant", "", "failed"]);
    expect(dialogue.state.value.turns.at(-1)?.trouble).toMatchObject({
      title: "The model does not answer",
      retry: true,
    });
    await dialogue.retry(undefined);
    expect(turns()).toEqual([
      ["user", "Well?", "done"],
      ["assistant", "Yes.", "done"],
    ]);
  });

  test("left in the middle of an answer, it is quiet", async () => {
    const { response, write } = stream();
    const { dialogue, turns } = arrange({ "POST /api/chat": () => response });
    dialogue.begin();
    const done = dialogue.ask("Why?", undefined);
    write(started);
    await vi.waitFor(() => expect(dialogue.writing).toBe(true));
    dialogue.leave();
    await done;
    expect(turns().at(-1)).toEqual(["assistant", "", "writing"]);
  });
});
