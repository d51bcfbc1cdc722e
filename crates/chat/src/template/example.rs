//! A small conversation as a template renders it: what can be said of a template before a record is read.

use std::cmp::Reverse;
use std::ops::Range;

use bumpalo::Bump;
use mashbill_format::chat::{LossOn, NoLossOn, SpanRule};
use mashbill_jinja::{RenderLimits, Rendering};
use mashbill_records::conversation::{Conversation, ConversationOptions};
use mashbill_records::json;

use super::ChatTemplate;
use crate::spans::{by_blocks, by_marks, bytes_of, learned_turns};

/// Two questions with their answers, for templates that need it behind a system message.
const RECORDS: [&str; 2] = [
    r#"{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"},
        {"role": "user", "content": "c"}, {"role": "assistant", "content": "d"}]}"#,
    r#"{"messages": [{"role": "system", "content": "e"}, {"role": "user", "content": "a"},
        {"role": "assistant", "content": "b"}, {"role": "user", "content": "c"},
        {"role": "assistant", "content": "d"}]}"#,
];

/// A small conversation as a template renders it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExampleChat {
    /// The text.
    pub text: String,
    /// Whether something that is said stands in it.
    pub has_words: bool,
    /// The token that ends a turn of the assistant and is learned with it; none where no such token follows an answer.
    pub turn_end: Option<String>,
    /// What stands behind the first answer, up to what is said next.
    pub behind_answer: String,
}

impl ChatTemplate {
    /// A small conversation as the template renders it; none where it refuses such ones.
    #[must_use]
    pub fn example(&self) -> Option<ExampleChat> {
        RECORDS.iter().find_map(|record| self.example_of(record))
    }

    fn example_of(&self, record: &str) -> Option<ExampleChat> {
        let record = json::parse(record, &|_| true).expect("it is JSON");
        let conversation = Conversation::of(&record, ConversationOptions::default());
        let conversation = conversation.ok().flatten().expect("it is a conversation");
        let (arena, mut rendered) = (Bump::new(), Rendering::default());
        self.render_into(&conversation, false, RenderLimits::default(), &arena, &mut rendered).ok()?;
        let turns = learned_turns(&conversation, LossOn::Assistant);
        let learned = match self.rule {
            SpanRule::Blocks => by_blocks(&rendered, &turns, &self.around, NoLossOn::default()),
            SpanRule::Marks => by_marks(&rendered, &turns, &self.around, NoLossOn::default()).ok()?,
        };
        let text = rendered.text.as_str();
        let words: Vec<_> = (0..turns.len()).map(|message| bytes_of(&rendered, message)).collect();
        let mut answers = words.iter().zip(&turns).filter(|(_, turn)| turn.is_assistant);
        let turn_end = answers.find_map(|(answer, _)| self.end_of(answer.as_ref()?, &learned, text));
        let behind_answer = words.windows(2).zip(&turns).find_map(|(pair, turn)| match pair {
            [Some(answer), Some(next)] if turn.is_assistant => text.get(answer.end..next.start),
            _ => None,
        });
        Some(ExampleChat {
            has_words: words.iter().any(Option::is_some),
            turn_end,
            behind_answer: behind_answer.unwrap_or_default().to_owned(),
            text: text.to_owned(),
        })
    }

    /// The first token that ends a turn in what is learned behind these words.
    fn end_of(&self, words: &Range<usize>, learned: &[Range<usize>], text: &str) -> Option<String> {
        let span = learned.iter().find(|span| span.contains(&words.start))?;
        let behind = text.get(words.end..span.end)?;
        let found = self.around.ends.iter().filter_map(|end| Some((behind.find(end.as_str())?, end)));
        found.min_by_key(|(at, end)| (*at, Reverse(end.len()))).map(|(_, end)| end.clone())
    }
}
