// The history that a linked device receives: contacts, conversations, chains and messages. Texts
// are encrypted with the history key of the device that stores them, so they are opened here and
// locked again there.

import {
  type Bytes,
  type OwnKeys,
  START,
  fromBase64url,
  fromUtf8,
  lock,
  readLog,
  toBase64url,
  unlock,
  utf8,
} from "../../crypto";
import type { AccountId, SignedEntry } from "../../protocol/wire";
import {
  type ChainRecord,
  type ContactRecord,
  type ConversationRecord,
  type MessageRecord,
  PENDING,
  peerOf,
} from "../people/records";
import type { Archive, Change } from "../ports";

type Item =
  | { readonly table: "contacts"; readonly record: SentContact }
  | { readonly table: "conversations"; readonly record: ConversationRecord }
  | { readonly table: "chains"; readonly record: ChainRecord }
  | { readonly table: "messages"; readonly record: SentMessage };

/** A device log is checked again by the device that receives it. */
type SentContact = Omit<ContactRecord, "log"> & {
  readonly log?: { readonly identityKey: Bytes; readonly entries: readonly SignedEntry[] };
};

type Body = MessageRecord["body"];
type TextBody = Omit<Extract<Body, { kind: "text" }>, "locked"> & { readonly text: string };
type SentMessage = Omit<MessageRecord, "body"> & {
  readonly body: Exclude<Body, { kind: "text" }> | TextBody;
};

export interface History {
  /** JSON texts of at most `CHUNK` bytes, except for single records that are larger. */
  readonly chunks: readonly Bytes[];
  readonly messages: number;
  /** True if the oldest messages did not fit. */
  readonly truncated: boolean;
}

/** Bytes of JSON in a chunk: encrypted and encoded, it fits into one message of a link. */
const CHUNK = 120 * 1024;
/** Together they fit into one link, with room for the other messages. */
const MAX_CHUNKS = 24;
/** More than fits into a link. */
const MAX_MESSAGES = 50_000;

/** Reads the history for another device: the newest messages first, as many as fit. */
export async function readHistory(
  archive: Archive,
  me: AccountId,
  keys: Pick<OwnKeys, "device" | "history">,
): Promise<History> {
  const packer = new Packer();
  for (const item of await wholeRecords(archive, me, keys.device)) packer.add(item);
  const conversations = await archive.all("conversations");
  const kept: MessageRecord[] = [];
  for (const { id } of conversations) kept.push(...(await archive.latest(id, MAX_MESSAGES)));
  const sent = kept.filter(({ order }) => order < PENDING);
  sent.sort((a, b) => (a.at < b.at ? 1 : -1));
  let messages = 0;
  for (const record of sent) {
    const item = await openMessage(record, keys.history);
    if (!packer.add({ table: "messages", record: item })) break;
    messages += 1;
  }
  return { chunks: packer.finish(), messages, truncated: messages < sent.length };
}

/**
 * Reads one chunk into changes to the archive of this device. Records that this device already has
 * are kept. Undefined if it is not a chunk.
 */
export async function importChunk(
  bytes: Bytes,
  archive: Archive,
  me: AccountId,
  keys: Pick<OwnKeys, "history">,
): Promise<Change[] | undefined> {
  const items = decode(bytes);
  if (!items) return undefined;
  const changes: Change[] = [];
  for (const item of items) {
    const change = await changeOf(item, me, keys.history);
    if (!change || !("put" in change)) return undefined;
    if (!(await isStored(archive, change))) changes.push(change);
  }
  return changes;
}

async function wholeRecords(archive: Archive, me: AccountId, device: string): Promise<Item[]> {
  const items: Item[] = [];
  for (const record of await archive.all("contacts"))
    if (record.account !== me) items.push({ table: "contacts", record: sentContact(record) });
  for (const record of await archive.all("chains")) items.push({ table: "chains", record });
  for (const record of await archive.all("conversations")) {
    items.push({ table: "conversations", record: { ...record, sent: START } });
    // For the other device, this device is a sender like any other.
    const { id: conversation, sent: link } = record;
    const chain = { conversation, sender: me, device, link };
    if (link.counter > 0) items.push({ table: "chains", record: chain });
  }
  return items;
}

