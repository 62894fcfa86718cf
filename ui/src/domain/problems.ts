// Error messages for users, and whether retrying can help.

import { OfflineError, ProblemError } from "../net";
import type { Problem, ProblemType } from "../protocol/wire";

export interface Trouble {
  readonly title: string;
  readonly detail: string;
  readonly retry: boolean;
  readonly type?: ProblemType;
}

const LATER = "Try again later.";

const WORDS: Partial<Record<ProblemType, [title: string, detail: string, retry: boolean]>> = {
  unauthenticated: ["You’re signed out", "Reload the page to start again.", false],
  "device-removed": [
    "This device was removed",
    "Another device removed it from your account.",
    false,
  ],
  "not-found": ["Not found", "It may have been deleted or have expired.", false],
  conflict: ["Your devices changed at the same moment", "Try again.", true],
  "run-active": ["The assistant is still answering", "Wait until it finishes, or stop it.", true],
  "run-expired": ["This answer is no longer available", "Ask again.", true],
  "too-large": ["Your message is too long", "Shorten it and try again.", false],
  "context-too-long": ["This chat is too long", "Start a new chat to continue.", false],
  "content-filtered": [
    "The model provider rejected this message",
    "Rephrase it and try again.",
    false,
  ],
  "rate-limited": ["Too many requests", LATER, true],
  "quota-exhausted": ["You’ve reached your usage limit", LATER, true],
  "upstream-unavailable": [
    "The model isn’t responding",
    "The model provider is unavailable right now.",
    true,
  ],
  "store-unavailable": [
    "The server is temporarily unavailable",
    `Nothing was lost. ${LATER}`,
    true,
  ],
};

export function troubleOf(error: unknown): Trouble {
  if (error instanceof ProblemError) return troubleOfProblem(error.problem);
  if (error instanceof OfflineError) {
    return {
      title: "Can’t reach the server",
      detail: "Check your connection and try again.",
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
  const [title, text, retry] = words;
  const detail = problem.retry_after === undefined ? text : withDelay(text, problem.retry_after);
  return { title, detail, retry, type: problem.type };
}

/** Replaces the general hint to retry by the server's delay. */
function withDelay(text: string, seconds: number): string {
  return `${text.replace(LATER, "").trim()} Try again in ${duration(seconds)}.`.trim();
}

function duration(seconds: number): string {
  if (seconds < 90) return counted(Math.max(1, Math.round(seconds)), "second");
  const minutes = Math.round(seconds / 60);
  return minutes < 90 ? counted(minutes, "minute") : counted(Math.round(minutes / 60), "hour");
}

function counted(count: number, unit: string): string {
  return count === 1 ? `1 ${unit}` : `${count} ${unit}s`;
}
