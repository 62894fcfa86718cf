//! Names that change what they mean, and names that fail.

use gateway_config::Balance;

use super::*;
use crate::metrics::Metrics;
use crate::serving::upstream::tests::config;

/// An upstream whose own maintenance works on names that mean nothing, so that only the test
/// resolves.
fn upstream(targets: &[&str]) -> Arc<Upstream> {
    let mut config = config(0, Balance::LeastRequest);
    config.targets = targets.iter().map(|target| target.parse().expect("a target")).collect();
    Upstream::without_maintenance(&config, Metrics::new().upstream("test"))
}

fn labels(upstream: &Upstream) -> Vec<String> {
    upstream.targets.load().iter().map(|target| target.label.clone()).collect()
}

fn addresses(texts: &[&str]) -> io::Result<Vec<SocketAddr>> {
    Ok(texts.iter().map(|text| text.parse().expect("an address")).collect())
}

#[tokio::test]
async fn a_name_is_every_address_it_means_now() {
    let upstream = upstream(&["dns:pods:80", "192.0.2.9:80"]);
    let mut meanings = Meanings::new();
    resolve(&upstream, &mut meanings, async |_: String, _: u16| {
        addresses(&["192.0.2.1:80", "192.0.2.2:80"])
    })
    .await;
    assert_eq!(labels(&upstream), ["192.0.2.9:80", "192.0.2.1:80", "192.0.2.2:80"]);
    let kept = upstream
        .targets
        .load()
        .iter()
        .find(|target| target.label == "192.0.2.2:80")
        .map(Arc::clone);
    resolve(&upstream, &mut meanings, async |_: String, _: u16| {
        addresses(&["192.0.2.2:80", "192.0.2.3:80"])
    })
    .await;
    assert_eq!(labels(&upstream), ["192.0.2.9:80", "192.0.2.2:80", "192.0.2.3:80"]);
    let after = upstream
        .targets
        .load()
        .iter()
        .find(|target| target.label == "192.0.2.2:80")
        .map(Arc::clone);
    assert!(
        kept.zip(after).is_some_and(|(kept, after)| Arc::ptr_eq(&kept, &after)),
        "what is known of a target stays"
    );
}

#[tokio::test(start_paused = true)]
async fn a_name_that_fails_keeps_its_meaning_and_holds_no_other_up() {
    let upstream = upstream(&["dns:steady:80", "dns:moving:80", "dns:never:80"]);
    let mut meanings = Meanings::new();
    let first = async |host: String, _: u16| match host.as_str() {
        "steady" => addresses(&["192.0.2.1:80"]),
        "moving" => addresses(&["192.0.2.2:80"]),
        _ => Err(io::ErrorKind::NotFound.into()),
    };
    resolve(&upstream, &mut meanings, first).await;
    assert_eq!(labels(&upstream), ["192.0.2.1:80", "192.0.2.2:80"]);
    let second = async |host: String, _: u16| match host.as_str() {
        "steady" => Err(io::ErrorKind::NotFound.into()),
        "moving" => addresses(&["192.0.2.3:80"]),
        _ => std::future::pending().await,
    };
    resolve(&upstream, &mut meanings, second).await;
    assert_eq!(labels(&upstream), ["192.0.2.1:80", "192.0.2.3:80"]);
}

#[tokio::test]
async fn a_plain_name_is_one_target_whose_addresses_are_tried_until_one_answers() {
    let upstream = upstream(&["backend:80", "192.0.2.9:80"]);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let alive = listener.local_addr().expect("an address");
    let dead = {
        let gone = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        gone.local_addr().expect("an address")
    };
    let mut meanings = Meanings::new();
    let lookup = async |_: String, _: u16| Ok(vec![dead, alive]);
    resolve(&upstream, &mut meanings, lookup).await;
    assert_eq!(labels(&upstream), ["192.0.2.9:80", "backend:80"]);
    let target =
        upstream.targets.load().iter().find(|target| target.label == "backend:80").map(Arc::clone);
    let target = target.expect("the name");
    let order = || match &target.address {
        crate::serving::upstream::Address::Name(addresses) => addresses.load().to_vec(),
        other => panic!("not a name: {other:?}"),
    };
    assert_eq!(order(), [dead, alive]);
    assert!(target.connect().await.is_ok(), "the second address answers");
    assert_eq!(order(), [alive, dead], "what answers is tried first from now on");
    resolve(&upstream, &mut meanings, lookup).await;
    assert_eq!(order(), [alive, dead], "the same meaning keeps its order");
    resolve(&upstream, &mut meanings, async |_: String, _: u16| Ok(vec![dead])).await;
    assert_eq!(order(), [dead]);
    assert!(target.connect().await.is_err());
}
