//! Splitting ASCII 64 bytes at a time.
//!
//! A block always begins where a piece begins, so no state passes from block to block. Its bytes
//! are turned into bit masks, a bit for each byte and a mask for each class, and the starts of
//! pieces follow by shifting and combining masks, all 64 at once. The last run of equal class may
//! go on beyond the block (or into a character that isn't ASCII), so only starts up to that run
//! are trusted, and the next block begins at the last of them. Where that makes no progress
//! [`Pattern::end`] finds one piece. Bytes are thus classified about 1.1 times each, in return for
//! code without carries.

use std::ops::Range;

use crate::pattern::Pattern;
use crate::unicode::{Char, SPACES};
use crate::word_ends::{BATCH, BLOCK, LEFT_OUT, block_of};

/// Walks through a part of a text by a pattern's pieces.
pub(crate) struct PatternWalk<'a> {
    pattern: Pattern,
    whole: &'a [u8],
    /// The text up to the end of the part.
    text: &'a [u8],
    at: usize,
    /// Whether white space, which has pieces of its own, is left out.
    leaves_out_spaces: bool,
}

impl<'a> PatternWalk<'a> {
    /// An empty part of `text`, which must be UTF-8.
    pub(crate) fn new(pattern: Pattern, leaves_out_spaces: bool, text: &'a [u8]) -> Self {
        Self { pattern, whole: text, text: &[], at: 0, leaves_out_spaces }
    }

    pub(crate) fn begin(&mut self, part: Range<usize>) {
        self.text = &self.whole[..part.end];
        self.at = part.start;
    }

    /// The next piece.
    pub(crate) fn next(&mut self) -> Option<Range<usize>> {
        loop {
            let start = self.at;
            self.at = (start < self.text.len()).then(|| self.pattern.end(self.text, start))?;
            if self.left_out(start) == 0 {
                return Some(start..self.at);
            }
        }
    }

    /// [`LEFT_OUT`] if the piece that begins at `start` is.
    #[inline(always)]
    fn left_out(&self, start: usize) -> usize {
        let is_space = || Char::at(self.text, start).is_some_and(|c| c.is(SPACES));
        if self.leaves_out_spaces && is_space() { LEFT_OUT } else { 0 }
    }

    /// Writes the ends of the next pieces into `ends` behind the first `count`, until the part ends or fewer than [`BLOCK`]
    /// would have room, and returns how many there are then. Pieces that are left out are marked.
    pub(crate) fn fill(&mut self, ends: &mut [usize; BATCH], count: usize) -> usize {
        #[cfg(target_arch = "x86_64")]
        if has_avx2() {
            #[expect(unsafe_code, reason = "code for a newer processor may only be called on one")]
            // SAFETY: the processor has the features.
            return unsafe {
                match self.pattern {
                    Pattern::DeepSeek => x86::fill::<true, false>(self, ends, count),
                    Pattern::Bloom => x86::fill::<false, true>(self, ends, count),
                    _ => x86::fill::<false, false>(self, ends, count),
                }
            };
        }
        self.fill_by(ends, count, Masks::of)
    }

    #[inline(always)]
    fn fill_by(
        &mut self,
        ends: &mut [usize; BATCH],
        mut count: usize,
        classify: impl Fn(&[u8; BLOCK]) -> Masks,
    ) -> usize {
        while self.at < self.text.len() && count <= BATCH - BLOCK {
            let mut starts = 0;
            if self.begins_in_ascii() {
                let mut tail = [0; BLOCK];
                let block = block_of(&self.text[self.at..], &mut tail);
                starts = classify(block).starts(self.pattern, block);
            }
            if starts == 0 {
                let left_out = self.left_out(self.at);
                self.at = self.pattern.end(self.text, self.at);
                ends[count] = self.at | left_out;
                count += 1;
                continue;
            }
            let base = self.at;
            while starts != 0 {
                let left_out = self.left_out(self.at);
                self.at = base + starts.trailing_zeros() as usize;
                // Fewer than 64 starts follow the first, so there is room.
                ends[count] = self.at | left_out;
                count += 1;
                starts &= starts - 1;
            }
        }
        count
    }

    /// Whether the next piece can be expected to lie in ASCII.
    #[inline(always)]
    fn begins_in_ascii(&self) -> bool {
        let head = &self.text[self.at..];
        head[0] < 0x80 && head.get(1).is_none_or(|&byte| byte < 0x80)
    }
}

