//! What happens in a run, as it is told.

use mashbill_format::stats::Stats;

/// What happens in a run.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// Work on a split begins.
    Started {
        /// The split.
        split: String,
    },
    /// A split was begun by an earlier run, whose shards stay.
    Resumed {
        /// The split.
        split: String,
        /// Shards that are made already.
        shards: usize,
        /// Of how many; none where only reading the input to its end will tell.
        of: Option<u64>,
    },
    /// A split whose input is another one was compared with it: shards whose stretch is the same stay.
    Compared {
        /// The split.
        split: String,
        /// Numbers of the shards that are made again, from 0.
        made: Vec<usize>,
        /// How many shards there are.
        of: usize,
    },
    /// A split was compared with its input and is what it would become: it is left alone.
    Unchanged {
        /// The split.
        split: String,
    },
    /// How far the run is; told ten times a second.
    Progress(Progress),
    /// The fast engine disagreed with the reference, which makes the shards of this split that are not made yet.
    EngineMismatch {
        /// The split.
        split: String,
        /// The text they disagree about.
        text: String,
    },
    /// A split is finished, in its place, and will stand in the manifest.
    Finished {
        /// The split.
        split: String,
        /// Its counts; of the part to train on where documents are held out.
        stats: Box<Stats>,
        /// The counts of the documents that are held out, if any.
        held_out: Option<Box<Stats>>,
    },
    /// A split cannot be made; the others go on.
    Failed {
        /// The split.
        split: String,
    },
}

/// How far a run is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// Bytes of input files that were worked through in this run.
    pub bytes: u64,
    /// Bytes of all input files that are to be worked through.
    pub bytes_total: u64,
    /// Documents kept.
    pub documents: u64,
    /// Tokens.
    pub tokens: u64,
    /// Refused lines.
    pub rejected: u64,
}
