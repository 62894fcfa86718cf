//! Messages with a lifetime over a real socket. The shortest one is a day, so the tests move the
//! end of a message in the store's file instead of waiting.

use serde_json::{Value, json};

use crate::socket::{Socket, account, keys, message_to};
use crate::support::{Client, SOON, Server, eventually};

/// A text that is only in the ciphertext.
const MARK: &str = "Q2lwaGVydGV4dE9mQURpc2FwcGVhcmluZ01lc3NhZ2U";

fn message(to: &str, cid: &str, lifetime: Option<u32>, ciphertext: &str) -> Value {
    let mut send = message_to(to, cid);
    send["envelope"]["ciphertext"] = ciphertext.into();
    if let Some(seconds) = lifetime {
        send["lifetime"] = seconds.into();
    }
    send
}

/// The response to the last request.
async fn answer(socket: &mut Socket) -> Value {
    socket.until(|frame| frame["type"] == "ok" || frame["type"] == "err").await
}

/// The same account against the server after a restart.
fn again(server: &Server, client: &Client) -> Client {
    let mut again = server.stranger();
    again.cookie = client.cookie.clone();
    again
}

fn store_contains(server: &Server, mark: &str) -> bool {
    let files = std::fs::read_dir(server.data()).expect("the data folder");
    files.flatten().any(|file| {
        let bytes = std::fs::read(file.path()).unwrap_or_default();
        String::from_utf8_lossy(&bytes).contains(mark)
    })
}

/// All messages with a lifetime end now.
fn end_lifetimes(server: &Server) {
    let file = rusqlite::Connection::open(server.data().join("gatehouse.sqlite")).unwrap();
    file.busy_timeout(SOON).unwrap();
    // As in the store: this connection rewrites the rows, too.
    file.pragma_update(None, "secure_delete", "on").unwrap();
    for table in ["private_messages", "inbox_events"] {
        let sql = format!("UPDATE {table} SET expires = 1 WHERE expires IS NOT NULL");
        assert!(file.execute(&sql, []).unwrap() > 0, "{table}");
    }
}

#[tokio::test]
async fn a_message_disappears_from_pages_inboxes_and_the_store() {
    let server = Server::start().await;
    let (ada, bob) = (server.visitor().await, server.visitor().await);
    ada.put("/api/devices/a1", &keys("a1")).await;
    bob.put("/api/devices/b1", &keys("b1")).await;
    let bob_id = account(&bob).await;
    let (mut a, mut b) = (Socket::open(&ada, "a1").await, Socket::open(&bob, "b1").await);
    a.send_request(&message(&bob_id, "short", Some(86_400), &MARK.repeat(300))).await;
    let sent = answer(&mut a).await["sent"].take();
    assert_eq!(sent["seq"], 1);
    for socket in [&mut a, &mut b] {
        let event = socket.event("message").await;
        assert_eq!((&event["cid"], &event["lifetime"]), (&json!("short"), &json!(86_400)));
    }
    a.send_request(&message(&bob_id, "kept", None, "S2VwdA")).await;
    assert_eq!(answer(&mut a).await["sent"]["seq"], 2);
    let kept = b.event("message").await;
    assert_eq!((&kept["cid"], kept.get("lifetime")), (&json!("kept"), None));
    let path = format!("/api/conversations/{}/messages", sent["conversation"].as_str().unwrap());
    let page = ada.json(&path).await;
    assert_eq!(page["messages"][0]["lifetime"], 86_400);
    assert_eq!(page["messages"].as_array().unwrap().len(), 2);
    assert!(store_contains(&server, MARK), "before its end, the text is in the store");

    drop(b);
    end_lifetimes(&server);
    for client in [&ada, &bob] {
        let page = client.json(&path).await;
        assert_eq!((page["messages"].as_array().unwrap().len(), &page["more"]), (1, &json!(false)));
        assert_eq!(page["messages"][0]["cid"], "kept");
        assert_eq!(client.json("/api/conversations").await["conversations"][0]["last_seq"], 2);
    }
    // His inbox: his new device, the expired message, the kept one.
    let mut b = Socket::resume(&bob, "b1", 1).await;
    assert_eq!((&b.welcome["recovered"], &b.welcome["resume"]), (&json!(true), &json!(3)));
    let first = b.until(|frame| frame["type"] == "event").await;
    assert_eq!((&first["position"], &first["event"]["cid"]), (&json!(3), &json!("kept")));
    a.send_request(&message(&bob_id, "short", Some(86_400), &MARK.repeat(300))).await;
    assert_eq!(answer(&mut a).await["sent"], sent, "a retry writes no second message");
    b.send_request(&json!({"type": "received", "upto": 3})).await;
    b.send_request(&json!({"type": "read", "conversation": sent["conversation"], "upto": 2})).await;
    a.until(|frame| frame["event"]["state"] == "read" && frame["event"]["upto"] == 2).await;

    drop((a, b));
    // A server sweeps its store when it starts.
    let data = server.stop().await;
    let server = Server::over(data, Default::default(), |_| {}).await;
    eventually(async || (!store_contains(&server, MARK)).then_some(())).await;
    let (ada, bob) = (again(&server, &ada), again(&server, &bob));
    for client in [&ada, &bob] {
        assert_eq!(client.json(&path).await["messages"][0]["cid"], "kept");
    }
    let mut b = Socket::resume(&bob, "b1", 0).await;
    assert_eq!(b.welcome["recovered"], true);
    assert_eq!(b.event("message").await["cid"], "kept");
}

#[tokio::test]
async fn a_lifetime_that_is_not_offered_is_rejected() {
    let server = Server::start().await;
    let (ada, bob) = (server.visitor().await, server.visitor().await);
    ada.put("/api/devices/a1", &keys("a1")).await;
    let bob_id = account(&bob).await;
    let mut a = Socket::open(&ada, "a1").await;
    a.send_request(&message(&bob_id, "c", Some(60), "Yw")).await;
    let refused = answer(&mut a).await;
    assert_eq!((&refused["code"], &refused["temporary"]), (&json!("invalid"), &json!(false)));
    let reason = refused["message"].as_str().unwrap();
    assert!(["86400", "604800", "2592000"].iter().all(|each| reason.contains(each)), "{reason}");
    a.send_request(&message(&bob_id, "c", Some(0), "Yw")).await;
    assert_eq!(answer(&mut a).await["sent"]["seq"], 1, "0 keeps the message");
}
