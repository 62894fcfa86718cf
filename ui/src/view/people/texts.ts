// Texts that the page itself shows in a conversation.

import { sameName } from "../../domain/names";
import type {
  ConversationRecord,
  Lifetime,
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
  "removed-device": "A message from a device that was removed from its account was blocked.",
  "unapproved-device":
    "A message from a device that this person’s other devices haven’t approved was blocked.",
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
    case "removed-recipient":
      return "This message was also encrypted for a device that you removed. The server may be hiding the removal from the sender.";
    case "unapproved":
      return "This message is from a device that the account’s other devices haven’t approved. The server may have written it.";
    case "since-removed":
      return "This message is from a device that was removed since.";
    case "log-withheld":
      return "The sender knows newer device changes than the server shows here. It may be hiding a removed device.";
    case "log-fork":
      return "The server shows you and the sender different devices of this person. Don’t trust this server.";
    case "own-log-fork":
      return "The server shows the sender different devices of yours than you have. Don’t trust this server.";
    case "read-mismatch":
      return "The sender received another message than the one you sent. The server may have replaced it.";
    case "read-rollback":
      return "The sender has lost messages that it had received before.";
    case "clock":
      return `Written ${clockText(warning.written)}, but the server received it ${clockText(warning.received)}.`;
  }
}

/** Day and time, because the two may be days apart. */
function clockText(at: string): string {
  const time = new Date(at);
  if (Number.isNaN(time.getTime())) return "at an unknown time";
  const date = { dateStyle: "medium", timeStyle: "short" } as const;
  return `on ${new Intl.DateTimeFormat(undefined, date).format(time)}`;
}

const LIFETIMES: Record<Lifetime, string> = {
  0: "Off",
  86_400: "One day",
  604_800: "One week",
  2_592_000: "30 days",
};

/** For a choice: “Off” or a duration. */
export function lifetimeLabel(seconds: Lifetime): string {
  return LIFETIMES[seconds];
}

/** `who`: “You” or the person’s name. */
export function lifetimeText(seconds: Lifetime, who: string): string {
  return seconds === 0
    ? `${who} turned disappearing messages off.`
    : `${who} set messages to disappear after ${lifetimeLabel(seconds).toLowerCase()}.`;
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
    case "device-unlisted":
      return `The server no longer lists a device that ${name} hasn’t removed. Your messages won’t reach it.`;
    case "device-unapproved":
      return `The server lists a device that ${name}’s other devices haven’t approved. Your messages aren’t encrypted for it.`;
    case "keys-rejected":
      return `The server listed outdated or invalid keys for a device of ${name}. They aren’t used.`;
    case "log-older":
      return `The server left out changes of ${name}’s devices that you’ve seen before.`;
    case "log-fork":
      return `The server replaced changes of ${name}’s devices that you’ve seen before.`;
    case "log-invalid":
      return `The server sent changes of ${name}’s devices with wrong signatures.`;
    case "identity-changed":
      return `${name} has a new identity. Check with them another way that they started over.`;
    case "identity-accepted":
      return `You accepted ${name}’s new identity.`;
    case "log-kept":
      return `You continued with the devices of ${name} that you knew.`;
    case "log-accepted":
      return `You accepted other devices of ${name}.`;
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
