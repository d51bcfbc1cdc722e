//! Where things live.
//!
//! ```text
//! <output>/
//!   manifest.json
//!   README.md                      the dataset card, with the user's own text outside of our marks
//!   <split>/
//!     shard_0000.parquet …         what readers may take for rows, and nothing else of that ending;
//!                                  shard_0000_0000.parquet where the split is many files, by their groups
//!     _documents/
//!       shard_0000.documents …     the shards' document tables
//!     <split>_stats.json
//!     <split>_rejects.jsonl
//!   _validation/                   the documents that are held out, if any: an output folder of its own
//!   .mashbill/                     only while a run is under way or was interrupted
//!     lock
//!     plan.json                    what the run makes: options, tokenizer, inputs, shards that stay
//!     tasks/00000.json …           one record a finished task
//!     made/<split>/                becomes <output>/<split>/ when all of its shards are made
//!     made_validation/<split>/     the same for what is held out
//!     replaced/                    the old folder of a split while the new one takes its place
//!     temporary/                   what is being written
//! ```
//!
//! and of a folder of downloaded datasets:
//!
//! ```text
//! <output>/
//!   curriculum.lock
//!   <category>/
//!     <name>.jsonl
//!     <name>.stats.json            there only when <name>.jsonl is complete
//!     <name>_rejects.jsonl         the first refused rows, if there were any
//!   .mashbill/
//!     lock
//!     download/<name>/
//!       raw/                       fetched files; gone after use, unless they are to be kept
//!       checkpoint.json            how far the conversion is
//!       records.jsonl              becomes <category>/<name>.jsonl
//! ```

use std::fmt;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::held_out::DatasetPart;
use crate::lock::LOCK;
use crate::name::NAME_BYTES_MAX;

/// The folder in an output folder that holds a run's state. Its name begins with a dot, so that no
/// glob over data meets it.
pub const STATE_FOLDER: &str = ".mashbill";

/// The folder in an output folder that holds the documents held out of training: an output folder of its own. Readers
/// that collect data files by themselves (pyarrow, Spark) leave out what begins with an underscore.
pub const VALIDATION_FOLDER: &str = "_validation";

/// The name of the manifest in its folder.
pub const MANIFEST: &str = "manifest.json";

/// The folder of document tables in a split's folder. An underscore at the beginning and an ending of their own: only
/// with both do pyarrow, polars, duckdb and `datasets` all pass over them where they look for rows.
pub const TABLES_FOLDER: &str = "_documents";

/// The dataset's description in an output folder.
pub const README: &str = "README.md";

/// The longest name of a split in bytes: the files in its folder are named after it.
pub const SPLIT_BYTES_MAX: usize = NAME_BYTES_MAX - REJECTS_SUFFIX.len();

/// The end of the name of a file with refused lines.
pub const REJECTS_SUFFIX: &str = "_rejects.jsonl";

/// The end of the name of a split's statistics.
pub const STATS_SUFFIX: &str = "_stats.json";

/// Which of its split's shards a shard is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub struct ShardId {
    /// The group of files that it is cut from, where the split is many files; none where it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<usize>,
    /// Its number in the split, or in the group, from 0.
    pub index: usize,
}

impl ShardId {
    /// The shard `index` of a split that is one file.
    #[must_use]
    pub const fn of_file(index: usize) -> Self {
        Self { group: None, index }
    }

    /// The name of its rows' file: `shard_0000.parquet`, or `shard_0002_0000.parquet` with a group.
    #[must_use]
    pub fn file_name(self) -> String {
        format!("{}.parquet", self.stem())
    }

    /// The name of its document table's file: `shard_0000.documents`.
    #[must_use]
    pub fn table_name(self) -> String {
        format!("{}.documents", self.stem())
    }

    fn stem(self) -> String {
        let Self { group, index } = self;
        group.map_or_else(|| format!("shard_{index:04}"), |group| format!("shard_{group:04}_{index:04}"))
    }
}

/// For people: `3`, or `2/3` with a group.
impl fmt::Display for ShardId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.group {
            Some(group) => write!(f, "{group}/{}", self.index),
            None => write!(f, "{}", self.index),
        }
    }
}

/// Whether something in a split's folder has a name that mashbill gives.
#[must_use]
pub fn is_split_file(split: &str, name: &str) -> bool {
    is_numbered(name, ".parquet")
        || name == TABLES_FOLDER
        || name.strip_prefix(split).is_some_and(|rest| [STATS_SUFFIX, REJECTS_SUFFIX].contains(&rest))
}

fn is_numbered(name: &str, ending: &str) -> bool {
    let Some(stem) = name.strip_prefix("shard_").and_then(|rest| rest.strip_suffix(ending)) else {
        return false;
    };
    let is_number = |digits: &str| digits.len() >= 4 && digits.bytes().all(|b| b.is_ascii_digit());
    let (group, index) = stem.split_once('_').map_or((None, stem), |(group, index)| (Some(group), index));
    is_number(index) && group.is_none_or(is_number)
}

/// The paths of an output folder.
#[derive(Debug, Clone)]
pub struct Output {
    root: PathBuf,
}

