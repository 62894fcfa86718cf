//! Upgrades: two under load, and several that fail and change nothing.

use std::fs::{self, Permissions};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use e2e::client::{Live, follow};
use e2e::echo::Echo;
use e2e::edge::Edge;
use e2e::gatehouse::{admin, is_ready};
use e2e::handover::hold;
use e2e::load::Load;
use e2e::process::{Process, TIMEOUT};
use e2e::strict::{Reuse, Strict};
use e2e::{free_port, scrape};
use futures::future::join_all;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use reqwest::Method;
use serde_json::json;
use tokio::sync::watch;
use tokio::task::{JoinHandle, block_in_place};

const SOCKETS: usize = 100;
const STREAMS: usize = 10;
const SOCKET: &str = "run/upgrade.sock";

/// An upgrade socket, a long drain deadline for WebSockets, a plain listener, and a word that
/// identifies the process.
fn sections(plain: u16, word: &str) -> String {
    format!(
        r#"
[[listener]]
name = "plain"
address = "127.0.0.1:{plain}"
protocol = "http"
mode = "plain"

[[route]]
name = "word"
path = "/word"
respond = {{ status = 200, body = "{word}" }}

[drain]
delay = "1h"
deadline = "1h"

[upgrade]
socket = "{SOCKET}"
"#
    )
}

/// The word of the process that answers on the https port.
async fn word(edge: &Edge) -> String {
    let mut visitor = edge.visitor();
    let response = visitor.send(visitor.request(Method::GET, "/word")).await;
    response.text().await.expect("read the whole answer")
}

fn upgrades(edge: &Edge, result: &str) -> Option<f64> {
    scrape::value(
        &scrape::metrics(edge.admin_port),
        &format!("gateway_upgrades_total{{result=\"{result}\"}}"),
    )
}

