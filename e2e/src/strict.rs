//! Clients of plain HTTP/1.1 that forgive nothing: without a library, so without a silent second
//! attempt. A connection refused, reset, or closed without having said so is a fault.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::process::PATIENCE;

/// How a client uses connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Habit {
    /// A new one for each request.
    Fresh,
    /// One for as long as the server does not say that an answer was the last.
    Kept,
}

/// What became of the requests.
#[derive(Debug, Default)]
pub struct Report {
    /// Requests answered 200, to the last byte.
    pub answered: u64,
    /// Connections opened.
    pub connections: u64,
    /// Bodies that came.
    pub bodies: BTreeSet<String>,
    /// What went wrong.
    pub faults: Vec<String>,
}

/// Clients that ask again and again.
pub struct Strict {
    stop: Arc<AtomicBool>,
    clients: Vec<JoinHandle<Report>>,
}

impl Strict {
    /// Starts a client for each of these habits; all ask for `path` at this port of loopback.
    pub fn start(habits: &[Habit], port: u16, path: &'static str) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let client = |(index, habit): (usize, &Habit)| {
            let (stop, habit) = (Arc::clone(&stop), *habit);
            std::thread::spawn(move || ask_on(habit, port, path, index as u64, &stop))
        };
        let clients = habits.iter().enumerate().map(client).collect();
        Self { stop, clients }
    }

    /// Lets each client finish its request, and adds up.
    pub fn stop(self) -> Report {
        self.stop.store(true, Ordering::Relaxed);
        let mut all = Report::default();
        for client in self.clients {
            let report = client.join().expect("no client panics");
            all.answered += report.answered;
            all.connections += report.connections;
            all.bodies.extend(report.bodies);
            all.faults.extend(report.faults);
        }
        all
    }
}

fn ask_on(habit: Habit, port: u16, path: &str, seed: u64, stop: &AtomicBool) -> Report {
    let mut report = Report::default();
    let mut kept = None;
    while !stop.load(Ordering::Relaxed) {
        match ask(&mut kept, habit, port, path, &mut report) {
            Ok(body) => {
                report.answered += 1;
                report.bodies.insert(body);
            }
            Err(error) => {
                report.faults.push(format!("{habit:?}: {error}"));
                kept = None;
            }
        }
        // Idle for a while, never for the same: closing an idle connection meets a request on its
        // way only by chance.
        std::thread::sleep(Duration::from_millis((report.answered * 7 + seed * 3) % 11));
    }
    report
}

fn ask(
    kept: &mut Option<BufReader<TcpStream>>,
    habit: Habit,
    port: u16,
    path: &str,
    report: &mut Report,
) -> std::io::Result<String> {
    let mut stream = match kept.take() {
        Some(stream) => stream,
        None => {
            let stream = TcpStream::connect(("127.0.0.1", port))?;
            stream.set_read_timeout(Some(PATIENCE))?;
            report.connections += 1;
            BufReader::new(stream)
        }
    };
    let last = if habit == Habit::Fresh { "Connection: close\r\n" } else { "" };
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost:{port}\r\n{last}\r\n");
    stream.get_mut().write_all(request.as_bytes())?;
    let (mut length, mut closes) = (0, false);
    for index in 0.. {
        let mut line = String::new();
        if stream.read_line(&mut line)? == 0 {
            return Err(std::io::Error::other(format!("closed after {index} lines of an answer")));
        }
        let line = line.trim_end().to_ascii_lowercase();
        if index == 0 && !line.starts_with("http/1.1 200") {
            return Err(std::io::Error::other(line));
        }
        if line.is_empty() {
            break;
        }
        match line.split_once(": ") {
            Some(("content-length", value)) => {
                length = value.parse().map_err(std::io::Error::other)?
            }
            Some(("connection", "close")) => closes = true,
            _ => {}
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body)?;
    if !closes {
        *kept = Some(stream);
    } else if stream.read(&mut [0])? != 0 {
        return Err(std::io::Error::other("more than an answer"));
    }
    Ok(String::from_utf8_lossy(&body).into_owned())
}
