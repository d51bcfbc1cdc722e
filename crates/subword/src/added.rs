//! Added tokens: strings that are found in the text before it is split into words.
//!
//! The leftmost match counts and, of those at one place, the longest, as in the reference. Texts
//! rarely hold any, so the work is to get past what is no match: by searching for the prefix that
//! all added tokens share (mostly `<|`), else for their first bytes.

use std::ops::Range;

use memchr::memmem;

use crate::categories::{self, WORD};
use crate::error::Error;
use crate::trie::Trie;
use crate::words::Word;

/// What becomes of added tokens (`<|endoftext|>` and the like) that stand in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddedTokens {
    /// They become their ids: the reference's default.
    All,
    /// Special ones are ordinary text, others become their ids: the reference's
    /// `encode_special_tokens`.
    SkipSpecial,
    /// All are ordinary text.
    None,
}

/// One added token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AddedToken {
    pub(crate) content: Vec<u8>,
    pub(crate) id: u32,
    /// Marked as special, which [`crate::AddedTokens::SkipSpecial`] goes by.
    pub(crate) special: bool,
    /// What it does with its surroundings.
    pub(crate) around: Around,
}

/// What an added token does with its surroundings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Around {
    /// It takes the white space before it along.
    pub(crate) lstrip: bool,
    /// It takes the white space behind it along.
    pub(crate) rstrip: bool,
    /// It is one only where no letter, digit or the like touches it.
    pub(crate) single_word: bool,
}

impl Around {
    /// The bytes of `text` that a token at `found` takes, whose text before it is taken up to `taken`; none where it is not
    /// one there.
    pub(crate) fn range(self, text: &str, found: Range<usize>, taken: usize) -> Option<Range<usize>> {
        let (before, behind) = (&text[..found.start], &text[found.end..]);
        let touches = |c: Option<char>| c.is_some_and(|c| categories::has(c, WORD));
        if self.single_word && (touches(before.chars().next_back()) || touches(behind.chars().next())) {
            return None;
        }
        let start = if self.lstrip { before.trim_end().len().max(taken) } else { found.start };
        let end = if self.rstrip { text.len() - behind.trim_start().len() } else { found.end };
        Some(start..end)
    }
}

/// A set of added tokens, to be searched for together.
#[derive(Debug)]
pub(crate) struct AddedSet {
    /// In order of content, none empty.
    tokens: Vec<AddedToken>,
    /// Their contents, and their places among them.
    trie: Trie,
    prefilter: Prefilter,
}

#[derive(Debug)]
enum Prefilter {
    Prefix(Box<memmem::Finder<'static>>),
    FirstBytes(Box<[bool; 256]>),
}

/// A piece of a text, in bytes of it.
#[derive(Debug)]
pub(crate) enum AddedPiece {
    /// What is between two tokens, or none.
    Between(Range<usize>),
    /// The id of a token, and what it takes.
    Token(u32, Range<usize>),
}

/// Where an added token was found.
#[derive(Clone, Copy)]
pub(crate) struct Found<'a> {
    pub(crate) start: usize,
    pub(crate) token: &'a AddedToken,
}

impl AddedSet {
    /// Contents must be different from one another and not empty.
    pub(crate) fn new(mut tokens: Vec<AddedToken>) -> Self {
        tokens.sort_by(|a, b| a.content.cmp(&b.content));
        // In sorted order, what the first and the last share, all share.
        let shared = match (tokens.first(), tokens.last()) {
            (Some(a), Some(b)) => a.content.iter().zip(&b.content).take_while(|(a, b)| a == b).count(),
            _ => 0,
        };
        let prefilter = if shared > 0 {
            Prefilter::Prefix(Box::new(memmem::Finder::new(&tokens[0].content[..shared]).into_owned()))
        } else {
            let mut first = Box::new([false; 256]);
            tokens.iter().for_each(|token| first[usize::from(token.content[0])] = true);
            Prefilter::FirstBytes(first)
        };
        let word = |(id, token): (u32, &AddedToken)| Word { bytes: token.content.clone(), id, merges: false };
        let words: Vec<Word> = (0..).zip(&tokens).map(word).collect();
        Self { trie: Trie::new(&words), tokens, prefilter }
    }

    pub(crate) fn tokens(&self) -> &[AddedToken] {
        &self.tokens
    }

    /// Calls `take` for the pieces of `text`, in order: tokens, and what is between them.
    ///
    /// # Errors
    /// Those of `take`.
    pub(crate) fn split(
        &self,
        text: &str,
        policy: AddedTokens,
        mut take: impl FnMut(AddedPiece) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let (mut start, mut at) = (0, 0);
        while policy != AddedTokens::None
            && let Some(found) = self.find(text.as_bytes(), at)
        {
            at = found.start + found.token.content.len();
            if policy == AddedTokens::SkipSpecial && found.token.special {
                continue;
            }
            let Some(range) = found.token.around.range(text, found.start..at, start) else { continue };
            // One that lies in white space which the one before it took is a token, too.
            if start < range.start {
                take(AddedPiece::Between(start..range.start))?;
            }
            start = range.end;
            take(AddedPiece::Token(found.token.id, range))?;
        }
        take(AddedPiece::Between(start..text.len()))
    }

    /// The first match in `text` from `at` on.
    pub(crate) fn find(&self, text: &[u8], mut at: usize) -> Option<Found<'_>> {
        if self.tokens.is_empty() {
            return None;
        }
        loop {
            at += match &self.prefilter {
                Prefilter::Prefix(finder) => finder.find(&text[at..])?,
                Prefilter::FirstBytes(first) => {
                    text[at..].iter().position(|&byte| first[usize::from(byte)])?
                }
            };
            if let Some((_, place)) = self.trie.longest(&text[at..]) {
                return Some(Found { start: at, token: &self.tokens[place as usize] });
            }
            at += 1;
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails where it panics")]
mod tests {
    use super::*;

    fn found(contents: &[&str], text: &str) -> Vec<(usize, String)> {
        let token = |content: &&str| AddedToken {
            content: content.as_bytes().into(),
            id: 0,
            special: false,
            around: Around::default(),
        };
        let set = AddedSet::new(contents.iter().map(token).collect());
        let (mut at, mut all) = (0, Vec::new());
        while let Some(found) = set.find(text.as_bytes(), at) {
            at = found.start + found.token.content.len();
            all.push((found.start, String::from_utf8(found.token.content.clone()).unwrap()));
        }
        all
    }

    #[test]
    fn the_leftmost_longest_match_counts() {
        let all =
            |list: &[(usize, &str)]| list.iter().map(|&(at, t)| (at, t.to_string())).collect::<Vec<_>>();
        assert_eq!(
            found(&["ab", "abcd", "bcde"], "abcde abc bcde"),
            all(&[(0, "abcd"), (6, "ab"), (10, "bcde")])
        );
        assert_eq!(
            found(&["<|a|>", "<|ab|>", "<|"], "<<|ab|><|a|<|a|>"),
            all(&[(1, "<|ab|>"), (7, "<|"), (11, "<|a|>")])
        );
        assert_eq!(found(&["<|a|>"], "<|a<|a|"), all(&[]));
        assert_eq!(found(&[], "abc"), all(&[]));
        assert_eq!(found(&["a"], ""), all(&[]));
    }
}
