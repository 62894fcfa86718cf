//! `gateway doctor` checks external dependencies: CAA records, the ACME authority, the clock and
//! the trace collector.

use std::process::Stdio;

use tokio::process::Command;

use crate::support::pebble::free_port;
use crate::support::{Collector, Directory, FRONT, NameServer, SOON, fixed_route, within};

const NAME: &str = "chat.example.org";

/// A configuration that orders a certificate for [`NAME`] from this directory.
fn ordered_from(directory: &Directory) -> String {
    let ordered = format!(
        "[[certificate]]\nname = \"public\"\nsource = \"acme\"\nnames = [\"{NAME}\"]\n{}",
        directory.keys()
    );
    format!("{FRONT}{ordered}{}", fixed_route("x"))
}

/// The one line of `gateway doctor` about a subject.
async fn doctor_line(config: &str, arguments: &[&str], subject: &str) -> String {
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
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    let lines: Vec<_> = printed.lines().filter(|line| line.contains(subject)).collect();
    assert_eq!(lines.len(), 1, "{subject}: {printed}{}", String::from_utf8_lossy(&output.stderr));
    lines[0].to_owned()
}

async fn caa(directory: &Directory, names: &NameServer) -> String {
    doctor_line(&ordered_from(directory), &["--nameserver", &names.address.to_string()], "CAA ")
        .await
}

#[tokio::test]
async fn a_caa_record_of_a_parent_domain_for_another_authority_is_reported_with_the_record_to_add()
{
    let directory = Directory::start(&["ca.test", "ca.example"], 0).await;
    let names = NameServer::start(&[("example.org", &["other.example", "third.example"])]).await;
    assert_eq!(
        caa(&directory, &names).await,
        "BAD   CAA chat.example.org: the records of example.org allow other.example, third.example but not ca.test: \
         add `example.org. IN CAA 0 issue \"ca.test\"` to the zone"
    );
}

#[tokio::test]
async fn the_closest_caa_record_must_allow_the_authority() {
    let directory = Directory::start(&["ca.test", "ca.example"], 0).await;
    let names = NameServer::start(&[
        ("chat.example.org", &["ca.example"]),
        ("example.org", &["other.example"]),
    ])
    .await;
    let good = "ok    CAA chat.example.org: the records of chat.example.org allow ca.test";
    assert_eq!(caa(&directory, &names).await, good);
}

#[tokio::test]
async fn any_authority_may_issue_without_a_record_but_not_if_the_zone_fails() {
    let directory = Directory::start(&["ca.test"], 0).await;
    let names = NameServer::start(&[("example.com", &["other.example"])]).await;
    assert_eq!(
        caa(&directory, &names).await,
        "ok    CAA chat.example.org: no record: any authority may issue"
    );
    let broken = caa(&directory, &NameServer::failing().await).await;
    assert!(
        broken.starts_with("BAD   CAA chat.example.org: the name servers return `Server Failure`"),
        "{broken}"
    );
}

#[tokio::test]
async fn a_truncated_dns_response_is_queried_again_over_tcp() {
    let directory = Directory::start(&["ca.test"], 0).await;
    let names = NameServer::truncating(&[("example.org", &["other.example"])]).await;
    let printed = caa(&directory, &names).await;
    assert!(printed.contains("allow other.example but not ca.test"), "{printed}");
}

#[tokio::test]
async fn an_unreachable_name_server_is_reported_with_its_address() {
    let directory = Directory::start(&["ca.test"], 0).await;
    let unreachable = format!("127.0.0.1:{}", free_port());
    let printed =
        doctor_line(&ordered_from(&directory), &["--nameserver", &unreachable], "CAA ").await;
    assert!(
        printed.starts_with("BAD ")
            && printed.contains(&unreachable)
            && printed.contains("--nameserver"),
        "{printed}"
    );
}

#[tokio::test]
async fn the_clock_is_compared_with_the_authoritys() {
    let names = NameServer::start(&[]).await;
    let server = names.address.to_string();
    for (ahead, expected) in [
        (0, "ok    clock by https://localhost"),
        (3600, "BAD   clock by https://localhost"),
        (-3600, "BAD   clock by https://localhost"),
    ] {
        let directory = Directory::start(&["ca.test"], ahead).await;
        let printed =
            doctor_line(&ordered_from(&directory), &["--nameserver", &server], "clock by").await;
        assert!(printed.starts_with(expected), "{printed}");
        if ahead != 0 {
            let way = if ahead > 0 { "behind" } else { "ahead" };
            assert!(
                printed.contains(&format!(" s {way}, 60 s are tolerated: set the clock")),
                "{printed}"
            );
        }
    }
}

#[tokio::test]
async fn a_collector_that_accepts_no_traces_is_reported() {
    let collector = Collector::start().await;
    let config = format!("{FRONT}{}{}", fixed_route("x"), collector.section(1.0));
    let printed = doctor_line(&config, &[], "collector ").await;
    assert!(printed.starts_with("ok ") && printed.ends_with("accepts traces"), "{printed}");
    let elsewhere = config.replace("/v1/traces", "/v1/trace");
    let printed = doctor_line(&elsewhere, &[], "collector ").await;
    assert!(
        printed.starts_with("BAD ") && printed.contains("the collector returns 404 Not Found"),
        "{printed}"
    );
    let nowhere =
        config.replace(&collector.address.to_string(), &format!("127.0.0.1:{}", free_port()));
    let printed = doctor_line(&nowhere, &[], "collector ").await;
    assert!(printed.starts_with("BAD ") && printed.contains("is it running"), "{printed}");
}

#[tokio::test]
async fn an_https_collector_is_verified_against_its_ca_file() {
    let server = Directory::start(&[], 0).await;
    let section = format!("\n[tracing]\nendpoint = \"{}\"\n", server.url("/v1/traces"));
    let config = format!("{FRONT}{}{section}", fixed_route("x"));
    let printed = doctor_line(&format!("{config}{}", server.ca_file()), &[], "collector ").await;
    assert!(printed.starts_with("ok ") && printed.ends_with("accepts traces"), "{printed}");
    let printed = doctor_line(&config, &[], "collector ").await;
    assert!(printed.starts_with("BAD ") && printed.contains("certificate"), "{printed}");
}
