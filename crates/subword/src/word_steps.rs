//! Steps that divide words, each by itself, behind all that look at texts.
//!
//! Behind `ByteLevel` steps see a letter for each byte of a word and look for numbers among them, be it in the middle of a
//! character. Where words end does not depend on the order of steps: three digits are never beside other than numbers' letters.

use std::ops::Range;

/// One step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WordStep {
    /// A number's letter is a piece by itself: `Digits` that takes them one by one.
    Number,
    /// Number's letters that follow one another are a piece, as is what is between: `Digits`.
    Numbers,
    /// Three digits of ASCII are a piece, as is what is between.
    ThreeDigits,
    /// Of the words that CLIP's patterns find its special tokens are three, as GPT-2's pattern has them. All others are its
    /// words, too.
    ClipTokens,
}

/// All of them.
pub(crate) const WORD_STEPS: [WordStep; 4] =
    [WordStep::Number, WordStep::Numbers, WordStep::ThreeDigits, WordStep::ClipTokens];

/// What steps divide words by.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct WordSteps {
    number: bool,
    numbers: bool,
    three_digits: bool,
    clip_tokens: bool,
}

impl WordSteps {
    pub(crate) fn new(steps: &[WordStep]) -> Self {
        let has = |step| steps.contains(&step);
        Self {
            number: has(WordStep::Number),
            numbers: has(WordStep::Numbers),
            three_digits: has(WordStep::ThreeDigits),
            clip_tokens: has(WordStep::ClipTokens),
        }
    }

    /// Whether they may divide characters.
    pub(crate) fn look_at_numbers(self) -> bool {
        self.number || self.numbers
    }

    /// Where the first piece of the rest of a word ends, which is not empty.
    #[inline(always)]
    pub(crate) fn end(self, text: &[u8], rest: Range<usize>) -> usize {
        let start = rest.start;
        let rest = if self.clip_tokens { start..end_in_clip_token(text, rest) } else { rest };
        if !self.look_at_numbers() {
            return if self.three_digits { end_by_three_digits(text, rest) } else { rest.end };
        }
        let is_number = is_number_letter(text[start]);
        if is_number && self.number {
            return start + 1;
        }
        let same = text[start + 1..rest.end].iter().take_while(|byte| is_number_letter(**byte) == is_number);
        let end = start + 1 + same.count();
        match is_number && self.three_digits {
            true => end_by_three_digits(text, start..end),
            false => end,
        }
    }
}

fn end_in_clip_token(text: &[u8], rest: Range<usize>) -> usize {
    match &text[rest.clone()] {
        b"<|startoftext|>" | b"<|endoftext|>" => rest.start + 2,
        b"startoftext|>" | b"endoftext|>" => rest.end - 2,
        _ => rest.end,
    }
}

fn end_by_three_digits(text: &[u8], part: Range<usize>) -> usize {
    let start = part.start;
    let part = &text[part];
    let found = part.windows(3).position(|bytes| bytes.iter().all(u8::is_ascii_digit));
    start
        + match found {
            Some(0) => 3,
            Some(before) => before,
            None => part.len(),
        }
}

/// The letters of ², ³, ¹, ¼, ½ and ¾ are themselves.
#[inline(always)]
fn is_number_letter(byte: u8) -> bool {
    const ARE: [bool; 256] = {
        let mut are = [false; 256];
        let mut byte = 0;
        while byte < 256 {
            are[byte] = matches!(byte as u8, b'0'..=b'9' | 0xb2 | 0xb3 | 0xb9 | 0xbc..=0xbe);
            byte += 1;
        }
        are
    };
    ARE[usize::from(byte)]
}
