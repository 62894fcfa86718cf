//! `gatehouse trust` and `untrust`: changes trust stores and prints each step, or offers the
//! certificate to a phone.

use std::error::Error;
use std::io::IsTerminal as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use gateway::AUTHORITY_FILE;
use gateway::trust::phone::Offer;
use gateway::trust::{self, Step};
use qrcode::QrCode;
use qrcode::render::unicode::Dense1x2;

/// How long the certificate is offered; limited in case the command is left running.
const OFFERED: Duration = Duration::from_secs(10 * 60);

pub(crate) fn install(certs: &Path) -> Result<(), Box<dyn Error>> {
    let authority = certs.join(AUTHORITY_FILE);
    let steps = trust::install(&authority, &home()?).map_err(|error| {
        format!("{}: {error}; start gatehouse once to create it", authority.display())
    })?;
    report(&steps)
}

pub(crate) fn remove() -> Result<(), Box<dyn Error>> {
    report(&trust::remove(&home()?))
}

/// Serves the public certificate on the local network until Ctrl-C or the timeout.
#[tokio::main(flavor = "current_thread")]
#[expect(clippy::print_stdout, reason = "the QR code is the output of this command")]
pub(crate) async fn offer(certs: &Path, address: Option<SocketAddr>) -> Result<(), Box<dyn Error>> {
    let offer = Offer::open(certs, address).await?;
    let url = offer.url();
    println!("{}", picture(&url, std::io::stdout().is_terminal())?);
    println!("Open {url} on a phone in the same network, or scan the code with its camera.");
    println!("The certificate's SHA-256 fingerprint is {}", offer.fingerprint());
    println!(
        "Only the public certificate is served. Stop with Ctrl-C; stops after {} minutes.",
        OFFERED.as_secs() / 60
    );
    offer
        .serve(async {
            tokio::select! {
                () = tokio::time::sleep(OFFERED) => {}
                // If the handler cannot be installed, the default one ends the program.
                _ = tokio::signal::ctrl_c() => {}
            }
        })
        .await?;
    Ok(())
}

/// Renders a QR code as text, two modules per character. On a terminal it sets the colours to dark
/// on light.
fn picture(url: &str, terminal: bool) -> Result<String, Box<dyn Error>> {
    let code = QrCode::new(url)?;
    let text =
        code.render::<Dense1x2>().dark_color(Dense1x2::Light).light_color(Dense1x2::Dark).build();
    let coloured = || text.lines().map(|line| format!("\x1b[97;40m{line}\x1b[0m\n")).collect();
    Ok(if terminal { coloured() } else { text })
}

fn home() -> Result<PathBuf, String> {
    std::env::home_dir()
        .ok_or_else(|| "HOME is not set: cannot find the browsers' trust stores".to_owned())
}

#[expect(clippy::print_stdout, reason = "the list of changes is the output of these commands")]
fn report(steps: &[Step]) -> Result<(), Box<dyn Error>> {
    let mut failed = 0;
    for Step { store, outcome } in steps {
        match outcome {
            Ok(done) => println!("{store}: {done}"),
            Err(reason) => {
                failed += 1;
                println!("{store}: failed: {reason}");
            }
        }
    }
    if failed == 0 {
        Ok(())
    } else {
        Err(format!("{failed} of {} steps failed", steps.len()).into())
    }
}

#[cfg(test)]
mod tests {
    use qrcode::Color;

    use super::*;

    #[test]
    fn picture_shows_every_module_of_the_code_inside_its_quiet_zone() {
        let url = "http://192.168.100.200:54321/";
        let text = picture(url, false).expect("the code renders");
        // A block is a light module: on a dark terminal the code then has the contrast scanners
        // need.
        let shown: Vec<Vec<Color>> = text
            .lines()
            .flat_map(|line| {
                let half = |lit: [char; 2]| {
                    move |c: char| if lit.contains(&c) { Color::Light } else { Color::Dark }
                };
                [
                    line.chars().map(half(['▀', '█'])).collect(),
                    line.chars().map(half(['▄', '█'])).collect(),
                ]
            })
            .collect();
        let code = QrCode::new(url).expect("the URL fits a QR code");
        let (width, quiet) = (code.width(), 4);
        for (index, wanted) in code.to_colors().into_iter().enumerate() {
            let (x, y) = (index % width + quiet, index / width + quiet);
            assert_eq!(shown[y][x], wanted, "module {x},{y}");
        }
        assert!(shown[..quiet].iter().flatten().all(|module| *module == Color::Light));
        assert_eq!(shown[0].len(), width + 2 * quiet);
    }
}
