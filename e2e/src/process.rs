//! A child process: captures its output, waits for conditions, and stops it by its id.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Timeout for a condition. Generous, because test machines are small and busy.
pub const TIMEOUT: Duration = Duration::from_secs(60);

/// A running program. Dropping it kills it.
pub struct Process {
    name: String,
    child: Child,
    log: Arc<Mutex<String>>,
    readers: Vec<JoinHandle<()>>,
}

impl Process {
    /// Starts a program and captures its standard output and error as one log.
    pub fn start(name: &str, command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {name}: {error}"));
        let log = Arc::new(Mutex::new(String::new()));
        let mut readers = Vec::new();
        if let Some(output) = child.stdout.take() {
            readers.push(keep(output, &log));
        }
        if let Some(output) = child.stderr.take() {
            readers.push(keep(output, &log));
        }
        Self { name: name.to_owned(), child, log, readers }
    }

    /// Its output so far.
    pub fn log(&self) -> String {
        self.log.lock().expect("no reader panics").clone()
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits until `condition` returns a value.
    ///
    /// # Panics
    /// With the log, if the program exits first or after a timeout.
    pub fn wait_for<T>(&mut self, what: &str, mut condition: impl FnMut(&Self) -> Option<T>) -> T {
        let deadline = Instant::now() + TIMEOUT;
        loop {
            if let Some(value) = condition(self) {
                return value;
            }
            let ended = self.child.try_wait().expect("query a child's status");
            let why = match ended {
                Some(status) => format!("it exited with {status}"),
                None if Instant::now() > deadline => "timed out".to_owned(),
                None => {
                    pause();
                    continue;
                }
            };
            panic!("{}: waiting for {what}: {why}. Its log:\n{}", self.name, self.log());
        }
    }

    /// Waits until a line of the log contains `text`.
    pub fn wait_for_log(&mut self, text: &str) {
        self.wait_for(text, |process| process.log().contains(text).then_some(()));
    }

    /// Sends a signal to this process only.
    pub fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.child.id()).expect("process ids are small");
        kill(Pid::from_raw(id), signal).expect("signal a running child");
    }

    /// Waits for the program to exit.
    ///
    /// # Panics
    /// With the log, after a timeout.
    pub fn wait(&mut self) -> ExitStatus {
        self.wait_within(TIMEOUT)
    }

    /// Like `wait`, with this timeout.
    ///
    /// # Panics
    /// With the log, after the timeout.
    pub fn wait_within(&mut self, timeout: Duration) -> ExitStatus {
        let deadline = Instant::now() + timeout;
        loop {
            if let Some(status) = self.child.try_wait().expect("query a child's status") {
                for reader in self.readers.drain(..) {
                    reader.join().expect("no reader panics");
                }
                return status;
            }
            assert!(
                Instant::now() < deadline,
                "{} does not exit. Its log:\n{}",
                self.name,
                self.log()
            );
            pause();
        }
    }
}

impl Drop for Process {
    #[expect(clippy::print_stderr, reason = "a failed test shows the program's log")]
    fn drop(&mut self) {
        // Both fail only if the program has already exited.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- log of {} ---\n{}", self.name, self.log());
        }
    }
}

/// Polls a condition until it returns a value.
///
/// # Panics
/// After a timeout.
pub fn eventually<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + TIMEOUT;
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(Instant::now() < deadline, "timed out waiting for {what}");
        pause();
    }
}

/// The polling interval.
fn pause() {
    std::thread::park_timeout(Duration::from_millis(20));
}

fn keep(output: impl Read + Send + 'static, log: &Arc<Mutex<String>>) -> JoinHandle<()> {
    let log = Arc::clone(log);
    std::thread::spawn(move || {
        for line in BufReader::new(output).lines() {
            let Ok(line) = line else { return };
            let mut log = log.lock().expect("no reader panics");
            log.push_str(&line);
            log.push('\n');
        }
    })
}
