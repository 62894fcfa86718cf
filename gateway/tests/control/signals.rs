//! Signal handlers are installed before the process has any visible effect.

use std::net::TcpStream;
use std::process::Stdio;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::pebble::free_port;
use crate::support::{FRONT, SOON, fixed_route, program, within};

/// Whether the process has a handler for SIGTERM: bit 15 of `SigCgt` in proc_pid_status(5).
fn catches_sigterm(pid: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
    let caught = caught.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    caught & (1 << (15 - 1)) != 0
}

#[tokio::test]
async fn an_early_sigterm_exits_with_0() {
    for round in 0..20 {
        let directory = tempfile::tempdir().unwrap();
        let port = free_port();
        let config = format!(
            "{}{}",
            FRONT.replace("127.0.0.1:0", &format!("127.0.0.1:{port}")),
            fixed_route("x")
        );
        std::fs::write(directory.path().join("gateway.toml"), config).unwrap();
        let mut child = program(directory.path(), &["run"]).stderr(Stdio::null()).spawn().unwrap();
        let pid = child.id().unwrap();
        let deadline = Instant::now() + SOON;
        // Half of the rounds send the signal as soon as there is a handler, the others as soon as
        // the last port is open.
        let early = round % 2 == 0;
        while !(if early {
            catches_sigterm(pid)
        } else {
            TcpStream::connect(("127.0.0.1", port)).is_ok()
        }) {
            assert!(
                Instant::now() < deadline && child.try_wait().unwrap().is_none(),
                "round {round}"
            );
            tokio::time::sleep(Duration::from_micros(200)).await;
        }
        assert!(
            catches_sigterm(pid),
            "round {round}: a port was open before the handler was installed"
        );
        kill(Pid::from_raw(pid.try_into().unwrap()), Signal::SIGTERM).unwrap();
        let ended = within(SOON, child.wait()).await.unwrap();
        assert!(ended.success(), "round {round}: {ended}");
    }
}
