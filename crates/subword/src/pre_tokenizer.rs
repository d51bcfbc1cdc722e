//! How a text is split into words: by steps, each of which splits what the one before it gave.
//!
//! A step is a pattern that has a matcher of ours ([`crate::pattern`]), a kind of character ([`crate::character_steps`]), or any
//! other regular expression, which the reference's own library runs; behind them steps may divide words
//! ([`crate::word_steps`]). The pieces of a step are all of its text, one after another, but for what it leaves out.

use std::ops::Range;

use crate::blocks::PatternWalk;
use crate::character_kind::CharacterKind;
use crate::character_steps::{CharacterSteps, CharacterWalk};
use crate::error::Error;
use crate::matches::Matches;
use crate::pattern::Pattern;
use crate::split_step::{Behavior, Delimiter, SplitStep};
use crate::word_ends::{BATCH, BLOCK, LEFT_OUT};
use crate::word_steps::WordSteps;

/// The steps, at least one.
#[derive(Debug)]
pub(crate) struct PreTokenizer {
    steps: Vec<SplitStep>,
    /// What makes them, in order, but for those that divide words.
    stages: Vec<Stage>,
    word_steps: Option<WordSteps>,
}

/// One walk through a text.
#[derive(Debug)]
enum Stage {
    /// The step at this place.
    Step(usize),
    /// A pattern, between whose matches is white space, which was left out before.
    Words(Pattern),
    /// Several steps.
    Characters(CharacterSteps),
}

impl Stage {
    /// What makes the first of `steps`, which begin at `place`, and how many of them.
    fn first_of(steps: &[SplitStep], place: usize) -> (Self, usize) {
        if let [
            SplitStep::Split { delimiter, inverted: false, behavior: Behavior::Removed },
            SplitStep::Pattern(pattern),
            ..,
        ] = steps
            && matches!(delimiter, Delimiter::Character(CharacterKind::WhiteSpace))
            && pattern.covers_words()
        {
            return (Self::Words(*pattern), 2);
        }
        match CharacterSteps::first_of(steps) {
            Some((characters, count)) => (Self::Characters(characters), count),
            None => (Self::Step(place), 1),
        }
    }
}

impl PreTokenizer {
    /// `steps` must not be empty.
    pub(crate) fn new(steps: Vec<SplitStep>) -> Self {
        assert!(!steps.is_empty(), "a text is split by something");
        let word_steps: Vec<_> = steps
            .iter()
            .filter_map(|step| match step {
                SplitStep::Word(step) => Some(*step),
                _ => None,
            })
            .collect();
        let (mut stages, mut at) = (Vec::new(), 0);
        while at < steps.len() - word_steps.len() {
            let (stage, count) = Stage::first_of(&steps[at..], at);
            stages.push(stage);
            at += count;
        }
        let word_steps = if word_steps.is_empty() { None } else { Some(WordSteps::new(&word_steps)) };
        Self { steps, stages, word_steps }
    }

    pub(crate) fn steps(&self) -> &[SplitStep] {
        &self.steps
    }

    /// Whether words may begin or end inside a character.
    pub(crate) fn divides_characters(&self) -> bool {
        self.word_steps.is_some_and(WordSteps::look_at_numbers)
    }

    pub(crate) fn runs_regexes(&self) -> bool {
        let is_regex =
            |step: &SplitStep| matches!(step, SplitStep::Split { delimiter: Delimiter::Regex(..), .. });
        self.steps.iter().any(is_regex)
    }
}

/// Walks through a text by batches of words.
pub(crate) struct Splitter<'a> {
    text: &'a str,
    /// The text, until it is split.
    whole: Option<Range<usize>>,
    /// The stages, but for the last.
    outer: Vec<Walk<'a>>,
    last: Walk<'a>,
    /// Where the last word ends.
    end: usize,
    words: Option<WordWalk>,
}

