//! The steps of one answer: its tokens, and the fault that the model's name selects.

use std::time::Duration;

use super::error::DemoError;
use super::state::{DEMO_MODEL, Demo, FAULTY_MODELS};

/// The demo model's context size, in tokens.
const CONTEXT: u64 = 128_000;
/// Tokens of `demo-long`.
const LONG: usize = 4_000;
/// Tokens that a faulty model sends before its fault.
const BEFORE_FAULT: usize = 8;

/// One step of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// Sends nothing for a while.
    Pause(Duration),
    /// Sends one token.
    Token(String),
    /// Sends nothing more.
    Hang,
    /// Cuts the connection.
    Cut,
    /// Ends the answer with this finish reason.
    Finish(&'static str),
}

/// The steps of this model's answer, or its error.
pub(super) fn script(
    demo: &Demo,
    model: &str,
    tokens: Vec<String>,
    prompt_tokens: u64,
    max_tokens: Option<u64>,
) -> Result<Vec<Step>, DemoError> {
    if model != DEMO_MODEL && !FAULTY_MODELS.contains(&model) {
        return Err(DemoError::no_such_model(model));
    }
    if prompt_tokens > CONTEXT || model == "demo-context" {
        return Err(DemoError::context_too_long(prompt_tokens, CONTEXT));
    }
    match model {
        "demo-500" => return Err(DemoError::internal()),
        "demo-quota" => return Err(DemoError::quota()),
        // Every other request, by any client.
        "demo-429-then-success" if demo.requests() % 2 == 1 => {
            return Err(DemoError::rate_limited());
        }
        _ => {}
    }
    let tokens = match model {
        "demo-long" => tokens.into_iter().cycle().take(LONG).collect(),
        _ => tokens,
    };
    Ok(steps(demo, model, tokens, max_tokens))
}

fn steps(demo: &Demo, model: &str, mut tokens: Vec<String>, max_tokens: Option<u64>) -> Vec<Step> {
    let end = match model {
        "demo-stall" => Step::Hang,
        "demo-cut" => Step::Cut,
        "demo-content-filter" => Step::Finish("content_filter"),
        _ => Step::Finish("stop"),
    };
    let faulty = end != Step::Finish("stop");
    let limit = max_tokens.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX);
    let limited = tokens.len() > limit;
    tokens.truncate(if faulty { BEFORE_FAULT } else { limit });

    let mut steps = Vec::with_capacity(2 * tokens.len() + 2);
    if model == "demo-slow-start" {
        steps.push(Step::Pause(demo.settings.slow_start));
    }
    for token in tokens {
        if !demo.settings.token_delay.is_zero() {
            steps.push(Step::Pause(demo.settings.token_delay));
        }
        steps.push(Step::Token(token));
    }
    steps.push(if limited && !faulty { Step::Finish("length") } else { end });
    steps
}
