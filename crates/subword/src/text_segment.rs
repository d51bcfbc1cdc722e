//! What a text is divided into before its words are found: added tokens, and what is between them.

use std::ops::Range;

/// See the [module](self).
#[derive(Debug)]
pub(crate) enum TextSegment<'s> {
    /// What is between added tokens, normalized.
    Text {
        text: &'s str,
        /// Where it begins in the text, if it stands there as it is.
        at: Option<usize>,
        /// Whether it begins the text.
        is_first: bool,
    },
    /// An added token.
    Token {
        id: u32,
        /// What it takes of the text, if it stands there as it is.
        range: Option<Range<usize>>,
    },
}