impl<'a> Splitter<'a> {
    pub(crate) fn new(pre_tokenizer: &'a PreTokenizer, text: &'a str) -> Self {
        let walk = |stage| Walk::new(stage, &pre_tokenizer.steps, text);
        let mut outer: Vec<_> = pre_tokenizer.stages.iter().map(walk).collect();
        Self {
            text,
            whole: Some(0..text.len()),
            last: outer.pop().unwrap_or(Walk::Whole(0..0)),
            outer,
            end: 0,
            words: pre_tokenizer.word_steps.map(WordWalk::new),
        }
    }

    /// Writes the ends of the next words into `ends` and returns how many there are: 0 at the end of the text. What is left
    /// out before the next word has an end, too, marked by [`LEFT_OUT`].
    ///
    /// # Errors
    /// [`Error::Regex`]: the library gives up over the text.
    pub(crate) fn next_batch(&mut self, ends: &mut [usize; BATCH]) -> Result<usize, Error> {
        let Some(mut words) = self.words.take() else { return self.next_words(ends) };
        let count = words.fill(self, ends);
        self.words = Some(words);
        count
    }

    /// The same before words are divided.
    fn next_words(&mut self, ends: &mut [usize; BATCH]) -> Result<usize, Error> {
        let mut count = 0;
        loop {
            let before = count;
            count = self.last.fill(ends, count)?;
            self.end = if before < count { ends[count - 1] & !LEFT_OUT } else { self.end };
            if count >= BATCH - BLOCK {
                return Ok(count);
            }
            let Some(piece) = next_piece(&mut self.outer, &mut self.whole)? else { return Ok(count) };
            if piece.start > self.end {
                ends[count] = piece.start | LEFT_OUT;
                count += 1;
            }
            self.last.begin(piece);
        }
    }
}

/// Walks through words by what divides them.
struct WordWalk {
    steps: WordSteps,
    /// Where words end, the first of which was not taken to its end.
    words: Box<[usize; BATCH]>,
    next: usize,
    count: usize,
    /// Where the next piece begins.
    at: usize,
}

impl WordWalk {
    fn new(steps: WordSteps) -> Self {
        Self { steps, words: Box::new([0; BATCH]), next: 0, count: 0, at: 0 }
    }

