// What the user decides about devices, identities and device logs. Each decision about a person
// leaves a notice in the conversation.

import { fromBase64url, readLog } from "../../crypto";
import type { AccountId, DeviceId } from "../../protocol/wire";
import type { Account } from "../account";
import type { Serial } from "../serial";
import type { Conversations } from "./conversations";
import type { NoticeBoard } from "./notices";
import type { Outbox } from "./outbox";
import { type OwnLogParts, appendRemoval, restoreLog } from "./own-log";
import type { ContactRecord, CountedNotice } from "./records";
import { idOf } from "./trust";

export interface DecisionParts extends OwnLogParts {
  readonly account: Pick<Account, "replacingCookie">;
  readonly serial: Serial;
  readonly conversations: Conversations;
  readonly outbox: Outbox;
  readonly notices: NoticeBoard;
}

export class Decisions {
  readonly #parts: DecisionParts;

  constructor(parts: DecisionParts) {
    this.#parts = parts;
  }

  /**
   * Removes a device of this account: it is signed out and receives no more messages, even if the
   * server lists it again. Its removal is signed first, so that contacts need not trust the server.
   */
  async removeDevice(device: DeviceId): Promise<void> {
    const { account, api, directory, me, outbox } = this.#parts;
    await directory.refuse(device);
    await appendRemoval(this.#parts, device);
    await account.replacingCookie(() => api.removeDevice(device));
    directory.forget(me);
    await directory.contact(me);
    await outbox.recheck();
  }

  /** Refuses a listed device that no device of this account approved. */
  async refuseDevice(device: DeviceId): Promise<void> {
    await this.#parts.directory.refuse(device);
    await this.#parts.outbox.recheck();
  }

  /** Stores a compared safety number; undefined clears it, so that sending continues unverified. */
  async verify(peer: AccountId, number: string | undefined): Promise<void> {
    const { conversations, directory, serial } = this.#parts;
    await serial.run(() => directory.verify(peer, number));
    await conversations.refreshVerified();
    await this.#decided(peer, number === undefined ? "unverified" : "verified");
  }

  /**
   * Accepts the new identity of a person. A verified person stays held until the new safety number
   * is compared or the verification is cleared.
   */
  async acceptIdentity(peer: AccountId): Promise<void> {
    if (await this.#acceptLog(peer, "identity-changed"))
      await this.#decided(peer, "identity-accepted");
  }

  /**
   * Decides about a device log that does not continue the stored one: `keep` ignores it, `accept`
   * replaces the stored one by it, if it is valid.
   */
  async resolveConflict(account: AccountId, choice: "keep" | "accept"): Promise<void> {
    if (choice === "accept") {
      if (account !== this.#parts.me && (await this.#acceptLog(account, "fork")))
        await this.#decided(account, "log-accepted");
      return;
    }
    await this.#parts.directory.update(account, (known) => {
      const { faulty } = known;
      const isKept = faulty && faulty.fault !== "identity-changed";
      return isKept ? { ...known, ignored: idOf(faulty) } : known;
    });
    await this.#decided(account, "log-kept");
  }

  /** Sends the entries of the own device log again that the server no longer has. */
  async restoreOwnLog(): Promise<void> {
    await restoreLog(this.#parts);
    await this.#parts.outbox.recheck();
  }

  /** Replaces the stored log by the server's. False if there is none with this fault. */
  async #acceptLog(peer: AccountId, fault: "identity-changed" | "fork"): Promise<boolean> {
    const { directory } = this.#parts;
    const { faulty } = await directory.contact(peer);
    if (faulty?.fault !== fault) return false;
    const identityKey = fromBase64url(faulty.identityKey ?? "");
    const log = identityKey && (await readLog(peer, identityKey, faulty.entries));
    if (!log) return false;
    let accepted = false;
    await directory.update(peer, (known) => {
      // Meanwhile, another list may have arrived.
      accepted = known.faulty !== undefined && idOf(known.faulty) === idOf(faulty);
      return accepted ? withLog(known, log) : known;
    });
    directory.forget(peer);
    await directory.contact(peer);
    return accepted;
  }

  async #decided(account: AccountId, notice: CountedNotice): Promise<void> {
    const { me, notices, outbox } = this.#parts;
    if (account === me) return outbox.recheck();
    await notices.add(account, [[notice, 1]]);
    await outbox.recheck(account);
  }
}

function withLog(
  { account, username, devices, verified }: ContactRecord,
  log: ContactRecord["log"],
): ContactRecord {
  return { account, username, devices, verified, ...(log ? { log } : {}) };
}