/// Which bytes of a block are of which class: bit `i` stands for byte `i`.
#[derive(Clone, Copy, Default)]
struct Masks {
    /// ASCII letters.
    letter: u64,
    /// `A` to `Z`.
    upper: u64,
    /// `0` to `9`.
    digit: u64,
    /// White space, newlines included.
    space: u64,
    /// `\r` and `\n`.
    newline: u64,
    /// U+0020 alone.
    blank: u64,
    apostrophe: u64,
    slash: u64,
    /// Control characters, those that are white space among them, for the pattern that asks for them.
    control: u64,
    /// What ends BLOOM's words, for its pattern.
    stop: u64,
    /// Bytes of other than ASCII characters.
    beyond: u64,
}

impl Masks {
    /// The portable way to make masks.
    fn of(block: &[u8; BLOCK]) -> Self {
        let mask =
            |is: fn(u8) -> bool| block.iter().rev().fold(0, |mask, &byte| mask << 1 | u64::from(is(byte)));
        Self {
            letter: mask(|b| b.is_ascii_alphabetic()),
            upper: mask(|b| b.is_ascii_uppercase()),
            digit: mask(|b| b.is_ascii_digit()),
            space: mask(|b| matches!(b, b'\t'..=b'\r' | b' ')),
            newline: mask(|b| matches!(b, b'\r' | b'\n')),
            blank: mask(|b| b == b' '),
            apostrophe: mask(|b| b == b'\''),
            slash: mask(|b| b == b'/'),
            control: mask(|b| b.is_ascii_control()),
            stop: mask(|b| {
                matches!(b, b'\t'..=b'\r' | b' ' | b'(' | b')' | b'|' | b'.' | b',' | b'!' | b'?')
            }),
            beyond: mask(|b| b >= 0x80),
        }
    }

    /// The starts of the pieces after the first, as far as the block lets them be known. If there
    /// are none, nothing is known.
    #[inline(always)]
    fn starts(mut self, pattern: Pattern, block: &[u8; BLOCK]) -> u64 {
        let ascii = below(self.beyond.trailing_zeros());
        for mask in [
            &mut self.letter,
            &mut self.upper,
            &mut self.digit,
            &mut self.space,
            &mut self.newline,
            &mut self.blank,
        ] {
            *mask &= ascii;
        }
        let symbol = ascii & !(self.letter | self.digit | self.space);
        let runs = Runs {
            letter: first_bits(self.letter),
            digit: first_bits(self.digit),
            symbol: first_bits(symbol),
            space: first_bits(self.space),
        };
        // Masks cover the ASCII prefix only, so its first byte, at least, begins a run.
        let last_run = 63 - (runs.letter | runs.digit | runs.symbol | runs.space | 1).leading_zeros();
        let (starts, trusted) = match pattern {
            Pattern::Gpt2 => self.gpt2(&runs, last_run, block),
            Pattern::Cl100k => (self.cl100k(&runs, symbol, each(3, self.digit), block), last_run),
            Pattern::Nanochat => (self.cl100k(&runs, symbol, each(2, self.digit), block), last_run),
            // In ASCII there are no marks.
            Pattern::Qwen2 | Pattern::Qwen35 => (self.cl100k(&runs, symbol, self.digit, block), last_run),
            Pattern::O200k => self.cased(&runs, symbol, last_run, block, true, true),
            Pattern::Kimi => self.cased(&runs, symbol, last_run, block, true, false),
            Pattern::Tekken => self.cased(&runs, symbol, last_run, block, false, true),
            Pattern::DeepSeek => return self.deepseek(symbol),
            Pattern::Clip => self.clip(&runs, last_run, block),
            Pattern::ClipTokens => self.clip(&runs, last_run.min(before_tokens(&runs, block)), block),
            Pattern::Bloom => return self.bloom(ascii),
        };
        starts & below(trusted + 1) & !1
    }

    #[inline(always)]
    fn gpt2(&self, runs: &Runs, last_run: u32, block: &[u8; BLOCK]) -> (u64, u32) {
        let led = self.blank << 1;
        let mut starts = (runs.letter | runs.digit | runs.symbol) & !led;
        starts |= runs.space | self.space & !(self.space >> 1);
        self.contracted(starts, runs.symbol & !led, last_run, block)
    }

