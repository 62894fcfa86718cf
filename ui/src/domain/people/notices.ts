// Notices that the page adds to a conversation.

import type { Change } from "../ports";
import type { ConversationRecord, Notice } from "./records";

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
