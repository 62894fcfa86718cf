import { expect, test } from "vitest";
import { compare } from "./comparison";

const OWN = "0123456789".repeat(6);

test("a scanned safety number is the same, another one, or none", () => {
  expect(compare(OWN, OWN)).toBe("same");
  expect(compare(OWN, OWN.replace(/(.{5})/g, "$1 "))).toBe("same");
  expect(compare(OWN, `1${OWN.slice(1)}`)).toBe("different");
  for (const text of ["", OWN.slice(1), `${OWN}0`, "https://chat.example/link#code=12345678"])
    expect(compare(OWN, text)).toBe("not-a-number");
});