impl Output {
    /// The layout under `root`.
    #[must_use]
    pub fn new(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    /// The output folder itself.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// `manifest.json`.
    #[must_use]
    pub fn manifest(&self) -> PathBuf {
        self.root.join(MANIFEST)
    }

    /// `README.md`: the dataset card.
    #[must_use]
    pub fn readme(&self) -> PathBuf {
        self.root.join(README)
    }

    /// The folder of a finished split.
    #[must_use]
    pub fn split(&self, split: &str) -> PathBuf {
        self.root.join(split)
    }

    /// The folder of a finished split's document tables.
    #[must_use]
    pub fn tables(&self, split: &str) -> PathBuf {
        self.split(split).join(TABLES_FOLDER)
    }

    /// The output folder of the documents that are held out.
    #[must_use]
    pub fn validation(&self) -> Self {
        Self { root: self.root.join(VALIDATION_FOLDER) }
    }

    /// The folder of a run's state.
    #[must_use]
    pub fn state(&self) -> StateFolder {
        StateFolder { root: self.root.join(STATE_FOLDER) }
    }
}

/// The paths of a run's state.
#[derive(Debug, Clone)]
pub struct StateFolder {
    root: PathBuf,
}

impl StateFolder {
    /// The folder with all of it.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The lock file that one process holds.
    #[must_use]
    pub fn lock(&self) -> PathBuf {
        self.root.join("lock")
    }

    /// What the run makes.
    #[must_use]
    pub fn plan(&self) -> PathBuf {
        self.root.join("plan.json")
    }

    /// The folder of the tasks' records.
    #[must_use]
    pub fn tasks(&self) -> PathBuf {
        self.root.join("tasks")
    }

    /// The record of one task.
    #[must_use]
    pub fn task(&self, name: &str) -> PathBuf {
        self.tasks().join(format!("{name}.json"))
    }

    /// The folder that becomes the split's in the folder of `part`.
    #[must_use]
    pub fn made(&self, part: DatasetPart, split: &str) -> PathBuf {
        let folder = match part {
            DatasetPart::Train => "made",
            DatasetPart::Validation => "made_validation",
        };
        self.root.join(folder).join(split)
    }

    /// Where the old folder of a split waits while the new one takes its place.
    #[must_use]
    pub fn replaced(&self) -> PathBuf {
        self.root.join("replaced")
    }

    /// The folder of what is being written: nothing in it counts.
    #[must_use]
    pub fn temporary(&self) -> PathBuf {
        self.root.join("temporary")
    }

    /// The state of one attempt at a task, of which nothing counts until its files are moved.
    #[must_use]
    pub fn attempt(&self, id: &str) -> Self {
        Self { root: self.temporary().join(id) }
    }
}

/// The end of the name of a downloaded dataset's statistics.
pub const DATASET_STATS_SUFFIX: &str = ".stats.json";

/// The paths of a folder of downloaded datasets.
#[derive(Debug, Clone)]
pub struct Data {
    root: PathBuf,
}

impl Data {
    /// The layout under `root`.
    #[must_use]
    pub fn new(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    /// The folder itself.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// `curriculum.lock`.
    #[must_use]
    pub fn pins(&self) -> PathBuf {
        self.root.join(LOCK)
    }

    /// The folder of a run's state.
    #[must_use]
    pub fn state(&self) -> PathBuf {
        self.root.join(STATE_FOLDER)
    }

    /// The lock file that one process holds.
    #[must_use]
    pub fn lock(&self) -> PathBuf {
        self.state().join("lock")
    }

    /// A name for a small file that is being written.
    #[must_use]
    pub fn temporary(&self) -> PathBuf {
        self.state().join("temporary")
    }

    /// The folder of a category.
    #[must_use]
    pub fn category(&self, category: &str) -> PathBuf {
        self.root.join(category)
    }

    /// The records of a dataset.
    #[must_use]
    pub fn records(&self, category: &str, name: &str) -> PathBuf {
        self.category(category).join(format!("{name}.jsonl"))
    }

    /// The statistics of a dataset.
    #[must_use]
    pub fn stats(&self, category: &str, name: &str) -> PathBuf {
        self.category(category).join(format!("{name}{DATASET_STATS_SUFFIX}"))
    }

    /// The refused rows of a dataset.
    #[must_use]
    pub fn rejects(&self, category: &str, name: &str) -> PathBuf {
        self.category(category).join(format!("{name}{REJECTS_SUFFIX}"))
    }

    /// The folder of a dataset that is being made.
    #[must_use]
    pub fn making(&self, name: &str) -> PathBuf {
        self.state().join("download").join(name)
    }

    /// The folder of a dataset's fetched files.
    #[must_use]
    pub fn raw(&self, name: &str) -> PathBuf {
        self.making(name).join("raw")
    }

    /// How far the conversion of a dataset is.
    #[must_use]
    pub fn checkpoint(&self, name: &str) -> PathBuf {
        self.making(name).join("checkpoint.json")
    }

    /// The records of a dataset that is being made.
    #[must_use]
    pub fn growing(&self, name: &str) -> PathBuf {
        self.making(name).join("records.jsonl")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_our_own_are_told_from_others() {
        for name in [
            "shard_0000.parquet",
            "shard_12345.parquet",
            "shard_0000_10000.parquet",
            "_documents",
            "a_stats.json",
            "a_rejects.jsonl",
        ] {
            assert!(is_split_file("a", name), "{name}");
        }
        for name in [
            "shard_1.parquet",
            "shard_000x.parquet",
            "shard_0000_.parquet",
            "shard_0000_0000_0000.parquet",
            "documents.parquet",
            "shard_0000.documents",
            "b_stats.json",
            "notes.txt",
            "a.jsonl",
            "stats.json",
        ] {
            assert!(!is_split_file("a", name), "{name}");
        }
    }
}
