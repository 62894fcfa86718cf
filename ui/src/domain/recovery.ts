// Opens an account with its recovery code, in a browser that has none of its keys. The code opens
// the account's identity key, which approves this browser as a new device.

import {
  type Bytes,
  type CodeFault,
  type DeviceLog,
  type OwnKeys,
  createOwnKeys,
  fromBase64url,
  isApproved,
  parseRecoveryCode,
  randomId,
  rawSigningKey,
  readLog,
  recoveryToken,
  restoreAccountIdentity,
  signEntry,
} from "../crypto";
import { type Api, type Clock, OfflineError, ProblemError } from "../net";
import type { AccountId, Me, Recovered } from "../protocol/wire";
import { adopt } from "./people/enrolment";
import type { Archives } from "./ports";

export type { CodeFault };

export type RecoveryFailure =
  /** The code was not typed correctly. */
  | { readonly kind: "code"; readonly fault: CodeFault }
  /** No account has this code. */
  | { readonly kind: "unknown-code" }
  | { readonly kind: "rate-limited" }
  /** The server's copy of the identity does not open with this code, or its device log is invalid. */
  | { readonly kind: "wrong-answer" }
  /** Other devices changed the device log at each attempt. */
  | { readonly kind: "log-changed" }
  | { readonly kind: "offline" }
  | { readonly kind: "server" }
  /** This page failed: for example, it could not store the keys. */
  | { readonly kind: "unexpected" };

export interface RecoveryParts {
  readonly api: Api;
  readonly archives: Archives;
  readonly clock: Clock;
  /** The account of this browser, if it has a username but cannot use its keys. */
  readonly mine: AccountId | undefined;
  readonly account: {
    take(request: () => Promise<Me>): Promise<Me>;
    drop(): Promise<void>;
  };
  /** Starts the private chat with the account. */
  readonly joined: (me: Me) => Promise<void>;
}

/** Another device may append to the log at the same time. */
const ATTEMPTS = 3;

class RecoveryError extends Error {
  override readonly name = "RecoveryError";
  constructor(readonly kind: "wrong-answer" | "log-changed") {
    super(`recovery failed: ${kind}`);
  }
}

export class Recovery {
  readonly #parts: RecoveryParts;

  constructor(parts: RecoveryParts) {
    this.#parts = parts;
  }

  /** Resolves to why it failed, or to undefined when the private chat starts. */
  async open(text: string): Promise<RecoveryFailure | undefined> {
    const code = await parseRecoveryCode(text);
    if (!(code instanceof Uint8Array)) return { kind: "code", fault: code };
    let taken = false;
    try {
      const recovered = await this.#take(await recoveryToken(code));
      taken = true;
      await this.#restore(code, recovered);
      await this.#parts.joined(recovered.me);
      return undefined;
    } catch (error) {
      if (taken) await this.#parts.account.drop().catch(() => undefined);
      return failureOf(error);
    }
  }

  async #take(token: string): Promise<Recovered> {
    let recovered: Recovered | undefined;
    await this.#parts.account.take(async () => {
      recovered = await this.#parts.api.recover(token);
      return recovered.me;
    });
    if (!recovered) throw new Error("the request returned");
    return recovered;
  }

  async #restore(code: Bytes, { me, identity_key, sealed }: Recovered): Promise<void> {
    const { archives, mine } = this.#parts;
    const account = me.account_id;
    const identityKey = fromBase64url(identity_key);
    const identity =
      identityKey && (await restoreAccountIdentity(code, account, identityKey, sealed));
    if (!identityKey || !identity) throw new RecoveryError("wrong-answer");
    if (account !== mine) await archives.destroy(account);
    const archive = await archives.open(account);
    try {
      // A browser that has keys, but no approval, keeps them.
      const known = await archive.get("device", "self");
      const keys = known?.keys ?? (await createOwnKeys(randomId(), this.#parts.clock.now()));
      const log = await this.#approve(account, identityKey, identity, keys);
      await adopt(archive, account, { keys, log, identity });
    } catch (error) {
      archive.close();
      if (account !== mine) await archives.destroy(account);
      throw error;
    }
    archive.close();
  }

  /** The device log with the approval of this device. */
  async #approve(
    account: AccountId,
    identityKey: Bytes,
    identity: CryptoKeyPair,
    keys: OwnKeys,
  ): Promise<DeviceLog> {
    const { api, clock } = this.#parts;
    const { device } = keys;
    const signingKey = await rawSigningKey(keys.signing.publicKey);
    const signer = { device: "", key: identity.privateKey };
    for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
      const log = await this.#log(account, identityKey);
      if (isApproved(log, { device, signingKey })) return log;
      const entry = await signEntry(log, "approve", device, signingKey, clock.now(), signer);
      try {
        await api.appendEntry({ version: log.version + 1, entry });
      } catch (error) {
        if (!(error instanceof ProblemError) || error.status !== 409) throw error;
        continue;
      }
      const approved = await readLog(account, identityKey, [...log.entries, entry]);
      if (approved) return approved;
    }
    throw new RecoveryError("log-changed");
  }

  async #log(account: AccountId, identityKey: Bytes): Promise<DeviceLog> {
    const list = await this.#parts.api.devices(account);
    const log = await readLog(account, identityKey, list.log);
    if (!log) throw new RecoveryError("wrong-answer");
    return log;
  }
}

function failureOf(error: unknown): RecoveryFailure {
  if (error instanceof RecoveryError) return { kind: error.kind };
  if (error instanceof OfflineError) return { kind: "offline" };
  if (!(error instanceof ProblemError)) return { kind: "unexpected" };
  if (error.status === 404) return { kind: "unknown-code" };
  return { kind: error.status === 429 ? "rate-limited" : "server" };
}
