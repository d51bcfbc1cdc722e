//! Steps that look for characters of a kind: those that follow one another are made in one walk.
//!
//! Whether such a step ends a piece between two characters depends on nothing but which of the two it looks for. So a list of
//! them, in which each splits what the one before it gave, ends a piece wherever one of them does.

use std::ops::Range;

use crate::character_kind::CharacterKind;
use crate::split_step::{Behavior, Delimiter, SplitStep};

/// Most steps that are made in one walk: a bit for each.
pub(crate) const STEPS_MAX: usize = 8;

/// A step that looks for a kind, or for all others.
#[derive(Debug)]
struct CharacterStep {
    kind: CharacterKind,
    inverted: bool,
}

/// See the [module](self). Numbers have a bit for each step.
#[derive(Debug)]
pub(crate) struct CharacterSteps {
    steps: Vec<CharacterStep>,
    /// The steps that look for each character of ASCII.
    ascii: [u8; 128],
    /// Those that end a piece before what they look for.
    before: u8,
    /// Those that end one behind it.
    behind: u8,
    /// Those that end one where it begins and where it ends.
    around: u8,
    /// Those that leave it out.
    left_out: u8,
}

impl CharacterSteps {
    /// The steps that `steps` begins with, up to [`STEPS_MAX`] of them, if there are any, and how many they are.
    pub(crate) fn first_of(steps: &[SplitStep]) -> Option<(Self, usize)> {
        let mut this =
            Self { steps: Vec::new(), ascii: [0; 128], before: 0, behind: 0, around: 0, left_out: 0 };
        for step in steps.iter().take(STEPS_MAX) {
            let SplitStep::Split { delimiter: Delimiter::Character(kind), inverted, behavior } = step else {
                break;
            };
            let bit = 1 << this.steps.len();
            match behavior {
                Behavior::Isolated => (this.before, this.behind) = (this.before | bit, this.behind | bit),
                Behavior::Removed => {
                    (this.before, this.behind) = (this.before | bit, this.behind | bit);
                    this.left_out |= bit;
                }
                Behavior::Contiguous => this.around |= bit,
                Behavior::MergedWithPrevious => this.behind |= bit,
                Behavior::MergedWithNext => this.before |= bit,
            }
            this.steps.push(CharacterStep { kind: kind.clone(), inverted: *inverted });
        }
        for byte in 0..128_u8 {
            this.ascii[usize::from(byte)] = this.bits(char::from(byte));
        }
        let count = this.steps.len();
        (count > 0).then_some((this, count))
    }

    /// The steps that look for `c`.
    fn bits(&self, c: char) -> u8 {
        let bit =
            |(place, step): (usize, &CharacterStep)| u8::from(step.kind.has(c) != step.inverted) << place;
        self.steps.iter().enumerate().map(bit).fold(0, |bits, bit| bits | bit)
    }

    /// The same for the character at `at`, if there is one, and its length in bytes.
    #[inline(always)]
    fn at(&self, text: &str, at: usize) -> Option<(u8, usize)> {
        match *text.as_bytes().get(at)? {
            byte @ 0..0x80 => Some((self.ascii[usize::from(byte)], 1)),
            _ => text[at..].chars().next().map(|c| (self.bits(c), c.len_utf8())),
        }
    }

    /// Whether a piece ends between two characters that these steps look for.
    #[inline(always)]
    fn divide(&self, first: u8, second: u8) -> bool {
        (first & self.behind | second & self.before | (first ^ second) & self.around) != 0
    }
}

/// Walks through a part of a text by the pieces of such steps.
pub(crate) struct CharacterWalk<'a> {
    steps: &'a CharacterSteps,
    whole: &'a str,
    /// The text up to the end of the part.
    text: &'a str,
    at: usize,
}

impl<'a> CharacterWalk<'a> {
    /// An empty part of `text`.
    pub(crate) fn new(steps: &'a CharacterSteps, text: &'a str) -> Self {
        Self { steps, whole: text, text: "", at: 0 }
    }

    pub(crate) fn begin(&mut self, part: Range<usize>) {
        self.text = &self.whole[..part.end];
        self.at = part.start;
    }

    /// The next piece, which is not empty.
    #[inline(always)]
    pub(crate) fn next(&mut self) -> Option<Range<usize>> {
        let Self { steps, text, .. } = *self;
        loop {
            let start = self.at;
            let (mut bits, len) = steps.at(text, start)?;
            self.at += len;
            if bits & steps.left_out != 0 {
                continue;
            }
            while let Some((next, len)) = steps.at(text, self.at)
                && !steps.divide(bits, next)
            {
                bits = next;
                self.at += len;
            }
            return Some(start..self.at);
        }
    }
}
