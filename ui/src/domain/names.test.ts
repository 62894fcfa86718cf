import { describe, expect, test } from "vitest";
import { nameError, sameName } from "./names";

describe("an invalid username", () => {
  test.each(["a/b", "a\\b", "50%", "who?", "#1", "/", "50％", "a／b"])(
    "%s contains a URL character",
    (name) => {
      expect(nameError(name)).toContain("can’t contain / \\ % ? or #");
    },
  );

  test.each([".", "..", "...", ".ada", "ada.", ".ada.", "．ada"])(
    "%s starts or ends with a dot",
    (name) => {
      expect(nameError(name)).toContain("start or end with a dot");
    },
  );

  test("spaces and more than 32 characters are rejected; surrogate pairs count as one", () => {
    expect(nameError("ada l")).toContain("spaces");
    expect(nameError("a".repeat(33))).toContain("32");
    expect(nameError("𝔞".repeat(32))).toBeUndefined();
  });

  test.each(["ada.l", "ada", "Zoë", "李", "a..b", "ada-l_2", "a@b!"])(
    "%s is valid on the client",
    (name) => {
      expect(nameError(name)).toBeUndefined();
    },
  );
});

test("names that differ in case or Unicode form are the same", () => {
  expect(sameName("Zoe\u0308", "zoë")).toBe(true);
  expect(sameName("Bob", "bob ")).toBe(true);
  expect(sameName("bob", "rob")).toBe(false);
});
