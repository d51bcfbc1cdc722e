//! Cutting a long document where the cut can't change its ids.
//!
//! The fast engine starts threads of its own for texts of 64 KiB and more, and needs
//! several times a document's size in memory. Cut into segments below that size, a
//! document of any length runs on the caller's thread in bounded memory.
//!
//! A cut at position `p` changes nothing if, for the pattern that finds the words:
//!
//! 1. no word of the whole text spans `p`;
//! 2. the words before `p` are the same when the text ends at `p`; and
//! 3. the words after `p` are the same when the text begins at `p`.
//!
//! (3) follows from (1) for every pattern here, as none looks behind. The patterns
//! look ahead in one place only, `\s+(?!\S)`, one character past a run of white space.
//!
//! - **Before a space that follows a visible ASCII character.** White space stands
//!   in a word only as its first character, in a run of nothing else, or as the line
//!   ends after punctuation, which no space is part of: (1). The word that ends at `p`
//!   is no run of white space, and the look-ahead of an earlier one ends before `p`: (2).
//! - **After a line end, where the white space that follows it (maybe none) has no
//!   other line end and is followed by a visible character** (patterns with
//!   `\s*[\r\n]+` before `\s+(?!\S)`). Both that alternative and the line ends after
//!   punctuation take all they can, that is up to `p`, whether the text goes on or
//!   not: (1), (2). O200k's punctuation also takes `/` after line ends, so there the
//!   character at `p` may not be one.
//! - **Before a line end that follows a visible character** (GPT-2's pattern, where
//!   line ends are white space like any other): as for the space.
//!
//! Whether a character is white space is never asked of a table that may differ from
//! the engines': characters that any Unicode version might call so count as neither.
//!
//! Added tokens are matched before the words are. A token can only be cut if it holds
//! the two characters around a cut, and tokens that look at their surroundings
//! (`lstrip`, `rstrip`, `single_word`) may see a difference: with either kind, nothing
//! is cut. NFC leaves a border before ASCII and after a line end alone; with other
//! normalizers, nothing is cut.

use memchr::memchr2_iter;
use serde_json::Value;
use tokenizers::AddedToken;

use super::definition::Definition;

/// Segments are cut at the first border after so many bytes. The fast engine starts
/// its threads at 64 KiB.
const SEGMENT_BYTES: usize = 32 * 1024;

/// Which borders are proven for a tokenizer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Borders {
    /// Before spaces, and after line ends: Cl100k (Llama 3), Qwen, O200k.
    AfterLineEnds,
    /// Before spaces and line ends: GPT-2.
    BeforeLineEnds,
    /// None: every document is one segment.
    Unknown,
}

impl Borders {
    /// The borders of a tokenizer with these added tokens.
    pub(super) fn of(definition: &Definition<'_>, added_tokens: &[(u32, AddedToken)]) -> Self {
        let normalizer = definition.normalizer.as_ref().map(|normalizer| &normalizer["type"]);
        if normalizer.is_some_and(|kind| kind != "NFC") {
            return Self::Unknown;
        }
        let borders = definition.pre_tokenizer.as_ref().map_or(Self::Unknown, Self::of_pattern);
        let cuttable = |token: &AddedToken| {
            let plain = !token.lstrip && !token.rstrip && !token.single_word;
            let as_written = normalizer.is_none() || token.content.is_ascii();
            plain && as_written && !borders.may_cut(&token.content)
        };
        if added_tokens.iter().all(|(_, token)| cuttable(token)) { borders } else { Self::Unknown }
    }

    fn of_pattern(pre_tokenizer: &Value) -> Self {
        let bytes_only = |step: &Value| {
            step["type"] == "ByteLevel" && step["use_regex"] == false && step["add_prefix_space"] == false
        };
        if pre_tokenizer["type"] == "ByteLevel"
            && pre_tokenizer["add_prefix_space"] == false
            && pre_tokenizer["use_regex"] != false
        {
            return Self::BeforeLineEnds;
        }
        match pre_tokenizer["pretokenizers"].as_array().map(Vec::as_slice) {
            Some([split, bytes])
                if split["type"] == "Split" && split["behavior"] == "Isolated" && bytes_only(bytes) =>
            {
                match split["pattern"]["Regex"].as_str() {
                    Some(
                        fastokens::tiktoken::CL100K_BASE_PATTERN
                        | fastokens::tiktoken::QWEN2_PATTERN
                        | fastokens::tiktoken::O200K_BASE_PATTERN,
                    ) if split["invert"] != true => Self::AfterLineEnds,
                    _ => Self::Unknown,
                }
            }
            _ => Self::Unknown,
        }
    }

