//! How a text is split into words: by steps, each of which splits what the one before it gave.
//!
//! A step is a pattern that has a matcher of ours ([`crate::pattern`]), a kind of character, or any other regular expression,
//! which the reference's own library runs. The pieces of a step are all of its text, one after another, but for what it
//! leaves out.

use std::ops::Range;

use onig::Regex;
use unicode_categories::UnicodeCategories;

use crate::added::is_word_character;
use crate::blocks::{BATCH, BLOCK, PatternWalk};
use crate::error::Error;
use crate::matches::{Matches, regex};
use crate::pattern::Pattern;

/// The steps, at least one.
#[derive(Debug)]
pub(crate) struct PreTokenizer {
    steps: Vec<SplitStep>,
}

/// One way of splitting.
#[derive(Debug)]
pub(crate) enum SplitStep {
    /// Each match is a piece; matches are all of the text.
    Pattern(Pattern),
    /// What is found, and what is between, become pieces.
    Split { delimiter: Delimiter, inverted: bool, behavior: Behavior },
}

/// What is looked for.
#[derive(Debug)]
pub(crate) enum Delimiter {
    /// A number, by Rust's tables, as the reference's `Digits` has it.
    Number,
    /// A punctuation character, as the reference's `Punctuation` has it.
    Punctuation,
    /// A white-space character, by Rust's tables, as the reference's `WhitespaceSplit` has it.
    WhiteSpace,
    /// A letter, digit or the like, `\w` of the library `regex`, as the reference's `Whitespace` has it.
    WordCharacter,
    /// This character, which is spelled so.
    Character(String, char),
    /// A byte whose letter in byte-level vocabularies is a number, be it in the middle of a character: what `Digits` finds
    /// behind `ByteLevel`.
    NumberLetter,
    /// Three digits of ASCII.
    ThreeDigits,
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

impl PreTokenizer {
    /// `steps` must not be empty.
    pub(crate) fn new(steps: Vec<SplitStep>) -> Self {
        assert!(!steps.is_empty(), "a text is split by something");
        Self { steps }
    }

    pub(crate) fn steps(&self) -> &[SplitStep] {
        &self.steps
    }

    /// Whether words may begin or end inside a character.
    pub(crate) fn divides_characters(&self) -> bool {
        let divides =
            |step: &SplitStep| matches!(step, SplitStep::Split { delimiter: Delimiter::NumberLetter, .. });
        self.steps.iter().any(divides)
    }

    pub(crate) fn runs_regexes(&self) -> bool {
        let is_regex =
            |step: &SplitStep| matches!(step, SplitStep::Split { delimiter: Delimiter::Regex(..), .. });
        self.steps.iter().any(is_regex)
    }
}

impl Delimiter {
    pub(crate) fn character(character: char) -> Self {
        Self::Character(character.into(), character)
    }

    /// A regular expression, as the reference reads it.
    pub(crate) fn regex(spelled: &str) -> Result<Self, Error> {
        Ok(Self::Regex(spelled.to_owned(), regex(spelled)?))
    }
}

impl Behavior {
    /// Whether two neighbors are one piece, of which each is a match or not.
    fn joins(self, is_match: bool, next_is_match: bool) -> bool {
        match self {
            Self::Isolated | Self::Removed => false,
            Self::Contiguous => is_match == next_is_match,
            Self::MergedWithPrevious => !is_match && next_is_match,
            Self::MergedWithNext => is_match && !next_is_match,
        }
    }
}

/// Walks through a text by batches of words.
pub(crate) struct Splitter<'a> {
    /// The text, until it is split.
    whole: Option<Range<usize>>,
    /// The steps before the last.
    outer: Vec<Walk<'a>>,
    last: Last<'a>,
    /// Where the last word ends.
    end: usize,
}

/// Marks an end as that of what is left out.
pub(crate) const LEFT_OUT: usize = 1 << (usize::BITS - 1);

