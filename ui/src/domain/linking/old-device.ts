// Linking, on a device of the account: the user enters the code of the new device, compares emoji,
// and approves it. The new device then receives the history.

import {
  type Bytes,
  type DeviceLog,
  type Emoji,
  type OwnKeys,
  type Transcript,
  checkReveal,
  emojiOf,
  equal,
  linkHash,
  linkNonce,
  sealHistory,
  signEntry,
  toBase64url,
} from "../../crypto";
import { type Api, type Clock, ProblemError } from "../../net";
import { type AccountId, type DeviceId, LIMITS } from "../../protocol/wire";
import { Cell } from "../observable";
import type { Archive } from "../ports";
import type { LinkCode } from "./code";
import { LinkError, type LinkFailure, failureOf } from "./failure";
import { readHistory } from "./history";
import type { LeaveReason } from "./messages";
import { Relay } from "./relay";
import { type Newcomer, bytesOf, readHello } from "./transcript";

export type OldDeviceState =
  /** The user enters or scans the code. */
  | { readonly kind: "entering" }
  /** Asks the server for the new device, and waits for its answer. */
  | { readonly kind: "connecting" }
  /** `answered`: the user said that they match here, but not yet on the new device. */
  | { readonly kind: "comparing"; readonly emoji: readonly Emoji[]; readonly answered: boolean }
  | { readonly kind: "approving" }
  | { readonly kind: "sending"; readonly sent: number; readonly total: number }
  /** `missing`: what the new device did not receive. */
  | { readonly kind: "done"; readonly missing: UnsentHistory | undefined }
  | { readonly kind: "failed"; readonly failure: LinkFailure };

/** `older`: the oldest messages did not fit. `stopped`: the link ended before the last chunk. */
export type UnsentHistory = "older" | "stopped";

export interface OldDeviceParts {
  readonly api: Api;
  readonly clock: Clock;
  readonly archive: Archive;
  readonly me: AccountId;
  readonly keys: OwnKeys;
  /** The device log of this account, as the server has it now; undefined if it is faulty. */
  readonly log: () => Promise<DeviceLog | undefined>;
  /** The log has a new entry. */
  readonly approved: () => Promise<void>;
  /** Removes a device that was approved but never joined. */
  readonly remove: (device: DeviceId) => Promise<void>;
}

/** Another device may append to the log at the same time. */
const ATTEMPTS = 3;

export class OldDeviceLink {
  readonly state = new Cell<OldDeviceState>({ kind: "entering" });
  readonly #parts: OldDeviceParts;
  #relay: Relay | undefined;
  #answer: (matches: boolean) => void = () => undefined;
  #left = false;

  constructor(parts: OldDeviceParts) {
    this.#parts = parts;
  }

  /** Resolves when the link is done, failed, or was left. */
  async join(code: LinkCode): Promise<void> {
    if (this.state.value.kind !== "entering") return;
    this.state.set({ kind: "connecting" });
    try {
      await this.#run(code);
    } catch (error) {
      if (this.#left) return;
      const failure = failureOf(error);
      if (failure === "mismatch") await this.#tell("mismatch");
      else if (failure !== "cancelled" && failure !== "mismatch-there")
        await this.#tell("cancelled");
      this.state.set({ kind: "failed", failure });
    } finally {
      this.#relay?.close();
    }
  }

  /** The user's answer to whether the emoji match. */
  answer(matches: boolean): void {
    this.#answer(matches);
  }

  /**
   * The user left the page: stops, and tells the new device. Once it is approved, linking continues
   * without the page.
   */
  async leave(): Promise<void> {
    const { kind } = this.state.value;
    if (kind !== "connecting" && kind !== "comparing") return;
    this.#left = true;
    this.#relay?.close();
    await this.#tell("cancelled");
  }

  async #run({ code, fingerprint: scanned }: LinkCode): Promise<void> {
    const { api, clock } = this.#parts;
    const endsAt = clock.now() + LIMITS.linkSeconds * 1000;
    const relay = new Relay({ api, clock, code, side: "old", endsAt });
    await relay.open();
    this.#relay = relay;
    const newcomer = await readHello(await relay.next("hello"));
    if (scanned && !equal(scanned, newcomer.fingerprint)) throw new LinkError("wrong-device");
    const transcript = await this.#exchange(relay, newcomer);
    await this.#compare(relay, transcript);
    this.state.set({ kind: "approving" });
    await this.#approve(code, newcomer);
    await this.#parts.approved();
    await this.#send(relay, newcomer, await linkHash(transcript));
  }

