//! What went wrong while ordering, in words that tell an operator what to do.

use std::error::Error as _;
use std::fmt;
use std::time::SystemTime;

use instant_acme::{Error, Problem};
use serde::{Deserialize, Serialize};

use crate::StorageError;
use crate::check::CheckError;
use crate::clock::display;

/// One failed attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{text}")]
pub struct Failure {
    /// The kind, bounded: good as a metric label.
    pub kind: FailureKind,
    /// What happened and who can mend it.
    pub text: String,
    /// When the authority allows another attempt, if it said so.
    pub retry_after: Option<SystemTime>,
}

/// The kinds of failure an operator acts on differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// A CAA record forbids the authority.
    Caa,
    /// The authority limits our rate.
    RateLimited,
    /// The name does not resolve for the authority.
    Dns,
    /// The authority could not connect to us.
    Connection,
    /// Somebody else answered the authority, or the answer was wrong.
    Unauthorized,
    /// The authority's TLS handshake with us failed.
    Tls,
    /// The authority will not issue for this name.
    Rejected,
    /// The authority does not offer the profile.
    Profile,
    /// The account is refused: binding, terms, contact.
    Account,
    /// The authority no longer knows the account.
    AccountUnknown,
    /// The directory cannot be reached, or answers nonsense.
    Unreachable,
    /// The authority has trouble of its own.
    ServerError,
    /// No way to prove the name is both allowed here and offered there.
    NoChallenge,
    /// What was issued fails our own check.
    Refused,
    /// Our storage fails.
    Storage,
    /// The lock went to another replica.
    LockLost,
    /// It took too long.
    Timeout,
    /// Everything else the authority says.
    Other,
}

impl FailureKind {
    /// The name as a metric label and in logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Caa => "caa",
            Self::RateLimited => "rate_limited",
            Self::Dns => "dns",
            Self::Connection => "connection",
            Self::Unauthorized => "unauthorized",
            Self::Tls => "tls",
            Self::Rejected => "rejected",
            Self::Profile => "profile",
            Self::Account => "account",
            Self::AccountUnknown => "account_unknown",
            Self::Unreachable => "unreachable",
            Self::ServerError => "server_error",
            Self::NoChallenge => "no_challenge",
            Self::Refused => "refused",
            Self::Storage => "storage",
            Self::LockLost => "lock_lost",
            Self::Timeout => "timeout",
            Self::Other => "other",
        }
    }

    /// Whether proving the name in another way could succeed.
    pub(crate) fn is_validation(self) -> bool {
        matches!(self, Self::Connection | Self::Unauthorized | Self::Tls | Self::Dns | Self::Other)
    }

    /// Whether it says nothing against us or our names, so that trying again soon costs nobody
    /// anything.
    pub(crate) fn is_passing(self) -> bool {
        matches!(self, Self::Unreachable | Self::ServerError)
    }

    /// What an operator should look at.
    fn advice(self) -> Option<&'static str> {
        Some(match self {
            Self::Caa => {
                "the CAA records of the name do not allow this authority: change them or the authority"
            }
            Self::RateLimited => {
                "the authority limits how often it issues; the next attempt waits for it"
            }
            Self::Dns => {
                "check that the name has an A or AAAA record that the public internet sees"
            }
            Self::Connection => {
                "check that port 80 (http-01) or 443 (tls-alpn-01) of the name leads here from the internet"
            }
            Self::Unauthorized => {
                "another server answers for the name: check its A and AAAA records and any proxy"
            }
            Self::Tls => {
                "something in front ends TLS or does not pass `acme-tls/1` on: try http-01"
            }
            Self::Rejected => {
                "the authority does not issue for this name: check its spelling and the authority's policy"
            }
            Self::Profile => "choose a profile that the authority offers, or leave `profile` out",
            Self::Account => "check the contact addresses and the external account key",
            Self::Unreachable => {
                "check the directory URL, outgoing HTTPS and which roots this machine trusts"
            }
            Self::ServerError => {
                "the authority has trouble of its own and is asked again soon; see its status page"
            }
            Self::NoChallenge => "allow both http-01 and tls-alpn-01 in the settings",
            Self::Storage => "check the certificate storage",
            _ => return None,
        })
    }
}

impl Failure {
    pub(crate) fn new(kind: FailureKind, what: impl fmt::Display) -> Self {
        let text = match kind.advice() {
            Some(advice) => format!("{what} ({advice})"),
            None => what.to_string(),
        };
        Self { kind, text, retry_after: None }
    }

