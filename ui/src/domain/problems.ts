// What went wrong, in words for a person, and whether another attempt makes sense.

import { OfflineError, ProblemError } from "../net";
import type { Problem, ProblemType } from "../protocol/wire";

export interface Trouble {
  readonly title: string;
  readonly detail: string;
  readonly retry: boolean;
  readonly type?: ProblemType;
}

const WORDS: Partial<Record<ProblemType, [title: string, detail: string, retry: boolean]>> = {
  unauthenticated: ["You are signed out", "Reload the page to start again.", false],
  "device-removed": ["This device was removed", "Another device of the account removed it.", false],
  "not-found": ["This is not here (any more)", "It may have been deleted or has expired.", false],
  "run-active": ["An answer is still being written", "Wait for it, or stop it first.", true],
  "run-expired": ["The answer is no longer available", "Ask once more.", true],
  "too-large": ["This message is too long", "Shorten it and send it again.", false],
  "context-too-long": [
    "This conversation has become too long",
    "Start a new chat to go on.",
    false,
  ],
  "content-filtered": [
    "The model provider declined this message",
    "Word it differently and try again.",
    false,
  ],
  "rate-limited": ["Too many requests at once", "Wait a moment, then try again.", true],
  "quota-exhausted": ["Your share of tokens is used up", "It fills up again with time.", true],
  "upstream-unavailable": [
    "The model does not answer",
    "The model provider is unavailable at the moment.",
    true,
  ],
  "store-unavailable": [
    "The server is catching its breath",
    "Its store does not answer. Nothing was lost.",
    true,
  ],
};

export function troubleOf(error: unknown): Trouble {
  if (error instanceof ProblemError) return troubleOfProblem(error.problem);
  if (error instanceof OfflineError) {
    return {
      title: "No connection",
      detail: "The server cannot be reached. Check your network.",
      retry: true,
    };
  }
  return {
    title: "Something went wrong",
    detail: error instanceof Error ? error.message : "",
    retry: true,
  };
}

export function troubleOfProblem(problem: Problem): Trouble {
  const words = WORDS[problem.type];
  if (!words)
    return { title: problem.title, detail: problem.detail ?? "", retry: true, type: problem.type };
  const [title, detail, retry] = words;
  const wait = problem.retry_after === undefined ? "" : ` Try again in ${problem.retry_after} s.`;
  return { title, detail: detail + wait, retry, type: problem.type };
}
