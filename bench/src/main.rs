//! Measures the gateway beside its peers in one run: processor time per request, memory per idle
//! WebSocket.
//!
//! Each proxy is a process of its own, measured from outside by what the kernel counted for it; the
//! load and the backend behind the proxies run here. Figures of one run belong together; figures of
//! two machines do not.

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

/// Measure the gateway beside nginx and HAProxy, and print the comparison as Markdown.
#[derive(Parser)]
struct Arguments {
    /// Which proxies, in order; the first is what the ratios compare.
    #[arg(long, value_delimiter = ',', default_value = "gateway,nginx,haproxy")]
    peers: Vec<Peer>,
    /// The program that `--peers other` names, such as a build without a change, to see what the
    /// change is worth.
    #[arg(long)]
    other: Option<PathBuf>,
    /// Which figures.
    #[arg(long, value_delimiter = ',', default_value = "http1,http2,file,handshake,websocket")]
    figures: Vec<Figure>,
    /// Seconds of load for each figure of requests.
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// Rounds over all proxies; the median of each figure is reported.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Idle secure WebSockets held open for the memory figure.
    #[arg(long, default_value_t = 5_000)]
    sockets: usize,
}

/// What is measured.
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
    // The only installation in this process; it cannot come second.
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

#[expect(clippy::print_stderr, reason = "a command tells its failure on standard error")]
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
                // A proxy of its own for each figure: what one leaves behind must not count in the
                // next.
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
    reason = "progress goes beside the report, which is standard output"
)]
fn progress(text: &str) {
    eprintln!("bench: {text}");
}
