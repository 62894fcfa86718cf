//! The steps in the `jsonc` blocks of the document. Its section "Examples" defines the notation.

/// A step of an example.
pub(super) struct Step {
    /// Where it is, for messages of the test.
    pub(super) place: String,
    /// The client.
    pub(super) who: String,
    pub(super) action: Action,
    /// JSON, empty when there is none.
    pub(super) body: String,
}

pub(super) enum Action {
    /// An HTTP request, with the token of a link if there is one.
    Request { method: String, path: String, token: Option<String> },
    /// The response to the client's last request.
    Response { status: u16 },
    /// A frame of the client.
    Send,
    /// A frame of the server.
    Receive,
    /// The client closes its WebSocket.
    Leave,
    /// The server closes the client's WebSocket.
    Closed { code: u16 },
    /// The server stops.
    Drain,
}

/// All steps of a document, in order.
pub(super) fn parse(document: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut inside = false;
    for (index, text) in document.lines().enumerate() {
        let place = format!("docs/protocol.md:{}", index + 1);
        if text.starts_with("```") {
            inside = text == "```jsonc";
            continue;
        }
        if !inside {
            continue;
        }
        if let Some(comment) = text.strip_prefix("// ") {
            let (who, rest) = comment.split_once(' ').unwrap_or_default();
            let action = action(rest).unwrap_or_else(|| panic!("{place}: not a step: {text}"));
            steps.push(Step { place, who: who.to_owned(), action, body: String::new() });
        } else {
            let step = steps.last_mut().unwrap_or_else(|| panic!("{place}: no step before it"));
            step.body.push_str(text);
            step.body.push('\n');
        }
    }
    steps
}

/// What follows the name of the client.
fn action(text: &str) -> Option<Action> {
    let words: Vec<&str> = text.split(' ').collect();
    let request = |method: &str, path: &str, token: Option<&str>| Action::Request {
        method: method.to_owned(),
        path: path.to_owned(),
        token: token.map(str::to_owned),
    };
    Some(match words[..] {
        ["drains"] => Action::Drain,
        ["→"] => Action::Send,
        ["←"] => Action::Receive,
        ["→", "close"] => Action::Leave,
        ["←", "close", code] => Action::Closed { code: code.parse().ok()? },
        ["←", status] => Action::Response { status: status.parse().ok()? },
        ["→", method, path] => request(method, path, None),
        ["→", method, path, "Bearer", token] => request(method, path, Some(token)),
        _ => return None,
    })
}
