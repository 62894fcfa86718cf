//! `gatehouse trust` and `untrust`: says line by line what was done, or offers the certificate to a
//! phone.

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

/// How long a phone may take. Nobody should forget it.
const OFFERED: Duration = Duration::from_secs(10 * 60);

pub(crate) fn install(certs: &Path) -> Result<(), Box<dyn Error>> {
    let authority = certs.join(AUTHORITY_FILE);
    let steps = trust::install(&authority, &home()?).map_err(|error| {
        format!("{}: {error}; it is made at the first start of gatehouse", authority.display())
    })?;
    report(&steps)
}

pub(crate) fn remove() -> Result<(), Box<dyn Error>> {
    report(&trust::remove(&home()?))
}

/// Serves the public certificate in this machine's network until Ctrl-C, or until the time is over.
#[tokio::main(flavor = "current_thread")]
#[expect(
    clippy::print_stdout,
    reason = "what a person holds the phone to is the output of this command"
)]
pub(crate) async fn offer(certs: &Path, address: Option<SocketAddr>) -> Result<(), Box<dyn Error>> {
    let offer = Offer::open(certs, address).await?;
    let url = offer.url();
    println!("{}", picture(&url, std::io::stdout().is_terminal())?);
    println!("Open {url} on a phone in the same network, or point its camera here.");
    println!("The certificate's SHA-256 fingerprint is {}", offer.fingerprint());
    println!(
        "Only the public certificate is served. Ends with Ctrl-C, or after {} minutes.",
        OFFERED.as_secs() / 60
    );
    offer
        .serve(async {
            tokio::select! {
                () = tokio::time::sleep(OFFERED) => {}
                // Without a handler the default one ends the program, which is as good.
                _ = tokio::signal::ctrl_c() => {}
            }
        })
        .await?;
    Ok(())
}

/// A QR code as text, two modules to a character; on a terminal dark on light, whatever its colours
/// are.
fn picture(url: &str, terminal: bool) -> Result<String, Box<dyn Error>> {
    let code = QrCode::new(url)?;
    let text =
        code.render::<Dense1x2>().dark_color(Dense1x2::Light).light_color(Dense1x2::Dark).build();
    let coloured = || text.lines().map(|line| format!("\x1b[97;40m{line}\x1b[0m\n")).collect();
    Ok(if terminal { coloured() } else { text })
}

fn home() -> Result<PathBuf, String> {
    std::env::home_dir().ok_or_else(|| "HOME is not set: whose browsers are meant?".to_owned())
}

#[expect(clippy::print_stdout, reason = "what was done is the output of these commands")]
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
    fn the_picture_shows_every_module_of_the_code_within_its_quiet_zone() {
        let url = "http://192.168.100.200:54321/";
        let text = picture(url, false).expect("it can be drawn");
        // A block is light: terminals that are dark show it as a scanner wants it.
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
        let code = QrCode::new(url).expect("it can be encoded");
        let (width, quiet) = (code.width(), 4);
        for (index, wanted) in code.to_colors().into_iter().enumerate() {
            let (x, y) = (index % width + quiet, index / width + quiet);
            assert_eq!(shown[y][x], wanted, "module {x},{y}");
        }
        assert!(shown[..quiet].iter().flatten().all(|module| *module == Color::Light));
        assert_eq!(shown[0].len(), width + 2 * quiet);
    }
}
