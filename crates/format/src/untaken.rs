//! What a dataset has and its records have not: files of its repository, columns of its rows.
//!
//! To leave something is a choice, made by the catalogue or by rule. It stands in `curriculum.lock` and in the dataset's
//! statistics, so that it can be looked up and told again without asking the Hub.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Paths that are kept of the files that are left for one reason.
pub const EXAMPLES_KEPT: usize = 3;

/// Names of columns that are kept, in the order of their letters.
pub const COLUMNS_KEPT: usize = 100;

/// Characters that are kept of a column's name.
pub const COLUMN_CHARS_KEPT: usize = 80;

/// Files of a repository that are not taken, for one reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UntakenFiles {
    /// The reason.
    pub why: WhyUntaken,
    /// How many they are.
    pub files: u64,
    /// Their bytes in all.
    pub bytes: u64,
    /// The paths of the first of them.
    pub examples: Vec<String>,
}

/// Why a file of a repository is not taken. In this order they are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WhyUntaken {
    /// It holds rows in another format than the one that is taken: the same rows, or others.
    OtherFormat,
    /// Limits or a budget end before it.
    BeyondLimit,
    /// The catalogue's `files` do not choose it.
    NotChosen,
    /// The dataset's card gives it to another configuration than the one that is taken, or to none.
    OtherConfig,
    /// The dataset's card gives it to another split than `train`.
    OtherSplit,
    /// Its path speaks of test or validation.
    ForTesting,
    /// Its name's ending is none that is read.
    UnreadEnding,
    /// It is a program.
    Script,
    /// Its name or a folder's begins with a dot.
    Hidden,
    /// It describes the dataset: a card, a license, a list of columns.
    Description,
}

/// Adds a file to those that are left for `why`.
pub fn add_untaken(untaken: &mut Vec<UntakenFiles>, why: WhyUntaken, path: &str, bytes: u64) {
    let at = match untaken.binary_search_by_key(&why, |untaken| untaken.why) {
        Ok(at) => at,
        Err(at) => {
            untaken.insert(at, UntakenFiles { why, files: 0, bytes: 0, examples: Vec::new() });
            at
        }
    };
    let of_it = &mut untaken[at];
    of_it.files += 1;
    of_it.bytes = of_it.bytes.saturating_add(bytes);
    if of_it.examples.len() < EXAMPLES_KEPT {
        of_it.examples.push(path.to_owned());
    }
}

/// Columns whose values stand in no record, with dots into nested ones. Of very many the first [`COLUMNS_KEPT`] that
/// were met are kept.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct UntakenColumns(BTreeSet<String>);

impl UntakenColumns {
    /// Notes a column.
    pub fn add(&mut self, name: &str) {
        if self.0.len() >= COLUMNS_KEPT || self.0.contains(name) {
            return;
        }
        self.0.insert(name.chars().take(COLUMN_CHARS_KEPT).collect());
    }

    /// Their names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// How many they are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_counted_by_reason_and_columns_are_bounded() {
        let mut untaken = Vec::new();
        for file in 0..5 {
            add_untaken(&mut untaken, WhyUntaken::ForTesting, &format!("test-{file}"), 10);
        }
        add_untaken(&mut untaken, WhyUntaken::OtherFormat, "a.jsonl", u64::MAX);
        add_untaken(&mut untaken, WhyUntaken::OtherFormat, "b.jsonl", 1);
        let found: Vec<_> = untaken.iter().map(|u| (u.why, u.files, u.bytes, u.examples.len())).collect();
        let expected =
            [(WhyUntaken::OtherFormat, 2, u64::MAX, 2), (WhyUntaken::ForTesting, 5, 50, EXAMPLES_KEPT)];
        assert_eq!(found, expected);
        let mut columns = UntakenColumns::default();
        (0..1000).for_each(|n| columns.add(&format!("{n:0200}")));
        assert!(columns.len() <= COLUMNS_KEPT && columns.names().all(|name| name.len() == COLUMN_CHARS_KEPT));
    }
}
