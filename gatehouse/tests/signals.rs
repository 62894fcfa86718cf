//! The process handles signals before it creates files or opens ports.

#![expect(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// Deadline for a condition.
const SOON: Duration = Duration::from_secs(60);

/// Kills the process when the test ends.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Whether the process has a handler for SIGTERM: the fifteenth bit of `SigCgt` in
/// proc_pid_status(5).
fn catches_sigterm(pid: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
    let caught = caught.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    caught & (1 << (15 - 1)) != 0
}

fn start(directory: &Path) -> Running {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_gatehouse"));
    command.args(["--https", "127.0.0.1:0", "--http", "127.0.0.1:0", "--admin", &free.to_string()]);
    command.current_dir(directory).env_remove("OPENAI_API_KEY").env_remove("REDIS_URL");
    Running(
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap(),
    )
}

#[test]
fn sigterm_at_any_time_exits_with_0() {
    for round in 0..20 {
        let directory = tempfile::tempdir().unwrap();
        let mut running = start(directory.path());
        let pid = running.0.id();
        // The services' socket exists before certificates are created and the gateway's ports are
        // bound.
        let socket = directory.path().join("data/backend.sock");
        let deadline = Instant::now() + SOON;
        while !(if round % 2 == 0 { socket.exists() } else { catches_sigterm(pid) }) {
            assert!(
                Instant::now() < deadline && running.0.try_wait().unwrap().is_none(),
                "round {round}"
            );
            thread::sleep(Duration::from_micros(200));
        }
        assert!(
            catches_sigterm(pid),
            "round {round}: a socket was open before the signal handler was installed"
        );
        let pid = nix::unistd::Pid::from_raw(pid.try_into().unwrap());
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
        let ended = loop {
            if let Some(ended) = running.0.try_wait().unwrap() {
                break ended;
            }
            assert!(Instant::now() < deadline, "round {round}: the process does not exit");
            thread::sleep(Duration::from_millis(2));
        };
        assert!(ended.success(), "round {round}: {ended}");
    }
}
