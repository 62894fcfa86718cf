// Linking, on the new device: it shows a code, the user compares emoji on both devices, and it
// receives the account's credential and history from the other device.

import {
  type Bytes,
  type DeviceLog,
  type EmojiName,
  type OwnKeys,
  createOwnKeys,
  emojiOf,
  equal,
  fromBase64url,
  linkCommitment,
  linkFingerprint,
  openHistory,
  publicKeys,
  randomId,
  rawSigningKey,
  readLog,
  toBase64url,
} from "../../crypto";
import type { Api, Clock } from "../../net";
import type { AccountId, Link, Me } from "../../protocol/wire";
import { Cell } from "../observable";
import type { Archive, Archives } from "../ports";
import { hashOf } from "./code";
import { LinkError, type LinkFailure, failureOf } from "./failure";
import { importChunk } from "./history";
import type { Leave, Offer } from "./messages";
import { Relay } from "./relay";

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
  | { readonly kind: "comparing"; readonly emoji: readonly EmojiName[]; readonly answered: boolean }
  /** The other device approved: this one takes the credential and checks the device log. */
  | { readonly kind: "joining" }
  /** `total` is undefined until the first chunk arrives. */
  | { readonly kind: "receiving"; readonly received: number; readonly total: number | undefined }
  /** `history`: why part of it is missing. */
  | { readonly kind: "done"; readonly me: Me; readonly missing: MissingHistory | undefined }
  | { readonly kind: "failed"; readonly failure: LinkFailure };

/** Why the history is not complete. The device is linked all the same. */
export type MissingHistory =
  /** The user did not wait for the rest. */
  | "skipped"
  /** A chunk did not arrive before the link ended, or the other device stopped. */
  | "stopped"
  /** The server left out a chunk. */
  | "chunk-missing"
  /** A chunk is damaged, or another device made it. */
  | "damaged";

export interface NewDeviceParts {
  readonly api: Api;
  readonly archives: Archives;
  readonly clock: Clock;
  /** The account that this browser already uses with a username, if its keys are missing here. */
  readonly mine: AccountId | undefined;
  readonly account: {
    /** Runs a request whose answer sets the cookie of this account, and remembers the account. */
    take(request: () => Promise<Me>): Promise<Me>;
    /** Drops the cookie of an account that was just taken. */
    drop(): Promise<void>;
  };
  /** Starts the private chat with the account that was taken. */
  readonly joined: (me: Me) => Promise<void>;
}

interface Joined {
  readonly me: Me;
  readonly archive: Archive;
  readonly keys: OwnKeys;
  /** The old device's signing key, from the device log. */
  readonly signer: Bytes;
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
      const failure = failureOf(error);
      if (failure === "mismatch") await this.#tell("mismatch");
      this.#set({ kind: "failed", failure });
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

  /** The page is left: stops polling and tells the other device. */
  leave(): void {
    const { kind } = this.state.value;
    if (kind === "receiving") return this.#skip();
    if (kind === "done" || kind === "failed" || kind === "joining") return;
    this.#left = true;
    this.#relay?.close();
    void this.#tell("cancelled");
  }

