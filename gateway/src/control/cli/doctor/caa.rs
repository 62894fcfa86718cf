//! CAA records: which authorities may issue certificates for the configured names (RFC 8659).

use gateway_config::{AcmeChallenge, CertificateSource, Config, ServerName};
use hickory_proto::rr::Name;
use hickory_proto::rr::rdata::CAA;

use super::Finding;
use super::authorities::{self, Directories};
use super::dns::{LookupError, NameServers};

/// Properties that authorities implement; any other property, marked critical, forbids issuance
/// (RFC 8659 section 4.1).
const KNOWN: [&str; 7] =
    ["issue", "issuewild", "iodef", "issuemail", "issuevmc", "contactemail", "contactphone"];

/// Whether an authority may issue.
#[derive(Debug, PartialEq, Eq)]
enum Judgement {
    Allowed,
    /// For one account only (RFC 8657 section 3), which may or may not be ours.
    ForAccount(String),
    /// Only with validation methods that are not configured (RFC 8657 section 4).
    OtherMethods(String),
    /// Only these authorities may issue.
    Others(Vec<String>),
    /// An unknown critical property forbids issuance.
    Critical(String),
}

/// Checks every name that is ordered by ACME.
pub(super) async fn caa(
    config: &Config,
    directories: &Directories,
    servers: &NameServers,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    for certificate in &config.certificates {
        let CertificateSource::Acme(acme) = &certificate.source else { continue };
        for name in &acme.names {
            let ServerName::Dns(name) = name else { continue };
            let subject = format!("CAA {name}");
            let (place, records) = match relevant(name, servers).await {
                Ok(Some(found)) => found,
                Ok(None) => {
                    findings.push(Finding::good(subject, "no record: any authority may issue"));
                    continue;
                }
                Err(error) => {
                    findings.push(Finding::bad(subject, error.to_string()));
                    continue;
                }
            };
            for (index, url) in authorities::urls(&acme.issuer).enumerate() {
                let Some(directory) = directories.get(url.as_str()) else { continue };
                let judgement = judge(&records, directory.identities(), &acme.issuer.challenges);
                let found = finding(
                    &subject,
                    &place,
                    judgement,
                    directory.identities(),
                    &acme.issuer.challenges,
                );
                // A forbidden fallback is only a warning.
                findings.push(if index > 0 { found.softened() } else { found });
            }
        }
    }
    findings
}

/// The relevant record set: that of the name itself, else of its closest ancestor (RFC 8659 section
/// 3).
async fn relevant(
    name: &str,
    servers: &NameServers,
) -> Result<Option<(Name, Vec<CAA>)>, LookupError> {
    // A name that is invalid in DNS has no records.
    let Ok(mut name) = Name::from_ascii(name) else { return Ok(None) };
    name.set_fqdn(true);
    while !name.is_root() {
        let records = servers.caa(&name).await?;
        if !records.is_empty() {
            return Ok(Some((name, records)));
        }
        name = name.base_name();
    }
    Ok(None)
}

fn judge(records: &[CAA], identities: &[String], challenges: &[AcmeChallenge]) -> Judgement {
    let is = |record: &CAA, tag: &str| record.tag.eq_ignore_ascii_case(tag);
    if let Some(record) =
        records.iter().find(|one| one.issuer_critical && !KNOWN.iter().any(|tag| is(one, tag)))
    {
        return Judgement::Critical(record.tag.clone());
    }
    let mut others = Vec::new();
    let mut reserved = None;
    let mut any = false;
    for record in records.iter().filter(|record| is(record, "issue")) {
        any = true;
        // A malformed value, or one without a name, allows no authority.
        let Ok((Some(issuer), parameters)) = record.value_as_issue() else { continue };
        let issuer = issuer.to_ascii().trim_end_matches('.').to_ascii_lowercase();
        if !identities.iter().any(|identity| identity.eq_ignore_ascii_case(&issuer)) {
            others.push(issuer);
            continue;
        }
        let parameter =
            |key: &str| parameters.iter().find(|one| one.key().eq_ignore_ascii_case(key));
        let methods = parameter("validationmethods").map(|one| one.value().to_owned());
        let account = parameter("accounturi").map(|one| one.value().to_owned());
        let provable = |methods: &String| {
            methods.split(',').any(|method| {
                challenges.iter().any(|challenge| challenge.as_str() == method.trim())
            })
        };
        match (methods.filter(|methods| !provable(methods)), account) {
            (None, None) => return Judgement::Allowed,
            (Some(methods), _) => reserved = reserved.or(Some(Judgement::OtherMethods(methods))),
            (None, Some(account)) => reserved = Some(Judgement::ForAccount(account)),
        }
    }
    if any { reserved.unwrap_or(Judgement::Others(others)) } else { Judgement::Allowed }
}

