//! What the threads of a lane tell one another.

use std::sync::Arc;

use mashbill_format::held_out::DatasetPart;
use mashbill_parquet::row_group::EncodedRowGroup;
use mashbill_tokenizer::MetTraits;

use crate::block::TokenizedBlock;
use crate::error::{Error, Result};
use crate::files::{FinishedFiles, GrowingFiles, RowGroupKind, ShardPlace};
use crate::read::Stretch;
use crate::task::Task;

/// What workers and the feeder send.
#[derive(Debug)]
pub(crate) enum Reply {
    Steps { sequence: u64, steps: Vec<LaneStep> },
    Encoded { sequence: u64, writes: Vec<Write> },
    Written(Result<Box<Written>>),
    Checked { task: usize, outcome: Result<Option<(usize, String)>> },
}

/// Something that happens in the order of the work.
#[derive(Debug)]
pub(crate) enum LaneStep {
    /// A task begins, whose record has this name; `met` is for those who have to know of the traits that were met in it.
    Task { name: String, task: Task, met: Arc<MetTraits> },
    /// A shard of it begins.
    Shard { group: usize, index: usize },
    /// The next block of the shard.
    Block(Result<Box<TokenizedBlock>>),
    /// The shard has no more blocks.
    End(Stretch),
    /// The group cannot be read; a shard of it that has begun has no more blocks.
    Failed { group: usize, error: Error },
    /// The task has no more shards.
    TaskEnd,
    /// The run is interrupted: nothing more comes. A shard that has begun and not ended is dropped.
    Interrupted,
    /// There are no more tasks.
    Done,
}

/// Something to be done with files, in order.
#[derive(Debug)]
pub(crate) enum Write {
    Group { ordinal: usize, part: DatasetPart, place: ShardPlace, kind: RowGroupKind, group: EncodedRowGroup },
    Finish { ordinal: usize },
}

/// What was written, and the files it was written to.
#[derive(Debug)]
pub(crate) struct Written {
    pub(crate) files: GrowingFiles,
    /// Batches of writes that it was.
    pub(crate) batches: usize,
    /// Bytes of row groups, to be used again.
    pub(crate) bytes: Vec<(RowGroupKind, Vec<u8>)>,
    pub(crate) finished: Vec<(usize, Vec<FinishedFiles>)>,
}
