//! ACME directories: reachability, CAA identities and clock.

use std::collections::BTreeMap;
use std::error::Error as _;
use std::path::Path;

use gateway_config::{AcmeIssuer, CertificateSource, Config, DirectoryUrl};
use jiff::Timestamp;
use jiff::fmt::rfc2822;
use serde::Deserialize;

use super::Finding;
use super::network::ANSWER;

/// The configured directories that responded, by URL.
pub(super) type Directories = BTreeMap<String, Directory>;

/// A directory object (RFC 8555 section 7.1.1).
#[derive(Deserialize)]
pub(super) struct Directory {
    #[serde(rename = "newOrder")]
    _new_order: String,
    #[serde(default)]
    meta: Meta,
}

#[derive(Default, Deserialize)]
struct Meta {
    /// The issuer domain names that this authority accepts in CAA records (RFC 8555 section 9.7.6).
    #[serde(default, rename = "caaIdentities")]
    caa_identities: Vec<String>,
}

/// Maximum clock difference to the authority, in seconds. Orders, tickets and expiry dates tolerate
/// no more; network delay and rounding to seconds add far less.
const TOLERANCE: i64 = 60;

impl Directory {
    pub(super) fn identities(&self) -> &[String] {
        &self.meta.caa_identities
    }
}

/// Requests every directory once.
pub(super) async fn authorities(config: &Config) -> (Vec<Finding>, Directories) {
    let mut findings = Vec::new();
    let mut found = Directories::new();
    let mut asked = Vec::new();
    for certificate in &config.certificates {
        let CertificateSource::Acme(acme) = &certificate.source else { continue };
        for url in urls(&acme.issuer) {
            if asked.contains(&url) {
                continue;
            }
            asked.push(url);
            let subject = format!("authority {}", url.as_str());
            match read(url.as_str(), acme.issuer.ca_file.as_deref()).await {
                Ok((directory, ahead)) => {
                    findings.push(Finding::good(subject, "returns its directory"));
                    findings.extend(ahead.map(|ahead| clock(url.as_str(), ahead)));
                    found.insert(url.as_str().to_owned(), directory);
                }
                Err(reason) => findings.push(Finding::bad(subject, reason)),
            }
        }
    }
    (findings, found)
}

/// The directory and its fallback.
pub(super) fn urls(issuer: &AcmeIssuer) -> impl Iterator<Item = &DirectoryUrl> {
    [Some(&issuer.directory), issuer.fallback_directory.as_ref()].into_iter().flatten()
}

/// The directory, and by how many seconds the local clock is ahead of the response's `Date` (RFC
/// 9110 section 6.6.1).
async fn read(url: &str, ca_file: Option<&Path>) -> Result<(Directory, Option<i64>), String> {
    let mut client = reqwest::Client::builder().timeout(ANSWER);
    if let Some(path) = ca_file {
        let said = |error: &dyn std::fmt::Display| format!("ca_file: {}: {error}", path.display());
        let pem = std::fs::read(path).map_err(|error| said(&error))?;
        client = client.tls_certs_only(
            reqwest::Certificate::from_pem_bundle(&pem).map_err(|error| said(&error))?,
        );
    }
    let client = client.build().map_err(|error| error.to_string())?;
    let answer = client.get(url).send().await.map_err(|error| unreachable(&error))?;
    let now = Timestamp::now().as_second();
    let date =
        answer.headers().get("date").and_then(|date| rfc2822::parse(date.to_str().ok()?).ok());
    let ahead = date.map(|date| now - date.timestamp().as_second());
    if !answer.status().is_success() {
        return Err(format!(
            "expected a directory, found status {}: check the URL",
            answer.status()
        ));
    }
    let directory = answer
        .json()
        .await
        .map_err(|_| "expected an ACME directory, found another response: check the URL")?;
    Ok((directory, ahead))
}

fn clock(url: &str, ahead: i64) -> Finding {
    let subject = format!("clock by {url}");
    let (off, way) = (ahead.abs(), if ahead < 0 { "behind" } else { "ahead" });
    if off <= TOLERANCE {
        return Finding::good(subject, format!("{off} s difference, {TOLERANCE} s are tolerated"));
    }
    let advice = "set the clock and keep it synchronised (`timedatectl set-ntp true`)";
    Finding::bad(
        subject,
        format!("this machine's clock is {off} s {way}, {TOLERANCE} s are tolerated: {advice}"),
    )
}

fn unreachable(error: &reqwest::Error) -> String {
    let mut causes = Vec::new();
    let mut cause = error.source();
    while let Some(error) = cause {
        causes.push(error.to_string());
        cause = error.source();
    }
    let causes = causes.join(": ");
    // A wrong clock shows up here first, because every certificate seems expired or not valid yet.
    let advice = if causes.contains("expired") || causes.contains("not valid yet") {
        "check this machine's clock (`timedatectl`)"
    } else {
        "certificates cannot be ordered or renewed until it is reachable from here"
    };
    format!("is unreachable ({causes}): {advice}")
}
