// What the page says when linking or recovering fails.

import type { LinkFailure } from "../../domain/linking/failure";
import type { MissingHistory } from "../../domain/linking/new-device";
import type { UnsentHistory } from "../../domain/linking/old-device";
import type { CodeFault, RecoveryFailure } from "../../domain/recovery";

export interface Explanation {
  readonly title: string;
  readonly detail: string;
  /** Someone may be attacking: shown with a warning sign. */
  readonly alarming: boolean;
}

const ATTACK =
  "Someone may be trying to get into your account, or the server may be trying to read your messages.";

const WORDS: Record<LinkFailure, [title: string, detail: string, alarming?: true]> = {
  expired: ["The code has expired", "A code works for ten minutes. Get a new one and try again."],
  "unknown-code": [
    "No browser shows this code",
    "Check the eight digits. The code changes each time, and works for ten minutes.",
  ],
  "rate-limited": ["Too many attempts", "Wait a few minutes, then try again with a new code."],
  cancelled: [
    "Linking was cancelled on the other device",
    "Nothing was linked. You can start again.",
  ],
  mismatch: [
    "The emoji didn’t match",
    `Nothing was linked. Check that you’re holding the right device. ${ATTACK}`,
    true,
  ],
  "mismatch-there": [
    "The emoji didn’t match on the other device",
    `Nothing was linked. Check that you’re holding the right device. ${ATTACK}`,
    true,
  ],
  "wrong-device": [
    "This isn’t the browser you scanned",
    `The server presented another browser than the one that shows the code. Nothing was linked. ${ATTACK}`,
    true,
  ],
  "wrong-commitment": [
    "The new browser didn’t keep its promise",
    `Its secret number isn’t the one it committed to. Nothing was linked. ${ATTACK}`,
    true,
  ],
  "wrong-answer": [
    "The server answered wrongly",
    `It relayed something the other device doesn’t send. Nothing was linked. ${ATTACK}`,
    true,
  ],
  "wrong-account": [
    "The two browsers use different accounts",
    "A browser that already has a username can only be linked to that account. To use another one, sign out first.",
  ],
  "not-approved": [
    "The server doesn’t list this browser",
    `The signed list of your account’s devices lacks this browser, or isn’t valid. This browser signed out again. ${ATTACK}`,
    true,
  ],
  "log-changed": [
    "Your list of devices changed",
    "Check your devices in Settings, then try again.",
  ],
  "known-device": [
    "This browser was approved before",
    "It can’t be approved twice. Sign out in the other browser, then link it again.",
  ],
  "too-many-devices": [
    "Your account has too many devices",
    "Remove one that you no longer use in Settings, then try again.",
  ],
  "not-allowed": [
    "This browser can’t link devices",
    "It’s signed out, or another browser already entered this code.",
  ],
  offline: ["Can’t reach the server", "Check your connection and try again."],
  server: ["The server couldn’t do this", "Try again later."],
  unexpected: [
    "Something went wrong in this browser",
    "Check that this site may store data, then try again.",
  ],
};

export function explain(failure: LinkFailure): Explanation {
  const [title, detail, alarming = false] = WORDS[failure];
  return { title, detail, alarming };
}

const MISSING: Record<MissingHistory, string> = {
  skipped: "You didn’t wait for all earlier messages.",
  stopped: "Some earlier messages didn’t arrive, because the other device stopped sending.",
  "chunk-missing": "Some earlier messages didn’t arrive, because the server left out a part.",
  damaged: "Some earlier messages were damaged on the way, so they aren’t shown.",
};

export function missingText(missing: MissingHistory): string {
  return MISSING[missing];
}

const UNSENT: Record<UnsentHistory, string> = {
  older: "Your oldest messages didn’t fit. They stay on this device.",
  stopped: "The new browser didn’t receive all earlier messages.",
};

export function unsentText(unsent: UnsentHistory): string {
  return UNSENT[unsent];
}

export function recoveryText(failure: RecoveryFailure): string {
  switch (failure.kind) {
    case "code":
      return codeText(failure.fault);
    case "unknown-code":
      return "No account has this recovery code. It may have been replaced, or the account expired.";
    case "rate-limited":
      return "Too many attempts. Wait a few minutes, then try again.";
    case "wrong-answer":
      return "The server answered wrongly: what it stored doesn’t belong to this code. Don’t trust this server.";
    case "log-changed":
      return "Your list of devices changed at the same time. Try again.";
    case "offline":
      return "Can’t reach the server. Check your connection and try again.";
    case "server":
      return "The server couldn’t do this. Try again later.";
    case "unexpected":
      return "Something went wrong in this browser. Check that this site may store data, then try again.";
  }
}

function codeText(fault: CodeFault): string {
  switch (fault.fault) {
    case "too-short":
      return `The code is too short: ${fault.missing} more of its 28 letters and digits.`;
    case "too-long":
      return "The code is too long: it has 28 letters and digits.";
    case "character":
      return `A code never contains “${fault.character}”. Check group ${Math.ceil(fault.position / 4)}.`;
    case "check":
      return "This isn’t a recovery code: at least one letter or digit is wrong.";
  }
}
