//! Encoding one text: its segments between added tokens, and those tokens, in order.
//!
//! Where a tokenizer has thousands of added tokens, of which some are line ends, segments are short. So words wait: those of many
//! segments are encoded together, with the tokens between them, as long as they stand in the text as they are and no
//! pre-tokenizer finds them.

use std::borrow::Cow;
use std::ops::Range;

use memchr::memchr;

use crate::batch::{BatchScratch, Lookups};
use crate::end_of_word;
use crate::error::Error;
use crate::pre_tokenizer::{PreTokenizer, Splitter};
use crate::splitting::Splitting;
use crate::text_segment::TextSegment;
use crate::word_ends::{BATCH, LEFT_OUT};

/// A thread's working memory. It serves any engine.
#[derive(Debug, Default)]
pub struct Scratch {
    batch: Box<BatchScratch>,
    /// Words with their ends.
    marked: Vec<u8>,
}

impl Scratch {
    /// Empty working memory.
    pub fn new() -> Self {
        Self::default()
    }
}

/// A text that is being encoded.
pub(crate) struct TextEncoder<'e> {
    lookups: &'e Lookups,
    splitting: &'e Splitting,
    scratch: &'e mut Scratch,
    text: &'e str,
    out: &'e mut Vec<u32>,
    /// Where the words that wait begin in the text.
    start: usize,
    /// How many they are.
    waiting: usize,
}

impl<'e> TextEncoder<'e> {
    pub(crate) fn new(
        lookups: &'e Lookups,
        splitting: &'e Splitting,
        scratch: &'e mut Scratch,
        text: &'e str,
        out: &'e mut Vec<u32>,
    ) -> Self {
        scratch.batch.added.clear();
        Self { lookups, splitting, scratch, text, out, start: 0, waiting: 0 }
    }

    /// Takes the next segment.
    pub(crate) fn take(&mut self, segment: TextSegment<'_>) -> Result<(), Error> {
        match segment {
            TextSegment::Text { text, at, is_first } => {
                let spaced = self.splitting.spaced(text, is_first);
                match (&spaced, at, &self.splitting.steps) {
                    (Cow::Borrowed(_), Some(at), None) => self.add_text(at..at + text.len()),
                    (_, _, steps) => {
                        self.finish();
                        match steps {
                            Some(steps) => self.encode_words(steps, &spaced)?,
                            None => self.encode_whole(&spaced),
                        }
                    }
                }
            }
            TextSegment::Token { id, range: Some(range) } if self.splitting.steps.is_none() => {
                self.add_token(id, range);
            }
            TextSegment::Token { id, .. } => {
                self.finish();
                self.out.push(id);
            }
        }
        Ok(())
    }

    /// Encodes the words that wait.
    pub(crate) fn finish(&mut self) {
        if self.waiting > 0 {
            let Self { lookups, scratch, text, out, start, waiting, .. } = self;
            scratch.batch.encode(lookups, text.as_bytes(), *start, *waiting, out);
            scratch.batch.added.clear();
            self.waiting = 0;
        }
    }

    /// The words of a range of the text wait, and are encoded where there are enough.
    fn add_text(&mut self, range: Range<usize>) {
        let text = &self.text.as_bytes()[..range.end];
        let mut at = range.start;
        while at < text.len() {
            if self.waiting == 0 {
                self.start = at;
            }
            let before = self.waiting;
            self.waiting = self.part_ends(text, at, before);
            if self.waiting == before {
                self.finish();
            } else {
                at = self.scratch.batch.word_ends[self.waiting - 1];
            }
        }
    }

    /// An added token waits.
    fn add_token(&mut self, id: u32, range: Range<usize>) {
        if self.waiting == BATCH {
            self.finish();
        }
        if self.waiting == 0 {
            self.start = range.start;
        }
        self.scratch.batch.add_token(self.waiting, range.end, id);
        self.waiting += 1;
    }

    /// Encodes a text that is split by `steps`.
    fn encode_words(&mut self, steps: &PreTokenizer, text: &str) -> Result<(), Error> {
        let Self { lookups, splitting, scratch, out, .. } = self;
        let batch = &mut scratch.batch;
        let mut start = 0;
        let mut splitter = Splitter::new(steps, text);
        loop {
            let count = splitter.next_batch(&mut batch.word_ends)?;
            if count == 0 {
                return Ok(());
            }
            let end = batch.word_ends[count - 1] & !LEFT_OUT;
            if splitting.marks_ends {
                let count = end_of_word::mark(
                    &mut batch.word_ends,
                    text.as_bytes(),
                    start,
                    count,
                    &mut scratch.marked,
                );
                batch.encode(lookups, &scratch.marked, 0, count, out);
            } else {
                batch.encode(lookups, text.as_bytes(), start, count, out);
            }
            start = end;
        }
    }

    /// Encodes a text that nothing splits, unless each space begins a word.
    fn encode_whole(&mut self, text: &str) {
        let text = text.as_bytes();
        let mut start = 0;
        while start < text.len() {
            let count = self.part_ends(text, start, 0);
            let Self { lookups, scratch, out, .. } = self;
            let end = scratch.batch.word_ends[count - 1];
            scratch.batch.encode(lookups, text, start, count, out);
            start = end;
        }
    }

    /// Writes where parts of a text from `start` on end that nothing splits, unless each space begins a word, behind the first
    /// `count` ends of the batch, as many as there is room for, and returns how many ends there are then.
    fn part_ends(&mut self, text: &[u8], start: usize, count: usize) -> usize {
        let splits = self.splitting.metaspace.is_some_and(|metaspace| metaspace.splits);
        let ends = &mut self.scratch.batch.word_ends;
        match self.lookups.model.bpe() {
            Some(bpe) => bpe.cuts.part_ends(text, start, splits, ends, count),
            None if splits => ends_before_spaces(text, start, ends, count),
            None if count < BATCH => {
                ends[count] = text.len();
                count + 1
            }
            None => count,
        }
    }
}

/// Writes behind the first `count` of `ends` where words of `text` from `start` on end, of which each begins with a space but the
/// first, and returns how many ends there are then.
fn ends_before_spaces(text: &[u8], start: usize, ends: &mut [usize; BATCH], mut count: usize) -> usize {
    let mut at = start;
    while at < text.len() && count < BATCH {
        at = memchr(b' ', &text[at + 1..]).map_or(text.len(), |len| at + 1 + len);
        ends[count] = at;
        count += 1;
    }
    count
}
