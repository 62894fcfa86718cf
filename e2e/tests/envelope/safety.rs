//! Section "Safety number" of `docs/E2E.md`.

use aws_lc_rs::digest::SHA512;
use aws_lc_rs::digest::digest;

use crate::envelope::device::Device;
use crate::envelope::encoding::Writer;
use crate::envelope::header::recipients;

const ROUNDS: usize = 5200;

/// The 60 digits of two people with these devices.
pub(crate) fn number(one: (&str, &[Device]), other: (&str, &[Device])) -> String {
    let mut halves = [half(one.0, one.1), half(other.0, other.1)];
    halves.sort();
    halves.concat()
}

fn half(account: &str, devices: &[Device]) -> String {
    let mut set = Vec::new();
    for device in recipients(devices) {
        set.extend_from_slice(&device.fingerprint);
    }
    let first = Writer::default().text("gatehouse/safety/1").text(account).bytes(&set);
    let mut hash = digest(&SHA512, &first.finish());
    for _ in 1..ROUNDS {
        hash = digest(&SHA512, &[hash.as_ref(), &set].concat());
    }
    let mut digits = String::new();
    for group in hash.as_ref().chunks_exact(5).take(6) {
        let number = group.iter().fold(0, |number, byte| number << 8 | u64::from(*byte));
        digits.push_str(&format!("{:05}", number % 100_000));
    }
    digits
}
