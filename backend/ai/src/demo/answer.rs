//! The demo model's words: always the same for the same question, and clear about what speaks.

use std::fmt::Write;

/// The answer to a conversation's last question.
pub(super) fn answer(question: &str, messages: usize) -> String {
    let question = question.trim();
    let asks_for = |words: &[&str]| {
        let lower = question.to_lowercase();
        words.iter().any(|word| lower.contains(word))
    };
    let mut text = String::from(
        "I am Gatehouse's demo model: I only play the part, there is no language model behind me. \
         Your message came through, and this answer is streamed as a real one would be.\n\n",
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
            "Your message has **{words} words**, and I was shown {messages} messages of this session, \
             yours included. A real model would now answer it; I can only tell you how to get one.\n"
        );
    }
    text.push_str(
        "To talk to a real model, give this server `OPENAI_API_KEY`, or `OPENAI_BASE_URL` and `OPENAI_MODEL` for a \
         compatible server such as Ollama or vLLM, and start it again.",
    );
    text
}

const CODE: &str = "Here is some code, so that you see how it looks:\n\n```rust\nfn greet(name: &str) -> String {\n    \
                    format!(\"Hello, {name}!\")\n}\n```\n\n";

const LIST: &str = "Here is a list, so that you see how it looks:\n\n1. Say what you want to reach.\n2. Take the smallest \
                    step that shows something.\n3. Look at it, and go on from there.\n\n";

const TABLE: &str = "Here is a table, so that you see how it looks:\n\n| | demo model | real model |\n|---|---|---|\n\
                     | streams | yes | yes |\n| understands | no | often |\n\n";

/// The answer in tokens: words with the white space that follows them.
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

/// A guess at the tokens of a text, as good as any: four bytes each.
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
    fn the_answer_says_what_it_is_and_reflects_the_question() {
        let text = answer("What is a gatehouse?", 3);
        assert!(text.starts_with("I am Gatehouse's demo model"));
        assert!(text.contains("> What is a gatehouse?") && text.contains("3 messages"));
        assert!(answer("Some Rust code", 1).contains("```rust"));
        assert!(answer("a list of things", 1).contains("1. "));
    }
}
