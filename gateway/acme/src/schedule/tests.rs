//! Schedule of renewals and retries.

use rcgen::{CertificateParams, KeyPair};

use super::*;
use crate::check::{Pem, pem};

const DAY: Duration = Duration::from_secs(24 * 3600);
const HOUR: Duration = Duration::from_secs(3600);

fn start() -> SystemTime {
    from_unix(1_800_000_000)
}

/// Ninety days from `start`.
fn certificate() -> Certificate {
    let mut params = CertificateParams::new(vec!["a.example".to_owned()]).unwrap();
    params.not_before = start().into();
    params.not_after = (start() + 90 * DAY).into();
    let key = KeyPair::generate().unwrap();
    let (chain, key) = (params.self_signed(&key).unwrap().pem(), key.serialize_pem());
    let of = |text: &'static str, bytes| Pem { origin: text, text: bytes };
    pem(of("chain", chain.as_bytes()), of("key", key.as_bytes()), &[], start()).unwrap()
}

fn stored(renewal: Option<Renewal>) -> Stored {
    let issued = unix(start());
    Stored {
        chain: String::new(),
        key: String::new(),
        authority: String::new(),
        issued,
        renewal,
        proven: None,
    }
}

fn info(from: Duration, to: Duration) -> RenewalInfo {
    let at = |after: Duration| jiff::Timestamp::try_from(start() + after).unwrap();
    let text = format!(r#"{{"suggestedWindow":{{"start":"{}","end":"{}"}}}}"#, at(from), at(to));
    serde_json::from_str(&text).unwrap()
}

#[test]
fn without_renewal_information_a_third_of_the_lifetime_is_left() {
    assert_eq!(renew_at(&certificate(), &stored(None)), start() + 60 * DAY);
}

#[test]
fn a_certificate_is_renewed_in_its_window_and_soon_when_the_window_has_passed() {
    let drawn = plan(&info(10 * DAY, 12 * DAY), HOUR, None, start(), 0.5);
    assert_eq!(renew_at(&certificate(), &stored(Some(drawn))), start() + 11 * DAY);
    let revoked = plan(&info(Duration::ZERO, HOUR), HOUR, None, start(), 0.0);
    assert_eq!(renew_at(&certificate(), &stored(Some(revoked))), start() + HOUR);
}

#[test]
fn a_window_after_the_expiry_does_not_let_the_certificate_expire() {
    let late = plan(&info(100 * DAY, 200 * DAY), HOUR, None, start(), 0.5);
    assert_eq!(renew_at(&certificate(), &stored(Some(late))), start() + 81 * DAY);
}

#[test]
fn the_moment_is_kept_while_the_window_is_the_same_and_drawn_again_when_it_moves() {
    let first = plan(&info(10 * DAY, 20 * DAY), HOUR, None, start(), 0.1);
    let again = plan(&info(10 * DAY, 20 * DAY), HOUR, Some(&first), start() + DAY, 0.9);
    assert_eq!(again.at, first.at);
    let moved = plan(&info(5 * DAY, 15 * DAY), HOUR, Some(&first), start() + DAY, 0.5);
    assert_eq!(moved.at, Some(unix(start() + 10 * DAY)));
}

#[test]
fn a_window_that_ends_before_it_starts_is_ignored() {
    assert_eq!(plan(&info(20 * DAY, 10 * DAY), HOUR, None, start(), 0.5).at, None);
}

#[test]
fn the_query_interval_is_bounded_on_both_sides() {
    let query = |after| plan(&info(DAY, 2 * DAY), after, None, start(), 0.5).query;
    assert_eq!(query(Duration::ZERO), unix(start() + Duration::from_secs(60)));
    assert_eq!(query(365 * DAY), unix(start() + DAY));
}

#[test]
fn a_failed_query_keeps_the_planned_renewal() {
    let first = plan(&info(10 * DAY, 20 * DAY), HOUR, None, start(), 0.1);
    assert_eq!(unplanned(Some(&first), true, start()).at, first.at);
    assert_eq!(unplanned(None, false, start()).at, None);
}

#[test]
fn waits_double_up_to_the_limit_with_jitter() {
    let backoff = Backoff { first: Duration::from_secs(100), most: Duration::from_secs(1000) };
    let waits: Vec<_> = (1..=5)
        .map(|failures| backoff.delay(failures, FailureKind::Connection, 0.5).as_secs())
        .collect();
    assert_eq!(waits, [100, 200, 400, 800, 1000]);
    assert_eq!(backoff.delay(u32::MAX, FailureKind::Connection, 0.0).as_secs(), 750);
    assert_eq!(backoff.delay(1, FailureKind::Connection, 1.0).as_secs(), 125);
    assert_eq!(
        backoff.delay(1, FailureKind::Unreachable, 0.5).as_millis(),
        8333,
        "it does not count against a limit"
    );
}

#[test]
fn authorities_rotate_after_the_configured_number_of_failures() {
    let used: Vec<_> = (0..7).map(|failures| authority(failures, 2, 3)).collect();
    assert_eq!(used, [0, 0, 1, 1, 2, 2, 0]);
    assert_eq!(authority(5, 3, 1), 0);
}

#[test]
fn a_rate_limit_moves_on_to_the_next_authority() {
    assert_eq!(authority(failures_after(0, 3, true), 3, 2), 1);
    assert_eq!(failures_after(1, 3, false), 2);
}
