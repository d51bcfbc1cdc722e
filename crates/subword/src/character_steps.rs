//! Steps that look for characters of a kind: those that follow one another are made in one walk.
//!
//! Whether such a step ends a piece between two characters depends on nothing but which of the two it looks for. So a list of
//! them, in which each splits what the one before it gave, ends a piece wherever one of them does.

use std::ops::Range;

use crate::character_kind::CharacterKind;
use crate::split_step::{Behavior, Delimiter, SplitStep};
use crate::word_ends::{BATCH, BLOCK, LEFT_OUT, block_of};

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
        while self.at < self.text.len() {
            let start = self.at;
            let end = self.end_of_one();
            if end & LEFT_OUT == 0 {
                return Some(start..end);
            }
        }
        None
    }

    /// Writes the ends of the next pieces into `ends` behind the first `count`, until the part ends or fewer than [`BLOCK`]
    /// would have room, and returns how many there are then. Those of what is left out are marked.
    ///
    /// ASCII is taken a block at a time, which begins where a piece begins, up to the last place where one is known to end.
    pub(crate) fn fill(&mut self, ends: &mut [usize; BATCH], mut count: usize) -> usize {
        while self.at < self.text.len() && count <= BATCH - BLOCK {
            let rest = &self.text.as_bytes()[self.at..];
            let begins_in_ascii = rest[0].is_ascii() && rest.get(1).is_none_or(u8::is_ascii);
            let Borders { mut ends_before, left_out } = match begins_in_ascii {
                true => self.steps.borders(block_of(rest, &mut [0; BLOCK])),
                false => Borders::default(),
            };
            if ends_before == 0 {
                ends[count] = self.end_of_one();
                count += 1;
                continue;
            }
            let (base, mut start) = (self.at, 0);
            while ends_before != 0 {
                let end = ends_before.trailing_zeros();
                let mark = if left_out >> start & 1 == 0 { 0 } else { LEFT_OUT };
                ends[count] = (base + end as usize) | mark;
                count += 1;
                start = end;
                ends_before &= ends_before - 1;
            }
            self.at = base + start as usize;
        }
        count
    }

    /// The end of the next piece, or, marked, of all that is left out before it.
    #[inline(always)]
    fn end_of_one(&mut self) -> usize {
        let Self { steps, text, .. } = *self;
        let Some((mut bits, len)) = steps.at(text, self.at) else { return self.at };
        self.at += len;
        let is_left_out = |bits: u8| bits & steps.left_out != 0;
        let goes_on = |bits: u8, next: u8| match is_left_out(bits) {
            true => is_left_out(next),
            false => !steps.divide(bits, next),
        };
        while let Some((next, len)) = steps.at(text, self.at)
            && goes_on(bits, next)
        {
            bits = next;
            self.at += len;
        }
        self.at | if is_left_out(bits) { LEFT_OUT } else { 0 }
    }
}

/// A bit for each byte of a block.
#[derive(Default)]
struct Borders {
    /// Whether a piece, or what is left out, ends before it. Nothing is known of the first one, and of none from the first
    /// on that is not ASCII.
    ends_before: u64,
    left_out: u64,
}

impl CharacterSteps {
    #[inline(always)]
    fn borders(&self, block: &[u8; BLOCK]) -> Borders {
        // Eight bytes are looked at together, with the bits of each in a byte of a number.
        let each = |bits: u8| u64::from(bits) * 0x0101_0101_0101_0101;
        let (before, behind, around) = (each(self.before), each(self.behind), each(self.around));
        let (mut borders, mut beyond, mut last) = (Borders::default(), 0, 0);
        for (number, eight) in block.as_chunks::<8>().0.iter().enumerate() {
            let found = u64::from_le_bytes(eight.map(|byte| self.ascii[usize::from(byte & 0x7f)]));
            let previous = found << 8 | last;
            let divided = previous & behind | found & before | (previous ^ found) & around;
            borders.ends_before |= u64::from(set_bytes(divided)) << (8 * number);
            borders.left_out |= u64::from(set_bytes(found & each(self.left_out))) << (8 * number);
            beyond |= u64::from(set_bytes(u64::from_le_bytes(*eight) & each(0x80))) << (8 * number);
            last = found >> 56;
        }
        let ascii = u64::MAX.checked_shr(64 - beyond.trailing_zeros()).unwrap_or(0);
        borders.ends_before &= ascii & !(borders.left_out & borders.left_out << 1) & !1;
        borders
    }
}

/// A bit for each of eight bytes that is not zero.
#[inline(always)]
fn set_bytes(bytes: u64) -> u8 {
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let high = (bytes & !HIGH).wrapping_add(!HIGH) | bytes;
    ((high & HIGH) >> 7).wrapping_mul(0x0102_0408_1020_4080).to_be_bytes()[0]
}
