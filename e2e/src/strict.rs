//! Strict clients for plain HTTP/1.1. They use no library, so nothing is retried silently. A
//! connection that is refused, reset or closed without announcement is a fault.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::process::TIMEOUT;

/// How a client reuses connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reuse {
    /// A new connection for each request.
    Never,
    /// One connection until the server announces its end.
    KeepAlive,
}

/// The results of all requests.
#[derive(Debug, Default)]
pub struct Report {
    /// Requests answered 200 in full.
    pub answered: u64,
    /// Connections opened.
    pub connections: u64,
    /// Distinct bodies received.
    pub bodies: BTreeSet<String>,
    /// Failed requests.
    pub faults: Vec<String>,
}

impl Report {
    /// Checks that every request was answered.
    ///
    /// # Panics
    /// With the number of faults and the first one.
    pub fn assert_no_faults(&self) {
        let faults = &self.faults;
        assert!(faults.is_empty(), "{} faults, the first: {:?}", faults.len(), faults.first());
    }
}

/// Clients that send requests in a loop.
pub struct Strict {
    stop: Arc<AtomicBool>,
    clients: Vec<JoinHandle<Report>>,
}

impl Strict {
    /// Starts one client per entry; all request `path` from this loopback port.
    pub fn start(entries: &[Reuse], port: u16, path: &'static str) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let client = |(index, reuse): (usize, &Reuse)| {
            let (stop, reuse) = (Arc::clone(&stop), *reuse);
            std::thread::spawn(move || run(reuse, port, path, index as u64, &stop))
        };
        let clients = entries.iter().enumerate().map(client).collect();
        Self { stop, clients }
    }

    /// Stops the clients after their current request and returns the combined results.
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

fn run(reuse: Reuse, port: u16, path: &str, seed: u64, stop: &AtomicBool) -> Report {
    let mut report = Report::default();
    let mut kept = None;
    while !stop.load(Ordering::Relaxed) {
        match exchange(&mut kept, reuse, port, path, &mut report) {
            Ok(body) => {
                report.answered += 1;
                report.bodies.insert(body);
            }
            Err(error) => {
                report.faults.push(format!("{reuse:?}: {error}"));
                kept = None;
            }
        }
        // The idle time varies, so that a close can meet a request in flight.
        std::thread::sleep(Duration::from_millis((report.answered * 7 + seed * 3) % 11));
    }
    report
}

fn exchange(
    kept: &mut Option<BufReader<TcpStream>>,
    reuse: Reuse,
    port: u16,
    path: &str,
    report: &mut Report,
) -> std::io::Result<String> {
    let mut stream = match kept.take() {
        Some(stream) => stream,
        None => {
            let stream = TcpStream::connect(("127.0.0.1", port))?;
            stream.set_read_timeout(Some(TIMEOUT))?;
            report.connections += 1;
            BufReader::new(stream)
        }
    };
    let last = if reuse == Reuse::Never { "Connection: close\r\n" } else { "" };
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
        return Err(std::io::Error::other("data after the last answer"));
    }
    Ok(String::from_utf8_lossy(&body).into_owned())
}
