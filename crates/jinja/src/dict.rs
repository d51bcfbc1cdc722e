//! Dicts: entries in the order in which they came.

use std::hash::{BuildHasher, RandomState};
use std::sync::LazyLock;

use bumpalo::Bump;
use bumpalo::collections::Vec as ArenaVec;

use crate::error::{Error, Result};
use crate::order;
use crate::value::TemplateValue;

/// Up to so many entries are looked through one by one.
const SCANNED_MAX: usize = 16;

/// A dict. Of a key given twice the last value counts, at the place of the first.
#[derive(Debug)]
pub struct Dict<'a> {
    entries: &'a [(TemplateValue<'a>, TemplateValue<'a>)],
    /// Where keys that are strings are, in a table of a power of two places: one more than the entry, or 0.
    index: &'a [u32],
}

impl<'a> Dict<'a> {
    /// A dict of these entries.
    ///
    /// # Errors
    /// A key that Python can't hash.
    pub fn new(
        arena: &'a Bump,
        entries: impl IntoIterator<Item = (TemplateValue<'a>, TemplateValue<'a>)>,
    ) -> Result<Self> {
        let entries = entries.into_iter();
        let mut all = ArenaVec::with_capacity_in(entries.size_hint().0, arena);
        let mut table = ArenaVec::new_in(arena);
        for (key, value) in entries {
            check_key(key)?;
            match place(&all, &table, key) {
                Some(at) => all[at].1 = value,
                None => {
                    all.push((key, value));
                    grow(&all, &mut table);
                }
            }
        }
        Ok(Self { entries: all.into_bump_slice(), index: table.into_bump_slice() })
    }

    pub(crate) const EMPTY: Self = Self { entries: &[], index: &[] };

    /// Its entries in order.
    #[must_use]
    pub const fn entries(&self) -> &'a [(TemplateValue<'a>, TemplateValue<'a>)] {
        self.entries
    }

    /// The value of a key.
    #[must_use]
    pub fn get(&self, key: TemplateValue<'_>) -> Option<TemplateValue<'a>> {
        place(self.entries, self.index, key).map(|at| self.entries[at].1)
    }

    /// The value of a key that is a string.
    #[must_use]
    pub fn get_str(&self, key: &str) -> Option<TemplateValue<'a>> {
        if !self.index.is_empty() {
            return self.get(TemplateValue::text(key));
        }
        let found = self
            .entries
            .iter()
            .find(|(other, _)| matches!(other, TemplateValue::Text(t) if t.as_str() == key));
        found.map(|(_, value)| *value)
    }

    pub(crate) const fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

/// Checks that a value can be a key.
///
/// # Errors
/// Python can't hash it, or it is a tuple with a tuple in it.
pub(crate) fn check_key(key: TemplateValue<'_>) -> Result<()> {
    let check = |value: TemplateValue<'_>| match value {
        TemplateValue::List(_) | TemplateValue::Dict(_) | TemplateValue::Object(_) => {
            Err(Error::operation(format!("{} can't be a key of a dict", value.type_name())))
        }
        _ => Ok(()),
    };
    let TemplateValue::Tuple(items) = key else { return check(key) };
    items.iter().try_for_each(|item| match item {
        TemplateValue::Tuple(_) => Err(Error::unsupported("a tuple within a tuple as a key")),
        _ => check(*item),
    })
}

/// Where the entry with this key is.
fn place(
    entries: &[(TemplateValue<'_>, TemplateValue<'_>)],
    table: &[u32],
    key: TemplateValue<'_>,
) -> Option<usize> {
    if let (TemplateValue::Text(text), false) = (key, table.is_empty()) {
        let mask = table.len() - 1;
        let mut at = hash(text.as_str()) & mask;
        loop {
            let entry = table[at].checked_sub(1)? as usize;
            if matches!(entries[entry].0, TemplateValue::Text(other) if other.as_str() == text.as_str()) {
                return Some(entry);
            }
            at = (at + 1) & mask;
        }
    }
    entries.iter().position(|(other, _)| order::same_key(*other, key))
}

/// Keeps the table at least half empty.
fn grow(entries: &[(TemplateValue<'_>, TemplateValue<'_>)], table: &mut ArenaVec<'_, u32>) {
    if entries.len() <= SCANNED_MAX {
        return;
    }
    let is_full = table.len() < 2 * entries.len();
    if is_full {
        let places = (4 * entries.len()).next_power_of_two();
        table.clear();
        table.resize(places, 0);
    }
    let mask = table.len() - 1;
    let first = if is_full { 0 } else { entries.len() - 1 };
    for (number, (key, _)) in entries.iter().enumerate().skip(first) {
        let TemplateValue::Text(text) = key else { continue };
        let mut at = hash(text.as_str()) & mask;
        while table[at] != 0 {
            at = (at + 1) & mask;
        }
        table[at] = u32::try_from(number + 1).expect("a dict has fewer than 2^32 entries");
    }
}

/// A hash that nobody can foresee, so that nobody can write keys that are all at one place. The order of entries does not depend on it.
fn hash(text: &str) -> usize {
    static KEYS: LazyLock<RandomState> = LazyLock::new(RandomState::new);
    KEYS.hash_one(text) as usize
}
