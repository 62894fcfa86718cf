//! Any program: started with its output kept, waited for by condition, stopped by its own id.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// How long a condition may take before the test fails. Generous: machines are small and busy.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A running program. Dropping it kills it.
pub struct Process {
    name: String,
    child: Child,
    log: Arc<Mutex<String>>,
    readers: Vec<JoinHandle<()>>,
}

impl Process {
    /// Starts a program; its standard output and error are kept as one log.
    pub fn start(name: &str, command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{name} does not start: {error}"));
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

    /// All it has printed so far.
    pub fn log(&self) -> String {
        self.log.lock().expect("no reader panics").clone()
    }

    /// The operating system's id of it.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits until `condition` gives a value.
    ///
    /// # Panics
    /// With the log, when the program ends first or patience does.
    pub fn wait_for<T>(&mut self, what: &str, mut condition: impl FnMut(&Self) -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(value) = condition(self) {
                return value;
            }
            let ended = self.child.try_wait().expect("a child can be asked");
            let why = match ended {
                Some(status) => format!("it ended with {status}"),
                None if Instant::now() > deadline => "patience is over".to_owned(),
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

    /// Sends a signal to this program alone.
    pub fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.child.id()).expect("process ids are small");
        kill(Pid::from_raw(id), signal).expect("a running child takes signals");
    }

    /// Waits for the program to end by itself.
    ///
    /// # Panics
    /// With the log, when it does not.
    pub fn wait(&mut self) -> ExitStatus {
        self.wait_within(PATIENCE)
    }

    /// The same, for programs that take their time.
    ///
    /// # Panics
    /// With the log, when it does not end.
    pub fn wait_within(&mut self, patience: Duration) -> ExitStatus {
        let deadline = Instant::now() + patience;
        loop {
            if let Some(status) = self.child.try_wait().expect("a child can be asked") {
                for reader in self.readers.drain(..) {
                    reader.join().expect("no reader panics");
                }
                return status;
            }
            assert!(
                Instant::now() < deadline,
                "{} does not end. Its log:\n{}",
                self.name,
                self.log()
            );
            pause();
        }
    }
}

impl Drop for Process {
    #[expect(clippy::print_stderr, reason = "a failed test shows what the program said")]
    fn drop(&mut self) {
        // Both fail only when the program has ended already, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- log of {} ---\n{}", self.name, self.log());
        }
    }
}

/// Polls a condition of the outside world until it gives a value.
///
/// # Panics
/// When patience is over.
pub fn eventually<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(Instant::now() < deadline, "patience is over waiting for {what}");
        pause();
    }
}

/// The step of a poll; what is waited for is always a condition.
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
