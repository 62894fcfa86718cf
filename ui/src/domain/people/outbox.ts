// Messages not yet acknowledged by the server: stored, encrypted once, sent in order, resent until
// `ok`.

import { type Lifetime, lock, randomId } from "../../crypto";
import { RequestError } from "../../net";
import type { AccountId, Request, Sent } from "../../protocol/wire";
import { Cell } from "../observable";
import type { Archive, Clock } from "../ports";
import type { Serial } from "../serial";
import type { Directory, Lists } from "./directory";
import { type Hold, holdOf } from "./holds";
import type { Keyring } from "./keyring";
import { confirm } from "./receive";
import {
  type ConversationRecord,
  type MessageRecord,
  type OutboxRecord,
  PENDING,
  messageId,
} from "./records";
import { sealRecord } from "./sealing";

export interface OutboxParts {
  readonly archive: Archive;
  readonly directory: Directory;
  readonly serial: Serial;
  readonly clock: Clock;
  readonly me: AccountId;
  readonly keyring: Keyring;
  /** Whether the server accepted this device's keys. */
  readonly registered: () => boolean;
  /** Sends a frame; rejects with `RequestError`. */
  readonly send: (request: Extract<Request, { type: "send" }>) => Promise<Sent | undefined>;
  readonly changed: (conversation: string) => void;
  /** The server confirmed a message. */
  readonly sent: () => void;
}

const RETRY = 2_000;

export class Outbox {
  readonly holds = new Cell<ReadonlyMap<AccountId, Hold>>(new Map());
  readonly #parts: OutboxParts;
  #pumping = false;
  #running: Promise<void> = Promise.resolve();
  #again = false;
  #stopped = false;
  #cancelRetry: () => void = () => undefined;

  constructor(parts: OutboxParts) {
    this.#parts = parts;
  }

  stop(): void {
    this.#stopped = true;
    this.#cancelRetry();
  }

