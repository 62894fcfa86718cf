import { expect, test } from "vitest";
import { parse, pathOf } from "./router";

const ID = "0123456789abcdef0123456789abcdef";

test("a conversation's URL contains the account id", () => {
  const route = { name: "people", person: { account: ID } } as const;
  expect(pathOf(route)).toBe(`/people/${ID}`);
  expect(parse(`/people/${ID}`)).toEqual(route);
});

test("a URL with a username round-trips for any characters", () => {
  for (const username of ["ada.l", "50%", "who?", "#1", "李", "a b", ID.slice(1)]) {
    const route = { name: "people", person: { username } } as const;
    expect(parse(pathOf(route))).toEqual(route);
  }
  expect(pathOf({ name: "people", person: { username: "50%?#" } })).toBe("/people/50%25%3F%23");
});

test("invalid percent-encoding is used as is", () => {
  expect(parse("/people/50%")).toEqual({ name: "people", person: { username: "50%" } });
  expect(parse("/people")).toEqual({ name: "people", person: undefined });
});

test("the address in a link's QR code carries its code and the device", () => {
  const device = "A".repeat(43);
  expect(parse("/link")).toEqual({ name: "link", code: undefined });
  expect(parse("/link", `#code=12345678&device=${device}`)).toEqual({
    name: "link",
    code: { code: "12345678", fingerprint: new Uint8Array(32) },
  });
  expect(parse("/link", "#code=1234&device=AAAA")).toEqual({ name: "link", code: undefined });
  expect(pathOf(parse("/recover"))).toBe("/recover");
});
