import { describe, expect, test } from "vitest";
import { CLOSE, type ClientFrame, type ServerFrame } from "../protocol/wire";
import { Backoff } from "./backoff";
import { TestClock } from "./clock.testing";
import { Live, type LiveListener, type LiveState, type SocketEvents } from "./live";

class TestSocket {
  readonly sent: ClientFrame[] = [];
  closed = false;

  constructor(readonly events: SocketEvents) {}

  send(text: string): void {
    this.sent.push(JSON.parse(text) as ClientFrame);
  }

  close(): void {
    this.closed = true;
  }

  receive(frame: ServerFrame): void {
    this.events.message(JSON.stringify(frame));
  }
}

const LIMITS = {
  max_frame: 1,
  max_devices: 1,
  max_watched: 1,
  ping_seconds: 25,
  key_rotation_seconds: 1,
  retention_seconds: 1,
};

function arrange(random = () => 1) {
  const clock = new TestClock();
  const sockets: TestSocket[] = [];
  const states: LiveState["kind"][] = [];
  const positions: number[] = [];
  const unopened: number[] = [];
  const listener: LiveListener = {
    hello: async () => ({ device: "d1", resume: 7 }),
    welcome: () => undefined,
    event: (position) => void positions.push(position),
    notice: () => undefined,
    rejected: () => undefined,
    unopened: () => void unopened.push(clock.now()),
    state: (state) => void states.push(state.kind),
  };
  const open = (events: SocketEvents) => {
    const socket = new TestSocket(events);
    sockets.push(socket);
    return socket;
  };
  const live = new Live(open, clock, random, listener);
  const last = () => {
    const socket = sockets.at(-1);
    if (!socket) throw new Error("no socket was opened");
    return socket;
  };
  const welcome = async () => {
    last().events.opened();
    await Promise.resolve();
    await Promise.resolve();
    const id = last().sent[0]?.id ?? 0;
    const frame = { connection: "c", account: "a", resume: 7, recovered: true, limits: LIMITS };
    last().receive({ type: "welcome", id, ...frame });
  };
  return { live, clock, sockets, states, positions, unopened, last, welcome };
}

describe("backoff", () => {
  test("the bound doubles with each failure up to the cap, and resets after a success", () => {
    const backoff = new Backoff(() => 1, { base: 500, cap: 4000 });
    expect([1, 2, 3, 4, 5].map(() => backoff.next())).toEqual([500, 1000, 2000, 4000, 4000]);
    backoff.reset();
    expect(backoff.next()).toBe(500);
  });

  test("the whole range below the bound is used", () => {
    expect(new Backoff(() => 0).next()).toBe(0);
    expect(new Backoff(() => 0.5, { base: 500, cap: 500 }).next()).toBe(250);
  });
});

