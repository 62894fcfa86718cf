// Messages not yet acknowledged by the server: stored, encrypted once, sent in order, resent until
// `ok`.

import {
  NOTHING_READ,
  NO_LOG,
  type MessagePosition,
  type OwnKeys,
  lock,
  randomId,
  seal,
  unlock,
} from "../../crypto";
import { RequestError } from "../../net";
import type { AccountId, DeviceId, Request, Sent } from "../../protocol/wire";
import { Cell } from "../observable";
import type { Archive, Clock } from "../ports";
import type { Serial } from "../serial";
import { type Directory, type Lists, safetyNumberOf } from "./directory";
import { confirm } from "./receive";
import {
  type ConversationRecord,
  type OutboxRecord,
  PENDING,
  messageId,
  undecided,
} from "./records";

/** Why messages to a person are held back. */
export type Hold =
  | "safety-number-changed"
  | "keys-conflict"
  | "no-device"
  /** The server lists other keys under this device's id. */
  | "own-keys-changed"
  /** The server does not list this device. */
  | "own-device-missing"
  /** The server lists a device of this account that the user has not decided about. */
  | "own-device-new";

export interface OutboxParts {
  readonly archive: Archive;
  readonly directory: Directory;
  readonly serial: Serial;
  readonly clock: Clock;
  readonly me: AccountId;
  readonly keys: OwnKeys;
  /** Whether the server accepted this device's keys. */
  readonly registered: () => boolean;
  /** Sends a frame; rejects with `RequestError`. */
  readonly send: (request: Extract<Request, { type: "send" }>) => Promise<Sent | undefined>;
  readonly changed: (conversation: string) => void;
}

const RETRY = 2_000;

export class Outbox {
  readonly holds = new Cell<ReadonlyMap<AccountId, Hold>>(new Map());
  readonly #parts: OutboxParts;
  #pumping = false;
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
    const { archive, serial, clock, me, keys } = this.#parts;
    await serial.run(async () => {
      const cid = randomId();
      const id = messageId(me, cid);
      const writtenAt = clock.now();
      const waiting = await archive.all("outbox");
      const order = Math.max(PENDING, ...waiting.map((record) => record.order)) + 1;
      const locked = await lock(keys.history, `${conversation.id}/${id}`, text);
      const body = { kind: "text", locked, warnings: [] } as const;
      const at = new Date(writtenAt).toISOString();
      const kept = (await archive.get("conversations", conversation.id)) ?? conversation;
      await archive.commit([
        {
          table: "messages",
          put: {
            conversation: conversation.id,
            id,
            order,
            sender: me,
            device: keys.device,
            at,
            body,
          },
        },
        {
          table: "outbox",
          put: { cid, conversation: conversation.id, to: conversation.peer, order, writtenAt },
        },
        { table: "conversations", put: { ...kept, updatedAt: at } },
      ]);
    });
    this.#parts.changed(conversation.id);
    this.pump();
  }

  /** Sends waiting messages. Call when the connection is online or a hold may have ended. */
  pump(): void {
    this.#again = true;
    if (this.#pumping || this.#stopped) return;
    this.#pumping = true;
    this.#cancelRetry();
    void this.#run().finally(() => {
      this.#pumping = false;
    });
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
    try {
      const sent = await this.#parts.send({
        type: "send",
        to,
        cid,
        envelope: ready.sealed.envelope,
      });
      if (sent) await this.#parts.serial.run(() => this.#confirm(ready, sent));
    } catch (error) {
      if (!(error instanceof RequestError) || error.temporary) throw error;
      await this.#parts.serial.run(() => this.#fail(ready, error.message));
    }
    this.#parts.changed(record.conversation);
    return true;
  }

  async #seal(record: OutboxRecord): Promise<OutboxRecord | undefined> {
    const { archive, directory, serial, me, keys } = this.#parts;
    // The message is encrypted for exactly the devices that were checked.
    const lists = await directory.lists(record.to);
    if (await this.#judge(lists)) return undefined;
    const recipients = [...lists.ownDevices, ...lists.peerDevices];
    return serial.run(async () => {
      const conversation = await archive.get("conversations", record.conversation);
      const message = await archive.get("messages", [
        record.conversation,
        messageId(me, record.cid),
      ]);
      if (!conversation || message?.body.kind !== "text") return undefined;
      const text = await unlock(
        keys.history,
        `${message.conversation}/${message.id}`,
        message.body.locked,
      );
      if (text === undefined) return undefined;
      const before = conversation.sent;
      const position: MessagePosition = {
        conversation: conversation.id,
        account: me,
        cid: record.cid,
        counter: before.counter + 1,
        previous: before.hash,
        lifetime: 0,
        ownLog: NO_LOG,
        peerLog: NO_LOG,
        read: NOTHING_READ,
      };
      const { envelope, hash } = await seal(keys, position, recipients, {
        kind: "text",
        writtenAt: record.writtenAt,
        text,
      });
      const sealed: OutboxRecord = { ...record, sealed: { envelope } };
      await archive.commit([
        { table: "outbox", put: sealed },
        {
          table: "conversations",
          put: { ...conversation, sent: { counter: position.counter, hash } },
        },
      ]);
      return sealed;
    });
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
    const hold = await holdOf(lists, this.#parts.keys.device);
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
    const { archive, me } = this.#parts;
    const message = await archive.get("messages", [record.conversation, messageId(me, record.cid)]);
    if (message) await archive.commit(confirm(message, sent.seq, sent.at, record.cid));
  }

  /**
   * The server rejected the message. Its counter stays used: a server that delivers the message all
   * the same must not get a second one with the same counter.
   */
  async #fail(record: OutboxRecord, reason: string): Promise<void> {
    const { archive, me } = this.#parts;
    const message = await archive.get("messages", [record.conversation, messageId(me, record.cid)]);
    if (!message) return;
    await archive.commit([
      { table: "messages", put: { ...message, failed: reason } },
      { table: "outbox", remove: record.cid },
    ]);
  }
}

async function holdOf(lists: Lists, self: DeviceId): Promise<Hold | undefined> {
  const { own, peer, peerDevices } = lists;
  if (own.selfChanged) return "own-keys-changed";
  const listed = own.devices.filter((device) => device.listed);
  if (!listed.some(({ device }) => device === self)) return "own-device-missing";
  if (peer.conflict || own.conflict) return "keys-conflict";
  if (undecided(own, self).length > 0) return "own-device-new";
  if (peerDevices.length === 0) return "no-device";
  if (peer.verified !== undefined && peer.verified !== (await safetyNumberOf(lists)))
    return "safety-number-changed";
  return undefined;
}

function retryDelay(error: unknown): number {
  return error instanceof RequestError && error.retryAfter !== undefined
    ? error.retryAfter * 1000
    : RETRY;
}
