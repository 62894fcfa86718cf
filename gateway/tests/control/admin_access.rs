//! Access to the admin address: host names, and half-open requests.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::support::{FRONT, SOON, TestGateway, eventually, fixed_route, within};

/// Sends these bytes; the status of the response, and the whole response.
async fn ask(admin: SocketAddr, request: &str) -> (u16, String) {
    let mut tcp = TcpStream::connect(admin).await.unwrap();
    tcp.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    within(SOON, tcp.read_to_string(&mut answer)).await.unwrap();
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
    (status.unwrap_or_else(|| panic!("{request:?}: {answer:?}")), answer)
}

fn get(target: &str, fields: &str) -> String {
    format!("GET {target} HTTP/1.1\r\n{fields}Connection: close\r\n\r\n")
}

#[tokio::test]
async fn a_request_for_a_foreign_host_gets_no_data() {
    let gateway = TestGateway::start(&format!("{FRONT}{}", fixed_route("x"))).await;
    let admin = gateway.admin().await;
    for path in ["/config", "/metrics", "/livez", "/none"] {
        let (status, answer) = ask(admin, &get(path, "Host: evil.example:9090\r\n")).await;
        assert_eq!(status, 421, "{answer}");
        assert!(
            answer.contains("the host `evil.example` is not accepted")
                && answer.contains("`hosts` in `[admin]`"),
            "{answer}"
        );
        assert!(!answer.contains("gateway_") && !answer.contains("[[listener]]"), "{answer}");
    }
    let (status, _) =
        ask(admin, "POST /drain HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n").await;
    assert!(status == 421 && !gateway.handle.is_ending());
    let port = admin.port();
    for (host, expected) in [
        (format!("127.0.0.1:{port}"), 200),
        ("localhost".to_owned(), 200),
        (format!("LOCALHOST:{port}"), 200),
        (format!("[::1]:{port}"), 200),
        ("192.0.2.1".to_owned(), 200),
        ("127.0.0.1.evil.example".to_owned(), 421),
        ("[::1".to_owned(), 400),
        ("a b".to_owned(), 400),
    ] {
        assert_eq!(
            ask(admin, &get("/livez", &format!("Host: {host}\r\n"))).await.0,
            expected,
            "{host}"
        );
    }
    assert_eq!(ask(admin, &get("/livez", "")).await.0, 400, "RFC 9112 section 3.2");
    assert_eq!(ask(admin, &get("/livez", "Host: localhost\r\nHost: localhost\r\n")).await.0, 400);
    assert_eq!(
        ask(admin, &get(&format!("http://{admin}/livez"), "Host: localhost\r\n")).await.0,
        200
    );
    assert_eq!(ask(admin, &get("http://evil.example/livez", "Host: localhost\r\n")).await.0, 421);
    gateway.stop().await;
}

#[tokio::test]
async fn configured_host_names_are_accepted_after_a_reload() {
    let gateway = TestGateway::start(&format!("{FRONT}{}", fixed_route("x"))).await;
    let admin = gateway.admin().await;
    let status =
        async |host: &str| ask(admin, &get("/metrics", &format!("Host: {host}\r\n"))).await.0;
    assert_eq!(
        (status("gateway.example:9090").await, status("pod-1.gateway.svc").await),
        (421, 421)
    );
    let named = FRONT.replace("[log]", "hosts = [\"gateway.example\", \"*.gateway.svc\"]\n\n[log]");
    let (done, report) = gateway.reload(&format!("{named}{}", fixed_route("x"))).await;
    assert_eq!((done, &report["sections"]), (200, &serde_json::json!(["admin"])), "{report}");
    assert_eq!(
        (status("gateway.example:9090").await, status("pod-1.gateway.svc").await),
        (200, 200)
    );
    assert_eq!((status("evil.example").await, status("gateway.svc").await), (421, 421));
    gateway.stop().await;
}

#[tokio::test]
async fn half_open_heads_are_limited_and_do_not_lock_out_operators() {
    const MANY: usize = 300;
    let gateway = TestGateway::start(&format!("{FRONT}{}", fixed_route("x"))).await;
    let admin = gateway.admin().await;
    let mut open = JoinSet::new();
    for _ in 0..MANY {
        let mut tcp = TcpStream::connect(admin).await.unwrap();
        tcp.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nX-").await.unwrap();
        // The connection ends by a close or by a reset.
        open.spawn(async move { tcp.read(&mut [0; 1]).await.unwrap_or(0) });
    }
    assert_eq!(gateway.get_admin("/readyz").await.0, 200, "a complete request is answered");
    let mut closed = 0;
    eventually(true, || {
        while let Some(ended) = open.try_join_next() {
            assert_eq!(ended.unwrap(), 0);
            closed += 1;
        }
        std::future::ready(closed >= MANY - 64)
    })
    .await;
    // The other connections have ten seconds to send their heads.
    let rest = async { while open.join_next().await.is_some() {} };
    within(Duration::from_secs(40), rest).await;
    assert_eq!(gateway.get_admin("/readyz").await.0, 200);
    gateway.stop().await;
}

#[tokio::test]
async fn an_endless_head_is_rejected() {
    let gateway = TestGateway::start(&format!("{FRONT}{}", fixed_route("x"))).await;
    let mut tcp = TcpStream::connect(gateway.admin().await).await.unwrap();
    let sending = async {
        tcp.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Long: ").await?;
        for _ in 0..4096 {
            tcp.write_all(&[b'x'; 1024]).await?;
        }
        std::io::Result::Ok(())
    };
    within(SOON, sending).await.expect_err("it is closed long before four megabytes");
    gateway.stop().await;
}
