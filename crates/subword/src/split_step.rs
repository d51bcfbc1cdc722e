//! One way of splitting a text.

use onig::Regex;

use crate::character_kind::CharacterKind;
use crate::error::Error;
use crate::matches::regex;
use crate::pattern::Pattern;
use crate::word_steps::WordStep;

/// See the [module](self).
#[derive(Debug)]
pub(crate) enum SplitStep {
    /// Each match is a piece; matches are all of the text.
    Pattern(Pattern),
    /// What is found, and what is between, become pieces.
    Split { delimiter: Delimiter, inverted: bool, behavior: Behavior },
    /// What divides words, each by itself: behind all others.
    Word(WordStep),
}

/// What is looked for.
#[derive(Debug)]
pub(crate) enum Delimiter {
    /// A character of this kind.
    Character(CharacterKind),
    /// A match of the regular expression that is spelled so.
    Regex(String, Regex),
}

/// Which neighbors become one piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Behavior {
    /// None.
    Isolated,
    /// Matches with matches.
    Contiguous,
    /// A match with what is before it.
    MergedWithPrevious,
    /// A match with what is behind it.
    MergedWithNext,
    /// None, and matches are left out.
    Removed,
}

/// All of them, by the names that files have.
pub(crate) const BEHAVIORS: [(Behavior, &str); 5] = [
    (Behavior::Isolated, "Isolated"),
    (Behavior::Contiguous, "Contiguous"),
    (Behavior::MergedWithPrevious, "MergedWithPrevious"),
    (Behavior::MergedWithNext, "MergedWithNext"),
    (Behavior::Removed, "Removed"),
];

impl Delimiter {
    /// A regular expression, as the reference reads it.
    pub(crate) fn regex(spelled: &str) -> Result<Self, Error> {
        Ok(Self::Regex(spelled.to_owned(), regex(spelled)?))
    }
}

impl Behavior {
    /// Whether two neighbors are one piece, of which each is a match or not.
    pub(crate) fn joins(self, is_match: bool, next_is_match: bool) -> bool {
        match self {
            Self::Isolated | Self::Removed => false,
            Self::Contiguous => is_match == next_is_match,
            Self::MergedWithPrevious => !is_match && next_is_match,
            Self::MergedWithNext => is_match && !next_is_match,
        }
    }
}
