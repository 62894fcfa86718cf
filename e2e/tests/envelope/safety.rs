//! Section "Safety number" of `docs/E2E.md`.

use aws_lc_rs::digest::SHA512;
use aws_lc_rs::digest::digest;

use crate::envelope::encoding::Writer;

const ROUNDS: usize = 5200;

/// The 60 digits of two accounts with these identity keys.
pub(crate) fn number(one: (&str, &[u8; 32]), other: (&str, &[u8; 32])) -> String {
    let mut halves = [half(one.0, one.1), half(other.0, other.1)];
    halves.sort();
    halves.concat()
}

fn half(account: &str, identity_key: &[u8; 32]) -> String {
    let first = Writer::default().text("gatehouse/safety/2").text(account).bytes(identity_key);
    let mut hash = digest(&SHA512, &first.finish());
    for _ in 1..ROUNDS {
        hash = digest(&SHA512, &[hash.as_ref(), identity_key].concat());
    }
    let mut digits = String::new();
    for group in hash.as_ref().chunks_exact(5).take(6) {
        let number = group.iter().fold(0, |number, byte| number << 8 | u64::from(*byte));
        digits.push_str(&format!("{:05}", number % 100_000));
    }
    digits
}
