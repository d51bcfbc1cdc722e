//! What a look at a folder comes to.

use std::path::PathBuf;

use serde::Serialize;

use crate::folder::FolderKind;
use crate::problem::{Problem, Severity};

/// What the caller decides.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Threads that compute, 1 or more.
    pub threads: usize,
}

/// What was looked at and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// The folder.
    pub path: PathBuf,
    /// What kind of folder it is.
    pub kind: FolderKind,
    /// Files that were read.
    pub files: u64,
    /// Bytes that were read.
    pub bytes: u64,
    /// Rows of shards, or lines and rows of records.
    pub rows: u64,
    /// Documents.
    pub documents: u64,
    /// Tokens; 0 for a raw folder.
    pub tokens: u64,
    /// What is wrong, worst first; of the same kind in the same file the first [`Report::KEPT`] only.
    pub problems: Vec<Problem>,
    /// How many errors there are, the ones not kept included.
    pub errors: u64,
    /// How many warnings there are, the ones not kept included.
    pub warnings: u64,
    /// Whether the check was interrupted, so that not everything was looked at.
    pub interrupted: bool,
}

impl Report {
    /// Problems of the same kind in the same file that are kept; others are counted.
    pub const KEPT: usize = 5;

    /// Takes in what another check of the same folder found.
    pub fn add(&mut self, problems: Vec<Problem>) {
        for problem in problems {
            match problem.severity {
                Severity::Error => self.errors += 1,
                Severity::Warning => self.warnings += 1,
            }
            self.problems.push(problem);
        }
    }

    /// Whether nothing worse than a warning was found and everything was looked at.
    #[must_use]
    pub const fn is_good(&self) -> bool {
        self.errors == 0 && !self.interrupted && !self.is_unfinished()
    }

    /// Whether the first run that writes to the folder has not ended, so that there is nothing to look at yet.
    #[must_use]
    pub const fn is_unfinished(&self) -> bool {
        // A manifest is a file that was read.
        matches!(self.kind, FolderKind::Tokenized) && self.files == 0 && self.errors == 0
    }
}
