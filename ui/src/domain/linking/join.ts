// The last steps of the new device: it takes the credential, checks the device log, and stores the
// history.

import {
  type Bytes,
  type DeviceLog,
  type OwnKeys,
  equal,
  isApproved,
  openHistory,
  rawSigningKey,
  readLog,
  toBase64url,
} from "../../crypto";
import type { Api } from "../../net";
import type { AccountId, Me } from "../../protocol/wire";
import { adopt } from "../people/enrolment";
import type { Archive, Archives } from "../ports";
import { LinkError } from "./failure";
import { importChunk } from "./history";
import type { HistoryChunk } from "./messages";
import type { Terms } from "./transcript";

export interface JoinParts {
  readonly api: Api;
  readonly archives: Archives;
  /** The account of this browser, if it has a username but cannot use its keys. */
  readonly mine: AccountId | undefined;
  readonly account: {
    /** Runs a request whose answer sets the cookie of this account, and remembers the account. */
    take(request: () => Promise<Me>): Promise<Me>;
    /** Drops the cookie of the account that was just taken. */
    drop(): Promise<void>;
  };
}

export interface Joined {
  readonly me: Me;
  readonly archive: Archive;
  readonly keys: OwnKeys;
  /** The old device's signing key, from the device log. */
  readonly signer: Bytes;
  /** Names the link. */
  readonly link: Bytes;
}

/** Until the log approves the keys, they are not stored: they would be of no use. */
export async function join(
  parts: JoinParts,
  claim: () => Promise<Me>,
  keys: OwnKeys,
  terms: Terms,
  link: Bytes,
): Promise<Joined> {
  const { archives, account, mine } = parts;
  if (terms.account !== mine) await archives.destroy(terms.account);
  const archive = await archives.open(terms.account);
  let taken = false;
  try {
    const me = await account.take(async () => {
      const claimed = await claim();
      taken = true;
      if (claimed.account_id !== terms.account) throw new LinkError("wrong-account");
      return claimed;
    });
    const log = await approvedLog(parts.api, keys, terms);
    const signer = log.devices.get(terms.device);
    if (!signer || signer.removedIn !== undefined) throw new LinkError("not-approved");
    await adopt(archive, terms.account, { keys, log });
    return { me, archive, keys, signer: signer.signingKey, link };
  } catch (error) {
    archive.close();
    if (terms.account !== mine) await archives.destroy(terms.account);
    if (taken) await account.drop();
    throw error;
  }
}

/** The device log under the identity key that the user compared. It must approve this device. */
async function approvedLog(api: Api, keys: OwnKeys, terms: Terms): Promise<DeviceLog> {
  const list = await api.devices(terms.account);
  const isSame = list.identity_key === toBase64url(terms.identityKey);
  const log = isSame ? await readLog(terms.account, terms.identityKey, list.log) : undefined;
  const signingKey = await rawSigningKey(keys.signing.publicKey);
  const contains = log?.hashes.some((hash) => equal(hash, terms.head)) === true;
  if (!log || !contains || !isApproved(log, { device: keys.device, signingKey }))
    throw new LinkError("not-approved");
  return log;
}

/** False if the chunk is damaged, or was not made for this device by the other one. */
export async function storeChunk(chunk: HistoryChunk, joined: Joined): Promise<boolean> {
  const { me, archive, keys, signer, link } = joined;
  const { index, total } = chunk;
  const content = await openHistory(
    keys,
    signer,
    { link, account: me.account_id, index, total },
    chunk,
  );
  const changes = content && (await importChunk(content, archive, me.account_id, keys));
  if (!changes) return false;
  await archive.commit(changes);
  return true;
}
