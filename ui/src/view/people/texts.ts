// Texts that the page itself shows in a conversation.

import { sameName } from "../../domain/names";
import type {
  ConversationRecord,
  MessageProblem,
  Notice,
  Warning,
} from "../../domain/people/records";

const PROBLEMS: Record<MessageProblem, string> = {
  malformed: "This message is damaged, so it can’t be shown.",
  misdirected: "This message was blocked because its sender or conversation doesn’t match.",
  forged: "This message was blocked because its signature isn’t valid.",
  undecryptable: "This message can’t be decrypted.",
  "unknown-device": "A message from an unknown device was blocked.",
  replay: "An old message was sent again and blocked.",
  "not-for-this-device":
    "This message was sent before this device was added, so you can’t read it here.",
};

export function problemText(problem: MessageProblem): string {
  return PROBLEMS[problem];
}

export function warningText(warning: Warning): string {
  switch (warning.kind) {
    case "gap":
      return warning.missing === 1
        ? "A message before this one is missing."
        : `${warning.missing} messages before this one are missing.`;
    case "fork":
      return "This message doesn’t follow the one before it. One of them may have been replaced.";
    case "stranger":
      return "This message was also encrypted for an unknown device. Compare safety numbers.";
    case "unconfirmed":
      return "This message is from a device of yours that you haven’t confirmed.";
  }
}

/** `name` is the person's current name; a rename contains both names. */
export function noticeText(line: Notice, name: string): string {
  if (line.notice === "renamed") return `${line.from} is now called ${line.to}.`;
  const { count } = line;
  switch (line.notice) {
    case "device-added":
      return count === 1 ? `${name} added a device.` : `${name} added ${count} devices.`;
    case "device-removed":
      return count === 1 ? `${name} removed a device.` : `${name} removed ${count} devices.`;
    case "device-conflict":
      return `The keys of one of ${name}’s devices don’t match. Check with them another way before you reply.`;
    case "verified":
      return `You marked ${name} as verified.`;
    case "unverified":
      return `${name} is no longer verified.`;
  }
}

/** Describes a contact who is, or was, known by a name that another account now has. */
export function namesakeText(
  name: string,
  { username }: Pick<ConversationRecord, "username">,
): string {
  return sameName(username, name)
    ? `You’ve chatted with another ${username} before.`
    : `The ${name} you chatted with is now called ${username}.`;
}