    /// White space is apart, and each digit.
    #[inline(always)]
    fn clip(&self, runs: &Runs, last_run: u32, block: &[u8; BLOCK]) -> (u64, u32) {
        let starts = runs.letter | self.digit | runs.symbol | runs.space;
        self.contracted(starts, runs.symbol, last_run, block)
    }

    /// `starts` where an apostrophe that begins a piece at one of `symbols` takes letters along.
    #[inline(always)]
    fn contracted(&self, mut starts: u64, symbols: u64, last_run: u32, block: &[u8; BLOCK]) -> (u64, u32) {
        let mut candidates = self.apostrophe & symbols & self.letter >> 1;
        while candidates != 0 {
            let at = candidates.trailing_zeros();
            candidates &= candidates - 1;
            let length = contraction(block, at, 0);
            // Up to the last run the letters that follow are known; from it on they may not be.
            if length > 0 || at + 1 == last_run {
                starts &= !(2 << at);
                starts |= bit(at + length) & self.letter;
            }
        }
        (starts, last_run)
    }

    #[inline(always)]
    fn cl100k(&self, runs: &Runs, symbol: u64, digits: u64, block: &[u8; BLOCK]) -> u64 {
        let alone = runs.symbol & !(self.blank << 1) & self.letter >> 1;
        let mut starts = self.words(runs, alone) | digits | self.spaces(symbol);
        let mut candidates = self.apostrophe & alone;
        while candidates != 0 {
            let at = candidates.trailing_zeros();
            candidates &= candidates - 1;
            starts |= bit(at + contraction(block, at, 32)) & self.letter;
        }
        starts
    }

    /// `has_contractions` and, which goes with it, three digits to a piece; `takes_slashes` behind signs.
    #[inline(always)]
    fn cased(
        &self,
        runs: &Runs,
        symbol: u64,
        last_run: u32,
        block: &[u8; BLOCK],
        has_contractions: bool,
        takes_slashes: bool,
    ) -> (u64, u32) {
        let alone = runs.symbol & !(self.blank << 1) & self.letter >> 1;
        let digits = if has_contractions { each(3, self.digit) } else { self.digit };
        let mut starts = self.words(runs, alone) | digits | self.spaces(symbol);
        starts |= self.upper & (self.letter & !self.upper) << 1;
        let mut trusted = last_run;
        // A slash that follows newlines that follow a symbol belongs to the symbol's piece: rare
        // enough to leave to the general matcher, from the symbol on.
        let slashes = attached(symbol, self.newline) & self.slash >> 1;
        if takes_slashes && slashes != 0 {
            let symbols = runs.symbol & below(slashes.trailing_zeros());
            trusted = trusted.min(63 - (symbols | 1).leading_zeros());
        }
        if !has_contractions {
            return (starts, trusted);
        }
        // An apostrophe right after a word is the start of a contraction that ends the word, unless
        // the word itself is the end of a contraction.
        let mut candidates = self.apostrophe & runs.symbol & self.letter << 1;
        let mut contracted = 0;
        while candidates != 0 {
            let at = candidates.trailing_zeros();
            candidates &= candidates - 1;
            if at + 1 >= last_run {
                trusted = trusted.min(at.saturating_sub(1));
                break;
            }
            let length = contraction(block, at, 32);
            if length > 0 && contracted != at {
                contracted = at + length;
                starts &= below(at) | !below(contracted);
                starts |= bit(contracted) & self.letter;
            }
        }
        (starts, trusted)
    }

    /// DeepSeek's: digits are apart, so that white space before them is a piece; controls are no signs, and the last one
    /// before a word goes with it.
    #[inline(always)]
    fn deepseek(&self, symbol: u64) -> u64 {
        let (sign, control) = (symbol & !self.control, symbol & self.control);
        let runs = Runs {
            letter: first_bits(self.letter),
            digit: first_bits(self.digit),
            symbol: first_bits(sign),
            space: first_bits(self.space),
        };
        let all = runs.letter | runs.digit | runs.symbol | runs.space | first_bits(control);
        let trusted = 63 - (all | 1).leading_zeros();
        // A sign takes the letters behind it where no blank and no sign is before it.
        let alone = runs.symbol & !(self.blank << 1) & self.letter >> 1;
        let mut starts = self.words(&runs, alone | control) | each(3, self.digit) | first_bits(control);
        starts |= control & self.letter >> 1;
        // Nothing is left of white space before a digit, but for what is a piece anyway.
        let narrow = self.space & !self.newline;
        let before_digits = narrow & self.digit >> 1 & !first_bits(self.space) & !(self.newline << 1);
        starts |= self.spaces(sign) & !before_digits;
        starts & below(trusted + 1) & !1
    }

