//! What can go wrong.

use serde::Deserialize;

/// Which requests go wrong, and how.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Requests whose `METHOD path` contains this text, such as `GET /datasets/org/name/resolve`.
    pub on: String,
    /// How many of them.
    #[serde(default = "once")]
    pub times: u32,
    /// What happens to them.
    pub fault: Fault,
}

fn once() -> u32 {
    1
}

/// What goes wrong.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// Another answer.
    Answer {
        /// Its status.
        status: u16,
        /// Its headers.
        #[serde(default)]
        headers: Vec<(String, String)>,
        /// Its content.
        #[serde(default)]
        body: String,
    },
    /// The connection ends after so many bytes of the content.
    CutAfter(u64),
    /// Nothing comes after so many bytes of the content, until the client hangs up.
    StallAfter(u64),
    /// The byte at this place of the file is another, if it is sent.
    FlipByte(u64),
    /// The whole file is sent, whatever was asked for.
    IgnoreRange,
    /// Another part of the file is sent than was asked for, and said to be.
    WrongRange,
    /// The connection ends without an answer.
    Close,
    /// No answer comes until the client hangs up.
    Hang,
    /// The content comes without its length, in chunks.
    NoLength,
    /// The answer has these headers, in place of those of the same names. `{n}` in them is another number each time.
    Headers(Vec<(String, String)>),
    /// The content comes in pieces of so many bytes, with a pause before each.
    Drip {
        /// Bytes of a piece, 1 at the least.
        bytes: u64,
        /// The pause.
        every_ms: u64,
    },
    /// No answer, but these bytes and then a piece again and again, until the client hangs up or it is enough.
    Raw {
        /// What comes first.
        head: String,
        /// What follows.
        #[serde(default)]
        piece: String,
        /// How often.
        #[serde(default)]
        times: u64,
        /// The pause before each.
        #[serde(default)]
        every_ms: u64,
    },
}

/// The rules that are not used up.
#[derive(Debug, Default)]
pub(crate) struct Rules(Vec<Rule>);

impl Rules {
    pub(crate) fn add(&mut self, rule: Rule) {
        self.0.push(rule);
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// What is to happen to a request.
    pub(crate) fn take(&mut self, request: &str) -> Option<Fault> {
        let rule = self.0.iter_mut().find(|rule| rule.times > 0 && request.contains(&rule.on))?;
        rule.times -= 1;
        Some(rule.fault.clone())
    }
}
