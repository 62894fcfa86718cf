//! `docs/protocol.md`: its examples are replayed against a server, and it names every path, setting
//! and limit. The types of the wire are checked in `backend/protocol`.

mod steps;
mod replay;

use backend_hub::HubSettings;
use serde_json::Value;

use crate::support::Server;

const DOCUMENT: &str = include_str!("../../../docs/protocol.md");

#[tokio::test]
async fn the_examples_of_the_document_are_what_the_server_does() {
    let steps = steps::parse(DOCUMENT);
    assert!(steps.len() > 50, "found {} steps", steps.len());
    replay::run(Server::start().await, steps).await;
}

#[tokio::test]
async fn an_example_that_is_not_true_fails() {
    let example = |request: &str, response: &str| {
        format!("```jsonc\n// Ada → POST /api/me\n{request}\n// Ada ← {response}\n```\n")
    };
    let ada = r#"{"username": "Ada"}"#;
    let good = "200\n{\"account_id\": \"…ada\", \"username\": \"Ada\"}";
    replay::run(Server::start().await, steps::parse(&example(ada, good))).await;
    for wrong in [
        "201\n{\"account_id\": \"…ada\", \"username\": \"Ada\"}",
        "200\n{\"account_id\": \"…ada\", \"username\": \"Bob\"}",
        "200\n{\"account_id\": \"…same\", \"username\": \"…same\"}",
        "200\n{\"account_id\": \"…ada\"}",
        "200\n{\"account_id\": \"…ada\", \"username\": \"Ada\", \"extra\": \"…\"}",
    ] {
        let steps = steps::parse(&example(ada, wrong));
        let replayed = tokio::spawn(replay::run(Server::start().await, steps)).await;
        assert!(replayed.is_err(), "accepted: {wrong}");
    }
}

#[tokio::test]
async fn the_document_names_every_request_of_the_private_chat() {
    let server = Server::start().await;
    let api = server.stranger().json("/api/openapi.json").await;
    let paths = api["paths"].as_object().expect("paths");
    let mut found = 0;
    for (path, methods) in paths {
        for (method, operation) in methods.as_object().expect("methods") {
            let is_needed = |tag: &Value| tag == "people" || tag == "account" || tag == "linking";
            if operation["tags"].as_array().expect("tags").iter().any(is_needed) {
                let request = format!("`{} {path}`", method.to_uppercase());
                assert!(DOCUMENT.contains(&request), "docs/protocol.md lacks {request}");
                found += 1;
            }
        }
    }
    assert!(found > 15, "found {found}");
}

#[test]
fn the_document_states_the_limits_of_a_connection() {
    let HubSettings {
        hello,
        ping,
        pong,
        write,
        connections_per_account,
        rate_burst,
        rate_per_second,
        rate_abuse,
        queue_bytes,
        ..
    } = HubSettings::default();
    for row in [
        format!("| connections of one account to one server | {connections_per_account} |"),
        format!("| frames of one account in a burst | {rate_burst} |"),
        format!("| frames of one account per second, in the long run | {rate_per_second} |"),
        format!("| rejected frames before the connection is closed | {rate_abuse} |"),
        format!("| bytes queued for one connection | {queue_bytes} |"),
        format!("| seconds for `hello` | {} |", hello.as_secs()),
        format!("| seconds between two pings of the server | {} |", ping.as_secs()),
        format!("| seconds for a pong | {} |", pong.as_secs()),
        format!("| seconds for reading what is queued | {} |", write.as_secs()),
    ] {
        assert!(DOCUMENT.contains(&row), "docs/protocol.md lacks the row {row}");
    }
}