  /** The nonce is sent only after the new device committed to its own. */
  async #exchange(relay: Relay, newcomer: Newcomer): Promise<Transcript> {
    const { me: account, keys } = this.#parts;
    const { identityKey, head } = await this.#log();
    const oldNonce = linkNonce();
    await relay.post({
      type: "offer",
      account,
      device: keys.device,
      identity_key: toBase64url(identityKey),
      head: toBase64url(head),
      nonce: toBase64url(oldNonce),
    });
    const newNonce = bytesOf((await relay.next("reveal")).nonce);
    const { commitment, fingerprint } = newcomer;
    if (!(await checkReveal(commitment, newNonce, fingerprint)))
      throw new LinkError("wrong-commitment");
    return { fingerprint, account, identityKey, newNonce, oldNonce };
  }

  /** Both devices must answer. */
  async #compare(relay: Relay, transcript: Transcript): Promise<void> {
    const emoji = await emojiOf(transcript);
    const answered = new Promise<boolean>((resolve) => (this.#answer = resolve));
    this.state.set({ kind: "comparing", emoji, answered: false });
    if (!(await Promise.race([answered, relay.failure]))) throw new LinkError("mismatch");
    this.state.set({ kind: "comparing", emoji, answered: true });
    await relay.next("confirmed");
    if (this.#left) throw new LinkError("cancelled");
  }

  async #approve(code: string, { device, signingKey }: Newcomer): Promise<void> {
    const { api, clock, keys } = this.#parts;
    const signer = { device: keys.device, key: keys.signing.privateKey };
    for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
      const log = await this.#log();
      // It was approved before, and closed before it knew, or it was removed.
      if (log.devices.has(device)) throw new LinkError("known-device");
      const entry = await signEntry(log, "approve", device, signingKey, clock.now(), signer);
      try {
        return await api.approveLink(code, { device, version: log.version + 1, entry });
      } catch (error) {
        const isOutdated = error instanceof ProblemError && error.problem.type === "conflict";
        if (!isOutdated) throw error;
      }
    }
    throw new LinkError("log-changed");
  }

  /** The new device is approved: if the link ends from here on, it has only part of the history. */
  async #send(relay: Relay, newcomer: Newcomer, link: Bytes): Promise<void> {
    const { archive, me, keys } = this.#parts;
    const history = await readHistory(archive, me, keys);
    const total = history.chunks.length;
    this.state.set({ kind: "sending", sent: 0, total });
    try {
      for (const [index, chunk] of history.chunks.entries()) {
        const place = { link, account: me, index, total };
        const sealed = await sealHistory(keys, newcomer.encryptionKey, place, chunk);
        await Promise.race([
          relay.post({ type: "history", index, total, ...sealed }),
          relay.failure,
        ]);
        this.state.set({ kind: "sending", sent: index + 1, total });
      }
      await relay.next("joined");
    } catch (error) {
      const failure = failureOf(error);
      if (failure === "unexpected") throw error;
      if (failure !== "cancelled" && failure !== "mismatch-there")
        return this.state.set({ kind: "done", missing: "stopped" });
      // The new device stopped before it saw the approval.
      await this.#parts.remove(newcomer.device);
      throw error;
    }
    this.state.set({ kind: "done", missing: history.truncated ? "older" : undefined });
  }

  async #log(): Promise<DeviceLog> {
    const log = await this.#parts.log();
    if (!log) throw new LinkError("log-changed");
    return log;
  }

  async #tell(reason: LeaveReason): Promise<void> {
    // The new device may have left, or the link ended: then there is no one to tell.
    await this.#relay?.post({ type: "leave", reason }).catch(() => undefined);
  }
}
