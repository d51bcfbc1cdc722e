//! Token → index, without hashing and without clearing.
//!
//! A table as long as the vocabulary holds, for each token, the index it has in
//! the dictionary plus a base. The base of each row group lies above all sums of
//! the groups before it, so what they left in the table is recognized as old by
//! one subtraction and one comparison.

use super::IGNORED;

/// The values of one row group in order of first appearance; [`IGNORED`] always comes first.
#[derive(Debug)]
pub(super) struct Dictionary {
    slots: Vec<u32>,
    base: u32,
    values: Vec<i32>,
}

impl Dictionary {
    /// The index of [`IGNORED`].
    pub(super) const IGNORED: u32 = 0;

    /// A dictionary for tokens below `vocabulary_size`.
    pub(super) fn new(vocabulary_size: usize) -> Self {
        Self { slots: vec![0; vocabulary_size], base: 1, values: vec![IGNORED] }
    }

    /// Forgets all values but [`IGNORED`].
    pub(super) fn clear(&mut self) {
        let used = self.values.len() as u64;
        let next = u64::from(self.base) + used;
        match u32::try_from(next + self.slots.len() as u64 + 1) {
            Ok(_) => self.base = next as u32,
            Err(_) => {
                self.slots.fill(0);
                self.base = 1;
            }
        }
        self.values.truncate(1);
    }

    /// All values, by index.
    pub(super) fn values(&self) -> &[i32] {
        &self.values
    }

    /// Appends the index of each token; new ones are added.
    pub(super) fn look_up(&mut self, tokens: &[u32], indices: &mut Vec<u32>) {
        // The base and the number of values stay in registers: this loop runs once for every token there is.
        let (base, mut known) = (self.base, self.values.len() as u32);
        let (slots, values) = (self.slots.as_mut_slice(), &mut self.values);
        indices.extend(tokens.iter().map(|&token| {
            let slot = &mut slots[token as usize];
            let index = slot.wrapping_sub(base);
            if index < known {
                return index;
            }
            *slot = base + known;
            values.push(token as i32);
            known += 1;
            known - 1
        }));
    }

    /// The index of a token; a new one is added.
    pub(super) fn index(&mut self, token: u32) -> u32 {
        let mut index = self.slots[token as usize].wrapping_sub(self.base);
        if index as usize >= self.values.len() {
            index = self.values.len() as u32;
            self.slots[token as usize] = self.base + index;
            self.values.push(token as i32);
        }
        index
    }

    /// The index of a label: of a token or [`IGNORED`].
    pub(super) fn label(&mut self, label: i32) -> u32 {
        if label == IGNORED { Self::IGNORED } else { self.index(label as u32) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indices_are_right_where_the_base_begins_anew() {
        let tokens = [3, 1, 3, 9, 0, 1];
        for base in u32::MAX - 40..=u32::MAX - 11 {
            let mut dictionary = Dictionary::new(10);
            dictionary.base = base;
            for _ in 0..5 {
                let mut indices = Vec::new();
                dictionary.look_up(&tokens, &mut indices);
                assert_eq!(indices, [1, 2, 1, 3, 4, 2]);
                assert_eq!(dictionary.label(IGNORED), Dictionary::IGNORED);
                assert_eq!(dictionary.label(8), 5);
                assert_eq!(dictionary.values(), [IGNORED, 3, 1, 9, 0, 8]);
                dictionary.clear();
            }
        }
    }
}