  /** Resolves when the message is stored on this device. */
  async write(conversation: ConversationRecord, text: string): Promise<void> {
    const { history } = this.#parts.keyring;
    await this.#enqueue(conversation, async (id) => {
      const locked = await lock(history, `${conversation.id}/${id}`, text);
      return { kind: "text", locked, warnings: [] };
    });
  }

  /** Sets the lifetime of later messages for both people. */
  async setLifetime(conversation: ConversationRecord, seconds: Lifetime): Promise<void> {
    await this.#enqueue(conversation, async () => ({ kind: "lifetime", seconds, warnings: [] }));
  }

  async #enqueue(
    conversation: ConversationRecord,
    write: (id: string) => Promise<Extract<MessageRecord["body"], { kind: "text" | "lifetime" }>>,
  ): Promise<void> {
    const { archive, serial, clock, me, keyring } = this.#parts;
    const { id, peer: to } = conversation;
    await serial.run(async () => {
      const cid = randomId();
      const body = await write(messageId(me, cid));
      const writtenAt = clock.now();
      const waiting = await archive.all("outbox");
      const order = Math.max(PENDING, ...waiting.map((record) => record.order)) + 1;
      const at = new Date(writtenAt).toISOString();
      const kept = (await archive.get("conversations", id)) ?? conversation;
      const lifetime =
        body.kind === "lifetime" ? { lifetime: { seconds: body.seconds, order } } : {};
      const sender = { sender: me, device: keyring.device };
      await archive.commit([
        {
          table: "messages",
          put: { conversation: id, id: messageId(me, cid), order, ...sender, at, body },
        },
        { table: "outbox", put: { cid, conversation: id, to, order, writtenAt } },
        { table: "conversations", put: { ...kept, ...lifetime, updatedAt: at } },
      ]);
    });
    this.#parts.changed(id);
    this.pump();
  }

  /** Sends waiting messages. Call when the connection is online or a hold may have ended. */
  pump(): void {
    this.#again = true;
    if (this.#pumping || this.#stopped) return;
    this.#pumping = true;
    this.#cancelRetry();
    this.#running = this.#run().finally(() => {
      this.#pumping = false;
    });
  }

  /** Resolves when every waiting message was sent or held back, or the connection was lost. */
  async idle(): Promise<void> {
    await this.#running.catch(() => undefined);
  }

  async #run(): Promise<void> {
    while (this.#again && !this.#stopped) {
      this.#again = false;
      const waiting = (await this.#parts.archive.all("outbox")).sort((a, b) => a.order - b.order);
      const held = new Set<string>();
      for (const record of waiting) {
        if (this.#stopped || held.has(record.conversation)) continue;
        try {
          if (!(await this.#sendOne(record))) held.add(record.conversation);
        } catch (error) {
          const wait =
            error instanceof RequestError && error.code === "lost" ? undefined : retryDelay(error);
          if (wait !== undefined)
            this.#cancelRetry = this.#parts.clock.after(wait, () => this.pump());
          return;
        }
      }
    }
  }

  /** False if the message is held back. */
  async #sendOne(record: OutboxRecord): Promise<boolean> {
    const ready = record.sealed ? record : await this.#seal(record);
    if (!ready?.sealed) return false;
    const { cid, to } = ready;
    const { envelope, lifetime } = ready.sealed;
    try {
      const sent = await this.#parts.send({
        type: "send",
        to,
        cid,
        ...(lifetime === 0 ? {} : { lifetime }),
        envelope,
      });
      if (sent) await this.#parts.serial.run(() => this.#confirm(ready, sent));
      this.#parts.sent();
    } catch (error) {
      if (!(error instanceof RequestError) || error.temporary) throw error;
      await this.#parts.serial.run(() => this.#fail(ready, error.message));
    }
    this.#parts.changed(record.conversation);
    return true;
  }

  async #seal(record: OutboxRecord): Promise<OutboxRecord | undefined> {
    // The message is encrypted for exactly the devices that were checked.
    const lists = await this.#parts.directory.lists(record.to);
    if (await this.#judge(lists)) return undefined;
    return this.#parts.serial.run(() => sealRecord(this.#parts, record, lists));
  }

  /** Whether messages to this person are held back, and why. */
  async check(peer: AccountId): Promise<Hold | undefined> {
    return this.#judge(await this.#parts.directory.lists(peer));
  }

  /** Checks this person and all held ones again, then sends what is no longer held. */
  async recheck(peer?: AccountId): Promise<void> {
    const peers = new Set(this.holds.value.keys());
    if (peer !== undefined) peers.add(peer);
    for (const held of peers) await this.check(held).catch(() => undefined);
    this.pump();
  }

  async #judge(lists: Lists): Promise<Hold | undefined> {
    const hold = await holdOf(lists, this.#parts.keyring.keys);
    // Before this device is registered, the server cannot list it. That is not worth a notice.
    const shown = hold !== "own-device-missing" || this.#parts.registered();
    this.holds.update((holds) => {
      const next = new Map(holds);
      if (hold && shown) next.set(lists.peer.account, hold);
      else next.delete(lists.peer.account);
      return next;
    });
    return hold;
  }

  async #confirm(record: OutboxRecord, sent: Sent): Promise<void> {
    const { archive, clock, me } = this.#parts;
    const message = await archive.get("messages", [record.conversation, messageId(me, record.cid)]);
    const before = await archive.get("conversations", record.conversation);
    if (!message || !before) return;
    const { cid } = record;
    const { changes, conversation } = confirm(message, before, { seq: sent.seq, cid }, clock.now());
    await archive.commit([...changes, { table: "conversations", put: conversation }]);
  }

  /**
   * The server rejected the message. Its counter stays used: a server that delivers the message all
   * the same must not get a second one with the same counter.
   */
  async #fail(record: OutboxRecord, reason: string): Promise<void> {
    const { archive, me } = this.#parts;
    const message = await archive.get("messages", [record.conversation, messageId(me, record.cid)]);
    const conversation = await archive.get("conversations", record.conversation);
    if (!message || !conversation) return;
    const { lifetime, lastSeq } = conversation;
    // A later change of the other person replaces one that may not have arrived.
    const order = lifetime && Math.min(lifetime.order, lastSeq);
    const changed = lifetime?.order === message.order && order !== undefined;
    await archive.commit([
      { table: "messages", put: { ...message, failed: reason } },
      { table: "outbox", remove: record.cid },
      {
        table: "conversations",
        put: changed ? { ...conversation, lifetime: { ...lifetime, order } } : conversation,
      },
    ]);
  }
}

function retryDelay(error: unknown): number {
  return error instanceof RequestError && error.retryAfter !== undefined
    ? error.retryAfter * 1000
    : RETRY;
}