    /// Whether a border may lie inside `token`.
    fn may_cut(self, token: &str) -> bool {
        token.as_bytes().windows(2).any(|pair| {
            (pair[0].is_ascii_graphic() && pair[1] == b' ')
                || match self {
                    Self::AfterLineEnds => pair[0] == b'\n',
                    Self::BeforeLineEnds => pair[1] == b'\n',
                    Self::Unknown => false,
                }
        })
    }

    /// Cuts a text into segments, whose ids joined are the text's ids.
    pub(super) fn segments(self, text: &str) -> impl Iterator<Item = &str> {
        let mut rest = text;
        std::iter::from_fn(move || {
            if rest.is_empty() {
                return None;
            }
            let (segment, after) = match self.first_border(rest, SEGMENT_BYTES) {
                Some(border) => rest.split_at(border),
                None => (rest, ""),
            };
            rest = after;
            Some(segment)
        })
    }

    /// The first border in `text` at `from` or behind it.
    fn first_border(self, text: &str, from: usize) -> Option<usize> {
        let bytes = text.as_bytes();
        if self == Self::Unknown || bytes.len() <= from {
            return None;
        }
        memchr2_iter(b' ', b'\n', &bytes[from..]).find_map(|at| {
            let at = from + at;
            match (bytes[at], self) {
                (b' ', _) => bytes[at - 1].is_ascii_graphic().then_some(at),
                (_, Self::AfterLineEnds) => ends_lines(text, at + 1).then_some(at + 1),
                _ => text[..at].chars().next_back().is_some_and(is_visible).then_some(at),
            }
        })
    }
}

/// Whether the line end before `at` is the last of its run of white space, and what
/// follows can't belong to the same word.
fn ends_lines(text: &str, at: usize) -> bool {
    let indent = text.as_bytes()[at..].iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    match text[at + indent..].chars().next() {
        Some('/') => indent > 0,
        Some(next) => is_visible(next),
        None => false,
    }
}

/// Whether a character is white space in no version of Unicode and no engine.
fn is_visible(c: char) -> bool {
    !matches!(c,
        '\0'..=' ' | '\u{7f}'..='\u{a0}' | '\u{1680}' | '\u{180e}' | '\u{2000}'..='\u{200f}'
        | '\u{2028}'..='\u{202f}' | '\u{205f}'..='\u{206f}' | '\u{3000}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn borders_lie_where_words_end() {
        let after = |text| Borders::AfterLineEnds.first_border(text, 1);
        assert_eq!(after("ab cd"), Some(2));
        assert_eq!(after("ab\n\ncd"), Some(4));
        assert_eq!(after("ab\n \n\tcd"), Some(5));
        assert_eq!(after("b\n/b"), None);
        assert_eq!(after("b\n /b"), Some(2));
        assert_eq!(after("b\n\u{3000}b"), None);
        assert_eq!(after("b\n"), None);
        let before = |text| Borders::BeforeLineEnds.first_border(text, 1);
        assert_eq!(before("ab\n\ncd"), Some(2));
        assert_eq!(before("\n\ncd ef"), Some(4));
        assert_eq!(Borders::Unknown.first_border("ab cd", 1), None);
    }

    #[test]
    fn segments_join_to_the_text() {
        let text = "one two\nthree ".repeat(20_000);
        let segments: Vec<&str> = Borders::AfterLineEnds.segments(&text).collect();
        assert_eq!(segments.concat(), text);
        assert!(segments.iter().all(|segment| segment.len() < SEGMENT_BYTES + 8));
        assert_eq!(Borders::AfterLineEnds.segments("").count(), 0);
        assert_eq!(Borders::Unknown.segments(&text).count(), 1);
    }
}
