//! A set of ids that is looked for among those of every text, such as the special tokens'.

use super::identity::Identity;
use super::reference::Outline;

/// Ids that lie further apart than any vocabulary is large are looked for one by one, as bits for them would take memory.
const BITS_MAX: u32 = 1 << 24;

/// A set of ids.
#[derive(Debug, Clone, Default)]
pub(super) struct IdSet {
    /// Sorted.
    ids: Vec<u32>,
    /// One bit for each id from the first to the last; none where they lie far apart.
    bits: Vec<u64>,
}

impl IdSet {
    pub(super) fn new(mut ids: Vec<u32>) -> Self {
        ids.sort_unstable();
        ids.dedup();
        let mut bits = Vec::new();
        if let (Some(first), Some(last)) = (ids.first(), ids.last())
            && last - first < BITS_MAX
        {
            bits.resize((last - first) as usize / 64 + 1, 0);
            ids.iter().for_each(|id| bits[(id - first) as usize / 64] |= 1 << ((id - first) % 64));
        }
        Self { ids, bits }
    }

    /// The special tokens.
    pub(super) fn of_special(outline: &Outline) -> Self {
        let tokens = outline.added_tokens();
        Self::new(tokens.into_iter().filter(|(_, token)| token.special).map(|(id, _)| id).collect())
    }

    /// The added tokens, special or not.
    pub(super) fn of_added(outline: &Outline) -> Self {
        Self::new(outline.added_tokens().into_iter().map(|(id, _)| id).collect())
    }

    /// These and the ids that are put around documents.
    pub(super) fn with(&self, identity: &Identity) -> Self {
        Self::new([self.ids.as_slice(), &identity.ids_before, &identity.ids_after].concat())
    }

    /// All of them, in order.
    pub(super) fn ids(&self) -> &[u32] {
        &self.ids
    }

    /// How many of `ids` it has.
    pub(super) fn count(&self, ids: &[u32]) -> usize {
        self.among(ids).count()
    }

    /// Whether an id is one of it.
    pub(super) fn has(&self, id: u32) -> bool {
        let (Some(&first), Some(&last)) = (self.ids.first(), self.ids.last()) else { return false };
        if id < first || last < id {
            return false;
        }
        let place = (id - first) as usize;
        match self.bits.get(place / 64) {
            Some(bits) => bits & 1 << (place % 64) != 0,
            None => self.ids.binary_search(&id).is_ok(),
        }
    }

    /// Those of `ids` that it has.
    pub(super) fn among<'i>(&'i self, ids: &'i [u32]) -> impl Iterator<Item = u32> + 'i {
        let (first, last) = (self.ids.first().copied().unwrap_or(1), self.ids.last().copied().unwrap_or(0));
        // They mostly lie together at the end of the vocabulary, and nearly always a text has none, which is found out for
        // many ids at once.
        let may_have = ids.iter().fold(false, |found, &id| found | (first <= id && id <= last));
        let ids = if may_have { ids } else { &[] };
        ids.iter().copied().filter(move |&id| self.has(id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_found_among_others() {
        let set = IdSet::new(vec![300, 7, 100, 7]);
        assert_eq!(set.ids(), [7, 100, 300]);
        assert_eq!(
            set.among(&[6, 7, 8, 99, 300, 301, 100, 7, u32::MAX]).collect::<Vec<_>>(),
            [7, 300, 100, 7]
        );
        assert_eq!((set.count(&[1, 2, 3]), set.count(&[])), (0, 0));
        assert_eq!(IdSet::default().count(&[0, 1, u32::MAX]), 0);
        assert_eq!(IdSet::new(vec![0]).count(&[0, 1, 0]), 2);
        let apart = IdSet::new(vec![5, u32::MAX]);
        assert_eq!(apart.count(&[0, 5, 6, u32::MAX - 1, u32::MAX, 5]), 3);
    }
}
