//! Certificates ordered from a real authority, through the gateway's own listeners.

use crate::support::{
    TestGateway, eventually,
    pebble::{Pebble, free_port},
    says,
    tls::{Connection, issuer},
};

const NAME: &str = "chat.example.org";

fn config(tls: u16, http: u16, names: &str, keys: &str) -> String {
    format!(
        "[[listener]]\nname = \"https\"\naddress = \"127.0.0.1:{tls}\"\nprotocol = \"https\"\n\
         [[listener]]\nname = \"http\"\naddress = \"127.0.0.1:{http}\"\nprotocol = \"http\"\n\
         [[certificate]]\nname = \"public\"\nsource = \"acme\"\nnames = [{names}]\n{keys}\
         [admin]\naddress = \"127.0.0.1:0\"\n[log]\nlevel = \"error\"\naccess = false\n{}",
        says("hello")
    )
}

async fn is_from_pebble(port: u16, name: &str) -> bool {
    issuer(port, name).await.contains("Pebble")
}

#[tokio::test]
async fn each_challenge_is_answered_by_the_gateways_own_listener_and_open_connections_stay() {
    for challenge in ["tls-alpn-01", "http-01"] {
        let (tls, http) = (free_port(), free_port());
        let pebble = Pebble::start(tls, http).await;
        let keys = format!("challenges = [\"{challenge}\"]\n{}", pebble.keys());
        let gateway = TestGateway::start(&config(tls, http, &format!("\"{NAME}\""), &keys)).await;
        let mut early = Connection::open(tls, NAME, None).await.unwrap();
        assert!(early.get("/word", "").await.unwrap().ends_with("hello"));
        eventually(true, || is_from_pebble(tls, NAME)).await;
        assert!(
            early.get("/word", "").await.unwrap().ends_with("hello"),
            "{challenge}: the connection before the swap"
        );
        assert_eq!(pebble.issued(), 1, "{challenge}");
        eventually(Some(1.0), || {
            gateway.metric("gateway_certificate_source{certificate=\"public\",source=\"ordered\"}")
        })
        .await;
        gateway.stop().await;
    }
}

#[tokio::test]
async fn without_the_directory_the_local_authority_serves_and_the_failure_is_counted() {
    let (tls, http) = (free_port(), free_port());
    let pebble = Pebble::start(tls, http).await;
    let keys = pebble.keys().replace(&format!(":{}/", pebble.port), &format!(":{}/", free_port()));
    let gateway = TestGateway::start(&config(tls, http, &format!("\"{NAME}\""), &keys)).await;
    let mut connection = Connection::open(tls, NAME, None).await.unwrap();
    assert!(connection.issuer().contains("Gatehouse"), "{}", connection.issuer());
    assert!(connection.get("/word", "").await.unwrap().ends_with("hello"));
    let failures = "gateway_certificate_failures_total{certificate=\"public\",reason=\"unreachable\"}";
    eventually(true, || async { gateway.metric(failures).await.is_some_and(|count| count >= 1.0) }).await;
    let source = "gateway_certificate_source{certificate=\"public\",source=\"stand_in\"}";
    assert_eq!(gateway.metric(source).await, Some(1.0));
    gateway.stop().await;
}

#[tokio::test]
async fn a_reload_keeps_the_certificate_other_names_get_another_and_a_restart_needs_no_authority() {
    let (tls, http) = (free_port(), free_port());
    let mut pebble = Pebble::start(tls, http).await;
    let first = config(tls, http, &format!("\"{NAME}\""), &pebble.keys());
    let gateway = TestGateway::start(&first).await;
    eventually(true, || is_from_pebble(tls, NAME)).await;

    let (status, report) = gateway.reload(&first.replace("hello", "hallo")).await;
    assert_eq!(status, 200, "{report}");
    assert!(is_from_pebble(tls, NAME).await, "never the stand-in again");
    assert_eq!(pebble.issued(), 1);

    let second = config(tls, http, &format!("\"{NAME}\", \"more.example.org\""), &pebble.keys());
    let (status, report) = gateway.reload(&second).await;
    assert_eq!(status, 200, "{report}");
    eventually(true, || is_from_pebble(tls, "more.example.org")).await;
    assert_eq!(pebble.issued(), 2);

    pebble.down();
    gateway.handle.request_drain();
    gateway.running.await.unwrap();
    let restarted = TestGateway::start_in(gateway.directory, "gateway.toml", Default::default()).await;
    let restarted = restarted.unwrap_or_else(|error| panic!("{error}"));
    assert!(is_from_pebble(tls, NAME).await, "from the first connection on");
    restarted.stop().await;
}
