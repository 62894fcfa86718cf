//! A new process takes over from the running one: under load, twice; and not at all when something
//! is wrong with it.

use std::fs::{self, Permissions};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use e2e::between::hold;
use e2e::client::{Live, follow};
use e2e::echo::Echo;
use e2e::edge::Edge;
use e2e::gatehouse::{admin, is_ready};
use e2e::load::Load;
use e2e::process::{PATIENCE, Process};
use e2e::strict::{Habit, Strict};
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

/// An upgrade socket, time for WebSockets to stay, a plain listener, and a word that tells the
/// processes apart.
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

/// The word of whoever answers at the https port.
async fn word(edge: &Edge) -> String {
    let mut visitor = edge.visitor();
    let response = visitor.send(visitor.request(Method::GET, "/word")).await;
    response.text().await.expect("the answer ends well")
}

fn upgrades(edge: &Edge, result: &str) -> Option<f64> {
    scrape::value(
        &scrape::metrics(edge.admin_port),
        &format!("gateway_upgrades_total{{result=\"{result}\"}}"),
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_upgrades_under_load_lose_no_request_no_connection_no_stream_and_no_websocket() {
    let backend = Echo::start().await;
    let plain = free_port();
    let mut edge = Edge::start_with(backend.port, "", &sections(plain, "a"));
    let mut sockets = open(&edge, SOCKETS).await;
    let (end, ended) = watch::channel(false);
    let streams: Vec<JoinHandle<u64>> =
        (0..STREAMS).map(|_| tokio::spawn(follow(edge.visitor(), ended.clone()))).collect();
    let load = Load::start(
        6,
        &edge.ca(),
        &format!("https://localhost:{}/api/headers", edge.https_port),
        &[],
    );
    let habits = [Habit::Fresh, Habit::Fresh, Habit::Kept, Habit::Kept, Habit::Kept, Habit::Kept];
    let strict = Strict::start(&habits, plain, "/word");
    let scraper = Scraper::start(edge.admin_port);
    load.answers(200).await;

    let mut before = Vec::new();
    for (round, name) in ["b", "c"].into_iter().enumerate() {
        let config = format!("{name}.toml");
        edge.write(&config, &sections(plain, name));
        let mut successor = edge.successor(&config);
        block_in_place(|| successor.wait_for_log("\"message\":\"taken over\""));
        block_in_place(|| successor.wait_for_log("\"message\":\"admin\""));
        eventually_word(&edge, name).await;
        echo_all(&mut sockets, round).await;
        load.answers(200).await;
        before.push(std::mem::replace(&mut edge.gateway, successor));
        sockets.extend(open(&edge, SOCKETS / 10).await);
        assert_eq!(upgrades(&edge, "taken_over"), Some(1.0));
        assert!(is_ready(edge.admin_port), "whoever took over is ready");
    }
    echo_all(&mut sockets, 2).await;
    let tally = load.stop().await;
    let (report, scrapes) = block_in_place(|| (strict.stop(), scraper.stop()));
    end.send(true).expect("the streams are followed");
    for stream in streams {
        assert!(stream.await.expect("a stream is followed to the end of the test") > 0);
    }
    assert!(
        tally.failures.is_empty(),
        "{} failed, the first: {:?}",
        tally.failures.len(),
        tally.failures.first()
    );
    assert!(
        report.faults.is_empty(),
        "{} faults, the first: {}",
        report.faults.len(),
        report.faults[0]
    );
    assert!(
        report.bodies.iter().eq(["a", "b", "c"].iter()),
        "each of them answered: {:?}",
        report.bodies
    );

    for process in &before {
        assert!(!process.log().contains("\"message\":\"stopped\""), "it waits for its WebSockets");
    }
    drop(sockets);
    for process in &mut before {
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
async fn a_successor_that_fails_or_dies_before_it_serves_changes_nothing() {
    let backend = Echo::start().await;
    let plain = free_port();
    let mut edge = Edge::start_with(backend.port, "", &sections(plain, "a"));
    let mut sockets = open(&edge, 3).await;

    edge.write("broken.toml", &sections(plain, "b").replace("respond", "respnd"));
    let mut successor = edge.successor("broken.toml");
    assert!(!block_in_place(|| successor.wait()).success());
    assert!(successor.log().contains("respnd"), "{}", successor.log());

    // What is only found out after the sockets were handed over.
    let occupied = std::net::TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
    let address = occupied.local_addr().expect("it is bound");
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

    // The very moment between the sockets and the word that it serves.
    let listener = UnixListener::bind(edge.path("run/between.sock")).expect("it can be bound");
    edge.write("held.toml", &sections(plain, "b").replace(SOCKET, "run/between.sock"));
    let mut killed = edge.successor("held.toml");
    let held = block_in_place(|| hold(&listener, &edge.path(SOCKET))).expect("it asks");
    assert!(held.unheard.contains("serving"), "{}", held.unheard);
    edge.write("b.toml", &sections(plain, "b"));
    let mut second = edge.successor("b.toml");
    assert!(!block_in_place(|| second.wait()).success());
    assert!(second.log().contains("another process is taking over just now"), "{}", second.log());
    killed.signal(Signal::SIGKILL);
    block_in_place(|| killed.wait());
    drop(held);
    block_in_place(|| edge.gateway.wait_for_log("it ended without a word"));

    echo_all(&mut sockets, 0).await;
    assert_eq!(word(&edge).await, "a");
    assert!(is_ready(edge.admin_port));
    assert_eq!((upgrades(&edge, "failed"), upgrades(&edge, "refused")), (Some(2.0), Some(1.0)));
    assert_eq!(scrape::value(&scrape::metrics(edge.admin_port), "gateway_draining"), Some(0.0));

    let mut successor = edge.successor("b.toml");
    block_in_place(|| successor.wait_for_log("\"message\":\"taken over\""));
    eventually_word(&edge, "b").await;
    echo_all(&mut sockets, 1).await;
    // A service manager tells every process of the service: once is not too much for one that
    // finishes already.
    block_in_place(|| edge.gateway.wait_for_log("\"message\":\"handed over"));
    edge.gateway.signal(Signal::SIGTERM);
    block_in_place(|| edge.gateway.wait_for_log("another process has taken over"));
    echo_all(&mut sockets, 2).await;
    edge.gateway.signal(Signal::SIGTERM);
    assert!(block_in_place(|| edge.gateway.wait()).success());
    drop(edge.gateway);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_nobody_to_take_over_from_it_starts_ordinarily_and_a_stale_socket_is_replaced() {
    let backend = Echo::start().await;
    let sections = sections(free_port(), "a").replace("delay = \"1h\"", "");
    let mut edge = Edge::start_with(backend.port, "", &sections);
    let socket = edge.path(SOCKET);
    let found = fs::symlink_metadata(&socket).expect("it is there");
    assert!(found.file_type().is_socket() && found.mode() & 0o777 == 0o600, "{:o}", found.mode());
    edge.gateway.signal(Signal::SIGKILL);
    block_in_place(|| edge.gateway.wait());
    assert!(socket.exists(), "it was left behind");

    for arguments in [&["run"][..], &["run", "--take-over"]] {
        let mut command = edge.command(arguments, "gateway.toml");
        edge.gateway = Process::start("gateway", &mut command);
        let port = edge.admin_port;
        block_in_place(|| edge.gateway.wait_for("readiness", |_| is_ready(port).then_some(())));
        assert!(UnixStream::connect(&socket).is_ok(), "whoever is ready can be taken over");
        assert_eq!(edge.gateway.log().contains("no gateway runs"), arguments.len() > 1);
        edge.gateway.signal(Signal::SIGTERM);
        assert!(block_in_place(|| edge.gateway.wait()).success());
        assert!(!socket.exists(), "an ordinary end leaves nothing behind");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_directory_that_others_may_write_into_and_a_socket_that_is_taken_are_refused() {
    let backend = Echo::start().await;
    let edge = Edge::start_with(backend.port, "", &sections(free_port(), "a"));
    // Elsewhere in every other respect.
    let other = fs::read_to_string(edge.path("gateway.toml")).expect("it can be read");
    let ports = other.lines().filter(|line| line.starts_with("address = "));
    let moved =
        ports.fold(other.clone(), |text, line| text.replace(line, "address = \"127.0.0.1:0\""));
    fs::write(edge.path("other.toml"), &moved).expect("it can be written");
    let refused = |arguments: &[&str]| {
        let output = edge.command(arguments, "other.toml").output().expect("it runs");
        assert!(!output.status.success());
        String::from_utf8_lossy(&output.stderr).into_owned()
            + &String::from_utf8_lossy(&output.stdout)
    };
    let said = refused(&["run"]);
    assert!(said.contains("a running gateway listens there"), "{said}");

    let open = edge.path("run");
    fs::set_permissions(&open, Permissions::from_mode(0o777)).expect("it is ours");
    for arguments in [&["run"][..], &["run", "--take-over"], &["doctor"]] {
        let said = refused(arguments);
        assert!(said.contains("others may write into it (mode 777)"), "{said}");
    }
    assert_eq!(word(&edge).await, "a");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_upgrade_command_returns_when_the_new_process_serves_and_the_service_manager_knows() {
    let backend = Echo::start().await;
    let mut edge = Edge::start_with(backend.port, "", &sections(free_port(), "a"));
    let manager = UnixDatagram::bind(edge.path("notify")).expect("it can be bound");
    manager.set_read_timeout(Some(PATIENCE)).expect("it takes a deadline");
    edge.write("b.toml", &sections(free_port(), "b"));
    edge.write("broken.toml", "\n[upgrade]\n");
    let failed = edge.command(&["upgrade"], "broken.toml").output().expect("it runs");
    assert!(!failed.status.success(), "{}", String::from_utf8_lossy(&failed.stderr));

    // To a file: what the new process inherits must not keep this waiting.
    let said = fs::File::create(edge.path("said")).expect("it can be made");
    let mut command = edge.command(&["upgrade"], "b.toml");
    command
        .env("NOTIFY_SOCKET", edge.path("notify"))
        .stderr(said.try_clone().expect("it is open"))
        .stdout(said);
    let status = block_in_place(|| command.status()).expect("it runs");
    let told = block_in_place(|| received(&manager));
    let pid = told
        .strip_prefix("MAINPID=")
        .and_then(|rest| rest.strip_suffix("\nREADY=1"))
        .expect("it is told");
    let new = Started(Pid::from_raw(pid.parse().expect("a number")));
    let said = fs::read_to_string(edge.path("said")).expect("it was written");
    assert!(status.success() && said.contains(&format!("the process {pid} serves")), "{said}");
    assert!(block_in_place(|| edge.gateway.wait()).success(), "the old one has nothing left to do");
    assert_eq!(word(&edge).await, "b");
    assert!(is_ready(edge.admin_port));
    drop(new);
}

/// A process that something else started for this test; it ends with it.
struct Started(Pid);

impl Drop for Started {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = kill(self.0, Signal::SIGKILL);
    }
}

fn received(socket: &UnixDatagram) -> String {
    let mut room = [0; 256];
    let length = socket.recv(&mut room).expect("somebody tells");
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
    let deadline = std::time::Instant::now() + PATIENCE;
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

/// Asks the admin address without pause, and accepts nothing but that it is ready.
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
