//! Measures the gateway beside its peers in one run: processor time per request, memory per idle WebSocket.
//!
//! Each proxy is a process of its own, measured from outside by what the kernel counted for it; the load and the
//! backend behind the proxies run here. Figures of one run belong together; figures of two machines do not.

mod load;
mod origin;
mod peer;
mod report;
mod sockets;

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;

use crate::load::Protocol;
use crate::peer::{Peer, Site};
use crate::report::{Row, Unit};

/// Measure the gateway beside nginx and HAProxy, and print the comparison as Markdown.
#[derive(Parser)]
struct Arguments {
    /// Which proxies, in order; the first is what the ratios compare.
    #[arg(long, value_delimiter = ',', default_value = "gateway,nginx,haproxy")]
    peers: Vec<Peer>,
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
    let site = Site::new(origin)?;
    let mut rows = vec![
        Row::new("HTTP/1.1 proxied, 64 connections", Unit::MicrosPerRequest),
        Row::new("HTTP/2 proxied, 8 connections × 8 streams", Unit::MicrosPerRequest),
        Row::new("1 KiB static file, HTTP/1.1", Unit::MicrosPerRequest),
        Row::new("idle secure WebSocket, resident", Unit::KibPerSocket),
    ];
    let time = Duration::from_secs(arguments.seconds);
    for round in 0..arguments.rounds {
        for peer in &arguments.peers {
            progress(&format!("round {} of {}: {peer}", round + 1, arguments.rounds));
            let proxy = peer.start(&site).await?;
            let plain =
                [(Protocol::Http1, "/api/bench"), (Protocol::Http2, "/api/bench"), (Protocol::Http1, "/1k.txt")];
            for (row, (protocol, path)) in rows.iter_mut().zip(plain) {
                let is_static = path.ends_with(".txt");
                if is_static && !peer.serves_files() {
                    continue;
                }
                let figure = load::cpu_per_request(&proxy, &site, protocol, path, time).await?;
                row.add(*peer, figure);
            }
            // A proxy of its own: what requests left behind must not count as a socket's memory.
            drop(proxy);
            let proxy = peer.start(&site).await?;
            let figure = sockets::memory_per_socket(&proxy, &site, arguments.sockets).await?;
            if let Some(row) = rows.last_mut() {
                row.add(*peer, figure);
            }
        }
    }
    Ok(rows)
}

#[expect(clippy::print_stderr, reason = "progress goes beside the report, which is standard output")]
fn progress(text: &str) {
    eprintln!("bench: {text}");
}
