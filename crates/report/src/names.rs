//! Counting by name in bounded memory.

use std::collections::HashMap;

use crate::page::beginning;

/// Names that are told apart.
const NAMES_MAX: usize = 10_000;

/// Bytes of a name that are kept.
const NAME_BYTES: usize = 120;

/// What has no name.
const NONE: &str = "(none)";

/// Amounts by name; what comes after many other names is counted together.
#[derive(Debug, Default)]
pub(crate) struct Names(HashMap<String, u64>);

impl Names {
    pub(crate) fn add(&mut self, name: Option<&str>, amount: u64) {
        let name = name.unwrap_or(NONE);
        // Nearly every record has a name that is known, for which nothing is allocated.
        if let Some(sum) = self.0.get_mut(name) {
            *sum += amount;
            return;
        }
        let name = if self.0.len() < NAMES_MAX { beginning(name, NAME_BYTES) } else { "(others)".into() };
        *self.0.entry(name).or_default() += amount;
    }

    /// Takes in what another thread counted.
    pub(crate) fn merge(&mut self, other: Self) {
        other.0.into_iter().for_each(|(name, amount)| self.add(Some(&name), amount));
    }

    /// The amounts by name; nothing where nothing has a name.
    pub(crate) fn into_named(self) -> HashMap<String, u64> {
        if self.0.keys().all(|name| name == NONE) { HashMap::new() } else { self.0 }
    }
}