    /// BLOOM's: words take a blank before them along, and what is between them is a piece.
    #[inline(always)]
    fn bloom(&self, ascii: u64) -> u64 {
        let (stop, word) = (self.stop & ascii, !self.stop & ascii);
        let led = self.blank & word >> 1;
        let runs = first_bits(word) | first_bits(stop);
        let trusted = 63 - (runs | 1).leading_zeros();
        let starts = led | first_bits(word) & !(led << 1) | first_bits(stop & !led);
        starts & below(trusted + 1) & !1
    }

    /// Starts of words and of symbols, where a word may take one character before it along:
    /// white space, or a symbol that stands `alone`.
    #[inline(always)]
    fn words(&self, runs: &Runs, alone: u64) -> u64 {
        let prefix = self.space & !self.newline | alone;
        runs.letter & !(prefix << 1) | runs.symbol & !(self.blank << 1)
    }

    /// Starts in white space, for patterns with `SYMBOL+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`.
    #[inline(always)]
    fn spaces(&self, symbol: u64) -> u64 {
        let narrow = self.space & !self.newline;
        // The last character of a run is left to what follows.
        let mut starts = narrow & !(self.space >> 1);
        starts |= first_bits(self.space & !attached(symbol, self.newline));
        // What follows the last newline of a run is a piece of its own.
        let mut candidates = self.newline << 1 & narrow;
        let ends_before_newline = narrow.wrapping_add(first_bits(narrow)) & self.newline;
        if ends_before_newline == 0 {
            return starts | candidates;
        }
        while candidates != 0 {
            let at = candidates.trailing_zeros();
            candidates &= candidates - 1;
            let end = (!narrow & !below(at)).trailing_zeros();
            if bit(end) & self.newline == 0 {
                starts |= bit(at);
            }
        }
        starts
    }
}

/// The first bytes of runs of one class.
struct Runs {
    letter: u64,
    digit: u64,
    symbol: u64,
    space: u64,
}

/// Where the signs begin with which one of CLIP's special tokens may begin, which the general matcher finds.
#[inline(always)]
fn before_tokens(runs: &Runs, block: &[u8; BLOCK]) -> u32 {
    let begins = |at: &usize| block[*at] == b'<' && block.get(at + 1).is_none_or(|&next| next == b'|');
    match (0..BLOCK).find(begins) {
        Some(at) => 63 - (runs.symbol & below(at as u32 + 1) | 1).leading_zeros(),
        None => BLOCK as u32,
    }
}

/// Bit `at`, or nothing beyond the block.
#[inline(always)]
fn bit(at: u32) -> u64 {
    1_u64.checked_shl(at).unwrap_or(0)
}

/// The bits below `at`: all of them from 64 on.
#[inline(always)]
fn below(at: u32) -> u64 {
    bit(at).wrapping_sub(1)
}

/// The first bit of every run of ones.
#[inline(always)]
fn first_bits(mask: u64) -> u64 {
    mask & !(mask << 1)
}

/// The newlines of runs that directly follow a symbol: adding 1 to a run clears it.
#[inline(always)]
fn attached(symbol: u64, newline: u64) -> u64 {
    newline & !newline.wrapping_add(symbol << 1 & newline)
}

/// The first digit of a run, and each `count`th after it.
#[inline(always)]
fn each(count: u32, digit: u64) -> u64 {
    let mut starts = first_bits(digit);
    let behind = (1..=count).fold(digit, |behind, before| behind & digit << before);
    let mut next = starts << count & behind;
    while next != 0 {
        starts |= next;
        next = next << count & behind;
    }
    starts
}

