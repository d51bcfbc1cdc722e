//! Added tokens: strings that are found in the text before it is split into words.
//!
//! The leftmost match counts and, of those at one place, the longest, as in the reference. Texts
//! rarely hold any, so the work is to get past what is no match: by searching for the prefix that
//! all added tokens share (mostly `<|`), else for their first bytes.

use std::ops::Range;

use memchr::memmem;

use crate::categories::{self, WORD};

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
    prefilter: Prefilter,
}

#[derive(Debug)]
enum Prefilter {
    Prefix(Box<memmem::Finder<'static>>),
    FirstBytes(Box<[bool; 256]>),
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
        Self { tokens, prefilter }
    }

    pub(crate) fn tokens(&self) -> &[AddedToken] {
        &self.tokens
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
            if let Some(token) = self.longest_at(&text[at..]) {
                return Some(Found { start: at, token });
            }
            at += 1;
        }
    }

    /// The longest token that `text` begins with: the sorted tokens are narrowed byte by byte.
    fn longest_at(&self, text: &[u8]) -> Option<&AddedToken> {
        let (mut tokens, mut longest) = (&*self.tokens, None);
        for (depth, &byte) in text.iter().enumerate() {
            let from = tokens.partition_point(|token| token.content.get(depth) < Some(&byte));
            let to = tokens.partition_point(|token| token.content.get(depth) <= Some(&byte));
            tokens = &tokens[from..to];
            let Some(first) = tokens.first() else { break };
            if first.content.len() == depth + 1 {
                longest = Some(first);
                if tokens.len() == 1 {
                    break;
                }
            }
        }
        longest
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
