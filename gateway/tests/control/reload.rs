//! Reload: all or nothing, with a report, and without touching open connections.

use std::net::SocketAddr;

use gateway::Options;
use tokio::net::TcpStream;

use crate::support::{
    Backend, FRONT, SOON, TestGateway, backend_routes, eventually, fixed_route, replace, websocket,
    within,
};

fn free_address() -> SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

fn listener(name: &str, address: SocketAddr) -> String {
    format!(
        "\n[[listener]]\nname = \"{name}\"\naddress = \"{address}\"\nprotocol = \"http\"\nmode = \"plain\"\n"
    )
}

#[tokio::test]
async fn a_changed_route_is_applied_and_an_open_websocket_stays_open() {
    let backend = Backend::start().await;
    let base = format!("{FRONT}{}", backend_routes(&backend));
    let gateway = TestGateway::start(&format!("{base}{}", fixed_route("before"))).await;
    let mut socket = websocket(&gateway).await;
    assert_eq!(socket.echo("one").await.as_deref(), Some("one"));

    let (status, report) = gateway.reload(&format!("{base}{}", fixed_route("after"))).await;
    assert_eq!(status, 200, "{report}");
    assert_eq!(report["routes"]["changed"], serde_json::json!(["word"]));
    assert_eq!(report["websockets_kept"], 1);
    assert_eq!(gateway.get("/word").await, "after");
    assert_eq!(within(SOON, socket.echo("two")).await.as_deref(), Some("two"));
}

#[tokio::test]
async fn an_open_websocket_survives_the_removal_of_its_route() {
    let backend = Backend::start().await;
    let gateway = TestGateway::start(&format!("{FRONT}{}", backend_routes(&backend))).await;
    let mut socket = websocket(&gateway).await;
    assert_eq!(socket.echo("one").await.as_deref(), Some("one"));
    let (status, report) = gateway.reload(&format!("{FRONT}{}", fixed_route("alone"))).await;
    assert_eq!((status, &report["routes"]["removed"]), (200, &serde_json::json!(["api", "live"])));
    assert_eq!(within(SOON, socket.echo("two")).await.as_deref(), Some("two"));
}

#[tokio::test]
async fn an_invalid_configuration_is_rejected_with_its_position() {
    let gateway = TestGateway::start(&format!("{FRONT}{}", fixed_route("old"))).await;
    let hash = gateway.handle.config().hash.clone();
    let (status, answer) =
        gateway.reload(&format!("{FRONT}{}", fixed_route("new").replace("path =", "pth ="))).await;
    assert_eq!(status, 422);
    let faults = answer["faults"].as_array().unwrap();
    let unknown = faults
        .iter()
        .find(|fault| fault["reason"].as_str().unwrap().contains("unknown key `pth`"))
        .unwrap();
    assert_eq!(unknown["line"], 20);
    assert!(unknown["file"].as_str().unwrap().ends_with("gateway.toml"));
    assert_eq!(gateway.get("/word").await, "old");

    assert_eq!(gateway.metric("gateway_config_reloads_total{result=\"failure\"}").await, Some(1.0));
    assert_eq!(gateway.metric("gateway_config_last_reload_successful").await, Some(0.0));
    assert_eq!(gateway.metric(&format!("gateway_config_info{{hash=\"{hash}\"}}")).await, Some(1.0));

    let (status, _) = gateway.reload(&format!("{FRONT}{}", fixed_route("new"))).await;
    assert_eq!(status, 200);
    assert_eq!(gateway.metric("gateway_config_last_reload_successful").await, Some(1.0));
    assert_eq!(gateway.metric(&format!("gateway_config_info{{hash=\"{hash}\"}}")).await, None);
}

#[tokio::test]
async fn a_dry_run_reports_the_changes_without_applying_them() {
    let gateway = TestGateway::start(&format!("{FRONT}{}", fixed_route("old"))).await;
    let (hash, address) = (gateway.handle.config().hash.clone(), free_address());
    let url = format!("http://{}/reload?dry_run=true", gateway.admin().await);
    let dry_run = async || {
        let answer = reqwest::Client::new().post(&url).send().await.unwrap();
        (answer.status().as_u16(), answer.json::<serde_json::Value>().await.unwrap())
    };
    gateway.write_config(&format!("{FRONT}{}{}", listener("extra", address), fixed_route("new")));
    let (status, report) = dry_run().await;
    assert_eq!((status, &report["applied"]), (200, &serde_json::json!(false)), "{report}");
    assert_eq!(report["routes"]["changed"], serde_json::json!(["word"]));
    assert_eq!(report["listeners"]["added"], serde_json::json!(["extra"]));
    assert_eq!(gateway.get("/word").await, "old");
    assert_eq!(gateway.handle.config().hash, hash);
    assert_eq!(
        gateway.metric("gateway_config_reloads_total{result=\"success\"}").await.unwrap_or(0.0),
        0.0
    );
    assert!(TcpStream::connect(address).await.is_err(), "a dry run must not keep an address bound");

    let occupied = std::net::TcpListener::bind(address).unwrap();
    let (status, answer) = dry_run().await;
    assert_eq!(status, 422);
    assert!(
        answer["faults"][0]["reason"].as_str().unwrap().contains("another program listens there"),
        "{answer}"
    );
    drop(occupied);
    let (status, report) = gateway.reload(&format!("{FRONT}{}", fixed_route("new"))).await;
    assert_eq!((status, &report["applied"]), (200, &serde_json::json!(true)));
}

