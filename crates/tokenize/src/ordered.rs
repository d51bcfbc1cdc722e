//! What workers give back in any order, put into the order in which it was sent out.

use std::collections::BTreeMap;

/// Values that come in any order and go out in theirs.
#[derive(Debug)]
pub(crate) struct Ordered<T> {
    next: u64,
    waiting: BTreeMap<u64, T>,
}

impl<T> Default for Ordered<T> {
    fn default() -> Self {
        Self { next: 0, waiting: BTreeMap::new() }
    }
}

impl<T> Ordered<T> {
    pub(crate) fn put(&mut self, sequence: u64, value: T) {
        self.waiting.insert(sequence, value);
    }

    pub(crate) fn take(&mut self) -> Option<T> {
        let value = self.waiting.remove(&self.next)?;
        self.next += 1;
        Some(value)
    }
}
