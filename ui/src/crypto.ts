// Public API of the crypto layer: keys -> identity -> envelope -> chain; safety number; local
// history.

export {
  createAccountIdentity,
  recoveryToken,
  restoreAccountIdentity,
  type CreatedIdentity,
} from "./crypto/account-identity";
export {
  type Bytes,
  equal,
  fromBase64url,
  fromUtf8,
  toBase64url,
  toHex,
  utf8,
} from "./crypto/bytes";
export {
  entriesOf,
  extendLog,
  hashAt,
  isApproved,
  readLog,
  signEntry,
  startLog,
  type DeviceLog,
  type LogFault,
  type LoggedDevice,
  type Signer,
} from "./crypto/device-log";
export { START, follow, type ChainHead, type Step } from "./crypto/chain";
export {
  checkHeads,
  checkRead,
  highestRead,
  type Contradiction,
  type KnownLog,
  type KnownReads,
} from "./crypto/consistency";
export { MAX_TEXT, type Content } from "./crypto/content";
export {
  RejectedError,
  open,
  seal,
  verify,
  type MessagePosition,
  type Rejection,
  type Verified,
} from "./crypto/envelope";
export type { Emoji } from "./crypto/emoji";
export {
  LIFETIMES,
  NOTHING_READ,
  NO_LOG,
  isLifetime,
  type Header,
  type Lifetime,
  type LogHead,
  type ReadReference,
} from "./crypto/header";
export { SUITE, readEncryptionKey, readIdentity, type Identity } from "./crypto/identity";
export {
  createOwnKeys,
  publicKeys,
  randomId,
  rotate,
  withoutExpired,
  type EncryptionKey,
  type OwnKeys,
  type RetiredKey,
} from "./crypto/keys";
export {
  openHistory,
  sealHistory,
  type HistoryPlace,
  type SealedChunk,
} from "./crypto/link-history";
export {
  checkReveal,
  emojiOf,
  linkCommitment,
  linkFingerprint,
  linkHash,
  linkNonce,
  type Transcript,
} from "./crypto/linking";
export { lock, unlock, type Locked } from "./crypto/locker";
export type { LogEntry, Operation } from "./crypto/log-entry";
export { parseRecoveryCode, type CodeFault } from "./crypto/recovery-code";
export { safetyNumber } from "./crypto/safety";
export { importSigningKey, rawSigningKey, signingKeyOf } from "./crypto/signing-key";