enum Last<'a> {
    Pattern(PatternWalk<'a>),
    Walk(Walk<'a>),
}

impl<'a> Splitter<'a> {
    pub(crate) fn new(pre_tokenizer: &'a PreTokenizer, text: &'a str) -> Self {
        let (last, outer) = pre_tokenizer.steps.split_last().expect("there is a step");
        Self {
            whole: Some(0..text.len()),
            outer: outer.iter().map(|step| Walk::new(step, text)).collect(),
            last: match last {
                SplitStep::Pattern(pattern) => Last::Pattern(PatternWalk::new(*pattern, text.as_bytes())),
                SplitStep::Split { .. } => Last::Walk(Walk::new(last, text)),
            },
            end: 0,
        }
    }

    /// Writes the ends of the next words into `ends` and returns how many there are: 0 at the end of the text. Where the
    /// next word begins only behind what is left out, that has an end, too, marked by [`LEFT_OUT`].
    ///
    /// # Errors
    /// [`Error::Regex`]: the library gives up over the text.
    pub(crate) fn next_batch(&mut self, ends: &mut [usize; BATCH]) -> Result<usize, Error> {
        let mut count = 0;
        loop {
            match &mut self.last {
                Last::Pattern(blocks) => {
                    let before = count;
                    count = blocks.fill(ends, count);
                    self.end = if before < count { ends[count - 1] } else { self.end };
                }
                Last::Walk(walk) => {
                    while count < BATCH - 1
                        && let Some(piece) = walk.next()?
                    {
                        if piece.start > self.end {
                            ends[count] = piece.start | LEFT_OUT;
                            count += 1;
                        }
                        ends[count] = piece.end;
                        self.end = piece.end;
                        count += 1;
                    }
                }
            }
            if count >= BATCH - BLOCK {
                return Ok(count);
            }
            let Some(piece) = next_piece(&mut self.outer, &mut self.whole)? else { return Ok(count) };
            match &mut self.last {
                Last::Pattern(blocks) => {
                    if piece.start > self.end {
                        ends[count] = piece.start | LEFT_OUT;
                        count += 1;
                    }
                    blocks.begin(piece);
                }
                Last::Walk(walk) => walk.begin(piece),
            }
        }
    }
}

/// The next piece of the last of `walks`; where there are none the whole text.
fn next_piece(
    walks: &mut [Walk<'_>],
    whole: &mut Option<Range<usize>>,
) -> Result<Option<Range<usize>>, Error> {
    let Some((last, outer)) = walks.split_last_mut() else { return Ok(whole.take()) };
    loop {
        if let Some(piece) = last.next()? {
            return Ok(Some(piece));
        }
        match next_piece(outer, whole)? {
            Some(piece) => last.begin(piece),
            None => return Ok(None),
        }
    }
}

/// Walks through a part of a text by a step's pieces.
struct Walk<'a> {
    step: &'a SplitStep,
    text: &'a str,
    part: Range<usize>,
    /// Where the next piece begins.
    at: usize,
    /// What was found behind that piece already, if it was.
    next: Option<Found>,
    /// Where the last that was found ends.
    found: usize,
    matches: Matches,
    /// A match of a regular expression of which what is before it was found, or will be next.
    pending: Option<Range<usize>>,
}

/// A match of a step, or what is between two.
#[derive(Clone, Copy)]
struct Found {
    end: usize,
    is_match: bool,
}

impl<'a> Walk<'a> {
    fn new(step: &'a SplitStep, text: &'a str) -> Self {
        Self { step, text, part: 0..0, at: 0, next: None, found: 0, matches: Matches::new(), pending: None }
    }

    fn begin(&mut self, part: Range<usize>) {
        self.matches.begin(part.start);
        self.pending = None;
        (self.at, self.next, self.found) = (part.start, None, part.start);
        self.part = part;
    }

    /// The next piece, which is not empty.
    fn next(&mut self) -> Result<Option<Range<usize>>, Error> {
        let start = self.at;
        match self.step {
            SplitStep::Pattern(_) if start == self.part.end => return Ok(None),
            SplitStep::Pattern(pattern) => {
                self.at = pattern.end(&self.text.as_bytes()[..self.part.end], start)
            }
            SplitStep::Split { delimiter, inverted, behavior } => {
                return self.next_split(delimiter, *inverted, *behavior);
            }
        }
        Ok(Some(start..self.at))
    }

    fn next_split(
        &mut self,
        delimiter: &Delimiter,
        inverted: bool,
        behavior: Behavior,
    ) -> Result<Option<Range<usize>>, Error> {
        let find = |walk: &mut Self| {
            let found = walk.find(delimiter)?;
            Ok(found.map(|found| Found { is_match: found.is_match != inverted, ..found }))
        };
        loop {
            let first = match self.next.take() {
                Some(next) => Some(next),
                None => find(self)?,
            };
            let Some(mut last) = first else { return Ok(None) };
            while let Some(next) = find(self)? {
                if !behavior.joins(last.is_match, next.is_match) {
                    self.next = Some(next);
                    break;
                }
                last = next;
            }
            let start = std::mem::replace(&mut self.at, last.end);
            let is_left_out = last.is_match && behavior == Behavior::Removed;
            if start < self.at && !is_left_out {
                return Ok(Some(start..self.at));
            }
        }
    }

    /// The next match, which may be empty, or what is before it.
    fn find(&mut self, delimiter: &Delimiter) -> Result<Option<Found>, Error> {
        let (start, end) = (self.found, self.part.end);
        let found = match delimiter {
            Delimiter::Number => first_of(self.text, start..end, char::is_numeric),
            Delimiter::Punctuation => first_of(self.text, start..end, is_punctuation),
            Delimiter::WhiteSpace => first_of(self.text, start..end, char::is_whitespace),
            Delimiter::NumberLetter => first_byte_of(self.text.as_bytes(), start..end, 1, is_number_letter),
            Delimiter::ThreeDigits => {
                first_byte_of(self.text.as_bytes(), start..end, 3, |byte| byte.is_ascii_digit())
            }
            Delimiter::WordCharacter => first_of(self.text, start..end, is_word_character),
            Delimiter::Character(_, character) => first_of(self.text, start..end, |c| c == *character),
            Delimiter::Regex(spelled, regex) => {
                if self.pending.is_none() {
                    let part = &self.text[self.part.clone()];
                    self.pending = self.matches.next(spelled, regex, part, self.part.start)?;
                }
                match self.pending.take_if(|pending| pending.start == start) {
                    Some(pending) => Some(Found { end: pending.end, is_match: true }),
                    None => {
                        let end = self.pending.as_ref().map_or(end, |pending| pending.start);
                        (start < end).then_some(Found { end, is_match: false })
                    }
                }
            }
        };
        self.found = found.map_or(start, |found| found.end);
        Ok(found)
    }
}

/// The first character of a part of `text` if it is one that is looked for, else all characters before one.
fn first_of(text: &str, part: Range<usize>, is_match: impl Fn(char) -> bool) -> Option<Found> {
    let (start, rest) = (part.start, &text[part]);
    let first = rest.chars().next()?;
    if is_match(first) {
        return Some(Found { end: start + first.len_utf8(), is_match: true });
    }
    let end = start + rest.find(is_match).unwrap_or(rest.len());
    Some(Found { end, is_match: false })
}

/// The same for `count` bytes that are looked for, one after another.
fn first_byte_of(
    text: &[u8],
    part: Range<usize>,
    count: usize,
    is_match: impl Fn(u8) -> bool,
) -> Option<Found> {
    let (start, rest) = (part.start, &text[part]);
    let found = rest.windows(count).position(|bytes| bytes.iter().all(|byte| is_match(*byte)));
    match found.unwrap_or(rest.len()) {
        0 if rest.is_empty() => None,
        0 => Some(Found { end: start + count, is_match: true }),
        len => Some(Found { end: start + len, is_match: false }),
    }
}

/// The letters of ², ³, ¹, ¼, ½ and ¾ are themselves.
fn is_number_letter(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | 0xb2 | 0xb3 | 0xb9 | 0xbc..=0xbe)
}

fn is_punctuation(c: char) -> bool {
    // All of ASCII's that Unicode has, and more.
    if c.is_ascii() { c.is_ascii_punctuation() } else { UnicodeCategories::is_punctuation(c) }
}
