//! What can be wrong with a certificate or its key.

use std::time::SystemTime;

use crate::clock::display;

/// A file (or another source) and what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{origin}: {reason}")]
pub struct CheckError {
    /// The file at fault.
    pub origin: String,
    /// What is wrong.
    pub reason: Reason,
}

/// What is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// The file cannot be read.
    #[error("cannot be read: {0}")]
    Unreadable(String),
    /// The text is not PEM.
    #[error("expected PEM text, got something else: {0}")]
    NotPem(String),
    /// No certificate in the chain.
    #[error("expected `-----BEGIN CERTIFICATE-----`, found no certificate")]
    NoCertificate,
    /// No private key.
    #[error("expected `-----BEGIN PRIVATE KEY-----`, found no private key")]
    NoKey,
    /// A certificate that is no certificate.
    #[error("certificate {position} of the chain cannot be parsed: {reason}")]
    Malformed {
        /// Counted from 1.
        position: usize,
        /// What the parser says.
        reason: String,
    },
    /// The private key cannot be used.
    #[error("the private key cannot be used: {0}")]
    KeyUnusable(String),
    /// The key belongs to another certificate.
    #[error("the private key does not belong to the first certificate in {chain}")]
    KeyMismatch {
        /// The chain it was compared with.
        chain: String,
    },
    /// The leaf comes later in the file.
    #[error(
        "the certificate of the key is number {position} of the chain: it must come first, its issuer next"
    )]
    LeafNotFirst {
        /// Counted from 1.
        position: usize,
    },
    /// A certificate is not followed by the one that signed it.
    #[error(
        "the chain is in the wrong order: certificate {position} (`{subject}`) must be followed by its issuer \
         `{issuer}`, but `{found}` follows"
    )]
    WrongOrder {
        /// Counted from 1.
        position: usize,
        /// Its subject.
        subject: String,
        /// Who signed it.
        issuer: String,
        /// Who follows.
        found: String,
    },
    /// The name of the issuer is right, its key is not.
    #[error(
        "certificate {position} of the chain was not signed by the key of the certificate that follows it"
    )]
    BadSignature {
        /// Counted from 1.
        position: usize,
    },
    /// Too late.
    #[error("certificate {position} of the chain expired on {}", display(*.at))]
    Expired {
        /// Counted from 1.
        position: usize,
        /// When.
        at: SystemTime,
    },
    /// Too early.
    #[error("certificate {position} of the chain is not valid before {}: check this machine's clock", display(*.at))]
    NotYetValid {
        /// Counted from 1.
        position: usize,
        /// From when.
        at: SystemTime,
    },
    /// An RSA key that browsers refuse.
    #[error(
        "certificate {position} of the chain has an RSA key of {bits} bits: expected 2048 or more"
    )]
    WeakKey {
        /// Counted from 1.
        position: usize,
        /// How long.
        bits: usize,
    },
    /// A signature that browsers refuse.
    #[error(
        "certificate {position} of the chain is signed with SHA-1 or MD5, which browsers refuse"
    )]
    WeakSignature {
        /// Counted from 1.
        position: usize,
    },
    /// The leaf is for other names.
    #[error("the certificate is not valid for `{name}`, only for: {}", .has.join(", "))]
    NameMissing {
        /// The name asked for.
        name: String,
        /// What it is valid for.
        has: Vec<String>,
    },
}

impl Reason {
    pub(super) fn of(self, origin: impl Into<String>) -> CheckError {
        CheckError { origin: origin.into(), reason: self }
    }
}