#[tokio::test]
async fn listeners_are_added_and_removed_and_their_connections_stay_open() {
    let gateway = TestGateway::start(&format!("{FRONT}{}", fixed_route("word"))).await;
    let address = free_address();
    let with = format!("{FRONT}{}{}", listener("extra", address), fixed_route("word"));
    let (_, report) = gateway.reload(&with).await;
    assert_eq!(report["listeners"]["added"], serde_json::json!(["extra"]));
    let client = reqwest::Client::new();
    let url = format!("http://{address}/word");
    assert_eq!(client.get(&url).send().await.unwrap().text().await.unwrap(), "word");

    let (_, report) = gateway.reload(&format!("{FRONT}{}", fixed_route("word"))).await;
    assert_eq!(report["listeners"]["removed"], serde_json::json!(["extra"]));
    eventually(true, || async { TcpStream::connect(address).await.is_err() }).await;
}

#[tokio::test]
async fn a_renamed_listener_keeps_its_address() {
    let address = free_address();
    let named = |name: &str| format!("{FRONT}{}{}", listener(name, address), fixed_route("word"));
    let gateway = TestGateway::start(&named("one")).await;
    let (status, report) = gateway.reload(&named("two")).await;
    assert_eq!(status, 200, "{report}");
    let answer = reqwest::get(format!("http://{address}/word")).await.unwrap();
    assert_eq!(answer.text().await.unwrap(), "word");
    assert_eq!(gateway.address("two").await, address);
}

#[tokio::test]
async fn a_listener_that_cannot_bind_rejects_the_reload() {
    let occupied = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let gateway = TestGateway::start(&format!("{FRONT}{}", fixed_route("old"))).await;
    let extra = listener("extra", occupied.local_addr().unwrap());
    let (status, answer) = gateway.reload(&format!("{FRONT}{extra}{}", fixed_route("new"))).await;
    assert_eq!(status, 422);
    assert!(
        answer["faults"][0]["reason"].as_str().unwrap().contains("listener `extra`, key `address`"),
        "{answer}"
    );
    assert_eq!(gateway.get("/word").await, "old");
}

#[tokio::test]
async fn the_admin_address_moves_after_the_response() {
    let gateway = TestGateway::start(&format!("{FRONT}{}", fixed_route("x"))).await;
    let (old, new) = (gateway.admin().await, free_address());
    let moved = FRONT.replace("address = \"127.0.0.1:0\"", &format!("address = \"{new}\""));
    let (status, report) = gateway.reload(&format!("{moved}{}", fixed_route("x"))).await;
    assert_eq!((status, &report["sections"]), (200, &serde_json::json!(["admin"])));
    assert_eq!(gateway.get_admin("/livez").await.0, 200);
    assert_eq!(gateway.admin().await, new);
    eventually(true, || async { TcpStream::connect(old).await.is_err() }).await;
}

#[tokio::test]
async fn new_certificate_files_are_served_to_new_connections() {
    let directory = tempfile::tempdir().unwrap();
    let make = |directory: &std::path::Path| {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        replace(&directory.join("leaf.key"), &made.signing_key.serialize_pem());
        replace(&directory.join("chain.pem"), &made.cert.pem());
        reqwest::Certificate::from_pem(made.cert.pem().as_bytes()).unwrap()
    };
    let first = make(directory.path());
    let files = "source = \"files\"\ncert = \"chain.pem\"\nkey = \"leaf.key\"";
    let config =
        format!("{}{}", FRONT.replace("source = \"self-signed\"", files), fixed_route("word"));
    std::fs::write(directory.path().join("gateway.toml"), &config).unwrap();
    let gateway =
        TestGateway::start_in(directory, "gateway.toml", Options::default()).await.unwrap();
    let url = format!("https://localhost:{}/word", gateway.address("https").await.port());
    let trusting =
        |authority| reqwest::Client::builder().tls_certs_only([authority]).build().unwrap();
    let old_client = trusting(first);
    assert_eq!(old_client.get(&url).send().await.unwrap().status(), 200);

    let second = make(gateway.directory.path());
    let new_client = trusting(second);
    // No request is needed: the files are watched.
    eventually(true, || async { new_client.get(&url).send().await.is_ok() }).await;
    assert_eq!(
        old_client.get(&url).send().await.unwrap().status(),
        200,
        "the open connection goes on"
    );
}

#[tokio::test]
async fn moving_a_listener_to_an_overlapping_address_is_rejected_with_instructions() {
    let port = free_address().port();
    let at = |address: String| {
        format!("{}{}", FRONT.replace("localhost:0", &address), fixed_route("here"))
    };
    let gateway = TestGateway::start(&at(format!("localhost:{port}"))).await;
    let (status, answer) = gateway.reload(&at(format!("[::]:{port}"))).await;
    assert_eq!(status, 422, "{answer}");
    let reason = answer["faults"][0]["reason"].as_str().unwrap();
    let expected =
        format!("listener `https` of this gateway holds port {port} on an overlapping address");
    assert!(reason.contains(&expected) && reason.contains("in two steps"), "{reason}");
    assert_eq!(gateway.get("/word").await, "here");
}
