//! The admin address: usable by operators and Prometheus, not by web pages.

use std::io::Write;
use std::process::Stdio;
use std::time::Duration;

use gateway::Options;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::watch;

use crate::support::{Backend, FRONT, TestGateway, backend_routes, eventually, fixed_route};

#[tokio::test]
async fn metrics_count_requests_by_route_code_and_protocol_and_pass_promtool() {
    let backend = Backend::start().await;
    let gateway =
        TestGateway::start(&format!("{FRONT}{}{}", backend_routes(&backend), fixed_route("word")))
            .await;
    gateway.get("/word").await;
    assert_eq!(gateway.get("/api/quick").await, "quick");
    gateway.get("/nowhere").await;
    for route in ["word", "api"] {
        let series =
            format!("gateway_requests_total{{code=\"200\",protocol=\"h2\",route=\"{route}\"}}");
        eventually(Some(1.0), || gateway.metric(&series)).await;
    }
    let (_, text) = gateway.get_admin("/metrics").await;
    for family in
        ["tls_handshakes_total", "connections_open", "certificate_not_after_seconds", "build_info"]
    {
        assert!(text.contains(&format!("# HELP gateway_{family} ")), "{family}");
    }
    let mut promtool = std::process::Command::new("promtool");
    let promtool = promtool
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut promtool = promtool.spawn().unwrap();
    promtool.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = promtool.wait_with_output().unwrap();
    assert!(
        output.status.success() && output.stderr.is_empty(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[tokio::test]
async fn event_streams_are_measured() {
    // Two events, then the end of the stream or silence.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = listener.local_addr().unwrap();
    let serving = tokio::spawn(async move {
        let mut silent = Vec::new();
        loop {
            let (mut tcp, _) = listener.accept().await.unwrap();
            let mut bytes = [0; 4096];
            let read = tcp.read(&mut bytes).await.unwrap();
            let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n";
            tcp.write_all(head.as_bytes()).await.unwrap();
            for _ in 0..2 {
                tokio::time::sleep(Duration::from_millis(200)).await;
                tcp.write_all(b"9\r\ndata: x\n\n\r\n").await.unwrap();
            }
            if bytes[..read].starts_with(b"GET /api/whole") {
                tcp.write_all(b"0\r\n\r\n").await.unwrap();
            } else {
                silent.push(tcp);
            }
        }
    });
    let route = "\n[[route]]\nname = \"events\"\npath_prefix = \"/api\"\nupstream = \"model\"\nidle_timeout = \"1s\"\n";
    let upstream = format!("\n[[upstream]]\nname = \"model\"\ntargets = [\"{target}\"]\n");
    let gateway = TestGateway::start(&format!("{FRONT}{route}{upstream}")).await;
    let value = |series: &str| {
        let series = format!("gateway_event_stream{series}{{route=\"events\"}}");
        let gateway = &gateway;
        async move { gateway.metric(&series).await.unwrap_or_default() }
    };

    assert_eq!(gateway.get("/api/whole").await, "data: x\n\ndata: x\n\n");
    eventually((1.0, 1.0, 0.0), async || {
        (
            value("_first_event_seconds_count").await,
            value("_longest_gap_seconds_count").await,
            value("s_open").await,
        )
    })
    .await;
    let (first, gap) =
        (value("_first_event_seconds_sum").await, value("_longest_gap_seconds_sum").await);
    assert!((0.15..10.0).contains(&first) && (0.15..10.0).contains(&gap), "{first} {gap}");
    assert_eq!(value("_stalls_total").await, 0.0);

    let url = format!("https://localhost:{}/api/silent", gateway.address("https").await.port());
    gateway.client().get(url).send().await.unwrap().text().await.unwrap_err();
    eventually((1.0, 2.0, 2.0), async || {
        let longest_gap = value("_longest_gap_seconds_count").await;
        (value("_stalls_total").await, value("_first_event_seconds_count").await, longest_gap)
    })
    .await;
    serving.abort();
}

#[tokio::test]
async fn metrics_of_additional_registries_are_served() {
    let registry = prometheus::Registry::new();
    let counter = prometheus::IntCounter::new("backend_things_total", "Things.").unwrap();
    registry.register(Box::new(counter.clone())).unwrap();
    counter.inc();
    let options = Options { registries: vec![registry], ..Options::default() };
    let gateway =
        TestGateway::try_start(&format!("{FRONT}{}", fixed_route("x")), options).await.unwrap();
    assert_eq!(gateway.metric("backend_things_total").await, Some(1.0));
    assert_eq!(gateway.metric("gateway_ready").await, Some(1.0));
}

#[tokio::test]
async fn the_gateway_is_ready_only_when_its_conditions_are_met() {
    let (backend, condition) = watch::channel(false);
    let options = Options { ready_when: vec![condition], ..Options::default() };
    let gateway =
        TestGateway::try_start(&format!("{FRONT}{}", fixed_route("x")), options).await.unwrap();
    assert_eq!(gateway.get_admin("/readyz").await.0, 503);
    assert_eq!(gateway.get_admin("/livez").await.0, 200);
    backend.send_replace(true);
    assert_eq!(gateway.get_admin("/readyz").await.0, 200);
}

#[tokio::test]
async fn the_configuration_is_shown_without_key_paths() {
    let directory = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(directory.path().join("chain.pem"), made.cert.pem()).unwrap();
    std::fs::write(directory.path().join("very-secret.key"), made.signing_key.serialize_pem())
        .unwrap();
    let files = "source = \"files\"\ncert = \"chain.pem\"\nkey = \"very-secret.key\"";
    let config =
        format!("{}{}", FRONT.replace("source = \"self-signed\"", files), fixed_route("x"));
    std::fs::write(directory.path().join("gateway.toml"), config).unwrap();
    let gateway =
        TestGateway::start_in(directory, "gateway.toml", Options::default()).await.unwrap();
    let (status, text) = gateway.get_admin("/config").await;
    assert_eq!(status, 200);
    assert!(text.contains("chain.pem") && text.contains("header_timeout = \"10s\""), "{text}");
    assert!(!text.contains("very-secret") && text.contains("key = \"(not shown)\""), "{text}");
}

#[tokio::test]
async fn web_pages_cannot_use_the_admin_address() {
    let gateway = TestGateway::start(&format!("{FRONT}{}", fixed_route("x"))).await;
    let admin = gateway.admin().await;
    for (name, value) in [("origin", "https://evil.example"), ("sec-fetch-site", "same-origin")] {
        let request =
            reqwest::Client::new().post(format!("http://{admin}/drain")).header(name, value);
        assert_eq!(request.send().await.unwrap().status(), 403);
    }
    assert!(!gateway.handle.is_ending());
    let typed = reqwest::Client::new()
        .get(format!("http://{admin}/config"))
        .header("sec-fetch-site", "none");
    assert_eq!(typed.send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn the_local_ca_certificate_is_served_but_not_its_key() {
    let gateway = TestGateway::start(&(FRONT.to_owned() + &fixed_route("x"))).await;
    let pem = std::fs::read_to_string(gateway.path("certs/local-ca.pem")).unwrap();
    assert_eq!(gateway.get_admin("/ca.pem").await, (200, pem.clone()));
    let answer = reqwest::get(format!("http://{}/ca.crt", gateway.admin().await)).await.unwrap();
    assert_eq!(answer.headers()["content-type"], "application/x-x509-ca-cert");
    let der = CertificateDer::from_pem_slice(pem.as_bytes()).unwrap();
    assert_eq!(answer.bytes().await.unwrap(), der.to_vec());
    assert_eq!(gateway.get_admin("/local-ca.key").await.0, 404);
    gateway.stop().await;
}
