//! Benchmarks the gateway against nginx and HAProxy in one run: CPU time per request, memory per
//! idle WebSocket.
//!
//! Each proxy is a separate process, measured from outside with the kernel's counters. The load
//! generator and the backend run in this process. Figures of one run are comparable; figures of two
//! machines are not.

mod load;
mod origin;
mod peer;
mod report;
mod sockets;

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;

use crate::load::Protocol;
use crate::peer::{Peer, Proxy, Site};
use crate::report::{Row, Unit};

/// Benchmark the gateway against nginx and HAProxy, and print the comparison as Markdown
#[derive(Parser)]
struct Arguments {
    /// Proxies to measure, in this order; ratios are relative to the first
    #[arg(long, value_delimiter = ',', default_value = "gateway,nginx,haproxy")]
    peers: Vec<Peer>,
    /// The gateway binary for `--peers other`, such as a build from before a change
    #[arg(long)]
    other: Option<PathBuf>,
    /// Figures to measure
    #[arg(long, value_delimiter = ',', default_value = "http1,http2,file,handshake,websocket")]
    figures: Vec<Figure>,
    /// Seconds of load per figure
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// Rounds over all proxies; the report shows each figure's median
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Idle secure WebSockets to open for the memory figure
    #[arg(long, default_value_t = 5_000)]
    sockets: usize,
}

/// One measurement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Figure {
    Http1,
    Http2,
    File,
    Handshake,
    Websocket,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    // Fails only if a provider is already installed, which `main` rules out.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&error),
    };
    match runtime.block_on(measure(&arguments)) {
        Ok(rows) => {
            report::print(&arguments.peers, &rows);
            ExitCode::SUCCESS
        }
        Err(error) => failed(error.as_ref()),
    }
}

#[expect(clippy::print_stderr, reason = "a command reports its failure on standard error")]
fn failed(error: &dyn Error) -> ExitCode {
    eprintln!("bench: {error}");
    ExitCode::FAILURE
}

async fn measure(arguments: &Arguments) -> Result<Vec<Row>, Box<dyn Error>> {
    peer::raise_file_limit()?;
    let origin = origin::start().await?;
    let site = Site::new(origin, arguments.other.clone())?;
    let mut rows: Vec<Row> = arguments.figures.iter().map(|figure| figure.row()).collect();
    let time = Duration::from_secs(arguments.seconds);
    for round in 0..arguments.rounds {
        for (figure, row) in arguments.figures.iter().zip(&mut rows) {
            for peer in &arguments.peers {
                if *figure == Figure::File && !peer.serves_files() {
                    continue;
                }
                progress(&format!(
                    "round {} of {}: {}, {peer}",
                    round + 1,
                    arguments.rounds,
                    row.name()
                ));
                // A new process for each figure, so that memory and caches do not carry over.
                let proxy = peer.start(&site).await?;
                row.add(*peer, figure.of(&proxy, &site, time, arguments.sockets).await?);
            }
        }
    }
    Ok(rows)
}

impl Figure {
    fn row(self) -> Row {
        let (name, unit) = match self {
            Self::Http1 => ("HTTP/1.1 proxied, 64 connections", Unit::MicrosPerRequest),
            Self::Http2 => ("HTTP/2 proxied, 8 connections × 8 streams", Unit::MicrosPerRequest),
            Self::File => ("1 KiB static file, HTTP/1.1", Unit::MicrosPerRequest),
            Self::Handshake => {
                ("full TLS 1.3 handshake, ECDSA P-256, X25519", Unit::MicrosPerHandshake)
            }
            Self::Websocket => ("idle secure WebSocket, resident", Unit::KibPerSocket),
        };
        Row::new(name, unit)
    }

    async fn of(
        self,
        proxy: &Proxy,
        site: &Site,
        time: Duration,
        sockets: usize,
    ) -> Result<f64, Box<dyn Error>> {
        match self {
            Self::Http1 => {
                load::cpu_per_request(proxy, site, Protocol::Http1, "/api/bench", time).await
            }
            Self::Http2 => {
                load::cpu_per_request(proxy, site, Protocol::Http2, "/api/bench", time).await
            }
            Self::File => {
                load::cpu_per_request(proxy, site, Protocol::Http1, "/1k.txt", time).await
            }
            Self::Handshake => load::cpu_per_handshake(proxy, site, time).await,
            Self::Websocket => sockets::memory_per_socket(proxy, site, sockets).await,
        }
    }
}

#[expect(
    clippy::print_stderr,
    reason = "progress goes to standard error, the report to standard output"
)]
fn progress(text: &str) {
    eprintln!("bench: {text}");
}
