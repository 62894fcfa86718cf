//! The demo model's text: always the same for the same message, and honest about its origin.

use std::fmt::Write;

/// The answer to the last message of a chat.
pub(super) fn answer(question: &str, messages: usize) -> String {
    let question = question.trim();
    let asks_for = |words: &[&str]| {
        let lower = question.to_lowercase();
        words.iter().any(|word| lower.contains(word))
    };
    let mut text = String::from(
        "I am Gatehouse's demo model: a stand-in without a language model. \
         Your message arrived, and this answer is streamed like a real one.\n\n",
    );
    let quoted: String = question.chars().take(200).collect();
    if !quoted.is_empty() {
        let dots = if question.chars().count() > 200 { "…" } else { "" };
        let _ = writeln!(text, "You asked:\n\n> {}{dots}\n", quoted.replace('\n', "\n> "));
    }
    if asks_for(&["code", "function", "program", "rust", "python", "javascript"]) {
        text.push_str(CODE);
    } else if asks_for(&["table", "compare"]) {
        text.push_str(TABLE);
    } else if asks_for(&["list", "steps", "how do i", "how can i", "plan"]) {
        text.push_str(LIST);
    } else {
        let words = question.split_whitespace().count();
        let _ = writeln!(
            text,
            "Your message has **{words} words**, and I was shown {messages} messages of this chat, \
             yours included. A real model would answer it; I can only explain how to connect one.\n"
        );
    }
    text.push_str(
        "To chat with a real model, set `OPENAI_API_KEY`, or `OPENAI_BASE_URL` and `OPENAI_MODEL` for a \
         compatible server such as Ollama or vLLM, and restart the server.",
    );
    text
}

const CODE: &str = "Here is a code sample:\n\n```rust\nfn greet(name: &str) -> String {\n    \
                    format!(\"Hello, {name}!\")\n}\n```\n\n";

const LIST: &str = "Here is a sample list:\n\n1. Name the goal.\n2. Take the smallest \
                    step that shows something.\n3. Check the result, and continue from there.\n\n";

const TABLE: &str = "Here is a sample table:\n\n| | demo model | real model |\n|---|---|---|\n\
                     | streams | yes | yes |\n| understands | no | often |\n\n";

/// Splits the answer into tokens: words with the white space that follows them.
pub(super) fn tokens(text: &str) -> Vec<String> {
    let mut tokens: Vec<String> = Vec::new();
    let mut after_space = true;
    for character in text.chars() {
        let is_space = character.is_whitespace();
        match tokens.last_mut() {
            Some(token) if is_space || !after_space => token.push(character),
            _ => tokens.push(character.to_string()),
        }
        after_space = is_space;
    }
    tokens
}

/// Estimates the tokens of a text: four bytes each.
pub(super) fn count(text: &str) -> u64 {
    (text.len() as u64).div_ceil(4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_join_to_the_text() {
        let text = answer("Give me a list, please", 1);
        assert_eq!(tokens(&text).concat(), text);
        assert_eq!(tokens("a  bc\nd"), ["a  ", "bc\n", "d"]);
    }

    #[test]
    fn the_answer_names_the_demo_model_and_quotes_the_message() {
        let text = answer("What is a gatehouse?", 3);
        assert!(text.starts_with("I am Gatehouse's demo model"));
        assert!(text.contains("> What is a gatehouse?") && text.contains("3 messages"));
        assert!(answer("Some Rust code", 1).contains("```rust"));
        assert!(answer("a list of things", 1).contains("1. "));
    }
}
