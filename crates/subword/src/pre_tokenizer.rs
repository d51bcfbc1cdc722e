//! How a text is split into words: by steps, each of which splits what the one before it gave.
//!
//! A step is a pattern that has a matcher of ours ([`crate::pattern`]), a kind of character ([`crate::character_steps`]), or any
//! other regular expression, which the reference's own library runs. The pieces of a step are all of its text, one after another, but for what it
//! leaves out.

use std::ops::Range;

use crate::blocks::{BATCH, BLOCK, PatternWalk};
use crate::character_steps::{CharacterSteps, CharacterWalk};
use crate::error::Error;
use crate::matches::Matches;
use crate::split_step::{Behavior, Delimiter, SplitStep};

/// The steps, at least one.
#[derive(Debug)]
pub(crate) struct PreTokenizer {
    steps: Vec<SplitStep>,
    /// What makes them, in order.
    stages: Vec<Stage>,
}

/// One walk through a text.
#[derive(Debug)]
enum Stage {
    /// The step at this place.
    Step(usize),
    /// Several steps.
    Characters(CharacterSteps),
}

impl PreTokenizer {
    /// `steps` must not be empty.
    pub(crate) fn new(steps: Vec<SplitStep>) -> Self {
        assert!(!steps.is_empty(), "a text is split by something");
        let (mut stages, mut at) = (Vec::new(), 0);
        while at < steps.len() {
            let (stage, count) = match CharacterSteps::first_of(&steps[at..]) {
                Some((characters, count)) => (Stage::Characters(characters), count),
                None => (Stage::Step(at), 1),
            };
            stages.push(stage);
            at += count;
        }
        Self { steps, stages }
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
        let (last, outer) = pre_tokenizer.stages.split_last().expect("there is a stage");
        let walk = |stage| Walk::new(stage, &pre_tokenizer.steps, text);
        Self {
            whole: Some(0..text.len()),
            outer: outer.iter().map(walk).collect(),
            last: match walk(last) {
                Walk::Pattern(pattern) => Last::Pattern(pattern),
                other => Last::Walk(other),
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

/// Walks through a part of a text by the pieces of a stage.
enum Walk<'a> {
    Pattern(PatternWalk<'a>),
    Characters(CharacterWalk<'a>),
    Split(Box<SplitWalk<'a>>),
}

impl<'a> Walk<'a> {
    fn new(stage: &'a Stage, steps: &'a [SplitStep], text: &'a str) -> Self {
        match stage {
            Stage::Characters(steps) => Self::Characters(CharacterWalk::new(steps, text)),
            Stage::Step(place) => match &steps[*place] {
                SplitStep::Pattern(pattern) => Self::Pattern(PatternWalk::new(*pattern, text.as_bytes())),
                SplitStep::Split { delimiter, inverted, behavior } => {
                    Self::Split(Box::new(SplitWalk::new(delimiter, *inverted, *behavior, text)))
                }
            },
        }
    }

    fn begin(&mut self, part: Range<usize>) {
        match self {
            Self::Pattern(walk) => walk.begin(part),
            Self::Characters(walk) => walk.begin(part),
            Self::Split(walk) => walk.begin(part),
        }
    }

    /// The next piece, which is not empty.
    #[inline(always)]
    fn next(&mut self) -> Result<Option<Range<usize>>, Error> {
        match self {
            Self::Pattern(walk) => Ok(walk.next()),
            Self::Characters(walk) => Ok(walk.next()),
            Self::Split(walk) => walk.next(),
        }
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
            Delimiter::NumberLetter => first_byte_of(self.text.as_bytes(), start..end, 1, is_number_letter),
            Delimiter::ThreeDigits => {
                first_byte_of(self.text.as_bytes(), start..end, 3, |byte| byte.is_ascii_digit())
            }
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

/// The first `count` bytes of a part of `text` if they are looked for, else all bytes before as many.
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
