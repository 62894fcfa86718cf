//! The doctor on what certificates need from elsewhere: CAA records, the authority, the clock, and
//! the collector of traces.

use std::process::Stdio;

use tokio::process::Command;

use crate::support::pebble::free_port;
use crate::support::{Collector, Directory, FRONT, NameServer, SOON, says, within};

const NAME: &str = "chat.example.org";

/// A gateway that orders a certificate for [`NAME`] there.
fn ordering(directory: &Directory) -> String {
    let ordered = format!(
        "[[certificate]]\nname = \"public\"\nsource = \"acme\"\nnames = [\"{NAME}\"]\n{}",
        directory.keys()
    );
    format!("{FRONT}{ordered}{}", says("x"))
}

/// What the doctor says about a subject, and whether all is well.
async fn examined(config: &str, arguments: &[&str], subject: &str) -> String {
    let place = tempfile::tempdir().unwrap();
    std::fs::write(place.path().join("gateway.toml"), config).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_gateway"));
    command
        .arg("doctor")
        .args(arguments)
        .current_dir(place.path())
        .env_remove("GATEWAY_CONFIG")
        .stdin(Stdio::null());
    let output = within(SOON * 3, command.kill_on_drop(true).output()).await.unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let lines: Vec<_> = said.lines().filter(|line| line.contains(subject)).collect();
    assert_eq!(lines.len(), 1, "{subject}: {said}{}", String::from_utf8_lossy(&output.stderr));
    lines[0].to_owned()
}

async fn caa(directory: &Directory, names: &NameServer) -> String {
    examined(&ordering(directory), &["--nameserver", &names.address.to_string()], "CAA ").await
}

#[tokio::test]
async fn a_caa_record_above_that_names_another_authority_is_found_with_the_record_to_add() {
    let directory = Directory::start(&["ca.test", "ca.example"], 0).await;
    let names = NameServer::start(&[("example.org", &["other.example", "third.example"])]).await;
    assert_eq!(
        caa(&directory, &names).await,
        "BAD   CAA chat.example.org: the records of example.org allow other.example, third.example and not ca.test: \
         add `example.org. IN CAA 0 issue \"ca.test\"` to the zone"
    );
}

#[tokio::test]
async fn a_record_that_names_the_authority_is_good_and_the_nearest_one_counts() {
    let directory = Directory::start(&["ca.test", "ca.example"], 0).await;
    let names = NameServer::start(&[
        ("chat.example.org", &["ca.example"]),
        ("example.org", &["other.example"]),
    ])
    .await;
    let good = "ok    CAA chat.example.org: the records of chat.example.org let ca.test issue";
    assert_eq!(caa(&directory, &names).await, good);
}

#[tokio::test]
async fn without_a_record_anybody_may_issue_and_a_broken_zone_is_no_permission() {
    let directory = Directory::start(&["ca.test"], 0).await;
    let names = NameServer::start(&[("example.com", &["other.example"])]).await;
    assert_eq!(
        caa(&directory, &names).await,
        "ok    CAA chat.example.org: no record: any authority may issue"
    );
    let broken = caa(&directory, &NameServer::failing().await).await;
    assert!(
        broken.starts_with("BAD   CAA chat.example.org: the name servers answer `Server Failure`"),
        "{broken}"
    );
}

#[tokio::test]
async fn an_answer_that_does_not_fit_a_datagram_is_asked_for_again_by_tcp() {
    let directory = Directory::start(&["ca.test"], 0).await;
    let names = NameServer::truncating(&[("example.org", &["other.example"])]).await;
    let said = caa(&directory, &names).await;
    assert!(said.contains("allow other.example and not ca.test"), "{said}");
}

#[tokio::test]
async fn a_name_server_that_is_not_there_is_named() {
    let directory = Directory::start(&["ca.test"], 0).await;
    let nobody = format!("127.0.0.1:{}", free_port());
    let said = examined(&ordering(&directory), &["--nameserver", &nobody], "CAA ").await;
    assert!(
        said.starts_with("BAD ") && said.contains(&nobody) && said.contains("--nameserver"),
        "{said}"
    );
}

#[tokio::test]
async fn the_clock_is_held_against_the_authoritys() {
    let names = NameServer::start(&[]).await;
    let server = names.address.to_string();
    for (ahead, expected) in [
        (0, "ok    clock by https://localhost"),
        (3600, "BAD   clock by https://localhost"),
        (-3600, "BAD   clock by https://localhost"),
    ] {
        let directory = Directory::start(&["ca.test"], ahead).await;
        let said = examined(&ordering(&directory), &["--nameserver", &server], "clock by").await;
        assert!(said.starts_with(expected), "{said}");
        if ahead != 0 {
            let way = if ahead > 0 { "behind" } else { "ahead" };
            assert!(
                said.contains(&format!(" s {way}, 60 s are tolerated: set the clock")),
                "{said}"
            );
        }
    }
}

#[tokio::test]
async fn a_collector_that_takes_nothing_is_found() {
    let collector = Collector::start().await;
    let config = format!("{FRONT}{}{}", says("x"), collector.section(1.0));
    let said = examined(&config, &[], "collector ").await;
    assert!(said.starts_with("ok ") && said.ends_with("takes traces"), "{said}");
    let elsewhere = config.replace("/v1/traces", "/v1/trace");
    let said = examined(&elsewhere, &[], "collector ").await;
    assert!(said.starts_with("BAD ") && said.contains("it answers 404 Not Found"), "{said}");
    let nowhere =
        config.replace(&collector.address.to_string(), &format!("127.0.0.1:{}", free_port()));
    let said = examined(&nowhere, &[], "collector ").await;
    assert!(said.starts_with("BAD ") && said.contains("is it running"), "{said}");
}

#[tokio::test]
async fn a_collector_behind_https_is_trusted_by_its_own_root_alone() {
    let server = Directory::start(&[], 0).await;
    let section = format!("\n[tracing]\nendpoint = \"{}\"\n", server.url("/v1/traces"));
    let config = format!("{FRONT}{}{section}", says("x"));
    let said = examined(&format!("{config}{}", server.ca_file()), &[], "collector ").await;
    assert!(said.starts_with("ok ") && said.ends_with("takes traces"), "{said}");
    let said = examined(&config, &[], "collector ").await;
    assert!(said.starts_with("BAD ") && said.contains("certificate"), "{said}");
}
