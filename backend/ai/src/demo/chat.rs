//! `POST /v1/chat/completions`, streamed or as one JSON object.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Json;
use axum::body::Body;
use axum::extract::rejection::JsonRejection;
use axum::extract::{FromRequest, Request, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::{Stream, StreamExt, stream};

use super::answer;
use super::error::DemoError;
use super::script::{Step, script};
use super::state::Demo;
use super::wire::{
    Chunk, ChunkChoice, ChunkDelta, Completion, CompletionChoice, CompletionMessage,
    CompletionRequest, Heading, TokenUsage,
};

pub(super) async fn completions(
    State(demo): State<Demo>,
    request: Request,
) -> Result<Response, DemoError> {
    let Json(request) = Json::<CompletionRequest>::from_request(request, &())
        .await
        .map_err(|rejection: JsonRejection| DemoError::invalid(rejection.body_text()))?;
    let Some(question) = request.messages.iter().rfind(|message| message.role == "user") else {
        return Err(DemoError::invalid("messages: expected at least one with the role `user`"));
    };
    let number = demo.requests.fetch_add(1, Ordering::SeqCst) + 1;
    let messages = request.messages.iter().filter(|message| message.role != "system").count();
    let tokens = answer::tokens(&answer::answer(&question.text(), messages));
    let prompt_tokens = request.messages.iter().map(|message| answer::count(&message.text())).sum();
    let steps =
        script(&demo, &request.model, tokens, prompt_tokens, request.max_completion_tokens)?;
    let completion_tokens =
        steps.iter().filter(|step| matches!(step, Step::Token(_))).count() as u64;
    let usage = TokenUsage {
        prompt_tokens,
        completion_tokens,
        total_tokens: prompt_tokens + completion_tokens,
    };
    let heading =
        Heading { id: format!("chatcmpl-demo-{number}"), created: now(), model: request.model };

    let guard = OpenStream::new(&demo.open);
    if !request.stream {
        return one(heading, steps, usage).await;
    }
    let include_usage = request.stream_options.is_some_and(|options| options.include_usage);
    let events = events(heading, steps, include_usage.then_some(usage)).map(move |event| {
        let _held_while_streaming = &guard;
        event
    });
    Ok(([(header::CONTENT_TYPE, "text/event-stream")], Body::from_stream(events)).into_response())
}

/// The whole answer as server-sent events, `[DONE]` last.
fn events(
    heading: Heading,
    steps: Vec<Step>,
    usage: Option<TokenUsage>,
) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
    let heading = Arc::new(heading);
    let opening = event(&heading, ChunkDelta { role: Some("assistant"), content: Some("") }, None);
    let in_steps = Arc::clone(&heading);
    let middle = stream::iter(steps).filter_map(move |step| {
        let heading = Arc::clone(&in_steps);
        async move { play(&heading, step).await }
    });
    let usage = usage.map(|usage| Ok(line(&chunk(&heading, Vec::new(), Some(usage)))));
    let done = Ok(Bytes::from_static(b"data: [DONE]\n\n"));
    stream::once(async { Ok(opening) })
        .chain(middle)
        .chain(stream::iter(usage))
        .chain(stream::iter([done]))
}

async fn play(heading: &Heading, step: Step) -> Option<io::Result<Bytes>> {
    match step {
        Step::Pause(pause) => {
            tokio::time::sleep(pause).await;
            None
        }
        Step::Token(token) => Some(Ok(event(
            heading,
            ChunkDelta { content: Some(&token), ..ChunkDelta::default() },
            None,
        ))),
        Step::Hang => std::future::pending().await,
        Step::Cut => {
            // Flushes the tokens before the cut.
            tokio::task::yield_now().await;
            Some(Err(io::Error::new(
                io::ErrorKind::ConnectionAborted,
                "the demo model cuts the connection",
            )))
        }
        Step::Finish(reason) => Some(Ok(event(heading, ChunkDelta::default(), Some(reason)))),
    }
}

fn event(heading: &Heading, delta: ChunkDelta<'_>, finish_reason: Option<&'static str>) -> Bytes {
    line(&chunk(heading, vec![ChunkChoice { index: 0, delta, finish_reason }], None))
}

fn chunk<'a>(
    heading: &'a Heading,
    choices: Vec<ChunkChoice<'a>>,
    usage: Option<TokenUsage>,
) -> Chunk<'a> {
    let object = "chat.completion.chunk";
    Chunk {
        id: &heading.id,
        object,
        created: heading.created,
        model: &heading.model,
        choices,
        usage,
    }
}

fn line(chunk: &Chunk<'_>) -> Bytes {
    let json = serde_json::to_string(chunk).expect("the chunk's keys are strings");
    format!("data: {json}\n\n").into()
}

async fn one(heading: Heading, steps: Vec<Step>, usage: TokenUsage) -> Result<Response, DemoError> {
    let mut content = String::new();
    let mut finish_reason = "stop";
    for step in steps {
        match step {
            Step::Pause(pause) => tokio::time::sleep(pause).await,
            Step::Token(token) => content.push_str(&token),
            Step::Hang => std::future::pending().await,
            Step::Cut => return Err(DemoError::internal()),
            Step::Finish(reason) => finish_reason = reason,
        }
    }
    let message = CompletionMessage { role: "assistant", content };
    let choices = vec![CompletionChoice { index: 0, message, finish_reason }];
    let Heading { id, created, model } = heading;
    Ok(Json(Completion { id, object: "chat.completion", created, model, choices, usage })
        .into_response())
}

fn now() -> u64 {
    u64::try_from(jiff::Timestamp::now().as_second()).unwrap_or_default()
}

/// Counts an answer as open until dropped.
struct OpenStream(Arc<AtomicUsize>);

impl OpenStream {
    fn new(open: &Arc<AtomicUsize>) -> Self {
        open.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(open))
    }
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}
