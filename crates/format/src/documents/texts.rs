//! A dictionary of texts: a hash table that keeps its memory and borrows nothing.

use xxhash_rust::xxh3::xxh3_64;

/// The distinct texts of a column in order of first appearance.
#[derive(Debug, Default)]
pub(super) struct DistinctTexts {
    /// The texts as a dictionary page has them: each behind its length (u32, little endian).
    plain: Vec<u8>,
    /// Where each text's length stands in `plain`.
    starts: Vec<usize>,
    /// Index + 1 by hash; 0 is free. At most half of the slots are taken.
    slots: Vec<u32>,
    last: usize,
}

impl DistinctTexts {
    pub(super) fn clear(&mut self) {
        self.plain.clear();
        self.starts.clear();
        self.slots.clear();
        self.slots.resize(64, 0);
        self.last = 0;
    }

    pub(super) fn len(&self) -> usize {
        self.starts.len()
    }

    /// All texts as a dictionary page has them.
    pub(super) fn plain(&self) -> &[u8] {
        &self.plain
    }

    /// The index of a text; a new one is added. Sources come in long runs, so the last text is tried first.
    pub(super) fn index(&mut self, text: &str) -> usize {
        if self.last < self.starts.len() && self.text(self.last) == text.as_bytes() {
            return self.last;
        }
        let slot = self.slot(text.as_bytes());
        self.last = match self.slots[slot] {
            0 => self.add(slot, text),
            taken => taken as usize - 1,
        };
        self.last
    }

    fn add(&mut self, slot: usize, text: &str) -> usize {
        let index = self.starts.len();
        self.starts.push(self.plain.len());
        plain_text(&mut self.plain, text);
        self.slots[slot] = index as u32 + 1;
        if self.starts.len() * 2 > self.slots.len() {
            let twice = self.slots.len() * 2;
            self.slots.clear();
            self.slots.resize(twice, 0);
            for index in 0..self.starts.len() {
                let slot = self.slot(self.text(index));
                self.slots[slot] = index as u32 + 1;
            }
        }
        index
    }

    /// The slot that holds `text`, or the free one where it belongs.
    fn slot(&self, text: &[u8]) -> usize {
        let mask = self.slots.len() - 1;
        let mut slot = xxh3_64(text) as usize & mask;
        while self.slots[slot] != 0 && self.text(self.slots[slot] as usize - 1) != text {
            slot = (slot + 1) & mask;
        }
        slot
    }

    fn text(&self, index: usize) -> &[u8] {
        let end = self.starts.get(index + 1).copied().unwrap_or(self.plain.len());
        &self.plain[self.starts[index] + LENGTH_BYTES..end]
    }
}

const LENGTH_BYTES: usize = size_of::<u32>();

/// Appends a text as PLAIN has it.
pub(super) fn plain_text(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(&(text.len() as u32).to_le_bytes());
    out.extend_from_slice(text.as_bytes());
}
