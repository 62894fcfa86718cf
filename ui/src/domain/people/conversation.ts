// A conversation as the view shows it: decrypted lines with their delivery state.

import { type Lifetime, unlock } from "../../crypto";
import type { ConversationId } from "../../protocol/wire";
import type { Archive } from "../ports";
import { namesakeOf } from "./naming";
import {
  type ConversationRecord,
  type MessageProblem,
  type MessageRecord,
  type Notice,
  PENDING,
  type Warning,
} from "./records";

export type Delivery = "sending" | "sent" | "received" | "read" | "failed";

export type Line = { readonly id: string; readonly at: string; readonly mine: boolean } & (
  | {
      readonly kind: "text";
      readonly text: string;
      readonly warnings: readonly Warning[];
      readonly delivery: Delivery;
      readonly failed: string | undefined;
    }
  | {
      readonly kind: "lifetime";
      /** Seconds; 0: messages are kept. */
      readonly seconds: Lifetime;
      readonly warnings: readonly Warning[];
      readonly failed: string | undefined;
    }
  | {
      readonly kind: "problem";
      readonly problem: MessageProblem;
      readonly warnings: readonly Warning[];
    }
  | Notice
);

export interface Conversation {
  readonly record: ConversationRecord;
  readonly lines: readonly Line[];
  readonly more: boolean;
  /** Another contact who is, or was, known by this person's name on this device. */
  readonly namesake: ConversationRecord | undefined;
}

export interface Summary {
  readonly conversation: ConversationRecord;
  readonly preview: string;
  readonly unread: number;
}

const SUMMARY_DEPTH = 50;

export class ConversationReader {
  readonly #archive: Archive;
  readonly #history: CryptoKey;
  readonly #me: string;
  /** Cache of decrypted texts by context. */
  readonly #opened = new Map<string, string>();

  constructor(archive: Archive, history: CryptoKey, me: string) {
    this.#archive = archive;
    this.#history = history;
    this.#me = me;
  }

  async conversation(id: ConversationId, limit: number): Promise<Conversation | undefined> {
    const conversation = await this.#archive.get("conversations", id);
    if (!conversation) return undefined;
    const records = await this.#archive.latest(id, limit);
    const lines = await Promise.all(records.map((record) => this.#line(record, conversation)));
    const namesake = namesakeOf(conversation, await this.#archive.all("conversations"));
    return { record: conversation, lines, more: records.length === limit, namesake };
  }

  async summary(conversation: ConversationRecord): Promise<Summary> {
    const records = await this.#archive.latest(conversation.id, SUMMARY_DEPTH);
    const last = records.findLast((record) => record.body.kind === "text");
    const preview = last ? await this.#text(last) : "";
    const isUnread = (record: MessageRecord) =>
      record.sender !== this.#me &&
      record.body.kind !== "notice" &&
      record.order > conversation.readUpto;
    return { conversation, preview, unread: records.filter(isUnread).length };
  }

  /** Drops the decrypted text of a deleted message. */
  forget(record: MessageRecord): void {
    this.#opened.delete(contextOf(record));
  }

  async #line(record: MessageRecord, conversation: ConversationRecord): Promise<Line> {
    const { id, at, body } = record;
    const common = { id, at, mine: record.sender === this.#me };
    if (body.kind === "problem") return { ...common, ...body, warnings: body.warnings ?? [] };
    if (body.kind === "notice") return { ...common, ...body };
    if (body.kind === "lifetime") return { ...common, ...body, failed: record.failed };
    const delivery = deliveryOf(record, conversation);
    const text = await this.#text(record);
    const { warnings } = body;
    return { ...common, kind: "text", text, warnings, delivery, failed: record.failed };
  }

  async #text(record: MessageRecord): Promise<string> {
    if (record.body.kind !== "text") return "";
    const context = contextOf(record);
    const text =
      this.#opened.get(context) ?? (await unlock(this.#history, context, record.body.locked)) ?? "";
    this.#opened.set(context, text);
    return text;
  }
}

function contextOf({ conversation, id }: MessageRecord): string {
  return `${conversation}/${id}`;
}

function deliveryOf(record: MessageRecord, conversation: ConversationRecord): Delivery {
  if (record.failed !== undefined) return "failed";
  if (record.order >= PENDING) return "sending";
  if (record.order <= conversation.peerReadUpto) return "read";
  return record.order <= conversation.peerReceivedUpto ? "received" : "sent";
}
