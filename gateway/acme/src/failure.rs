//! Failures of ordering, with advice for the operator.

use std::error::Error as _;
use std::fmt;
use std::time::SystemTime;

use instant_acme::{Error, Problem};
use serde::{Deserialize, Serialize};

use crate::check::CheckError;
use crate::clock::display;
use crate::storage::StorageError;

/// One failed attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{text}")]
pub struct Failure {
    /// The kind, from a bounded set, for metric labels.
    pub kind: FailureKind,
    /// What failed and how to fix it.
    pub text: String,
    /// When the authority allows another attempt, if it returned that.
    pub retry_after: Option<SystemTime>,
}

/// Kinds of failure, by what an operator has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// A CAA record forbids the authority.
    Caa,
    /// A rate limit of the authority.
    RateLimited,
    /// The name does not resolve for the authority.
    Dns,
    /// The authority could not connect to us.
    Connection,
    /// Another server responded to the authority, or the response was wrong.
    Unauthorized,
    /// The authority's TLS handshake with us failed.
    Tls,
    /// The authority does not issue for this name.
    Rejected,
    /// The authority does not offer the profile.
    Profile,
    /// The account is rejected: binding, terms, contact.
    Account,
    /// The authority no longer has the account.
    AccountUnknown,
    /// The directory is unreachable, or its responses are invalid.
    Unreachable,
    /// An internal error of the authority.
    ServerError,
    /// No challenge is both allowed here and offered by the authority.
    NoChallenge,
    /// The issued certificate fails our check.
    Refused,
    /// Storage failed.
    Storage,
    /// Another replica took the lock.
    LockLost,
    /// A deadline passed.
    Timeout,
    /// Any other error.
    Other,
}

impl FailureKind {
    /// The name in metrics and logs.
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

    /// Another kind of challenge could succeed.
    pub(crate) fn is_validation(self) -> bool {
        matches!(self, Self::Connection | Self::Unauthorized | Self::Tls | Self::Dns | Self::Other)
    }

    /// The failure does not count against a limit of the authority, so an early retry costs
    /// nothing.
    pub(crate) fn is_passing(self) -> bool {
        matches!(self, Self::Unreachable | Self::ServerError)
    }

    /// What an operator should check.
    fn advice(self) -> Option<&'static str> {
        Some(match self {
            Self::Caa => {
                "the CAA records of the name do not allow this authority: change them or the authority"
            }
            Self::RateLimited => "rate limit of the authority; the next attempt waits for it",
            Self::Dns => "check that the name has an A or AAAA record on the public internet",
            Self::Connection => {
                "check that port 80 (http-01) or 443 (tls-alpn-01) of the name reaches this server from the internet"
            }
            Self::Unauthorized => {
                "another server responds for the name: check its A and AAAA records and any proxy"
            }
            Self::Tls => {
                "a proxy in front terminates TLS or does not pass `acme-tls/1`: try http-01"
            }
            Self::Rejected => {
                "the authority does not issue for this name: check its spelling and the authority's policy"
            }
            Self::Profile => "choose a profile that the authority offers, or remove `profile`",
            Self::Account => "check the contact addresses and the external account key",
            Self::Unreachable => {
                "check the directory URL, outgoing HTTPS and the trusted roots of this machine"
            }
            Self::ServerError => {
                "internal error of the authority; retried soon; see its status page"
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

    /// From a problem document of the authority. `about` names what was being done.
    pub(crate) fn problem(about: impl fmt::Display, problem: &Problem) -> Self {
        let kind = problem.r#type.as_deref().map_or(FailureKind::Other, kind_of);
        // One failed name of many is a subproblem (RFC 8555 section 6.7.1). Its kind is more
        // specific than `compound`.
        let inner = problem.subproblems.iter().find_map(|sub| sub.r#type.as_deref());
        let kind = match inner {
            Some(inner) if kind == FailureKind::Other => kind_of(inner),
            _ => kind,
        };
        let mut text = problem.detail.clone().unwrap_or_else(|| "no detail given".to_owned());
        for sub in &problem.subproblems {
            text.push_str(&format!("; {sub}"));
        }
        Self::new(kind, format_args!("{about}: {}", clean(&text)))
    }

    /// From any error of the protocol. `about` names what was being done.
    pub(crate) fn acme(about: impl fmt::Display, error: &Error) -> Self {
        match error {
            Error::Api(problem) => Self::problem(about, problem),
            Error::Timeout(_) => Self::new(
                FailureKind::Timeout,
                format_args!("{about}: the authority is still processing"),
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
            self.text.push_str(&format!("; next attempt at {} or later", display(at)));
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
        // The ACME library has retried a rejected nonce several times (RFC 8555 section 6.5).
        "badNonce" | "serverInternal" => FailureKind::ServerError,
        _ => FailureKind::Other,
    }
}

/// An error with its causes: hyper has the most specific one last.
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

/// Text of a server on one line, bounded, without control characters.
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
    fn each_kind_has_advice_for_the_operator() {
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
                && nonce.text.contains("retried soon"),
            "{nonce}"
        );
    }

    #[test]
    fn the_kind_of_a_subproblem_replaces_an_unspecific_one() {
        let failure = problem(
            r#"{"type":"urn:ietf:params:acme:error:compound","detail":"several","subproblems":[
               {"type":"urn:ietf:params:acme:error:rejectedIdentifier","detail":"no","identifier":{"type":"dns","value":"b.example"}}]}"#,
        );
        assert_eq!(failure.kind, FailureKind::Rejected);
        assert!(failure.text.contains("b.example"), "{failure}");
    }

    #[test]
    fn text_of_a_server_stays_on_one_bounded_line() {
        let failure = problem(&format!(r#"{{"detail":"two\nlines {}"}}"#, "x".repeat(5000)));
        assert!(!failure.text.contains('\n') && failure.text.len() < 900);
    }
}
