import { expect, test } from "vitest";
import { troubleOfProblem } from "./problems";

test.each([
  [undefined, "Try again later."],
  [1, "Try again in 1 second."],
  [7, "Try again in 7 seconds."],
  [300, "Try again in 5 minutes."],
  [7200, "Try again in 2 hours."],
])("a retry delay of %s seconds is shown as: %s", (seconds, text) => {
  const delay = seconds === undefined ? {} : { retry_after: seconds };
  const trouble = troubleOfProblem({ type: "rate-limited", title: "x", status: 429, ...delay });
  expect(trouble.detail).toBe(text);
});

test("a retry delay follows the rest of the text", () => {
  const problem = {
    type: "upstream-unavailable",
    title: "x",
    status: 503,
    retry_after: 2,
  } as const;
  expect(troubleOfProblem(problem).detail).toBe(
    "The model provider is unavailable right now. Try again in 2 seconds.",
  );
  const store = { type: "store-unavailable", title: "x", status: 503, retry_after: 2 } as const;
  expect(troubleOfProblem(store).detail).toBe("Nothing was lost. Try again in 2 seconds.");
});
