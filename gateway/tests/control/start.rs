//! Start: everything works, or the start fails with a reason and leaves nothing behind.

use gateway::Options;

use crate::support::{FRONT, TestGateway, fixed_route};

async fn start_error(config: &str) -> String {
    match TestGateway::try_start(config, Options::default()).await {
        Ok(_) => panic!("the gateway started"),
        Err(error) => error.to_string(),
    }
}

#[tokio::test]
async fn https_is_served_with_a_certificate_of_the_local_authority() {
    let gateway = TestGateway::start(&format!("{FRONT}{}", fixed_route("hello"))).await;
    assert_eq!(gateway.get("/word").await, "hello");
    assert_eq!(gateway.get_admin("/readyz").await, (200, "ready\n".to_owned()));
    gateway.stop().await;
}

#[tokio::test]
async fn an_occupied_port_is_reported_with_its_key_and_no_listener_stays_bound() {
    let occupied = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let occupied = (occupied.local_addr().unwrap(), occupied);
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let second = format!(
        "[[listener]]\nname = \"second\"\naddress = \"{}\"\nprotocol = \"https\"\n",
        occupied.0
    );
    let first = FRONT.replace("localhost:0", &free.to_string());
    let reason = start_error(&format!("{first}{second}{}", fixed_route("x"))).await;
    assert!(reason.contains(&occupied.0.to_string()), "{reason}");
    assert!(
        reason.contains("listener `second`, key `address`")
            && reason.contains("another program listens"),
        "{reason}"
    );
    std::net::TcpListener::bind(free).expect("the first listener must not stay bound");
}

#[tokio::test]
async fn an_unreadable_certificate_is_reported_with_its_file() {
    let files = "source = \"files\"\ncert = \"no-chain.pem\"\nkey = \"no.key\"";
    let reason = start_error(&format!(
        "{}{}",
        FRONT.replace("source = \"self-signed\"", files),
        fixed_route("x")
    ))
    .await;
    assert!(
        reason.contains("certificate `local`: cert: ")
            && reason.contains("no-chain.pem: No such file"),
        "{reason}"
    );
}

#[tokio::test]
async fn a_key_of_another_certificate_is_rejected() {
    let directory = tempfile::tempdir().unwrap();
    let made: Vec<_> = (0..2)
        .map(|_| rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap())
        .collect();
    std::fs::write(directory.path().join("chain.pem"), made[0].cert.pem()).unwrap();
    std::fs::write(directory.path().join("leaf.key"), made[1].signing_key.serialize_pem()).unwrap();
    let files = "source = \"files\"\ncert = \"chain.pem\"\nkey = \"leaf.key\"";
    let config =
        format!("{}{}", FRONT.replace("source = \"self-signed\"", files), fixed_route("x"));
    std::fs::write(directory.path().join("gateway.toml"), config).unwrap();
    let started = TestGateway::start_in(directory, "gateway.toml", Options::default()).await;
    let Err(error) = started else { panic!("the gateway started") };
    assert!(error.to_string().contains("certificate `local`: "), "{error}");
}

#[tokio::test]
async fn an_unknown_key_fails_the_start_with_file_line_and_suggestion() {
    let reason =
        start_error(&format!("{FRONT}{}", fixed_route("x").replace("respond", "repsond"))).await;
    assert!(
        reason.contains(
            "gateway.toml:21:1: unknown key `repsond` in `route`; did you mean `respond`?"
        ),
        "{reason}"
    );
}