/// The length of the contraction that the apostrophe at `at` begins: 2, 3, or 0 for none.
/// Bytes are compared after setting the bits of `fold` (32 folds ASCII case).
#[inline(always)]
fn contraction(block: &[u8; BLOCK], at: u32, fold: u8) -> u32 {
    let byte = |offset| block.get(at as usize + offset).map_or(0, |byte| byte | fold);
    match (byte(1), byte(2)) {
        (b's' | b't' | b'm' | b'd', _) => 2,
        (b'r' | b'v', b'e') | (b'l', b'l') => 3,
        _ => 0,
    }
}

/// Whether the processor has AVX2 and what came with it.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
pub(crate) fn has_avx2() -> bool {
    is_x86_feature_detected!("avx2")
        && is_x86_feature_detected!("bmi1")
        && is_x86_feature_detected!("bmi2")
        && is_x86_feature_detected!("lzcnt")
        && is_x86_feature_detected!("popcnt")
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    //! The masks by AVX2.

    use super::{BATCH, BLOCK, Masks, PatternWalk};
    use std::arch::x86_64::*;

    #[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
    pub(super) fn fill<const CONTROLS: bool, const STOPS: bool>(
        walk: &mut PatternWalk<'_>,
        ends: &mut [usize; BATCH],
        count: usize,
    ) -> usize {
        // A closure has the features of the function around it, so `masks` is inlined.
        walk.fill_by(ends, count, |block| masks::<CONTROLS, STOPS>(block))
    }

    #[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
    #[inline]
    fn masks<const CONTROLS: bool, const STOPS: bool>(block: &[u8; BLOCK]) -> Masks {
        let (low, high) = (half::<CONTROLS, STOPS>(block, 0), half::<CONTROLS, STOPS>(block, 32));
        Masks {
            letter: low.letter | high.letter << 32,
            upper: low.upper | high.upper << 32,
            digit: low.digit | high.digit << 32,
            space: low.space | high.space << 32,
            newline: low.newline | high.newline << 32,
            blank: low.blank | high.blank << 32,
            apostrophe: low.apostrophe | high.apostrophe << 32,
            slash: low.slash | high.slash << 32,
            control: low.control | high.control << 32,
            stop: low.stop | high.stop << 32,
            beyond: low.beyond | high.beyond << 32,
        }
    }

    /// The masks of 32 bytes, in the lower halves.
    #[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
    #[inline]
    fn half<const CONTROLS: bool, const STOPS: bool>(block: &[u8; BLOCK], at: usize) -> Masks {
        // The compiler makes one load of the four.
        let word = |i: usize| {
            let bytes = block[at + 8 * i..at + 8 * i + 8].try_into().expect("the block has two halves");
            i64::from_le_bytes(bytes)
        };
        let bytes = _mm256_setr_epi64x(word(0), word(1), word(2), word(3));
        let mask = |v| u64::from(_mm256_movemask_epi8(v) as u32);
        let is = |byte: u8| _mm256_cmpeq_epi8(bytes, _mm256_set1_epi8(byte as i8));
        // Bytes from `first` on, `count` of them: moved to the bottom of the signed range, where
        // one comparison is enough.
        let within = |v, first: u8, count: i8| {
            let moved = _mm256_add_epi8(v, _mm256_set1_epi8(0x80_u8.wrapping_sub(first) as i8));
            _mm256_cmpgt_epi8(_mm256_set1_epi8(i8::MIN + count), moved)
        };
        let folded = _mm256_or_si256(bytes, _mm256_set1_epi8(32));
        let blank = is(b' ');
        let space = _mm256_or_si256(blank, within(bytes, b'\t', 5));
        let any = |signs: [u8; 7]| signs.into_iter().fold(space, |any, sign| _mm256_or_si256(any, is(sign)));
        Masks {
            letter: mask(within(folded, b'a', 26)),
            upper: mask(within(bytes, b'A', 26)),
            digit: mask(within(bytes, b'0', 10)),
            space: mask(space),
            newline: mask(_mm256_or_si256(is(b'\r'), is(b'\n'))),
            blank: mask(blank),
            apostrophe: mask(is(b'\'')),
            slash: mask(is(b'/')),
            control: if CONTROLS { mask(_mm256_or_si256(within(bytes, 0, 32), is(0x7f))) } else { 0 },
            stop: if STOPS { mask(any(*b"()|.,!?")) } else { 0 },
            beyond: mask(bytes),
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails where it panics")]
mod tests;
