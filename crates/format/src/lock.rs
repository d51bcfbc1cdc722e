//! `curriculum.lock`: which bytes the datasets of a folder are made of.
//!
//! A branch on the Hub moves; a curriculum that others are to repeat must not. The first download
//! of a dataset writes down the commit, its files, their sizes and hashes, and every later one
//! takes exactly these. It is meant to be committed beside a project. With it nothing has to be
//! asked to know what there should be, so a run without change makes no request.

use std::collections::BTreeMap;
use std::path::Path;

use mashbill_store::atomic;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::manifest;
use crate::name;
use crate::untaken::UntakenFiles;

/// The version of the format of downloads: of statistics, checkpoints and `curriculum.lock`.
pub const DATA_FORMAT_VERSION: u32 = 1;

/// The name of the file in its folder.
pub const LOCK: &str = "curriculum.lock";

/// The largest lock in bytes: some hundred thousand files.
pub const LOCK_BYTES_MAX: u64 = 64 << 20;

/// The contents of `curriculum.lock`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Lock {
    /// The version of the format.
    pub format_version: u32,
    /// Datasets by name.
    #[serde(deserialize_with = "name::by_name")]
    pub datasets: BTreeMap<String, Pin>,
}

/// What a dataset is made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Pin {
    /// The repository on the Hub.
    pub repo: String,
    /// The branch, tag or commit that was asked for.
    pub revision: String,
    /// The commit that it was, as 40 hexadecimal digits.
    pub commit: String,
    /// The license's id in the catalogue.
    pub license: String,
    /// Whether access had to be asked for.
    pub gated: bool,
    /// The globs that chose the files.
    pub globs: Vec<String>,
    /// The files, in the order in which they are converted.
    pub files: Vec<PinnedFile>,
    /// The repository's other files, which are not taken.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub untaken: Vec<UntakenFiles>,
}

/// A file of a dataset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PinnedFile {
    /// Its path in the repository.
    #[serde(deserialize_with = "name::path")]
    pub path: String,
    /// Its size in bytes.
    pub size: u64,
    /// Its hash: `sha256` or `git sha1`, and hexadecimal digits.
    pub hash: String,
}

impl Default for Lock {
    fn default() -> Self {
        Self { format_version: DATA_FORMAT_VERSION, datasets: BTreeMap::new() }
    }
}

impl Lock {
    /// Reads the lock at `path`; an empty one where there is none.
    ///
    /// # Errors
    /// [`Damaged`](mashbill_store::Error::Damaged), [`Error::TooNew`](crate::Error::TooNew), [`Io`](mashbill_store::Error::Io).
    pub fn read(path: &Path) -> Result<Self> {
        match manifest::read_whole(path, LOCK_BYTES_MAX)? {
            Some(bytes) => manifest::parse_versioned(path, &bytes, DATA_FORMAT_VERSION),
            None => Ok(Self::default()),
        }
    }

    /// Writes the lock at `path`, going through `temporary`.
    ///
    /// # Errors
    /// [`DiskFull`](mashbill_store::Error::DiskFull), [`Io`](mashbill_store::Error::Io).
    pub fn write(&self, path: &Path, temporary: &Path) -> Result<()> {
        let mut text = manifest::to_json(self);
        text.push(b'\n');
        Ok(atomic::replace(path, temporary, &text)?)
    }
}
