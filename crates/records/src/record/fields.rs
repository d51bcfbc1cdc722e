//! What lines have that have no text: counted, and read as the shape of a dataset.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Names of fields that are counted; what comes after them is left out.
pub const FIELDS_MAX: usize = 64;

/// The longest name that is counted, in bytes.
pub const FIELD_NAME_BYTES_MAX: usize = 64;

/// How many lines without a text have which fields.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct FieldCounts(BTreeMap<String, FieldCount>);

/// In how many lines a field is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FieldCount {
    /// Lines that have it.
    pub lines: u64,
    /// Those of them where it is a string.
    pub strings: u64,
}

/// What a dataset without texts is made of, by the names of its fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape<'a> {
    /// The texts are in a field of another name.
    Text(&'a str),
    /// Turns of a conversation.
    Chat(&'a str),
    /// What is asked and what is answered.
    Pair(&'a str, &'a str),
    /// Something else.
    Other,
}

/// Fields with turns of a conversation.
const CHATS: [&str; 6] = ["messages", "conversations", "conversation", "dialogue", "dialog", "turns"];

/// Fields that stand beside each other, what is asked first.
const PAIRS: [(&str, &[&str]); 6] = [
    ("question", &["answer", "answers", "response", "final_answer"]),
    ("instruction", &["output", "response", "completion", "answer"]),
    ("prompt", &["completion", "response", "chosen", "answer", "output"]),
    ("query", &["response", "answer", "completion"]),
    ("problem", &["solution", "answer"]),
    ("input", &["output", "target"]),
];

/// Other names that texts go by, the most usual first. They are compared without regard to case.
const TEXTS: [&str; 14] = [
    "text",
    "content",
    "raw_content",
    "raw_text",
    "body",
    "document",
    "article",
    "passage",
    "story",
    "markdown",
    "code",
    "abstract",
    "sentence",
    "completion",
];

/// Fields that say something about a text.
const ABOUT: [&str; 16] = [
    "id",
    "_id",
    "uuid",
    "source",
    "category",
    "url",
    "uri",
    "title",
    "author",
    "date",
    "timestamp",
    "created",
    "language",
    "lang",
    "license",
    "path",
];

impl FieldCounts {
    /// Counts a field of a line.
    pub fn count(&mut self, name: &str, is_string: bool) {
        self.count_lines(name, FieldCount { lines: 1, strings: is_string.into() });
    }

    /// Adds other counts.
    pub fn add(&mut self, other: &Self) {
        for (name, &count) in &other.0 {
            self.count_lines(name, count);
        }
    }

    pub(crate) fn count_lines(&mut self, name: &str, count: FieldCount) {
        if let Some(here) = self.0.get_mut(name) {
            here.lines = here.lines.saturating_add(count.lines);
            here.strings = here.strings.saturating_add(count.strings);
        } else if self.0.len() < FIELDS_MAX && name.len() <= FIELD_NAME_BYTES_MAX {
            self.0.insert(name.to_owned(), count);
        }
    }

    /// How many lines have a field.
    #[must_use]
    pub fn lines(&self, name: &str) -> u64 {
        self.0.get(name).map_or(0, |count| count.lines)
    }

    /// Whether nothing was counted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The names that most lines have, the most frequent first, `max` at the most.
    #[must_use]
    pub fn names(&self, max: usize) -> Vec<&str> {
        let mut names: Vec<_> = self.0.iter().map(|(name, count)| (count.lines, name.as_str())).collect();
        names.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(b.1)));
        names.into_iter().take(max).map(|(_, name)| name).collect()
    }

    /// Fields that hold the texts of `lines` lines together, if lines have them in several: `first`, and others that
    /// texts go by, as long as lines are left.
    #[must_use]
    pub fn texts<'a>(&'a self, first: &'a str, lines: u64) -> Vec<&'a str> {
        let strings = |name: &str| self.0.get(name).map_or(0, |count| count.strings);
        let mut left = lines.saturating_sub(strings(first));
        let mut texts = vec![first];
        for known in TEXTS {
            let field = self.0.keys().find(|name| name.eq_ignore_ascii_case(known) && *name != first);
            if let Some(field) = field.filter(|field| left > 0 && strings(field) > 0) {
                texts.push(field);
                left = left.saturating_sub(strings(field));
            }
        }
        texts
    }

    /// What the lines are, by the fields that most of them have.
    #[must_use]
    pub fn shape(&self) -> Shape<'_> {
        let most = self.0.values().map(|count| count.lines).max().unwrap_or(0);
        let usual = || self.0.iter().filter(move |(_, count)| 2 * count.lines > most);
        let find = |wanted: &str| usual().find(|(name, _)| name.eq_ignore_ascii_case(wanted));
        let is_string = |count: &FieldCount| 2 * count.strings > count.lines;
        let chat = CHATS.iter().find_map(|chat| find(chat).filter(|(_, count)| !is_string(count)));
        if let Some((name, _)) = chat {
            return Shape::Chat(name);
        }
        for (asked, answers) in PAIRS {
            let answer = answers.iter().find_map(|answer| find(answer));
            if let (Some((asked, _)), Some((answer, _))) = (find(asked), answer) {
                return Shape::Pair(asked, answer);
            }
        }
        let text = TEXTS.iter().find_map(|text| find(text).filter(|(_, count)| is_string(count)));
        if let Some((name, _)) = text {
            return Shape::Text(name);
        }
        let is_about = |name: &str| ABOUT.iter().any(|about| name.eq_ignore_ascii_case(about));
        let mut strings = usual().filter(|(name, count)| is_string(count) && !is_about(name));
        match (strings.next(), strings.next()) {
            (Some((name, _)), None) => Shape::Text(name),
            _ => Shape::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(fields: &[(&str, bool)]) -> String {
        let mut counts = FieldCounts::default();
        for (name, is_string) in fields {
            counts.count(name, *is_string);
        }
        format!("{:?}", counts.shape())
    }

    #[test]
    fn published_datasets_are_told_by_their_fields() {
        for (fields, expected) in [
            (&[("messages", false), ("prompt", true)][..], r#"Chat("messages")"#),
            (&[("conversations", false), ("id", true)], r#"Chat("conversations")"#),
            (&[("question", true), ("answer", true)], r#"Pair("question", "answer")"#),
            (&[("question", true), ("answers", false)], r#"Pair("question", "answers")"#),
            (&[("instruction", true), ("input", true), ("output", true)], r#"Pair("instruction", "output")"#),
            (&[("prompt", true), ("completion", true)], r#"Pair("prompt", "completion")"#),
            (&[("content", true), ("title", true)], r#"Text("content")"#),
            (&[("Text", true)], r#"Text("Text")"#),
            (&[("lyrics", true), ("url", true), ("id", false)], r#"Text("lyrics")"#),
            (&[("a", true), ("b", true)], "Other"),
            (&[("text", false), ("tokens", false)], "Other"),
            (&[], "Other"),
        ] {
            assert_eq!(shape(fields), expected, "{fields:?}");
        }
    }

    #[test]
    fn a_file_of_ever_new_names_does_not_fill_the_memory() {
        let mut counts = FieldCounts::default();
        (0..1000).for_each(|number| counts.count(&format!("field {number}"), true));
        counts.count(&"long".repeat(100), true);
        assert_eq!(counts.names(usize::MAX).len(), FIELDS_MAX);
    }
}
