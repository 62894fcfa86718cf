// Notices that the page adds to a conversation.

import type { LogFault } from "../../crypto";
import type { AccountId, ConversationId } from "../../protocol/wire";
import type { Archive, Change, Clock } from "../ports";
import type { DeviceChanges } from "./merge";
import {
  type ContactRecord,
  type ConversationRecord,
  type CountedNotice,
  type Notice,
  conversationOf,
} from "./records";
import { openFault, unapproved } from "./trust";

const FAULTS: Record<LogFault, CountedNotice> = {
  older: "log-older",
  fork: "log-fork",
  invalid: "log-invalid",
  "identity-changed": "identity-changed",
};

/** Placed after the last message with a `seq`. `nth` orders notices of the same millisecond. */
export function noticeChange(
  conversation: ConversationRecord,
  body: Notice,
  now: number,
  nth = 0,
): Change {
  return {
    table: "messages",
    put: {
      conversation: conversation.id,
      id: `notice/${now}/${String(nth).padStart(2, "0")}/${body.notice}`,
      order: conversation.lastSeq + 0.5,
      sender: conversation.peer,
      device: "",
      at: new Date(now).toISOString(),
      body,
    },
  };
}

/** Adds notices to conversations of this account that exist. */
export class NoticeBoard {
  readonly #archive: Archive;
  readonly #clock: Clock;
  readonly #me: AccountId;
  readonly #changed: (conversation: ConversationId) => Promise<void>;

  constructor(
    archive: Archive,
    clock: Clock,
    me: AccountId,
    changed: (conversation: ConversationId) => Promise<void>,
  ) {
    this.#archive = archive;
    this.#clock = clock;
    this.#me = me;
    this.#changed = changed;
  }

  async add(
    peer: AccountId,
    notices: readonly (readonly [kind: CountedNotice, count: number])[],
  ): Promise<void> {
    const record = await this.#archive.get("conversations", conversationOf(this.#me, peer));
    if (!record || notices.length === 0) return;
    const now = this.#clock.now();
    const changes = notices.map(([notice, count], nth) =>
      noticeChange(record, { kind: "notice", notice, count }, now, nth),
    );
    await this.#archive.commit(changes);
    await this.#changed(record.id);
  }
}

/** What a conversation says about changes of the other person's devices. */
export function noticesOf(changes: DeviceChanges): [kind: CountedNotice, count: number][] {
  const counts: [CountedNotice, number][] = [
    ["device-added", changes.added.length],
    ["device-removed", changes.removed.length],
    ["device-unlisted", changes.unlisted.length],
    ["device-unapproved", changes.unapproved.length],
    ["keys-rejected", changes.rejected.length],
  ];
  if (changes.fault) counts.push([FAULTS[changes.fault], 1]);
  return counts.filter(([, count]) => count > 0);
}

/** What a new conversation says about the other person's devices. */
export function standingNotices(contact: ContactRecord): [kind: CountedNotice, count: number][] {
  const fault = openFault(contact)?.fault;
  const rejected = contact.devices.filter((device) => device.rejected !== undefined);
  const counts: [CountedNotice, number][] = [
    ["device-unapproved", unapproved(contact).length],
    ["keys-rejected", rejected.length],
  ];
  if (fault) counts.push([FAULTS[fault], 1]);
  return counts.filter(([, count]) => count > 0);
}