/// Replaces the gateway by a successor with this word, and returns the predecessor.
async fn upgrade(edge: &mut Edge, plain: u16, word: &str) -> Process {
    let config = format!("{word}.toml");
    edge.write(&config, &sections(plain, word));
    let mut successor = edge.successor(&config);
    block_in_place(|| successor.wait_for_log("\"message\":\"taken over\""));
    block_in_place(|| successor.wait_for_log("\"message\":\"admin\""));
    eventually_word(edge, word).await;
    std::mem::replace(&mut edge.gateway, successor)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_upgrades_under_load_lose_nothing() {
    let backend = Echo::start().await;
    let plain = free_port();
    let mut edge = Edge::start_with(backend.port, "", &sections(plain, "a"));
    let mut sockets = open(&edge, SOCKETS).await;
    let (end, ended) = watch::channel(false);
    let streams: Vec<JoinHandle<u64>> =
        (0..STREAMS).map(|_| tokio::spawn(follow(edge.visitor(), ended.clone()))).collect();
    let url = format!("https://localhost:{}/api/headers", edge.https_port);
    let load = Load::start(6, &edge.ca(), &url, &[]);
    let reuse = [[Reuse::Never; 2].as_slice(), &[Reuse::KeepAlive; 4]].concat();
    let strict = Strict::start(&reuse, plain, "/word");
    let scraper = Scraper::start(edge.admin_port);
    load.answers(200).await;

    let mut predecessors = Vec::new();
    for (round, name) in ["b", "c"].into_iter().enumerate() {
        predecessors.push(upgrade(&mut edge, plain, name).await);
        echo_all(&mut sockets, round).await;
        load.answers(200).await;
        sockets.extend(open(&edge, SOCKETS / 10).await);
        assert_eq!(upgrades(&edge, "taken_over"), Some(1.0));
        assert!(is_ready(edge.admin_port), "the successor is ready");
    }
    echo_all(&mut sockets, 2).await;
    let tally = load.stop().await;
    let (report, scrapes) = block_in_place(|| (strict.stop(), scraper.stop()));
    end.send(true).expect("the streams are still read");
    for stream in streams {
        assert!(stream.await.expect("a stream is read until the end of the test") > 0);
    }
    tally.assert_no_failures();
    report.assert_no_faults();
    assert!(
        report.bodies.iter().eq(["a", "b", "c"].iter()),
        "not every process answered: {:?}",
        report.bodies
    );

    for process in &predecessors {
        let stopped = process.log().contains("\"message\":\"stopped\"");
        assert!(!stopped, "a predecessor did not wait for its WebSockets");
    }
    drop(sockets);
    for process in &mut predecessors {
        let status = block_in_place(|| process.wait());
        assert!(
            status.success() && process.log().contains("\"cut\":0"),
            "{status}: {}",
            process.log()
        );
    }
    assert_eq!(word(&edge).await, "c");
    println!(
        "{} requests over TLS, {} over {} plain connections, {scrapes} scrapes",
        tally.answered.len(),
        report.answered,
        report.connections
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failed_successor_changes_nothing() {
    let backend = Echo::start().await;
    let plain = free_port();
    let mut edge = Edge::start_with(backend.port, "", &sections(plain, "a"));
    let mut sockets = open(&edge, 3).await;

    edge.write("broken.toml", &sections(plain, "b").replace("respond", "respnd"));
    let mut successor = edge.successor("broken.toml");
    assert!(!block_in_place(|| successor.wait()).success());
    assert!(successor.log().contains("respnd"), "{}", successor.log());

    // An error after the sockets were handed over.
    let occupied = std::net::TcpListener::bind("127.0.0.1:0").expect("bind a free loopback port");
    let address = occupied.local_addr().expect("the listener is bound");
    edge.write(
        "occupied.toml",
        &sections(plain, "b").replace(&format!("127.0.0.1:{plain}"), &address.to_string()),
    );
    let mut successor = edge.successor("occupied.toml");
    assert!(!block_in_place(|| successor.wait()).success());
    assert!(successor.log().contains(&address.to_string()), "{}", successor.log());
    let why = format!("cannot listen on {address}");
    block_in_place(|| {
        edge.gateway.wait_for("the reason", |gateway| gateway.log().contains(&why).then_some(()))
    });

    fail_before_serving(&mut edge, plain);

    echo_all(&mut sockets, 0).await;
    assert_eq!(word(&edge).await, "a");
    assert!(is_ready(edge.admin_port));
    assert_eq!((upgrades(&edge, "failed"), upgrades(&edge, "refused")), (Some(2.0), Some(1.0)));
    assert_eq!(scrape::value(&scrape::metrics(edge.admin_port), "gateway_draining"), Some(0.0));

    let mut successor = edge.successor("b.toml");
    block_in_place(|| successor.wait_for_log("\"message\":\"taken over\""));
    eventually_word(&edge, "b").await;
    echo_all(&mut sockets, 1).await;
    // A service manager signals every process of the service: the first SIGTERM must not interrupt
    // a predecessor that is finishing.
    block_in_place(|| edge.gateway.wait_for_log("\"message\":\"handed over"));
    edge.gateway.signal(Signal::SIGTERM);
    block_in_place(|| edge.gateway.wait_for_log("another process has taken over"));
    echo_all(&mut sockets, 2).await;
    edge.gateway.signal(Signal::SIGTERM);
    assert!(block_in_place(|| edge.gateway.wait()).success());
    drop(edge.gateway);
}

/// Kills a successor between receiving the sockets and reporting that it serves.
fn fail_before_serving(edge: &mut Edge, plain: u16) {
    let listener = UnixListener::bind(edge.path("run/held.sock")).expect("bind the socket");
    edge.write("held.toml", &sections(plain, "b").replace(SOCKET, "run/held.sock"));
    let mut killed = edge.successor("held.toml");
    let held =
        block_in_place(|| hold(&listener, &edge.path(SOCKET))).expect("the successor connects");
    assert!(held.withheld.contains("serving"), "{}", held.withheld);
    edge.write("b.toml", &sections(plain, "b"));
    let mut second = edge.successor("b.toml");
    assert!(!block_in_place(|| second.wait()).success());
    assert!(second.log().contains("another upgrade is in progress"), "{}", second.log());
    killed.signal(Signal::SIGKILL);
    block_in_place(|| killed.wait());
    drop(held);
    block_in_place(|| {
        edge.gateway.wait_for_log("the successor closed the connection before it served")
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn take_over_without_a_predecessor_starts_normally_and_replaces_a_stale_socket() {
    let backend = Echo::start().await;
    let sections = sections(free_port(), "a").replace("delay = \"1h\"", "");
    let mut edge = Edge::start_with(backend.port, "", &sections);
    let socket = edge.path(SOCKET);
    let found = fs::symlink_metadata(&socket).expect("the socket exists");
    assert!(found.file_type().is_socket() && found.mode() & 0o777 == 0o600, "{:o}", found.mode());
    edge.gateway.signal(Signal::SIGKILL);
    block_in_place(|| edge.gateway.wait());
    assert!(socket.exists(), "a killed process leaves its socket");

    for arguments in [&["run"][..], &["run", "--take-over"]] {
        let mut command = edge.command(arguments, "gateway.toml");
        edge.gateway = Process::start("gateway", &mut command);
        let port = edge.admin_port;
        block_in_place(|| edge.gateway.wait_for("readiness", |_| is_ready(port).then_some(())));
        assert!(
            UnixStream::connect(&socket).is_ok(),
            "a ready gateway listens at its upgrade socket"
        );
        assert_eq!(edge.gateway.log().contains("no gateway runs"), arguments.len() > 1);
        edge.gateway.signal(Signal::SIGTERM);
        assert!(block_in_place(|| edge.gateway.wait()).success());
        assert!(!socket.exists(), "a normal exit removes the socket");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writable_socket_directory_and_occupied_socket_are_rejected() {
    let backend = Echo::start().await;
    let edge = Edge::start_with(backend.port, "", &sections(free_port(), "a"));
    // A configuration that shares only the upgrade socket.
    let other = fs::read_to_string(edge.path("gateway.toml")).expect("read the file");
    let ports = other.lines().filter(|line| line.starts_with("address = "));
    let moved =
        ports.fold(other.clone(), |text, line| text.replace(line, "address = \"127.0.0.1:0\""));
    fs::write(edge.path("other.toml"), &moved).expect("write the file");
    let refused = |arguments: &[&str]| {
        let output = edge.command(arguments, "other.toml").output().expect("the process runs");
        assert!(!output.status.success());
        String::from_utf8_lossy(&output.stderr).into_owned()
            + &String::from_utf8_lossy(&output.stdout)
    };
    let output = refused(&["run"]);
    assert!(output.contains("a running gateway listens there"), "{output}");

    let open = edge.path("run");
    fs::set_permissions(&open, Permissions::from_mode(0o777)).expect("change the directory's mode");
    for arguments in [&["run"][..], &["run", "--take-over"], &["doctor"]] {
        let output = refused(arguments);
        assert!(output.contains("others may write into it (mode 777)"), "{output}");
    }
    assert_eq!(word(&edge).await, "a");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn upgrade_command_returns_when_the_successor_serves_and_notifies_systemd() {
    let backend = Echo::start().await;
    let mut edge = Edge::start_with(backend.port, "", &sections(free_port(), "a"));
    let manager = UnixDatagram::bind(edge.path("notify")).expect("bind the socket");
    manager.set_read_timeout(Some(TIMEOUT)).expect("set a timeout");
    edge.write("b.toml", &sections(free_port(), "b"));
    edge.write("broken.toml", "\n[upgrade]\n");
    let failed = edge.command(&["upgrade"], "broken.toml").output().expect("the process runs");
    assert!(!failed.status.success(), "{}", String::from_utf8_lossy(&failed.stderr));

    // Output goes to a file: a pipe inherited by the successor would stay open.
    let output = fs::File::create(edge.path("output")).expect("create the file");
    let mut command = edge.command(&["upgrade"], "b.toml");
    command
        .env("NOTIFY_SOCKET", edge.path("notify"))
        .stderr(output.try_clone().expect("it is open"))
        .stdout(output);
    let status = block_in_place(|| command.status()).expect("the process runs");
    let notification = block_in_place(|| received(&manager));
    let pid = notification
        .strip_prefix("MAINPID=")
        .and_then(|rest| rest.strip_suffix("\nREADY=1"))
        .expect("systemd receives the process id");
    let new = Started(Pid::from_raw(pid.parse().expect("a number")));
    let output = fs::read_to_string(edge.path("output")).expect("read the output");
    assert!(status.success() && output.contains(&format!("the process {pid} serves")), "{output}");
    assert!(
        block_in_place(|| edge.gateway.wait()).success(),
        "the predecessor has nothing left to finish"
    );
    assert_eq!(word(&edge).await, "b");
    assert!(is_ready(edge.admin_port));
    drop(new);
}

/// A process that another process started for this test. Dropping it kills it.
struct Started(Pid);

impl Drop for Started {
    fn drop(&mut self) {
        // It may have exited already.
        let _ = kill(self.0, Signal::SIGKILL);
    }
}

fn received(socket: &UnixDatagram) -> String {
    let mut room = [0; 256];
    let length = socket.recv(&mut room).expect("receive a notification");
    String::from_utf8_lossy(&room[..length]).into_owned()
}

async fn open(edge: &Edge, count: usize) -> Vec<Live> {
    let mut sockets = Vec::new();
    for _ in 0..count {
        sockets.push(edge.visitor().live().await);
    }
    sockets
}

async fn eventually_word(edge: &Edge, expected: &str) {
    let deadline = std::time::Instant::now() + TIMEOUT;
    while word(edge).await != expected {
        assert!(std::time::Instant::now() < deadline, "{expected} never answered");
    }
}

async fn echo_all(sockets: &mut [Live], round: usize) {
    join_all(sockets.iter_mut().map(|socket| async move {
        socket.send_text(json!({"type": "round", "round": round}).to_string()).await;
        socket.until_where("round", |frame| frame["round"] == round).await;
    }))
    .await;
}

/// Scrapes the admin address in a loop and fails if it is not ready.
struct Scraper {
    stop: Arc<AtomicBool>,
    thread: std::thread::JoinHandle<u64>,
}

impl Scraper {
    fn start(port: u16) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let mut scrapes = 0;
            while !stopped.load(Ordering::Relaxed) {
                let ready = admin(port, "GET", "/readyz");
                assert!(matches!(&ready, Some((200, _))), "after {scrapes} scrapes: {ready:?}");
                let (status, metrics) =
                    admin(port, "GET", "/metrics").expect("the admin address answers");
                assert!(
                    status == 200 && metrics.contains("gateway_ready 1"),
                    "after {scrapes} scrapes: {metrics}"
                );
                scrapes += 1;
                std::thread::sleep(Duration::from_millis(3));
            }
            scrapes
        });
        Self { stop, thread }
    }

    fn stop(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("every scrape is answered")
    }
}
