//! Durations and sizes in the notation of the configuration.

use std::time::Duration;

/// Maximum duration: ten years. A longer timeout is a mistake, and clocks must be able to add it.
const LONGEST: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

/// Parses `500ms`, `10s`, `2m`, `1h`, `7d`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = split(text);
    let milliseconds = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => {
            return Err("expected a duration such as `500ms`, `10s`, `2m`, `1h` or `7d`".to_owned());
        }
    };
    let duration = number
        .and_then(|number| number.checked_mul(milliseconds))
        .map(Duration::from_millis)
        .filter(|duration| *duration <= LONGEST);
    let expected = "expected a whole number of `ms`, `s`, `m`, `h` or `d`, at most ten years";
    duration.ok_or_else(|| expected.to_owned())
}

/// Parses `512`, `64KiB`, `10MiB`, `1GiB`.
pub(crate) fn bytes(text: &str) -> Result<u64, String> {
    let (number, unit) = split(text);
    let factor = match unit {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => {
            return Err(
                "expected a size such as `64KiB`, `10MiB`, `1GiB` or a number of bytes".to_owned()
            );
        }
    };
    let bytes = number
        .and_then(|number| number.checked_mul(factor))
        .filter(|bytes| i64::try_from(*bytes).is_ok());
    bytes.ok_or_else(|| "expected a whole number of bytes, `KiB`, `MiB` or `GiB`".to_owned())
}

/// Formats a duration in the notation of the configuration.
pub fn duration_text(duration: Duration) -> String {
    match duration.as_millis() {
        0 => "0s".to_owned(),
        ms if ms % 86_400_000 == 0 => format!("{}d", ms / 86_400_000),
        ms if ms % 3_600_000 == 0 => format!("{}h", ms / 3_600_000),
        ms if ms % 60_000 == 0 => format!("{}m", ms / 60_000),
        ms if ms % 1000 == 0 => format!("{}s", ms / 1000),
        ms => format!("{ms}ms"),
    }
}

/// Formats a size in the notation of the configuration.
pub fn bytes_text(bytes: u64) -> String {
    match bytes {
        0 => "0".to_owned(),
        bytes if bytes % (1 << 30) == 0 => format!("{}GiB", bytes >> 30),
        bytes if bytes % (1 << 20) == 0 => format!("{}MiB", bytes >> 20),
        bytes if bytes % (1 << 10) == 0 => format!("{}KiB", bytes >> 10),
        bytes => bytes.to_string(),
    }
}

fn split(text: &str) -> (Option<u64>, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(end);
    (digits.parse().ok(), unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_sizes_are_formatted_as_they_are_parsed() {
        for text in ["500ms", "10s", "2m", "1h", "7d"] {
            assert_eq!(duration_text(duration(text).unwrap()), text);
        }
        for text in ["512", "64KiB", "10MiB", "1GiB"] {
            assert_eq!(bytes_text(bytes(text).unwrap()), text);
        }
    }

    #[test]
    fn missing_units_unknown_units_and_overflows_are_rejected() {
        for text in [
            "",
            "10",
            "s",
            "-1s",
            "1.5s",
            "10 s",
            "4000d",
            "99999999999999999999s",
            "18446744073709551615d",
        ] {
            assert!(duration(text).is_err(), "{text}");
        }
        for text in ["", "KiB", "10KB", "-1", "18446744073709551615GiB"] {
            assert!(bytes(text).is_err(), "{text}");
        }
    }
}
