//! Where things live.
//!
//! ```text
//! <output>/
//!   manifest.json
//!   <split>/
//!     shard_0000.parquet …
//!     documents.parquet
//!     <split>_stats.json
//!     <split>_rejects.jsonl
//!     <split>_units.jsonl.zst      what a run needs to keep units when the input grows
//!   _validation/                   the documents that are held out, if any: an output folder of its own
//!   .mashbill/                     only while a run is under way or was interrupted
//!     lock
//!     <split>/
//!       plan.json                  what the run is making: options, tokenizer, input
//!       units/unit_00000.json      one record a finished unit
//!       files/                     becomes <output>/<split>/ when the split is complete
//!       split.json                 the manifest's entry: written when files/ is complete
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

use std::path::{Path, PathBuf};

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

/// The name of the document table in a split's folder.
pub const DOCUMENTS: &str = "documents.parquet";

/// The dataset's description in an output folder.
pub const README: &str = "README.md";

/// The longest name of a split in bytes: the files in its folder are named after it.
pub const SPLIT_BYTES_MAX: usize = NAME_BYTES_MAX - UNITS_SUFFIX.len();

/// The end of the name of a file with refused lines.
pub const REJECTS_SUFFIX: &str = "_rejects.jsonl";

/// The end of the name of a split's statistics.
pub const STATS_SUFFIX: &str = "_stats.json";

/// The end of the name of a split's unit records.
pub const UNITS_SUFFIX: &str = "_units.jsonl.zst";

/// The name of the shard with this index in its split: `shard_0000.parquet`.
#[must_use]
pub fn shard_name(index: usize) -> String {
    format!("shard_{index:04}.parquet")
}

/// Whether a file in a split's folder has a name that mashbill gives.
#[must_use]
pub fn is_split_file(split: &str, name: &str) -> bool {
    let shard = name.strip_prefix("shard_").and_then(|rest| rest.strip_suffix(".parquet"));
    shard.is_some_and(|digits| digits.len() >= 4 && digits.bytes().all(|b| b.is_ascii_digit()))
        || name == DOCUMENTS
        || name
            .strip_prefix(split)
            .is_some_and(|rest| [STATS_SUFFIX, REJECTS_SUFFIX, UNITS_SUFFIX].contains(&rest))
}

/// The folder in which a file lies: `.` where its path names none, since an empty path is no folder to anybody.
#[must_use]
pub fn folder_of(file: &Path) -> &Path {
    match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
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

    /// The folder of a finished split.
    #[must_use]
    pub fn split(&self, split: &str) -> PathBuf {
        self.root.join(split)
    }

    /// The output folder of the documents that are held out.
    #[must_use]
    pub fn validation(&self) -> Self {
        Self { root: self.root.join(VALIDATION_FOLDER) }
    }

    /// The folder of a run's state.
    #[must_use]
    pub fn state(&self) -> PathBuf {
        self.root.join(STATE_FOLDER)
    }

    /// The lock file.
    #[must_use]
    pub fn lock(&self) -> PathBuf {
        self.state().join("lock")
    }

    /// The paths of a split that is being made.
    #[must_use]
    pub fn staging(&self, split: &str) -> Staging {
        Staging { root: self.state().join(split) }
    }
}

/// The paths of a split that is being made.
#[derive(Debug, Clone)]
pub struct Staging {
    root: PathBuf,
}

impl Staging {
    /// The folder with all of it.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// What the run is making.
    #[must_use]
    pub fn plan(&self) -> PathBuf {
        self.root.join("plan.json")
    }

    /// The folder of the unit records.
    #[must_use]
    pub fn units(&self) -> PathBuf {
        self.root.join("units")
    }

    /// The record of one unit.
    #[must_use]
    pub fn unit(&self, index: usize) -> PathBuf {
        self.units().join(format!("unit_{index:05}.json"))
    }

    /// The folder that becomes the split's.
    #[must_use]
    pub fn files(&self) -> PathBuf {
        self.root.join("files")
    }

    /// The manifest's entry, there only when [`Self::files`] is complete.
    #[must_use]
    pub fn split(&self) -> PathBuf {
        self.root.join("split.json")
    }

    /// The old split's folder while the new one takes its place.
    #[must_use]
    pub fn replaced(&self) -> PathBuf {
        self.root.join("replaced")
    }

    /// A name for a file that is being written.
    #[must_use]
    pub fn temporary(&self) -> PathBuf {
        self.root.join("temporary")
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
            "documents.parquet",
            "a_stats.json",
            "a_rejects.jsonl",
            "a_units.jsonl.zst",
        ] {
            assert!(is_split_file("a", name), "{name}");
        }
        for name in
            ["shard_1.parquet", "shard_000x.parquet", "b_stats.json", "notes.txt", "a.jsonl", "stats.json"]
        {
            assert!(!is_split_file("a", name), "{name}");
        }
    }
}
