//! What is to be tokenized, and how.

use std::path::PathBuf;

use mashbill_format::manifest;

use crate::split_names::SplitNames;

/// What to tokenize, and how.
#[derive(Debug, Clone)]
pub struct Options {
    /// A file or a folder.
    pub input: PathBuf,
    /// The folder for manifest and splits.
    pub output: PathBuf,
    /// Whether folders below the input folder are entered.
    pub recursive: bool,
    /// How splits are named.
    pub split_names: SplitNames,
    /// The size that finished shards are to have on average, in 10^9 bytes, more than 0.
    pub shard_size_gb: f64,
    /// What the bytes of the shards depend on. Where it says that documents are held out, both parts are made: the one
    /// to train on in `output`, the other in `_validation` below it.
    pub bytes: manifest::ShardOptions,
    /// What becomes of finished splits.
    pub finished: FinishedSplits,
    /// Whether inputs are read again although size and modification time are unchanged.
    pub rehash: bool,
    /// Whether splits whose input is gone are removed.
    pub prune: bool,
    /// Whether the first bad line ends the run.
    pub strict: bool,
    /// Threads that compute, 1 or more.
    pub threads: usize,
    /// Bytes of input that small shards which are recorded together have: [`crate::plan::TASK_BYTES`] but in tests. No byte of the
    /// output depends on it.
    pub task_bytes: u64,
}

/// What becomes of splits that are finished already.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum FinishedSplits {
    /// Identical ones are kept, a different one is refused.
    #[default]
    Keep,
    /// Identical ones are kept, different ones are made again.
    RedoDifferent,
    /// All are made again.
    RedoAll,
}