    /// From an answer of the authority; `about` says what we were doing.
    pub(crate) fn problem(about: impl fmt::Display, problem: &Problem) -> Self {
        let kind = problem.r#type.as_deref().map_or(FailureKind::Other, kind_of);
        // One failed name of many is told as a subproblem (RFC 8555 section 6.7.1): its kind says
        // more than `compound`.
        let mut inner =
            problem.subproblems.iter().filter_map(|sub| sub.r#type.as_deref()).map(kind_of);
        let kind = if kind == FailureKind::Other { inner.next().unwrap_or(kind) } else { kind };
        let mut said = problem.detail.clone().unwrap_or_else(|| "no detail given".to_owned());
        for sub in &problem.subproblems {
            said.push_str(&format!("; {sub}"));
        }
        Self::new(kind, format_args!("{about}: {}", clean(&said)))
    }

    /// From any error of the protocol; `about` says what we were doing.
    pub(crate) fn acme(about: impl fmt::Display, error: &Error) -> Self {
        match error {
            Error::Api(problem) => Self::problem(about, problem),
            Error::Timeout(_) => Self::new(
                FailureKind::Timeout,
                format_args!("{about}: the authority is still busy"),
            ),
            Error::Other(_)
            | Error::Http(_)
            | Error::Hyper(_)
            | Error::InvalidUri(_)
            | Error::Json(_) => Self::new(
                FailureKind::Unreachable,
                format_args!("{about}: {}", clean(&chain(error))),
            ),
            other => Self::new(FailureKind::Other, format_args!("{about}: {other}")),
        }
    }

    pub(crate) fn until(mut self, retry_after: Option<SystemTime>) -> Self {
        if let Some(at) = retry_after {
            self.text.push_str(&format!("; not before {}", display(at)));
            self.retry_after = Some(at);
        }
        self
    }
}

impl From<StorageError> for Failure {
    fn from(error: StorageError) -> Self {
        match error {
            StorageError::Fenced { .. } => Self::new(FailureKind::LockLost, error),
            error => Self::new(FailureKind::Storage, error),
        }
    }
}

impl From<CheckError> for Failure {
    fn from(error: CheckError) -> Self {
        Self::new(FailureKind::Refused, error)
    }
}

/// The error types of RFC 8555 section 6.7.
fn kind_of(urn: &str) -> FailureKind {
    match urn.rsplit(':').next().unwrap_or(urn) {
        "caa" => FailureKind::Caa,
        "rateLimited" => FailureKind::RateLimited,
        "dns" => FailureKind::Dns,
        "connection" => FailureKind::Connection,
        "unauthorized" | "incorrectResponse" => FailureKind::Unauthorized,
        "tls" => FailureKind::Tls,
        "rejectedIdentifier" | "unsupportedIdentifier" => FailureKind::Rejected,
        "invalidProfile" => FailureKind::Profile,
        "externalAccountRequired"
        | "userActionRequired"
        | "invalidContact"
        | "unsupportedContact" => FailureKind::Account,
        "accountDoesNotExist" => FailureKind::AccountUnknown,
        // A nonce that is refused was tried again at once (RFC 8555 section 6.5), several times,
        // before it gets here.
        "badNonce" | "serverInternal" => FailureKind::ServerError,
        _ => FailureKind::Other,
    }
}

/// An error with its causes, as hyper keeps the telling part at the bottom.
fn chain(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text.push_str(": ");
            text.push_str(&inner_text);
        }
        cause = inner.source();
    }
    text
}

/// What a server says may hold anything: one line, bounded.
fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(600).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(json: &str) -> Failure {
        Failure::problem("ordering a.example", &serde_json::from_str(json).unwrap())
    }

    #[test]
    fn each_kind_tells_the_operator_what_to_do() {
        let caa =
            problem(r#"{"type":"urn:ietf:params:acme:error:caa","detail":"CAA for a.example"}"#);
        assert_eq!(caa.kind, FailureKind::Caa);
        assert!(
            caa.text.contains("CAA for a.example") && caa.text.contains("change them"),
            "{caa}"
        );
        let dns = problem(r#"{"type":"urn:ietf:params:acme:error:dns","detail":"NXDOMAIN"}"#);
        assert!(dns.kind == FailureKind::Dns && dns.text.contains("A or AAAA"), "{dns}");
        let nonce = problem(
            r#"{"type":"urn:ietf:params:acme:error:badNonce","detail":"JWS has an invalid nonce"}"#,
        );
        assert!(
            nonce.kind.is_passing()
                && !nonce.kind.is_validation()
                && nonce.text.contains("asked again"),
            "{nonce}"
        );
    }

    #[test]
    fn the_kind_of_a_subproblem_wins_over_a_vague_whole() {
        let failure = problem(
            r#"{"type":"urn:ietf:params:acme:error:compound","detail":"several","subproblems":[
               {"type":"urn:ietf:params:acme:error:rejectedIdentifier","detail":"no","identifier":{"type":"dns","value":"b.example"}}]}"#,
        );
        assert_eq!(failure.kind, FailureKind::Rejected);
        assert!(failure.text.contains("b.example"), "{failure}");
    }

    #[test]
    fn what_a_server_says_stays_on_one_bounded_line() {
        let failure = problem(&format!(r#"{{"detail":"two\nlines {}"}}"#, "x".repeat(5000)));
        assert!(!failure.text.contains('\n') && failure.text.len() < 900);
    }
}
