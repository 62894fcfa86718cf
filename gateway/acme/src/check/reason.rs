//! Why a certificate or its key is rejected.

use std::time::SystemTime;

use crate::clock::display;

/// A rejected file (or other source), and the reason.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{origin}: {reason}")]
pub struct CheckError {
    /// The file at fault.
    pub origin: String,
    /// The reason.
    pub reason: Reason,
}

/// Reasons to reject.
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
    /// A certificate that cannot be parsed.
    #[error("certificate {position} of the chain cannot be parsed: {reason}")]
    Malformed {
        /// Counted from 1.
        position: usize,
        /// The error of the parser.
        reason: String,
    },
    /// The private key is invalid or unsupported.
    #[error("the private key cannot be used: {0}")]
    KeyUnusable(String),
    /// The key belongs to another certificate.
    #[error("the private key does not belong to the first certificate in {chain}")]
    KeyMismatch {
        /// The origin of the chain.
        chain: String,
    },
    /// The leaf is not the first certificate.
    #[error(
        "the certificate of the key is number {position} of the chain: it must come first, its issuer next"
    )]
    LeafNotFirst {
        /// Counted from 1.
        position: usize,
    },
    /// A certificate is not followed by its issuer.
    #[error(
        "the chain is in the wrong order: certificate {position} (`{subject}`) must be followed by its issuer \
         `{issuer}`, but `{found}` follows"
    )]
    WrongOrder {
        /// Counted from 1.
        position: usize,
        /// Its subject.
        subject: String,
        /// Its issuer.
        issuer: String,
        /// The subject that follows.
        found: String,
    },
    /// The next certificate has the name of the issuer but another key.
    #[error(
        "certificate {position} of the chain was not signed by the key of the certificate that follows it"
    )]
    BadSignature {
        /// Counted from 1.
        position: usize,
    },
    /// Past its validity.
    #[error("certificate {position} of the chain expired on {}", display(*.at))]
    Expired {
        /// Counted from 1.
        position: usize,
        /// End of its validity.
        at: SystemTime,
    },
    /// Before its validity.
    #[error("certificate {position} of the chain is not valid before {}: check this machine's clock", display(*.at))]
    NotYetValid {
        /// Counted from 1.
        position: usize,
        /// Start of its validity.
        at: SystemTime,
    },
    /// An RSA key that browsers reject.
    #[error(
        "certificate {position} of the chain has an RSA key of {bits} bits: expected 2048 or more"
    )]
    WeakKey {
        /// Counted from 1.
        position: usize,
        /// Its length in bits.
        bits: usize,
    },
    /// A signature that browsers reject.
    #[error(
        "certificate {position} of the chain is signed with SHA-1 or MD5, which browsers reject"
    )]
    WeakSignature {
        /// Counted from 1.
        position: usize,
    },
    /// The leaf is not valid for a name.
    #[error("the certificate is not valid for `{name}`, only for: {}", .has.join(", "))]
    NameMissing {
        /// The missing name.
        name: String,
        /// The names it is valid for.
        has: Vec<String>,
    },
}

impl Reason {
    pub(super) fn of(self, origin: impl Into<String>) -> CheckError {
        CheckError { origin: origin.into(), reason: self }
    }
}
