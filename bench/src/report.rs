//! The comparison as a Markdown table: medians, and the ratio of the first proxy to each other one.

use crate::peer::Peer;

/// Unit of a figure; lower is better for all of them.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Unit {
    MicrosPerRequest,
    MicrosPerHandshake,
    KibPerSocket,
}

/// One row of the report: the figures of every proxy in all rounds.
pub(crate) struct Row {
    name: &'static str,
    unit: Unit,
    figures: Vec<(Peer, f64)>,
}

impl Row {
    pub(crate) fn new(name: &'static str, unit: Unit) -> Self {
        Self { name, unit, figures: Vec::new() }
    }

    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    pub(crate) fn add(&mut self, peer: Peer, figure: f64) {
        self.figures.push((peer, figure));
    }

    fn median(&self, peer: Peer) -> Option<f64> {
        let mut figures: Vec<f64> =
            self.figures.iter().filter(|(of, _)| *of == peer).map(|(_, value)| *value).collect();
        figures.sort_by(f64::total_cmp);
        figures.get(figures.len() / 2).copied()
    }
}

/// Prints the table to standard output.
#[expect(clippy::print_stdout, reason = "the report is this program's output")]
pub(crate) fn print(peers: &[Peer], rows: &[Row]) {
    let heads: Vec<String> = peers.iter().map(Peer::to_string).collect();
    println!("| figure (lower is better) | unit | {} |", heads.join(" | "));
    println!("|---|---|{}", "---:|".repeat(peers.len()));
    for row in rows {
        let first = peers.first().and_then(|peer| row.median(*peer));
        let cells: Vec<String> = peers
            .iter()
            .enumerate()
            .map(|(column, peer)| match (row.median(*peer), first) {
                (Some(value), Some(first)) if column > 0 => {
                    format!("{value:.1} (×{:.2})", first / value)
                }
                (Some(value), _) => format!("{value:.1}"),
                (None, _) => "–".to_owned(),
            })
            .collect();
        let unit = match row.unit {
            Unit::MicrosPerRequest => "µs of CPU time per request",
            Unit::MicrosPerHandshake => "µs of CPU time per handshake",
            Unit::KibPerSocket => "KiB",
        };
        println!("| {} | {unit} | {} |", row.name, cells.join(" | "));
    }
    println!();
    println!(
        "In parentheses: the first proxy's figure divided by this one's. Below 1, the first needs less."
    );
}
