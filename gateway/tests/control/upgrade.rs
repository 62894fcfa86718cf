//! Upgrade: the upgrade socket follows the configuration, and the successor receives only the
//! sockets it needs.

use std::os::unix::net::UnixStream;

use gateway::{Gateway, Options, Upgrades};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::{
    Backend, FRONT, SOON, TestGateway, backend_routes, eventually, fixed_route, websocket, within,
};

fn at(socket: &str) -> String {
    format!("{FRONT}{}\n[upgrade]\nsocket = \"{socket}\"\n", fixed_route("x"))
}

#[tokio::test]
async fn a_reload_moves_and_removes_the_upgrade_socket() {
    let gateway = TestGateway::start(&at("run/one.sock")).await;
    let (one, two) = (gateway.path("run/one.sock"), gateway.path("run/two.sock"));
    assert!(UnixStream::connect(&one).is_ok());
    let (status, report) = gateway.reload(&at("run/two.sock")).await;
    assert_eq!((status, &report["sections"]), (200, &serde_json::json!(["upgrade"])), "{report}");
    assert!(UnixStream::connect(&two).is_ok() && !one.exists());

    std::fs::write(gateway.path("run/three.sock"), "precious").unwrap();
    let (status, report) = gateway.reload(&at("run/three.sock")).await;
    assert!(status == 422 && report.to_string().contains("is not a socket"), "{report}");
    assert!(UnixStream::connect(&two).is_ok(), "the previous socket must remain");

    let (status, _) = gateway.reload(&format!("{FRONT}{}", fixed_route("x"))).await;
    assert!(status == 200 && !two.exists());
    gateway.stop().await;
}

#[tokio::test]
async fn a_successor_keeps_its_ports_binds_new_ones_and_ignores_the_rest() {
    let more = |name: &str| {
        format!(
            "\n[[listener]]\nname = \"{name}\"\naddress = \"127.0.0.1:0\"\nprotocol = \"http\"\n"
        )
    };
    let before = TestGateway::start(&format!("{}{}", at("run/upgrade.sock"), more("gone"))).await;
    let (kept, gone, admin) =
        (before.address("https").await, before.address("gone").await, before.admin().await);
    before.write_config(&format!(
        "{}{}",
        at("run/upgrade.sock").replace("\"x\"", "\"y\""),
        more("new")
    ));
    let source = gateway::ConfigSource::File(before.path("gateway.toml"));
    let options =
        Options { ignore_files: true, upgrades: Upgrades::TakeOver, ..Options::default() };
    let after = Gateway::start(source, options).await.unwrap_or_else(|error| panic!("{error}"));
    let handle = after.handle();
    let after = tokio::spawn(after.run());

    assert_eq!(within(SOON, before.running).await.unwrap().cut, 0);
    let addresses = handle.addresses().await;
    let of = |name: &str| {
        addresses
            .iter()
            .find(|(listener, _)| listener.as_str() == name)
            .map(|(_, address)| *address)
    };
    assert_eq!(of("https"), Some(kept));
    assert!(
        of("new").is_some_and(|address| address != gone),
        "the new listener must get a free port"
    );
    assert_eq!(handle.admin_address().await, Some(admin));
    assert!(std::net::TcpStream::connect(gone).is_err(), "the removed address must be closed");
    assert!(
        reqwest::get(format!("http://{admin}/config"))
            .await
            .unwrap()
            .text()
            .await
            .unwrap()
            .contains("\"y\"")
    );
    handle.request_drain();
    within(SOON, after).await.unwrap();
}

#[tokio::test]
async fn an_open_admin_connection_is_served_during_an_upgrade() {
    let before = TestGateway::start(&at("run/upgrade.sock")).await;
    let admin = before.admin().await;
    // The predecessor has accepted the connection, and no request has been sent on it.
    let mut connection = TcpStream::connect(admin).await.unwrap();
    assert_eq!(before.get_admin("/readyz").await.0, 200);
    let source = gateway::ConfigSource::File(before.path("gateway.toml"));
    let options =
        Options { ignore_files: true, upgrades: Upgrades::TakeOver, ..Options::default() };
    let after = Gateway::start(source, options).await.unwrap_or_else(|error| panic!("{error}"));
    eventually(true, || async { before.handle.is_superseded() }).await;
    connection
        .write_all(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        .await
        .unwrap();
    let mut answer = String::new();
    within(SOON, connection.read_to_string(&mut answer)).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    after.handle().request_drain();
    within(SOON, after.run()).await;
}

#[tokio::test]
async fn an_upgrade_to_an_overlapping_address_fails_and_the_predecessor_keeps_serving() {
    let before = TestGateway::start(&at("run/upgrade.sock")).await;
    let port = before.address("https").await.port();
    before.write_config(&at("run/upgrade.sock").replace("localhost:0", &format!("0.0.0.0:{port}")));
    let source = gateway::ConfigSource::File(before.path("gateway.toml"));
    let options =
        Options { ignore_files: true, upgrades: Upgrades::TakeOver, ..Options::default() };
    let Err(error) = Gateway::start(source, options).await else { panic!("the gateway started") };
    assert!(error.to_string().contains("listener `https` of this gateway holds port"), "{error}");
    eventually(Some(1.0), || before.metric("gateway_upgrades_total{result=\"failed\"}")).await;
    assert_eq!(before.get_admin("/readyz").await.0, 200);
    assert_eq!(before.get("/word").await, "x");
    before.stop().await;
}

#[tokio::test]
async fn a_draining_gateway_rejects_reloads_and_upgrades() {
    let backend = Backend::start().await;
    let more = format!("{}\n[drain]\ndeadline = \"1h\"\n", backend_routes(&backend));
    let gateway = TestGateway::start(&format!("{}{more}", at("run/upgrade.sock"))).await;
    let mut socket = websocket(&gateway).await;
    assert_eq!(socket.echo("one").await.as_deref(), Some("one"));
    let address = gateway.address("https").await;
    gateway.handle.request_drain();
    eventually(true, || async { std::net::TcpStream::connect(address).is_err() }).await;
    let (status, report) = gateway.reload(&at("run/upgrade.sock")).await;
    assert!(status == 422 && report.to_string().contains("the gateway is stopping"), "{report}");
    assert!(std::net::TcpStream::connect(address).is_err());
    assert_eq!(
        gateway.metric("gateway_config_last_reload_successful").await,
        Some(1.0),
        "no reload has failed"
    );

    let source = gateway::ConfigSource::File(gateway.path("gateway.toml"));
    let options =
        Options { ignore_files: true, upgrades: Upgrades::TakeOver, ..Options::default() };
    let Err(error) = Gateway::start(source, options).await else { panic!("the gateway started") };
    assert!(error.to_string().contains("it is stopping"), "{error}");
    gateway.handle.cut();
    within(SOON, gateway.running).await.unwrap();
}
