//! How a text is split into words: by steps, each of which splits what the one before it gave.
//!
//! A step is a pattern that has a matcher of ours ([`crate::pattern`]), a kind of character, or any other regular expression,
//! which the reference's own library runs. The pieces of each step are all of its text, one after another.

use std::ops::Range;

use onig::{MatchParam, Regex, Region, SearchOptions};
use unicode_categories::UnicodeCategories;

use crate::blocks::{BATCH, BLOCK, PatternWalk};
use crate::error::Error;
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
}

/// All of them, by the names that files have.
pub(crate) const BEHAVIORS: [(Behavior, &str); 4] = [
    (Behavior::Isolated, "Isolated"),
    (Behavior::Contiguous, "Contiguous"),
    (Behavior::MergedWithPrevious, "MergedWithPrevious"),
    (Behavior::MergedWithNext, "MergedWithNext"),
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

    pub(crate) fn runs_regexes(&self) -> bool {
        let is_regex =
            |step: &SplitStep| matches!(step, SplitStep::Split { delimiter: Delimiter::Regex(..), .. });
        self.steps.iter().any(is_regex)
    }
}

impl Delimiter {
    /// A regular expression, as the reference reads it.
    pub(crate) fn regex(spelled: &str) -> Result<Self, Error> {
        let regex = Regex::new(spelled).map_err(|error| Error::Unsupported {
            reason: format!("its split pattern {spelled:?} is none: {}", error.description()),
        })?;
        Ok(Self::Regex(spelled.to_owned(), regex))
    }
}

impl Behavior {
    /// Whether two neighbors are one piece, of which each is a match or not.
    fn joins(self, is_match: bool, next_is_match: bool) -> bool {
        match self {
            Self::Isolated => false,
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
}

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
        }
    }

    /// Writes the ends of the next words into `ends` and returns how many there are: 0 at the end of the text.
    ///
    /// # Errors
    /// [`Error::Regex`]: the library gives up over the text.
    pub(crate) fn next_batch(&mut self, ends: &mut [usize; BATCH]) -> Result<usize, Error> {
        let mut count = 0;
        loop {
            match &mut self.last {
                Last::Pattern(blocks) => count = blocks.fill(ends, count),
                Last::Walk(walk) => {
                    while count < BATCH
                        && let Some(piece) = walk.next()?
                    {
                        ends[count] = piece.end;
                        count += 1;
                    }
                }
            }
            if count > BATCH - BLOCK {
                return Ok(count);
            }
            match next_piece(&mut self.outer, &mut self.whole)? {
                Some(piece) => match &mut self.last {
                    Last::Pattern(blocks) => blocks.begin(piece),
                    Last::Walk(walk) => walk.begin(piece),
                },
                None => return Ok(count),
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
    search: Search,
}

/// A match of a step, or what is between two.
#[derive(Clone, Copy)]
struct Found {
    end: usize,
    is_match: bool,
}

/// Where a regular expression is in its part of the text.
struct Search {
    region: Region,
    /// From where on is searched.
    from: usize,
    last_match_end: Option<usize>,
    /// A match of which what is before it was found, or will be next.
    pending: Option<Range<usize>>,
    is_over: bool,
}

impl<'a> Walk<'a> {
    fn new(step: &'a SplitStep, text: &'a str) -> Self {
        let search =
            Search { region: Region::new(), from: 0, last_match_end: None, pending: None, is_over: true };
        Self { step, text, part: 0..0, at: 0, next: None, found: 0, search }
    }

    fn begin(&mut self, part: Range<usize>) {
        let search = &mut self.search;
        (search.from, search.last_match_end, search.pending, search.is_over) =
            (part.start, None, None, false);
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
                let find = |walk: &mut Self| {
                    let found = walk.find(delimiter)?;
                    Ok(found.map(|found| Found { is_match: found.is_match != *inverted, ..found }))
                };
                while self.at == start {
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
                    self.at = last.end;
                }
            }
        }
        Ok(Some(start..self.at))
    }

    /// The next match, which may be empty, or what is before it.
    fn find(&mut self, delimiter: &Delimiter) -> Result<Option<Found>, Error> {
        let (start, end) = (self.found, self.part.end);
        let found = match delimiter {
            Delimiter::Number => first_of(self.text, start..end, char::is_numeric),
            Delimiter::Punctuation => first_of(self.text, start..end, is_punctuation),
            Delimiter::Regex(spelled, regex) => {
                let search = &mut self.search;
                if search.pending.is_none() && !search.is_over {
                    let part = &self.text[self.part.clone()];
                    search.next(regex, part, self.part.start).map_err(|source| Error::Regex {
                        pattern: spelled.clone(),
                        why: source.description().to_owned(),
                    })?;
                }
                match search.pending.take_if(|pending| pending.start == start) {
                    Some(pending) => Some(Found { end: pending.end, is_match: true }),
                    None => {
                        let end = search.pending.as_ref().map_or(end, |pending| pending.start);
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

fn is_punctuation(c: char) -> bool {
    c.is_ascii_punctuation() || UnicodeCategories::is_punctuation(c)
}

impl Search {
    /// Looks for the next match in `part`, which begins at `start`, as the reference's `find_iter` does.
    fn next(&mut self, regex: &Regex, part: &str, start: usize) -> Result<(), onig::Error> {
        let end = start + part.len();
        while self.from <= end {
            self.region.clear();
            let (from, options) = (self.from - start, SearchOptions::SEARCH_OPTION_NONE);
            let region = Some(&mut self.region);
            regex.search_with_param(part, from, part.len(), options, region, MatchParam::default())?;
            let Some((first, last)) = self.region.pos(0) else { break };
            let found = start + first..start + last;
            if found.is_empty() && self.last_match_end == Some(found.end) {
                // Nothing behind a match is none.
                let next = part[from..].chars().next();
                self.from += next.map_or(1, char::len_utf8);
                continue;
            }
            (self.from, self.last_match_end) = (found.end, Some(found.end));
            self.pending = Some(found);
            return Ok(());
        }
        self.is_over = true;
        Ok(())
    }
}
