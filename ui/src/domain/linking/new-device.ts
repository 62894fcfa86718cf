// Linking, on the new device: it shows a code, the user compares emoji on both devices, and it
// receives the account's credential and history from the other device.

import {
  type Bytes,
  type Emoji,
  type OwnKeys,
  type Transcript,
  createOwnKeys,
  emojiOf,
  linkCommitment,
  linkHash,
  linkNonce,
  publicKeys,
  randomId,
  toBase64url,
} from "../../crypto";
import type { Clock } from "../../net";
import type { Me } from "../../protocol/wire";
import { Cell } from "../observable";
import { hashOf } from "./code";
import { LinkError, type LinkFailure, failureOf } from "./failure";
import { type JoinParts, type Joined, join, storeChunk } from "./join";
import type { LeaveReason } from "./messages";
import { Relay } from "./relay";
import { fingerprintOf, readOffer, transcriptOf } from "./transcript";

export type { Emoji };

export type NewDeviceState =
  /** Makes keys and asks the server for a code. */
  | { readonly kind: "preparing" }
  /** Shows the code. `hash`: for the address in the QR code. `endsAt`: milliseconds since 1970. */
  | {
      readonly kind: "waiting";
      readonly code: string;
      readonly hash: string;
      readonly endsAt: number;
    }
  /** `answered`: the user said that they match, and the other device has yet to approve. */
  | { readonly kind: "comparing"; readonly emoji: readonly Emoji[]; readonly answered: boolean }
  /** The other device approved: this one takes the credential and checks the device log. */
  | { readonly kind: "joining" }
  /** `total` is undefined until the first chunk arrives. */
  | { readonly kind: "receiving"; readonly received: number; readonly total: number | undefined }
  /** `missing`: why the history is not complete. */
  | { readonly kind: "done"; readonly me: Me; readonly missing: MissingHistory | undefined }
  | { readonly kind: "failed"; readonly failure: LinkFailure };

/** Why the history is not complete. The device is linked all the same. */
export type MissingHistory =
  /** The user did not wait for the rest. */
  | "skipped"
  /** The link ended, or the other device stopped, before the last chunk. */
  | "stopped"
  /** The server left out a chunk. */
  | "chunk-missing"
  /** A chunk is damaged, or was not made by the other device. */
  | "damaged";

export interface NewDeviceParts extends JoinParts {
  readonly clock: Clock;
  /** Starts the private chat with the account that was taken. */
  readonly joined: (me: Me) => Promise<void>;
}

/** An open link, before the other device answered. */
interface Open {
  readonly relay: Relay;
  readonly code: string;
  readonly token: string;
}

export class NewDeviceLink {
  readonly state = new Cell<NewDeviceState>({ kind: "preparing" });
  readonly #parts: NewDeviceParts;
  #relay: Relay | undefined;
  #answer: (matches: boolean) => void = () => undefined;
  #skip: () => void = () => undefined;
  #left = false;

  constructor(parts: NewDeviceParts) {
    this.#parts = parts;
  }

