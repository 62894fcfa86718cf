//! Ids of runs, sessions and messages. A run's id contains its creation time, to tell an expired
//! run from an unknown one.

use std::time::Duration;

use backend_protocol::api::{Message, Role};
use backend_protocol::id::{MessageId, RunId, SessionId};

/// Hexadecimal digits of the milliseconds since 1970 in a run's id.
const TIME_DIGITS: usize = 12;

/// A message created now, with a new id.
pub(crate) fn message(role: Role, content: String) -> Message {
    let id = MessageId::parse(random()).expect("hexadecimal digits make an id");
    Message { id, role, content, created_at: jiff::Timestamp::now().to_string() }
}

/// 128 random bits.
fn random() -> String {
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

/// The age of this run; `None` when the id was not created by `run`.
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
    fn the_age_of_a_run_is_known_from_its_id() {
        assert!(age(&run()).expect("its id has a time") < Duration::from_secs(60));
        let old = RunId::parse("000000000001-00000000000000000000").unwrap();
        assert!(age(&old).expect("its id has a time") > Duration::from_secs(60 * 60));
        assert_eq!(age(&RunId::parse("run-1").unwrap()), None);
    }
}