function sentContact({ log, ...record }: ContactRecord): SentContact {
  if (!log) return record;
  const { identityKey, entries } = log;
  return { ...record, log: { identityKey, entries } };
}

async function openMessage(record: MessageRecord, key: CryptoKey): Promise<SentMessage> {
  const { body, ...rest } = record;
  if (body.kind !== "text") return { ...rest, body };
  const { locked, ...others } = body;
  const text = (await unlock(key, `${record.conversation}/${record.id}`, locked)) ?? "";
  return { ...rest, body: { ...others, text } };
}

async function changeOf(item: Item, me: AccountId, key: CryptoKey): Promise<Change | undefined> {
  switch (item.table) {
    case "contacts":
      return contactOf(item.record);
    case "chains":
      return isMine(item.record.conversation, me)
        ? { table: "chains", put: item.record }
        : undefined;
    case "conversations":
      return isMine(item.record.id, me) ? { table: "conversations", put: item.record } : undefined;
    case "messages": {
      const { body, ...rest } = item.record;
      if (!isMine(rest.conversation, me)) return undefined;
      if (body.kind !== "text") return { table: "messages", put: { ...rest, body } };
      const { text, ...others } = body;
      const locked = await lock(key, `${rest.conversation}/${rest.id}`, text);
      return { table: "messages", put: { ...rest, body: { ...others, locked } } };
    }
  }
}

async function contactOf({ log: sent, ...record }: SentContact): Promise<Change | undefined> {
  if (!sent) return { table: "contacts", put: record };
  const log = await readLog(record.account, sent.identityKey, sent.entries);
  return log && { table: "contacts", put: { ...record, log } };
}

const isMine = (conversation: string, me: AccountId) => peerOf(conversation, me) !== undefined;

async function isStored(archive: Archive, change: Change): Promise<boolean> {
  if (!("put" in change)) return false;
  switch (change.table) {
    case "contacts":
      return (await archive.get("contacts", change.put.account)) !== undefined;
    case "conversations":
      return (await archive.get("conversations", change.put.id)) !== undefined;
    case "chains": {
      const { conversation, sender, device } = change.put;
      return (await archive.get("chains", [conversation, sender, device])) !== undefined;
    }
    case "messages": {
      const { conversation, id } = change.put;
      return (await archive.get("messages", [conversation, id])) !== undefined;
    }
    default:
      return true;
  }
}

/** Fills chunks with items, one JSON text per line. */
class Packer {
  readonly #chunks: Bytes[] = [];
  #lines: Bytes[] = [];
  #size = 0;

  /** False if it does not fit anymore. */
  add(item: Item): boolean {
    const line = utf8(`${JSON.stringify(item, encodeBytes)}\n`);
    if (this.#size > 0 && this.#size + line.length > CHUNK) {
      if (this.#chunks.length === MAX_CHUNKS - 1) return false;
      this.#flush();
    }
    this.#lines.push(line);
    this.#size += line.length;
    return true;
  }

  /** At least one chunk. */
  finish(): readonly Bytes[] {
    this.#flush();
    return this.#chunks;
  }

  #flush(): void {
    const chunk = new Uint8Array(this.#size);
    let at = 0;
    for (const line of this.#lines) {
      chunk.set(line, at);
      at += line.length;
    }
    this.#chunks.push(chunk);
    this.#lines = [];
    this.#size = 0;
  }
}

function decode(chunk: Bytes): Item[] | undefined {
  const lines = fromUtf8(chunk)?.split("\n") ?? [];
  if (lines.pop() !== "") return undefined;
  try {
    return lines.map((line) => JSON.parse(line, decodeBytes) as Item);
  } catch {
    return undefined;
  }
}

/** JSON has no bytes. */
function encodeBytes(_: string, value: unknown): unknown {
  return value instanceof Uint8Array ? { bytes: toBase64url(value) } : value;
}

function decodeBytes(_: string, value: unknown): unknown {
  if (typeof value !== "object" || value === null || !("bytes" in value)) return value;
  return typeof value.bytes === "string" ? fromBase64url(value.bytes) : value;
}
