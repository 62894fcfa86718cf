//! Names of runs, sessions and messages. A run's name holds its time of birth, so that one whose
//! log has expired can be told from one that never was.

use std::time::Duration;

use backend_protocol::id::{RunId, SessionId};

/// Hexadecimal digits of the milliseconds since 1970 in a run's name.
const TIME_DIGITS: usize = 12;

/// 128 random bits.
pub(crate) fn random() -> String {
    format!("{:032x}", rand::random::<u128>())
}

pub(crate) fn session() -> SessionId {
    SessionId::parse(random()).expect("hexadecimal digits make an id")
}

pub(crate) fn run() -> RunId {
    let born = now();
    RunId::parse(format!("{born:012x}-{:020x}", rand::random::<u128>() >> 48))
        .expect("hexadecimal digits make an id")
}

/// How long ago this run was named; `None` when it was not named here.
pub(crate) fn age(run: &RunId) -> Option<Duration> {
    let (born, rest) = run.as_str().split_once('-')?;
    if born.len() != TIME_DIGITS || rest.len() != 20 {
        return None;
    }
    let born = u64::from_str_radix(born, 16).ok()?;
    Some(Duration::from_millis(now().saturating_sub(born)))
}

fn now() -> u64 {
    u64::try_from(jiff::Timestamp::now().as_millisecond()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_tells_its_age_and_a_strangers_name_does_not() {
        assert!(age(&run()).expect("named here") < Duration::from_secs(60));
        let old = RunId::parse("000000000001-00000000000000000000").unwrap();
        assert!(age(&old).expect("named long ago") > Duration::from_secs(60 * 60));
        assert_eq!(age(&RunId::parse("run-1").unwrap()), None);
    }
}