    fn fill(&mut self, splitter: &mut Splitter<'_>, ends: &mut [usize; BATCH]) -> Result<usize, Error> {
        for (filled, end) in ends.iter_mut().enumerate() {
            if self.next == self.count {
                (self.next, self.count) = (0, splitter.next_words(&mut self.words)?);
                if self.count == 0 {
                    return Ok(filled);
                }
            }
            let word_end = self.words[self.next];
            *end = match word_end & LEFT_OUT {
                0 => self.steps.end(splitter.text.as_bytes(), self.at..word_end),
                _ => word_end,
            };
            self.next += usize::from(*end == word_end);
            self.at = *end & !LEFT_OUT;
        }
        Ok(BATCH)
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

/// Walks through a part of a text by the pieces of a stage.
enum Walk<'a> {
    /// The part as it is.
    Whole(Range<usize>),
    Pattern(PatternWalk<'a>),
    Characters(CharacterWalk<'a>),
    Split(Box<SplitWalk<'a>>),
}

impl<'a> Walk<'a> {
    fn new(stage: &'a Stage, steps: &'a [SplitStep], text: &'a str) -> Self {
        let by_pattern = |pattern: &Pattern, leaves_out_spaces| {
            Self::Pattern(PatternWalk::new(*pattern, leaves_out_spaces, text.as_bytes()))
        };
        match stage {
            Stage::Characters(steps) => Self::Characters(CharacterWalk::new(steps, text)),
            Stage::Words(pattern) => by_pattern(pattern, true),
            Stage::Step(place) => match &steps[*place] {
                SplitStep::Pattern(pattern) => by_pattern(pattern, false),
                SplitStep::Split { delimiter, inverted, behavior } => {
                    Self::Split(Box::new(SplitWalk::new(delimiter, *inverted, *behavior, text)))
                }
                SplitStep::Word(_) => unreachable!("it is behind all stages"),
            },
        }
    }

    fn begin(&mut self, part: Range<usize>) {
        match self {
            Self::Whole(whole) => *whole = part,
            Self::Pattern(walk) => walk.begin(part),
            Self::Characters(walk) => walk.begin(part),
            Self::Split(walk) => walk.begin(part),
        }
    }

    /// The next piece, which is not empty.
    #[inline(always)]
    fn next(&mut self) -> Result<Option<Range<usize>>, Error> {
        match self {
            Self::Whole(_) => unreachable!("it is the only stage"),
            Self::Pattern(walk) => Ok(walk.next()),
            Self::Characters(walk) => Ok(walk.next()),
            Self::Split(walk) => walk.next(),
        }
    }

    /// Writes the ends of the next pieces into `ends` behind the first `count`, until the part ends or fewer than [`BLOCK`]
    /// would have room, and returns how many there are then. Those of what is left out are marked.
    #[inline(always)]
    fn fill(&mut self, ends: &mut [usize; BATCH], mut count: usize) -> Result<usize, Error> {
        match self {
            Self::Whole(whole) if whole.start == whole.end => {}
            Self::Whole(whole) => {
                ends[count] = std::mem::take(whole).end;
                count += 1;
            }
            Self::Pattern(walk) => count = walk.fill(ends, count),
            Self::Characters(walk) => count = walk.fill(ends, count),
            Self::Split(walk) => {
                while count <= BATCH - BLOCK {
                    let end = walk.at;
                    let Some(piece) = walk.next()? else { break };
                    if piece.start > end {
                        ends[count] = piece.start | LEFT_OUT;
                        count += 1;
                    }
                    ends[count] = piece.end;
                    count += 1;
                }
            }
        }
        Ok(count)
    }
}

/// Walks through a part of a text by what is found and what is between.
struct SplitWalk<'a> {
    delimiter: &'a Delimiter,
    inverted: bool,
    behavior: Behavior,
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

impl<'a> SplitWalk<'a> {
    fn new(delimiter: &'a Delimiter, inverted: bool, behavior: Behavior, text: &'a str) -> Self {
        Self {
            delimiter,
            inverted,
            behavior,
            text,
            part: 0..0,
            at: 0,
            next: None,
            found: 0,
            matches: Matches::new(),
            pending: None,
        }
    }

    fn begin(&mut self, part: Range<usize>) {
        self.matches.begin(part.start);
        self.pending = None;
        (self.at, self.next, self.found) = (part.start, None, part.start);
        self.part = part;
    }

    fn next(&mut self) -> Result<Option<Range<usize>>, Error> {
        let find = |walk: &mut Self| {
            let found = walk.find()?;
            Ok(found.map(|found| Found { is_match: found.is_match != walk.inverted, ..found }))
        };
        loop {
            let first = match self.next.take() {
                Some(next) => Some(next),
                None => find(self)?,
            };
            let Some(mut last) = first else { return Ok(None) };
            while let Some(next) = find(self)? {
                if !self.behavior.joins(last.is_match, next.is_match) {
                    self.next = Some(next);
                    break;
                }
                last = next;
            }
            let start = std::mem::replace(&mut self.at, last.end);
            let is_left_out = last.is_match && self.behavior == Behavior::Removed;
            if start < self.at && !is_left_out {
                return Ok(Some(start..self.at));
            }
        }
    }

    /// The next match, which may be empty, or what is before it.
    fn find(&mut self) -> Result<Option<Found>, Error> {
        let (start, end) = (self.found, self.part.end);
        let found = match self.delimiter {
            Delimiter::Character(_) => unreachable!("a walk of its own"),
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
