import { describe, expect, test } from "vitest";
import { nameRefusal, sameName } from "./names";

describe("a name that cannot be used", () => {
  test.each(["a/b", "a\\b", "50%", "who?", "#1", "/"])("%s is refused, with the sign that is to blame", (name) => {
    const sign = /[/\\%?#]/.exec(name)?.[0] ?? "";
    expect(nameRefusal(name)).toContain(`“${sign}”`);
  });

  test.each([".", "..", "..."])("%s has nothing but dots", (name) => {
    expect(nameRefusal(name)).toContain("dots only");
  });

  test.each([".ada", "ada.", ".ada."])("%s has a dot at an end", (name) => {
    expect(nameRefusal(name)).toContain("start or end with a dot");
  });

  test("spaces and too many characters are refused, characters being counted and not their code units", () => {
    expect(nameRefusal("ada l")).toContain("spaces");
    expect(nameRefusal("a".repeat(33))).toContain("32");
    expect(nameRefusal("𝔞".repeat(32))).toBeUndefined();
  });

  test.each(["ada.l", "ada", "Zoë", "李", "a..b", "ada-l_2", "a@b!"])("%s is left to the server", (name) => {
    expect(nameRefusal(name)).toBeUndefined();
  });
});

test("names that differ in case or in how they are composed are one name", () => {
  expect(sameName("Zoe\u0308", "zoë")).toBe(true);
  expect(sameName("Bob", "bob ")).toBe(true);
  expect(sameName("bob", "rob")).toBe(false);
});