fn finding(
    subject: &str,
    place: &Name,
    judgement: Judgement,
    identities: &[String],
    challenges: &[AcmeChallenge],
) -> Finding {
    let at = place.to_ascii();
    let at = at.trim_end_matches('.');
    let Some(identity) = identities.first() else {
        return nameless(subject, at, judgement);
    };
    match judgement {
        Judgement::Allowed => {
            Finding::good(subject, format!("the records of {at} allow {identity}"))
        }
        Judgement::ForAccount(account) => Finding::odd(
            subject,
            format!(
                "the records of {at} allow {identity} only for the account {account}: check that it is this gateway's account"
            ),
        ),
        Judgement::OtherMethods(methods) => {
            let own =
                challenges.iter().map(|challenge| challenge.as_str()).collect::<Vec<_>>().join(",");
            let mend = format!("`{at}. IN CAA 0 issue \"{identity}; validationmethods={own}\"`");
            Finding::bad(
                subject,
                format!(
                    "the records of {at} allow {identity} only with {methods}, but {own} is configured: add {mend} to the zone"
                ),
            )
        }
        Judgement::Others(others) => {
            let allowed = listed(&others);
            let mend = format!("`{at}. IN CAA 0 issue \"{identity}\"`");
            Finding::bad(
                subject,
                format!(
                    "the records of {at} allow {allowed} but not {identity}: add {mend} to the zone"
                ),
            )
        }
        Judgement::Critical(tag) => critical(subject, at, &tag),
    }
}

/// The finding for a directory without CAA identities.
fn nameless(subject: &str, at: &str, judgement: Judgement) -> Finding {
    match judgement {
        Judgement::Critical(tag) => critical(subject, at, &tag),
        Judgement::Others(others) => {
            let allowed = listed(&others);
            Finding::odd(
                subject,
                format!(
                    "the records of {at} allow {allowed}, but the directory does not list its CAA identities"
                ),
            )
        }
        _ => Finding::good(subject, format!("the records of {at} do not restrict issuance")),
    }
}

fn critical(subject: &str, at: &str, tag: &str) -> Finding {
    Finding::bad(
        subject,
        format!(
            "the records of {at} contain the unknown critical property `{tag}`: remove it from the zone"
        ),
    )
}

fn listed(issuers: &[String]) -> String {
    if issuers.is_empty() { "no authority".to_owned() } else { issuers.join(", ") }
}

#[cfg(test)]
mod tests {
    use hickory_proto::rr::rdata::caa::KeyValue;

    use super::*;

    fn issue(name: &str, parameters: &[(&str, &str)]) -> CAA {
        let name = (!name.is_empty()).then(|| Name::from_ascii(name).expect("a name"));
        CAA::new_issue(
            false,
            name,
            parameters.iter().map(|(key, value)| KeyValue::new(*key, *value)).collect(),
        )
    }

    fn unknown(critical: bool) -> CAA {
        let mut record = issue("x.example", &[]);
        (record.tag, record.issuer_critical) = ("newest".to_owned(), critical);
        record
    }

    #[test]
    fn an_authority_may_issue_if_a_record_allows_it_or_none_restricts_issuance() {
        let identities = ["ca.example".to_owned(), "ca.test".to_owned()];
        let own = [AcmeChallenge::Http01];
        let others = |names: &[&str]| {
            Judgement::Others(names.iter().map(|name| (*name).to_owned()).collect())
        };
        let account = || Judgement::ForAccount("https://ca/1".to_owned());
        for (records, expected) in [
            (vec![unknown(false)], Judgement::Allowed),
            (vec![issue("CA.example", &[])], Judgement::Allowed),
            (vec![issue("other.example", &[]), issue("ca.test", &[])], Judgement::Allowed),
            (vec![issue("other.example", &[])], others(&["other.example"])),
            (vec![issue("", &[])], others(&[])),
            (vec![issue("ca.example.org", &[])], others(&["ca.example.org"])),
            (vec![issue("ca.test", &[]), unknown(true)], Judgement::Critical("newest".to_owned())),
            (
                vec![issue("ca.test", &[("validationmethods", "dns-01,http-01")])],
                Judgement::Allowed,
            ),
            (
                vec![issue("ca.test", &[("validationmethods", "dns-01")])],
                Judgement::OtherMethods("dns-01".to_owned()),
            ),
            (vec![issue("ca.test", &[("accounturi", "https://ca/1")])], account()),
            (
                vec![
                    issue("ca.test", &[("validationmethods", "dns-01")]),
                    issue("ca.test", &[("accounturi", "https://ca/1")]),
                ],
                account(),
            ),
        ] {
            assert_eq!(judge(&records, &identities, &own), expected, "{records:?}");
        }
    }
}
