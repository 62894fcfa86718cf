//! Three gateways behind a load balancer that passes TLS through, with one Redis and one ACME
//! authority.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use gateway::Options;
use tempfile::TempDir;

use crate::support::pebble::{Pebble, Process, free_port};
use crate::support::tls::issuer;
use crate::support::{TestGateway, eventually, fixed_route, install_provider};

const NAME: &str = "chat.example.org";

struct Replica {
    tls: u16,
    gateway: TestGateway,
}

impl Replica {
    async fn start((tls, http): (u16, u16), redis: u16, keys: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("url"), format!("redis://127.0.0.1:{redis}\n"))
            .unwrap();
        std::fs::write(directory.path().join("seal"), "a secret of thirty-two bytes or more")
            .unwrap();
        let text = format!(
            "[[listener]]\nname = \"https\"\naddress = \"127.0.0.1:{tls}\"\nprotocol = \"https\"\n\
             [[listener]]\nname = \"http\"\naddress = \"127.0.0.1:{http}\"\nprotocol = \"http\"\n\
             [[certificate]]\nname = \"public\"\nsource = \"acme\"\nnames = [\"{NAME}\"]\n{keys}\
             [certificate_storage]\nredis_url_file = \"url\"\nsecret_file = \"seal\"\n\
             [admin]\naddress = \"127.0.0.1:0\"\n[log]\nlevel = \"error\"\naccess = false\n{}",
            fixed_route("hello")
        );
        std::fs::write(directory.path().join("gateway.toml"), text).unwrap();
        let gateway = TestGateway::start_in(directory, "gateway.toml", Options::default()).await;
        Self { tls, gateway: gateway.unwrap_or_else(|error| panic!("{error}")) }
    }

    async fn source(&self, source: &str) -> bool {
        let series = format!("gateway_certificate_source{{name=\"public\",source=\"{source}\"}}");
        self.gateway.metric(&series).await == Some(1.0)
    }
}

/// HAProxy in TCP mode: each connection goes to the next replica.
fn balance(directory: &TempDir, tls: u16, http: u16, replicas: &[(u16, u16)]) -> Process {
    let servers = |port: fn(&(u16, u16)) -> u16| -> String {
        replicas
            .iter()
            .enumerate()
            .map(|(i, ports)| format!("  server s{i} 127.0.0.1:{}\n", port(ports)))
            .collect()
    };
    let text = format!(
        "defaults\n  mode tcp\n  balance roundrobin\n  timeout connect 5s\n  timeout client 30s\n  timeout server 30s\n\
         listen tls\n  option redispatch\n  retries 5\n  bind 127.0.0.1:{tls}\n{}listen http\n  bind 127.0.0.1:{http}\n{}",
        servers(|ports| ports.0),
        servers(|ports| ports.1),
    );
    let path = directory.path().join("haproxy.cfg");
    std::fs::write(&path, text).unwrap();
    let started = Command::new("haproxy")
        .args(["-db", "-f"])
        .arg(path)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    Process(started.expect("haproxy must be installed"))
}

fn redis(directory: &TempDir, port: u16) -> Process {
    let started = Command::new("redis-server")
        .args([
            "--port",
            &port.to_string(),
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--appendonly",
            "no",
            "--dir",
        ])
        .arg(directory.path())
        .stdout(Stdio::null())
        .spawn();
    Process(started.expect("redis-server must be installed"))
}

/// Connects with OpenSSL. `reuse`: whether the session in the file was resumed. Otherwise the
/// session is written to the file, and the result is whether it was.
fn handshake(port: u16, session: &Path, resume: bool) -> bool {
    let mut client = Command::new("openssl")
        .args([
            "s_client",
            "-tls1_3",
            "-ign_eof",
            "-servername",
            NAME,
            "-connect",
            &format!("127.0.0.1:{port}"),
        ])
        .arg(if resume { "-sess_in" } else { "-sess_out" })
        .arg(session)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("openssl must be installed");
    let request = format!("GET /word HTTP/1.1\r\nHost: {NAME}\r\nConnection: close\r\n\r\n");
    client.stdin.take().unwrap().write_all(request.as_bytes()).unwrap();
    let output = client.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains("hello"), "{text}");
    if resume {
        text.contains("Reused, TLSv1.3")
    } else {
        text.contains("New, TLSv1.3") && session.exists()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_share_one_certificate_and_session_tickets_and_survive_the_leader() {
    install_provider();
    let directory = tempfile::tempdir().unwrap();
    let (tls, http, redis_port) = (free_port(), free_port(), free_port());
    let _redis = redis(&directory, redis_port);
    eventually(true, || async {
        tokio::net::TcpStream::connect(("127.0.0.1", redis_port)).await.is_ok()
    })
    .await;
    let pebble = Pebble::start(tls, http).await;
    // Start HAProxy first: the authority connects as soon as one replica places an order, and
    // HAProxy rejects connections while no server is up.
    let ports: Vec<(u16, u16)> = (0..3).map(|_| (free_port(), free_port())).collect();
    let _balancer = balance(&directory, tls, http, &ports);
    eventually(true, || async { tokio::net::TcpStream::connect(("127.0.0.1", tls)).await.is_ok() })
        .await;
    let keys = pebble.keys();
    let (a, b, c) = tokio::join!(
        Replica::start(ports[0], redis_port, &keys),
        Replica::start(ports[1], redis_port, &keys),
        Replica::start(ports[2], redis_port, &keys),
    );
    let mut replicas = vec![a, b, c];

    for replica in &replicas {
        eventually(true, || async { issuer(replica.tls, NAME).await.contains("Pebble") }).await;
    }
    assert_eq!(pebble.issued(), 1);
    let mut ordered = Vec::new();
    for (index, replica) in replicas.iter().enumerate() {
        if replica.source("ordered").await {
            ordered.push(index);
        }
    }
    let [leader] = ordered[..] else {
        panic!("expected one replica with an order, found {ordered:?}")
    };

    let session = directory.path().join("session");
    let [first, second] = [0, 1].map(|index| replicas[index].tls);
    assert!(handshake(first, &session, false));
    assert!(handshake(second, &session, true), "the session must resume on another replica");

    let gone = replicas.remove(leader);
    gone.gateway.stop().await;
    for replica in &replicas {
        assert!(issuer(replica.tls, NAME).await.contains("Pebble"));
    }
    let joining = Replica::start((free_port(), free_port()), redis_port, &keys).await;
    assert!(
        issuer(joining.tls, NAME).await.contains("Pebble"),
        "the first connection must get the certificate"
    );
    assert_eq!(pebble.issued(), 1);
    joining.gateway.stop().await;
}
