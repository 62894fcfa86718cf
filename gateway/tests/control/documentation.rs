//! `docs/gateway.md`: its recipes pass `gateway check`, its metrics table matches the registry, and
//! its policies are those of the page.

use std::fmt::Write;
use std::path::PathBuf;
use std::process::Stdio;

use gateway::Metrics;
use tokio::process::Command;

use crate::support::{SOON, within};

const BEGIN: &str = "<!-- made from the registry: begin -->\n";
const END: &str = "<!-- made from the registry: end -->";

fn document() -> (PathBuf, String) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/gateway.md");
    let text = std::fs::read_to_string(&path).unwrap();
    (path, text)
}

#[tokio::test]
async fn every_recipe_in_the_documentation_passes_check() {
    let (_, text) = document();
    let recipes: Vec<_> =
        text.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    let whole: Vec<_> =
        recipes.into_iter().filter(|recipe| recipe.contains("[[listener]]")).collect();
    assert!(whole.len() >= 5, "found only {} recipes", whole.len());

    let directory = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(["chat.example.org".to_owned()]).unwrap();
    std::fs::create_dir(directory.path().join("tls")).unwrap();
    std::fs::write(directory.path().join("tls/tls.crt"), made.cert.pem()).unwrap();
    std::fs::write(directory.path().join("tls/tls.key"), made.signing_key.serialize_pem()).unwrap();
    std::fs::create_dir(directory.path().join("public")).unwrap();
    std::fs::write(directory.path().join("public/index.html"), "<!doctype html>").unwrap();
    for recipe in whole {
        std::fs::write(directory.path().join("gateway.toml"), recipe).unwrap();
        let mut check = Command::new(env!("CARGO_BIN_EXE_gateway"));
        check
            .arg("check")
            .current_dir(directory.path())
            .env_remove("GATEWAY_CONFIG")
            .stdin(Stdio::null());
        let output = within(SOON, check.kill_on_drop(true).output()).await.unwrap();
        assert!(output.status.success(), "{}\n{recipe}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn the_documented_policies_are_those_of_the_page() {
    let (_, text) = document();
    for line in [
        format!("Content-Security-Policy: {}\n", gateway::page::CONTENT_SECURITY_POLICY),
        format!("Integrity-Policy: {}\n", gateway::page::INTEGRITY_POLICY),
    ] {
        assert!(text.contains(&line), "docs/gateway.md: expected the line {line}");
        assert!(!line.contains("unsafe-"), "{line}");
    }
}

/// `UPDATE_GENERATED=1 cargo nextest run -p gateway documentation` regenerates the table.
#[test]
fn the_documented_metrics_match_the_registry() {
    let mut made = String::from("\n| metric | type | labels | meaning |\n|---|---|---|---|\n");
    let metrics = Metrics::new();
    let mut declared = metrics.declared().to_vec();
    declared.sort_by(|one, other| one.name.cmp(&other.name));
    for metric in declared {
        let labels: Vec<_> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
        let _ = writeln!(
            made,
            "| `{}` | {} | {} | {} |",
            metric.name,
            metric.kind,
            labels.join(", "),
            metric.help
        );
    }
    made.push('\n');

    let (path, text) = document();
    let (before, rest) = text.split_once(BEGIN).unwrap();
    let (written, after) = rest.split_once(END).unwrap();
    if std::env::var_os("UPDATE_GENERATED").is_some() {
        std::fs::write(path, format!("{before}{BEGIN}{made}{END}{after}")).unwrap();
        return;
    }
    assert_eq!(written, made, "docs/gateway.md is stale: run this test with UPDATE_GENERATED=1");
}
