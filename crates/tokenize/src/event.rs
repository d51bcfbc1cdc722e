//! What happens in a run, as it is told.

use std::time::Duration;

use mashbill_format::layout::ShardId;
use mashbill_format::stats::Stats;

/// What happens in a run.
#[derive(Debug, Clone, PartialEq)]
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
        /// The shards that are made again.
        made: Vec<ShardId>,
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
    /// The run is interrupted, and this shard, which is under way, is finished: it needs a few seconds.
    Finishing {
        /// The split.
        split: String,
        /// The shard.
        shard: ShardId,
    },
    /// The run is interrupted, and this shard, which is under way, is dropped: the next run makes it.
    Dropped {
        /// The split.
        split: String,
        /// The shard.
        shard: ShardId,
        /// How much longer it would have taken; none where too little was done to tell.
        time: Option<Duration>,
    },
    /// A split cannot be made; the run continues with the others.
    Failed {
        /// The split.
        split: String,
    },
}

impl Event {
    pub(crate) fn finished(split: &str, stats: &[Stats]) -> Self {
        Self::Finished {
            split: split.to_owned(),
            stats: Box::new(stats[0].clone()),
            held_out: stats.get(1).cloned().map(Box::new),
        }
    }
}

/// How far a run is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// Bytes of input files that were worked through in this run.
    pub bytes: u64,
    /// Bytes of all input files to read.
    pub bytes_total: u64,
    /// Documents kept.
    pub documents: u64,
    /// Tokens.
    pub tokens: u64,
    /// Refused lines.
    pub rejected: u64,
}
