//! A second implementation of suite `rsa-aes-1`, written from `docs/E2E.md` alone, and its
//! exchange of messages with the browser's implementation through vector files.
//!
//! ```text
//! encoding.rs    numbers, bytes and text; base64url
//! device.rs      key pairs, fingerprints
//! statement.rs   the statement of a device about its keys
//! plaintext.rs   message → padded plaintext, and back
//! header.rs      header → bytes, and back
//! sealed.rs      the envelope: seal, sign, hash
//! receiving.rs   the checks of a receiver, in order
//! safety.rs      the safety number
//! vectors.rs     the shape of a vector file
//! checks.rs      the checks of everything in it
//! browser.rs     opens what the browser sealed
//! damage.rs      rejects flipped bits and swapped fields
//! attacker.rs   envelopes that a malicious sender signs
//! written.rs     seals what the browser opens: ui/src/crypto/vectors/rust.json
//!
//! device_log.rs       entries of a device log, and its rules
//! recovery.rs         the recovery code, and the sealed identity of an account
//! linking.rs          what both devices of a link compare, and the history
//! account_vectors.rs  the shape of ui/src/crypto/vectors/device-log.json
//! account.rs          the checks of everything in it
//! ```

mod envelope {
    mod encoding;
    mod device;
    mod statement;
    mod plaintext;
    mod header;
    mod sealed;
    mod receiving;
    mod safety;
    mod vectors;
    mod checks;
    mod browser;
    mod damage;
    mod attacker;
    mod written;
    mod device_log;
    mod recovery;
    mod linking;
    mod account_vectors;
    mod account;
}