  /** Resolves when the link is done, failed, or was left. */
  async start(): Promise<void> {
    try {
      await this.#run();
    } catch (error) {
      if (this.#left) return;
      const failure = failureOf(error);
      if (failure === "mismatch" || failure === "wrong-account") await this.#tell(failure);
      this.state.set({ kind: "failed", failure });
    } finally {
      this.#relay?.close();
    }
  }

  /** The user's answer to whether the emoji match. */
  answer(matches: boolean): void {
    this.#answer(matches);
  }

  /** Does not wait for the rest of the history. */
  skip(): void {
    this.#skip();
  }

  /**
   * The user left the page: stops, and tells the other device. Once that one approved, linking
   * continues without the page.
   */
  async leave(): Promise<void> {
    const { kind } = this.state.value;
    if (kind !== "preparing" && kind !== "waiting" && kind !== "comparing") return;
    this.#left = true;
    this.#relay?.close();
    await this.#tell("cancelled");
  }

  async #run(): Promise<void> {
    const keys = await this.#keys();
    const fingerprint = await fingerprintOf(keys);
    const nonce = linkNonce();
    const { relay, code, token } = await this.#open(keys, nonce, fingerprint);
    const terms = readOffer(await relay.next("offer"));
    const { mine, api } = this.#parts;
    if (mine !== undefined && terms.account !== mine) throw new LinkError("wrong-account");
    await relay.post({ type: "reveal", nonce: toBase64url(nonce) });
    const transcript = transcriptOf(fingerprint, terms, nonce);
    await this.#compare(relay, transcript);
    await relay.approved();
    if (this.#left) return;
    this.state.set({ kind: "joining" });
    const claim = () => api.claimLink(code, token);
    const joined = await join(this.#parts, claim, keys, terms, await linkHash(transcript));
    this.state.set({ kind: "receiving", received: 0, total: undefined });
    // The link may end before the other device is told. It is linked all the same.
    await relay.post({ type: "joined" }).catch(() => undefined);
    const missing = await this.#receive(relay, joined);
    joined.archive.close();
    await this.#parts.joined(joined.me);
    this.state.set({ kind: "done", me: joined.me, missing });
  }

  /** A browser that has keys, but no approval, keeps them. */
  async #keys(): Promise<OwnKeys> {
    const { mine, archives, clock } = this.#parts;
    if (mine !== undefined) {
      const archive = await archives.open(mine);
      const known = await archive.get("device", "self");
      archive.close();
      if (known) return known.keys;
    }
    return createOwnKeys(randomId(), clock.now());
  }

  async #open(keys: OwnKeys, nonce: Bytes, fingerprint: Bytes): Promise<Open> {
    const { api, clock } = this.#parts;
    const { suite, encryption_key, signing_key } = await publicKeys(keys, "");
    const commitment = toBase64url(await linkCommitment(nonce, fingerprint));
    const { device } = keys;
    if (this.#left) throw new LinkError("cancelled");
    const { code, token, expires_in } = await api.createLink();
    const endsAt = clock.now() + expires_in * 1000;
    const relay = new Relay({ api, clock, code, token, side: "new", endsAt });
    this.#relay = relay;
    await relay.post({ type: "hello", device, suite, encryption_key, signing_key, commitment });
    if (this.#left) {
      await this.#tell("cancelled");
      throw new LinkError("cancelled");
    }
    await relay.open();
    this.state.set({ kind: "waiting", code, hash: hashOf(code, fingerprint), endsAt });
    return { relay, code, token };
  }

  async #compare(relay: Relay, transcript: Transcript): Promise<void> {
    const emoji = await emojiOf(transcript);
    const answered = new Promise<boolean>((resolve) => (this.#answer = resolve));
    this.state.set({ kind: "comparing", emoji, answered: false });
    if (!(await Promise.race([answered, relay.failure]))) throw new LinkError("mismatch");
    await relay.post({ type: "confirmed" });
    this.state.set({ kind: "comparing", emoji, answered: true });
  }

  /** Undefined if all of it arrived. */
  async #receive(relay: Relay, joined: Joined): Promise<MissingHistory | undefined> {
    const skipped = new Promise<"skipped">((resolve) => (this.#skip = () => resolve("skipped")));
    let total: number | undefined;
    for (let index = 0; ; index += 1) {
      const next = relay.next("history").catch(() => "stopped" as const);
      const chunk = await Promise.race([next, skipped]);
      if (typeof chunk === "string") return chunk;
      if (chunk.index !== index) return "chunk-missing";
      total ??= chunk.total;
      if (!(await storeChunk({ ...chunk, total }, joined))) return "damaged";
      this.state.set({ kind: "receiving", received: index + 1, total });
      if (index + 1 >= total) return undefined;
    }
  }

  async #tell(reason: LeaveReason): Promise<void> {
    // The other device may have left, or the link ended: then there is no one to tell.
    await this.#relay?.post({ type: "leave", reason }).catch(() => undefined);
  }
}
