//! The upgrade socket follows the configuration, and a successor gets what it wants of the sockets.

use std::os::unix::net::UnixStream;

use gateway::{Gateway, Options, Upgrades};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::{
    Backend, FRONT, SOON, TestGateway, eventually, leads_to, says, websocket, within,
};

fn at(socket: &str) -> String {
    format!("{FRONT}{}\n[upgrade]\nsocket = \"{socket}\"\n", says("x"))
}

#[tokio::test]
async fn a_reload_moves_the_upgrade_socket_and_takes_it_away() {
    let gateway = TestGateway::start(&at("run/one.sock")).await;
    let (one, two) = (gateway.path("run/one.sock"), gateway.path("run/two.sock"));
    assert!(UnixStream::connect(&one).is_ok());
    let (status, report) = gateway.reload(&at("run/two.sock")).await;
    assert_eq!((status, &report["sections"]), (200, &serde_json::json!(["upgrade"])), "{report}");
    assert!(UnixStream::connect(&two).is_ok() && !one.exists());

    std::fs::write(gateway.path("run/three.sock"), "precious").unwrap();
    let (status, report) = gateway.reload(&at("run/three.sock")).await;
    assert!(status == 422 && report.to_string().contains("is no socket"), "{report}");
    assert!(UnixStream::connect(&two).is_ok(), "what was before stays");

    let (status, _) = gateway.reload(&format!("{FRONT}{}", says("x"))).await;
    assert!(status == 200 && !two.exists());
    gateway.stop().await;
}

#[tokio::test]
async fn a_successor_keeps_free_ports_binds_what_is_new_and_leaves_what_it_does_not_want() {
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
    assert!(of("new").is_some_and(|address| address != gone), "a free port of its own");
    assert_eq!(handle.admin_address().await, Some(admin));
    assert!(std::net::TcpStream::connect(gone).is_err(), "nobody listens where nobody wants to");
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
async fn a_question_to_the_admin_address_that_comes_in_the_last_moment_is_answered() {
    let before = TestGateway::start(&at("run/upgrade.sock")).await;
    let admin = before.admin().await;
    // In the hands of the one before, and nothing said on it yet.
    let mut connection = TcpStream::connect(admin).await.unwrap();
    assert_eq!(before.ask_admin("/readyz").await.0, 200);
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
async fn an_address_that_overlaps_one_of_the_running_gateway_is_named_and_the_running_one_serves_on()
 {
    let before = TestGateway::start(&at("run/upgrade.sock")).await;
    let port = before.address("https").await.port();
    before.write_config(&at("run/upgrade.sock").replace("localhost:0", &format!("0.0.0.0:{port}")));
    let source = gateway::ConfigSource::File(before.path("gateway.toml"));
    let options =
        Options { ignore_files: true, upgrades: Upgrades::TakeOver, ..Options::default() };
    let Err(error) = Gateway::start(source, options).await else { panic!("started") };
    assert!(error.to_string().contains("listener `https` of this gateway holds port"), "{error}");
    eventually(Some(1.0), || before.metric("gateway_upgrades_total{result=\"failed\"}")).await;
    assert_eq!(before.ask_admin("/readyz").await.0, 200);
    assert_eq!(before.get("/word").await, "x");
    before.stop().await;
}

#[tokio::test]
async fn a_gateway_that_stops_takes_no_new_configuration_and_is_not_taken_over() {
    let backend = Backend::start().await;
    let more = format!("{}\n[drain]\ndeadline = \"1h\"\n", leads_to(&backend));
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
    let Err(error) = Gateway::start(source, options).await else { panic!("started") };
    assert!(error.to_string().contains("it is stopping"), "{error}");
    gateway.handle.cut();
    within(SOON, gateway.running).await.unwrap();
}