describe("the live connection", () => {
  test("sends hello first, then matches answers to requests", async () => {
    const { live, last, welcome, states } = arrange();
    live.start();
    await welcome();
    expect(last().sent[0]?.do).toEqual({ type: "hello", device: "d1", resume: 7 });
    expect(states).toEqual(["connecting", "online"]);
    const first = live.request({ type: "lobby", on: true });
    const second = live.request({ type: "received", upto: 1 });
    const [, lobby, received] = last().sent;
    last().receive({ type: "ok", id: received?.id ?? 0 });
    last().receive({
      type: "err",
      id: lobby?.id ?? 0,
      code: "username-required",
      message: "no",
      temporary: false,
    });
    await expect(second).resolves.toMatchObject({ type: "ok" });
    await expect(first).rejects.toMatchObject({ code: "username-required", temporary: false });
  });

  test("reconnects with growing delays, and resets them after a stable connection", async () => {
    const { live, clock, sockets, last, welcome } = arrange();
    live.start();
    for (const pause of [500, 1000, 2000]) {
      last().events.closed(1006);
      const before = sockets.length;
      clock.advance(pause - 1);
      expect(sockets).toHaveLength(before);
      clock.advance(1);
      expect(sockets).toHaveLength(before + 1);
    }
    await welcome();
    clock.advance(10_000);
    last().events.closed(CLOSE.drain);
    expect(live.state).toMatchObject({ kind: "waiting", retryAt: clock.now() + 500 });
  });

  test("waits for the delay of a bye plus jitter", async () => {
    const { live, clock, last, welcome } = arrange();
    live.start();
    await welcome();
    last().receive({ type: "bye", code: CLOSE.drain, retry_after: 3000 });
    last().events.closed(CLOSE.drain);
    expect(live.state).toMatchObject({ kind: "waiting", retryAt: clock.now() + 3500 });
  });

  test.each(Object.entries(CLOSE))(
    "close code %s (%i) decides whether it reconnects",
    async (_, code) => {
      const { live, last, welcome } = arrange();
      live.start();
      await welcome();
      last().events.closed(code);
      expect(live.state.kind).toBe(code < 4500 ? "waiting" : "ended");
    },
  );

  test("reports a socket that closes before it opens: a rejected handshake, perhaps", async () => {
    const { live, clock, unopened, last, welcome } = arrange();
    live.start();
    last().events.closed(1006);
    expect(unopened).toHaveLength(1);
    clock.advance(500);
    await welcome();
    last().events.closed(1006);
    expect(unopened).toHaveLength(1);
  });

  test("resumes after a permanent close with the usual backoff", async () => {
    const { live, clock, sockets, last, welcome } = arrange();
    live.start();
    await welcome();
    last().events.closed(CLOSE.revoked);
    clock.advance(60_000);
    expect(sockets).toHaveLength(1);
    live.resume();
    expect(live.state).toMatchObject({ kind: "waiting", retryAt: clock.now() + 500 });
    clock.advance(500);
    expect(sockets).toHaveLength(2);
  });

  test("an unanswered request closes the connection and fails every request", async () => {
    const { live, clock, last, welcome, states } = arrange();
    live.start();
    await welcome();
    const request = live.request({ type: "received", upto: 1 });
    clock.advance(10_000);
    await expect(request).rejects.toMatchObject({ code: "lost", temporary: true });
    expect(last().closed).toBe(true);
    expect(states.at(-1)).toBe("waiting");
  });

  test("a silent connection is probed, and closed without an answer", async () => {
    const { live, clock, last, welcome } = arrange();
    live.start();
    live.probeWith({ type: "watch", users: [] });
    await welcome();
    clock.advance(45_000);
    expect(last().sent.at(-1)?.do).toEqual({ type: "watch", users: [] });
    clock.advance(10_000);
    expect(live.state.kind).toBe("waiting");
  });

  test("a missing welcome times out", () => {
    const { live, clock, states } = arrange();
    live.start();
    clock.advance(10_000);
    expect(states).toEqual(["connecting", "waiting"]);
  });

  test("events of an abandoned socket are ignored", async () => {
    const { live, clock, sockets, positions, welcome } = arrange(() => 0);
    live.start();
    sockets[0]?.events.closed(1006);
    clock.advance(0);
    await welcome();
    const event = { kind: "key_change", account: "a" } as const;
    sockets[0]?.receive({ type: "event", position: 1, event });
    sockets[0]?.events.closed(CLOSE.revoked);
    sockets[1]?.receive({ type: "event", position: 2, event });
    expect(positions).toEqual([2]);
    expect(live.state.kind).toBe("online");
  });

  test("a stopped connection does not reconnect", async () => {
    const { live, clock, sockets, welcome } = arrange();
    live.start();
    await welcome();
    live.stop();
    clock.advance(600_000);
    expect(sockets).toHaveLength(1);
    expect(clock.waiting).toBe(0);
    await expect(live.request({ type: "lobby", on: true })).rejects.toMatchObject({ code: "lost" });
  });
});
