// Lines that the page itself writes into a conversation.

import type { Change } from "../ports";
import type { ConversationRecord, NoticeKind } from "./records";

/** After the last message that has a `seq`. */
export function noticeChange(conversation: ConversationRecord, notice: NoticeKind, count: number, now: number): Change {
  return {
    table: "messages",
    put: {
      conversation: conversation.id,
      id: `notice/${now}/${notice}`,
      order: conversation.lastSeq + 0.5,
      sender: conversation.peer,
      device: "",
      at: new Date(now).toISOString(),
      body: { kind: "notice", notice, count },
    },
  };
}
