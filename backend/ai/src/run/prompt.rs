//! The prompt of a chat session, and its title.

use backend_protocol::api::{Message, Role};

use crate::provider::{PromptMessage, PromptRole};

/// The longest generated title, in characters.
const TITLE: usize = 60;

/// System prompt and history. Skips an assistant message whose question was trimmed: models misread
/// a chat that starts with the assistant, or in which it answers twice.
pub(super) fn messages(system: Option<&str>, history: &[Message]) -> Vec<PromptMessage> {
    let mut messages = Vec::with_capacity(history.len() + 1);
    messages.extend(
        system
            .map(|content| PromptMessage { role: PromptRole::System, content: content.to_owned() }),
    );
    for message in history {
        let content = message.content.clone();
        match message.role {
            Role::User => messages.push(PromptMessage { role: PromptRole::User, content }),
            Role::Assistant => {
                if messages.last().is_some_and(|message| message.role == PromptRole::User) {
                    messages.push(PromptMessage { role: PromptRole::Assistant, content });
                }
            }
        }
    }
    messages
}

/// The first words of a message, on one line.
pub(crate) fn title(message: &str) -> String {
    let mut title = String::new();
    let mut length = 0;
    for word in message.split_whitespace() {
        let word_length = word.chars().count();
        if length + word_length + 1 > TITLE {
            if title.is_empty() {
                title = word.chars().take(TITLE).collect();
            }
            return title + "…";
        }
        if !title.is_empty() {
            title.push(' ');
            length += 1;
        }
        title.push_str(word);
        length += word_length;
    }
    title
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::message;

    #[test]
    fn an_assistant_message_without_a_question_is_left_out() {
        let history = [
            message(Role::Assistant, "orphan".into()),
            message(Role::User, "question".into()),
            message(Role::Assistant, "answer".into()),
            message(Role::Assistant, "again".into()),
            message(Role::User, "unanswered".into()),
            message(Role::User, "next".into()),
        ];
        let messages = messages(Some("be kind"), &history);
        let shown: Vec<_> = messages.iter().map(|message| message.content.as_str()).collect();
        assert_eq!(shown, ["be kind", "question", "answer", "unanswered", "next"]);
    }

    #[test]
    fn a_title_is_the_first_words_on_one_line() {
        assert_eq!(title("  Why is\nthe sky blue? "), "Why is the sky blue?");
        assert_eq!(title(&"word ".repeat(30)), format!("{}…", ["word"; 12].join(" ")));
        assert_eq!(title(&"x".repeat(100)), format!("{}…", "x".repeat(60)));
    }
}
