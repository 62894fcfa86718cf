import { describe, expect, test } from "vitest";
import { nameRefusal, sameName } from "./names";

describe("a name that cannot be used", () => {
  test.each(["a/b", "a\\b", "50%", "who?", "#1", "/", "50％", "a／b"])(
    "%s holds a sign of addresses",
    (name) => {
      expect(nameRefusal(name)).toContain("none of the signs / \\ % ? #");
    },
  );

  test.each([".", "..", "...", ".ada", "ada.", ".ada.", "．ada"])(
    "%s has a dot at an end",
    (name) => {
      expect(nameRefusal(name)).toContain("dots only between other characters");
    },
  );

  test("spaces and too many characters are refused, characters being counted and not their code units", () => {
    expect(nameRefusal("ada l")).toContain("spaces");
    expect(nameRefusal("a".repeat(33))).toContain("32");
    expect(nameRefusal("𝔞".repeat(32))).toBeUndefined();
  });

  test.each(["ada.l", "ada", "Zoë", "李", "a..b", "ada-l_2", "a@b!"])(
    "%s is left to the server",
    (name) => {
      expect(nameRefusal(name)).toBeUndefined();
    },
  );
});

test("names that differ in case or in how they are composed are one name", () => {
  expect(sameName("Zoe\u0308", "zoë")).toBe(true);
  expect(sameName("Bob", "bob ")).toBe(true);
  expect(sameName("bob", "rob")).toBe(false);
});
