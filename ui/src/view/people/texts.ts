// What is said in a conversation that neither person wrote.

import { sameName } from "../../domain/names";
import type {
  ConversationRecord,
  MessageProblem,
  Notice,
  Warning,
} from "../../domain/people/records";

const PROBLEMS: Record<MessageProblem, string> = {
  malformed: "A message came that is not in the expected form. It was refused.",
  misdirected: "A message came under wrong names. It was refused.",
  forged: "A message came whose signature is not the sender’s. It was refused.",
  undecryptable: "This message could not be decrypted.",
  "unknown-device": "A message from an unknown device was refused.",
  replay: "An old message was sent again. It was refused.",
  "not-for-this-device":
    "This message was written before this device was known, so it cannot be read here.",
};

export function problemText(problem: MessageProblem): string {
  return PROBLEMS[problem];
}

export function warningText(warning: Warning): string {
  switch (warning.kind) {
    case "gap":
      return warning.missing === 1
        ? "One message before this one never arrived."
        : `${warning.missing} messages before this one never arrived.`;
    case "fork":
      return "This message does not continue the one before it. One of them may have been exchanged.";
    case "stranger":
      return "This message was also encrypted for a device that is not listed. Compare safety numbers.";
  }
}

/** `name` is how the person is called now; a rename remembers both names. */
export function noticeText(line: Notice, name: string): string {
  if (line.notice === "renamed") return `${line.from} is now called ${line.to}.`;
  const { count } = line;
  switch (line.notice) {
    case "device-added":
      return count === 1 ? `${name} uses a new device.` : `${name} uses ${count} new devices.`;
    case "device-removed":
      return count === 1
        ? `${name} no longer uses a device.`
        : `${name} no longer uses ${count} devices.`;
    case "device-conflict":
      return `The server lists other keys for a device of ${name}. Do not write until you have talked.`;
    case "verified":
      return `You marked ${name} as verified.`;
    case "unverified":
      return `${name} is no longer marked as verified.`;
  }
}

/** Who is, or was, known by a name that another account has now. */
export function namesakeText(
  name: string,
  { username }: Pick<ConversationRecord, "username">,
): string {
  return sameName(username, name)
    ? `You talked with a ${username} who has another account.`
    : `The ${name} you talked with is called ${username} now.`;
}
