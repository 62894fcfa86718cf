// Public API of the crypto layer: keys -> identity -> envelope -> chain; safety number; local
// history.

export { type Bytes, equal, toBase64url, toHex, utf8 } from "./crypto/bytes";
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
  type OpeningKeys,
  type Rejection,
  type Verified,
} from "./crypto/envelope";
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
export { SUITE, readIdentity, type Identity } from "./crypto/identity";
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
export { lock, unlock, type Locked } from "./crypto/locker";
export { safetyNumber } from "./crypto/safety";
export { rawSigningKey, signingKeyOf } from "./crypto/signing-key";
