//! Panics as log lines, with source locations that omit paths of the build machine.

use std::backtrace::{Backtrace, BacktraceStatus};

/// Replaces the panic hook of the standard library.
pub(super) fn log() {
    std::panic::set_hook(Box::new(|panic| {
        let reason = panic.payload_as_str().unwrap_or("no message");
        let place = panic
            .location()
            .map(|at| format!("{}:{}:{}", portable(at.file()), at.line(), at.column()));
        let place = place.unwrap_or_default();
        let thread = std::thread::current();
        let thread = thread.name().unwrap_or_default();
        // Captured only with RUST_BACKTRACE=1.
        let backtrace = Backtrace::capture();
        if backtrace.status() == BacktraceStatus::Captured {
            let backtrace = without_paths(&backtrace.to_string());
            tracing::error!(reason, place, thread, backtrace, "panicked");
        } else {
            tracing::error!(reason, place, thread, "panicked");
        }
    }));
}

/// Shortens a path to start at its crate: `h2-0.4.12/src/server.rs`. Paths of this workspace are
/// already relative.
fn portable(file: &str) -> &str {
    if !file.starts_with('/') {
        return file;
    }
    let krate =
        file.rfind("/src/").and_then(|src| file.get(..src)).and_then(|before| before.rfind('/'));
    let name = krate.or_else(|| file.rfind('/'));
    name.and_then(|slash| file.get(slash + 1..)).unwrap_or(file)
}

fn without_paths(backtrace: &str) -> String {
    let line = |line: &str| match line.trim_start().strip_prefix("at ") {
        Some(file) => format!("    at {}", portable(file.strip_prefix("./").unwrap_or(file))),
        None => line.to_owned(),
    };
    backtrace.lines().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn source_locations_omit_paths_of_the_build_machine() {
        for (file, expected) in [
            ("gateway/src/head.rs", "gateway/src/head.rs"),
            (
                "/home/builder/.cargo/registry/src/index.crates.io-1949cf8c6b5b557f/h2-0.4.12/src/proto/go_away.rs",
                "h2-0.4.12/src/proto/go_away.rs",
            ),
            ("/rustc/0123/library/core/src/option.rs", "core/src/option.rs"),
            ("/build/generated.rs", "generated.rs"),
        ] {
            assert_eq!(portable(file), expected);
        }
        let text = "   0: std::panicking::begin_panic\n             at /rustc/01/library/std/src/panicking.rs:697:5\n   1: x\n             at ./gateway/src/x.rs:1:2";
        let expected = "   0: std::panicking::begin_panic\n    at std/src/panicking.rs:697:5\n   1: x\n    at gateway/src/x.rs:1:2";
        assert_eq!(without_paths(text), expected);
    }
}
