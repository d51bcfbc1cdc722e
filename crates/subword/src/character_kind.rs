//! A kind of characters that pre-tokenizers look for.

use crate::categories::{self, PUNCTUATION, WORD};

/// See the [module](self).
#[derive(Clone, Debug)]
pub(crate) enum CharacterKind {
    /// A number, by Rust's tables, as the reference's `Digits` has it.
    Number,
    /// Punctuation, as the reference's `Punctuation` has it: ASCII's, and Unicode's.
    Punctuation,
    /// White space, as the reference's `WhitespaceSplit` has it.
    WhiteSpace,
    /// A letter, digit or the like, `\w` of the library `regex`, as the reference's `Whitespace` has it.
    Word,
    /// This character, which is spelled so.
    One(String, char),
}

impl CharacterKind {
    pub(crate) fn one(character: char) -> Self {
        Self::One(character.into(), character)
    }

    #[inline(always)]
    pub(crate) fn has(&self, c: char) -> bool {
        match self {
            Self::Number => c.is_numeric(),
            Self::Punctuation => categories::has(c, PUNCTUATION),
            Self::WhiteSpace => c.is_whitespace(),
            Self::Word => categories::has(c, WORD),
            Self::One(_, one) => c == *one,
        }
    }
}
