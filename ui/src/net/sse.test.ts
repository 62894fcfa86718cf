import { describe, expect, test } from "vitest";
import { type ServerSentEvent, SseParser } from "./sse";

const STREAM = [
  ": a comment\n\n",
  'id: 1\nevent: run.started\ndata: {"run_id":"r"}\n\n',
  "id: 2\r\nevent: text.delta\r\ndata: Grüße — 你好 🌉\r\n\r\n",
  "data: one\rdata: two\r\r",
  "id:3\nevent:x\ndata:no space\ndata\ndata:  two spaces\n\n",
  "event: nothing\n\n",
  "retry: 10\nunknown: field\nid: 4\ndata: last\n\n",
  "data: cut off",
].join("");

const EXPECTED: ServerSentEvent[] = [
  { id: "1", event: "run.started", data: '{"run_id":"r"}' },
  { id: "2", event: "text.delta", data: "Grüße — 你好 🌉" },
  { id: "2", event: "message", data: "one\ntwo" },
  { id: "3", event: "x", data: "no space\n\n two spaces" },
  { id: "4", event: "message", data: "last" },
];

const bytes = new TextEncoder().encode(STREAM);

function parse(cuts: readonly number[]): ServerSentEvent[] {
  const parser = new SseParser();
  const edges = [0, ...[...cuts].sort((a, b) => a - b), bytes.length];
  return edges.slice(1).flatMap((end, at) => parser.push(bytes.subarray(edges[at], end)));
}

/** Reproducible random numbers. */
function* random(seed: number): Generator<number, never> {
  let state = seed;
  for (;;) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    yield state / 2 ** 32;
  }
}

describe("server-sent events", () => {
  test("in one chunk", () => {
    expect(parse([])).toEqual(EXPECTED);
  });

  test("split at every byte, including inside a character or a line end", () => {
    for (let cut = 0; cut <= bytes.length; cut += 1)
      expect(parse([cut]), `cut at ${cut}`).toEqual(EXPECTED);
  });

  test("byte by byte", () => {
    expect(parse([...bytes.keys()])).toEqual(EXPECTED);
  });

  test("split at random positions", () => {
    const numbers = random(7);
    for (let round = 0; round < 500; round += 1) {
      const count = Math.floor(numbers.next().value * 12);
      const cuts = Array.from({ length: count }, () =>
        Math.floor(numbers.next().value * bytes.length),
      );
      expect(parse(cuts), `cut at ${cuts}`).toEqual(EXPECTED);
    }
  });
});
