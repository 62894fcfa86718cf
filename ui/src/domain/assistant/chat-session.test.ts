import { describe, expect, test, vi } from "vitest";
import { Api, Http } from "../../net";
import { TestClock } from "../../net/clock.testing";
import { ChatSession } from "./chat-session";

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

/** A stream that the test writes to. */
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
  const chatSession = new ChatSession(
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
  const messages = () =>
    chatSession.state.value.messages.map(({ role, content, state }) => [role, content, state]);
  return { chatSession, requests, titles, messages };
}

describe("a chat session", () => {
  test("grows while the answer streams", async () => {
    const { response, write } = stream();
    const { chatSession, messages, titles } = arrange({ "POST /api/chat": () => response });
    chatSession.begin();
    const done = chatSession.ask("Why?", undefined);
    write(started + event(2, "text.delta", { text: "Be" }));
    await vi.waitFor(() =>
      expect(messages()).toEqual([
        ["user", "Why?", "done"],
        ["assistant", "Be", "writing"],
      ]),
    );
    write(event(3, "text.delta", { text: "cause" }) + event(4, "title", { title: "Reasons" }));
    await vi.waitFor(() => expect(messages().at(-1)).toEqual(["assistant", "Because", "writing"]));
    write(event(5, "run.completed", answer("Because.")));
    await done;
    expect(messages().at(-1)).toEqual(["assistant", "Because.", "done"]);
    expect(titles).toEqual(["Reasons"]);
    expect(chatSession.writing).toBe(false);
  });

  test("continues a streaming answer when it is opened", async () => {
    const info = {
      id: "s1",
      title: "",
      model: "m",
      message_count: 1,
      created_at: "",
      updated_at: "",
      active_run: "r1",
    };
    const { chatSession, messages, requests } = arrange({
      "GET /api/sessions/s1/info": () => Response.json(info),
      "GET /api/sessions/s1/messages": () =>
        Response.json({ messages: [message("m1", "user", "Why?")] }),
      "GET /api/runs/r1/events": () =>
        new Response(started + event(2, "run.completed", answer("Because."))),
    });
    await chatSession.load();
    expect(messages()).toEqual([
      ["user", "Why?", "done"],
      ["assistant", "Because.", "done"],
    ]);
    expect(requests).toContain("GET /api/runs/r1/events");
  });

  test("an unknown session starts empty", async () => {
    const { chatSession, messages } = arrange({});
    await chatSession.load();
    expect(chatSession.state.value.phase).toBe("ready");
    expect(messages()).toEqual([]);
  });

  test("stop is sent even if it was requested before the run had an id", async () => {
    const { response, write } = stream();
    const { chatSession, requests, messages } = arrange({
      "POST /api/chat": () => response,
      "POST /api/runs/r1/stop": () => new Response(null, { status: 204 }),
    });
    chatSession.begin();
    const done = chatSession.ask("Why?", undefined);
    await chatSession.stop();
    expect(requests).not.toContain("POST /api/runs/r1/stop");
    write(started + event(2, "text.delta", { text: "Be" }));
    await vi.waitFor(() => expect(requests).toContain("POST /api/runs/r1/stop"));
    write(event(3, "run.stopped", answer("Be")));
    await done;
    expect(messages().at(-1)).toEqual(["assistant", "Be", "stopped"]);
  });

  test("a failure has an error message, and the question can be asked again", async () => {
    const problem = { type: "upstream-unavailable", title: "x", status: 502 };
    let attempts = 0;
    const { chatSession, messages } = arrange({
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
    chatSession.begin();
    await chatSession.ask("Well?", undefined);
    expect(messages().at(-1)).toEqual(["assistant", "", "failed"]);
    expect(chatSession.state.value.messages.at(-1)?.trouble).toMatchObject({
      title: "The model isn’t responding",
      retry: true,
    });
    await chatSession.retry(undefined);
    expect(messages()).toEqual([
      ["user", "Well?", "done"],
      ["assistant", "Yes.", "done"],
    ]);
  });

  test("leaving during an answer changes nothing", async () => {
    const { response, write } = stream();
    const { chatSession, messages } = arrange({ "POST /api/chat": () => response });
    chatSession.begin();
    const done = chatSession.ask("Why?", undefined);
    write(started);
    await vi.waitFor(() => expect(chatSession.writing).toBe(true));
    chatSession.leave();
    await done;
    expect(messages().at(-1)).toEqual(["assistant", "", "writing"]);
  });
});