  async #run(): Promise<void> {
    const keys = await this.#keys();
    const fingerprint = await fingerprintOf(keys);
    const nonce = crypto.getRandomValues(new Uint8Array(32));
    if (this.#left) return;
    const link = await this.#open(keys, nonce, fingerprint);
    if (!link) return;
    const { relay, code } = link;
    const offer = await relay.next("offer");
    const terms = readOffer(offer);
    if (this.#parts.mine !== undefined && terms.account !== this.#parts.mine)
      throw new LinkError("wrong-account");
    await relay.post({ type: "reveal", nonce: toBase64url(nonce) });
    const emoji = await emojiOf({
      fingerprint,
      account: terms.account,
      identityKey: terms.identityKey,
      newNonce: nonce,
      oldNonce: terms.nonce,
    });
    await this.#compare(relay, emoji);
    await relay.approved();
    this.#set({ kind: "joining" });
    const joined = await this.#join(code, keys, terms);
    this.#set({ kind: "receiving", received: 0, total: undefined });
    const missing = await this.#receive(relay, joined);
    joined.archive.close();
    await this.#parts.joined(joined.me);
    this.#set({ kind: "done", me: joined.me, missing });
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

  /** Undefined if the page was left meanwhile. */
  async #open(
    keys: OwnKeys,
    nonce: Bytes,
    fingerprint: Bytes,
  ): Promise<{ relay: Relay; code: string } | undefined> {
    const { api, clock } = this.#parts;
    const { code, token, expires_in }: Link = await api.createLink();
    const endsAt = clock.now() + expires_in * 1000;
    const relay = new Relay({ api, clock, code, token, side: "new", endsAt });
    this.#relay = relay;
    this.#token = token;
    const { suite, encryption_key, signing_key } = await publicKeys(keys, "");
    const commitment = toBase64url(await linkCommitment(nonce, fingerprint));
    const { device } = keys;
    await relay.post({ type: "hello", device, suite, encryption_key, signing_key, commitment });
    if (this.#left) {
      await this.#tell("cancelled");
      return undefined;
    }
    await relay.open();
    this.#set({ kind: "waiting", code, hash: hashOf(code, fingerprint), endsAt });
    return { relay, code };
  }

  async #compare(relay: Relay, emoji: readonly EmojiName[]): Promise<void> {
    const answered = new Promise<boolean>((resolve) => (this.#answer = resolve));
    this.#set({ kind: "comparing", emoji, answered: false });
    if (!(await Promise.race([answered, relay.failure]))) throw new LinkError("mismatch");
    await relay.post({ type: "confirmed" });
    this.#set({ kind: "comparing", emoji, answered: true });
  }

  /**
   * The keys are stored before the credential is taken: a page that is closed in between has no
   * account without its keys.
   */
  async #join(code: string, keys: OwnKeys, terms: Terms): Promise<Joined> {
    const { api, archives, account, mine } = this.#parts;
    if (terms.account !== mine) await archives.destroy(terms.account);
    const archive = await archives.open(terms.account);
    let taken = false;
    try {
      await archive.commit([{ table: "device", put: { id: "self", keys } }]);
      const me = await account.take(() => api.claimLink(code, this.#token));
      taken = true;
      if (me.account_id !== terms.account) throw new LinkError("wrong-account");
      const log = await this.#log(keys, terms);
      const signer = log.devices.get(terms.device)?.signingKey;
      if (!signer) throw new LinkError("not-approved");
      return { me, archive, keys, signer };
    } catch (error) {
      archive.close();
      if (terms.account !== mine) await archives.destroy(terms.account);
      if (taken) await account.drop();
      throw error;
    }
  }

  /** The device log under the identity key that the user compared. It must approve this device. */
  async #log(keys: OwnKeys, terms: Terms): Promise<DeviceLog> {
    const list = await this.#parts.api.devices(terms.account);
    const log =
      list.identity_key === toBase64url(terms.identityKey)
        ? await readLog(terms.account, terms.identityKey, list.log)
        : undefined;
    const own = log?.devices.get(keys.device);
    const key = await rawSigningKey(keys.signing.publicKey);
    const isApproved =
      log?.hashes.some((hash) => equal(hash, terms.head)) === true &&
      own !== undefined &&
      own.removedIn === undefined &&
      equal(own.signingKey, key);
    if (!log || !isApproved) throw new LinkError("not-approved");
    return log;
  }

  /** Undefined if all of it arrived. */
  async #receive(relay: Relay, joined: Joined): Promise<MissingHistory | undefined> {
    const skipped = new Promise<"skipped">((resolve) => (this.#skip = () => resolve("skipped")));
    for (let index = 0; ; index += 1) {
      const chunk = await Promise.race([relay.next("history").catch(() => "stopped" as const), skipped]);
      if (typeof chunk === "string") return chunk;
      if (chunk.index !== index) return "chunk-missing";
      if (!(await this.#import(chunk, joined))) return "damaged";
      const { total } = chunk;
      this.#set({ kind: "receiving", received: index + 1, total });
      if (index + 1 >= total) return undefined;
    }
  }
}
