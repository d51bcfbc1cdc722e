//! What all who work on a run share.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Instant;

use mashbill_format::held_out::DatasetPart;
use mashbill_format::layout::{ShardId, StateFolder};
use mashbill_format::manifest::ShardOptions;
use mashbill_format::shard::RowGroupEncoder;
use mashbill_format::task::{DocumentCounts, GroupIds, PlannedSplit, RunPlan, ShardRecord};
use mashbill_store::checksum::Checksum;
use mashbill_tokenizer::{FastRefused, Tokenizer};

use crate::chat::ChatEncoder;
use crate::error::{Error, Result};
use crate::event::{Event, Progress};
use crate::group::Group;
use crate::interruption::Interruption;
use crate::made::are_all;
use crate::split_plan::{GroupPlan, SplitPlan};
use crate::worker::WrittenGroups;

/// A split that is worked on.
#[derive(Debug)]
pub(crate) struct SplitMaking<'a> {
    pub(crate) plan: &'a SplitPlan,
    /// Its groups, by their places in the plan.
    pub(crate) groups: Range<usize>,
    /// When work on it began.
    pub(crate) begun: OnceLock<Instant>,
    /// Set when it cannot be made.
    pub(crate) failed: AtomicBool,
    /// Whether another run, or another engine, has made files of it: some may be of shards that it does not have, and the
    /// folder may be in its place.
    pub(crate) was_begun: AtomicBool,
}

/// A group of files that is cut as one, of a split that is worked on.
#[derive(Debug)]
pub(crate) struct GroupMaking<'a> {
    /// The place of its split in the plan.
    pub(crate) split: usize,
    /// Its number in the split, where that is many files.
    pub(crate) number: Option<usize>,
    pub(crate) plan: &'a GroupPlan,
    /// What its shards' records say they are of.
    pub(crate) id: Checksum,
    /// Shards that are made already, by their numbers.
    pub(crate) kept: HashMap<usize, ShardRecord>,
}

/// All that is worked on: the splits, and their groups one after another.
#[derive(Debug, Default)]
pub(crate) struct RunWork<'a> {
    pub(crate) splits: Vec<SplitMaking<'a>>,
    pub(crate) groups: Vec<GroupMaking<'a>>,
}

impl<'a> RunWork<'a> {
    /// The work on the `splits` of `plan`. Of each group, `kept` gives the shards that are made.
    pub(crate) fn new(
        plan: &RunPlan,
        splits: &'a [SplitPlan],
        mut kept: impl FnMut(&PlannedSplit, usize, Checksum) -> Vec<ShardRecord>,
    ) -> Self {
        let (mut work, ids) = (Self::default(), GroupIds::new(&plan.manifest));
        for (place, (planned, split)) in plan.splits.iter().zip(splits).enumerate() {
            let (first, mut was_begun) = (work.groups.len(), false);
            for (number, group) in split.groups.iter().enumerate() {
                let id = ids.of(planned, number);
                let kept = kept(planned, number, id);
                was_begun |= !kept.is_empty();
                work.groups.push(GroupMaking {
                    split: place,
                    number: split.is_many().then_some(number),
                    plan: group,
                    id,
                    kept: kept.into_iter().map(|record| (record.id.index, record)).collect(),
                });
            }
            work.splits.push(SplitMaking {
                plan: split,
                groups: first..work.groups.len(),
                begun: OnceLock::new(),
                failed: AtomicBool::new(false),
                was_begun: AtomicBool::new(was_begun),
            });
        }
        work
    }

    /// The groups of a split.
    pub(crate) fn groups_of(&self, split: usize) -> &[GroupMaking<'a>] {
        &self.groups[self.splits[split].groups.clone()]
    }

    /// Bytes of all files.
    pub(crate) fn size(&self) -> u64 {
        self.splits.iter().map(|making| making.plan.size()).sum()
    }
}

impl SplitMaking<'_> {
    /// Whether it cannot be made.
    pub(crate) fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Relaxed)
    }
}

impl GroupMaking<'_> {
    /// Its files.
    pub(crate) const fn files(&self) -> &Group {
        &self.plan.group
    }

    /// Its shard with this number.
    pub(crate) const fn shard(&self, index: usize) -> ShardId {
        ShardId { group: self.number, index }
    }

    /// Whether all of its shards are made.
    pub(crate) fn is_whole(&self) -> bool {
        are_all(self.kept.values())
    }
}

/// What is told while a run is under way.
#[derive(Debug)]
pub(crate) enum RunMessage {
    Event(Event),
    /// Shards are made and recorded: each with the place of its group in the plan.
    Made(Vec<(usize, ShardRecord)>),
    /// A split cannot be made.
    Failed(usize, Error),
    /// The run ends.
    Stopped(Error),
    /// A lane has ended.
    LaneEnded,
}

/// What all who work on a run share.
#[derive(Debug)]
pub(crate) struct Context<'a> {
    pub(crate) options: &'a ShardOptions,
    /// Where tasks are recorded, and where their files are written.
    pub(crate) state: &'a StateFolder,
    pub(crate) made: &'a StateFolder,
    pub(crate) work: &'a RunWork<'a>,
    pub(crate) strict: bool,
    /// Bytes of input that small shards of a task have together.
    pub(crate) task_bytes: u64,
    /// Blocks that may be under way at the same time in a lane.
    pub(crate) window: usize,
    pub(crate) progress: RunCounters,
    pub(crate) vocabulary_size: usize,
    pub(crate) pad_id: u32,
    pub(crate) tokenizer: Arc<Tokenizer>,
    /// What makes documents of conversations, where these are taken.
    pub(crate) chat: Option<ChatEncoder>,
    /// The reference, for splits with which the fast engine is not trusted any more.
    pub(crate) reference: Mutex<HashMap<usize, Arc<Tokenizer>>>,
    pub(crate) interruption: Interruption<'a>,
    pub(crate) messages: Sender<RunMessage>,
    pub(crate) written: WrittenGroups,
}

impl Context<'_> {
    pub(crate) fn tell(&self, message: RunMessage) {
        // The receiver outlives everybody who tells; if it did not, there would be nobody to tell.
        drop(self.messages.send(message));
    }

    /// The parts that documents are divided into.
    pub(crate) fn parts(&self) -> &'static [DatasetPart] {
        parts_of(self.options)
    }

    /// Whether a task that ended early is recorded with the shards that it has: where the run has the folder for itself,
    /// the next one plans anew. Else its record would say that it is made.
    pub(crate) fn records_partial_tasks(&self) -> bool {
        self.state.root() == self.made.root()
    }

    pub(crate) fn row_group_encoder(&self) -> RowGroupEncoder {
        let Self { options, vocabulary_size, pad_id, .. } = self;
        RowGroupEncoder::new(options.max_seq_length, *vocabulary_size, *pad_id, options.compression)
    }

    /// The split of a group.
    pub(crate) fn split_of(&self, group: usize) -> &SplitMaking<'_> {
        &self.work.splits[self.work.groups[group].split]
    }

    /// The tokenizer that makes the split.
    pub(crate) fn tokenizer_of(&self, split: usize) -> Arc<Tokenizer> {
        let distrusted = self.reference.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(distrusted.get(&split).unwrap_or(&self.tokenizer))
    }

    /// Whether what is left of the split is made by the reference, since the engines disagree.
    pub(crate) fn is_distrusted(&self, split: usize) -> bool {
        self.reference.lock().unwrap_or_else(PoisonError::into_inner).contains_key(&split)
    }

    /// Has what is left of the split made by the reference: the engines disagree about `text`.
    pub(crate) fn distrust(&self, split: usize, text: String) -> Result<()> {
        if self.is_distrusted(split) {
            return Ok(());
        }
        let making = &self.work.splits[split];
        making.was_begun.store(true, Ordering::Relaxed);
        let name = making.plan.name.clone();
        self.tell(RunMessage::Event(Event::EngineMismatch { split: name, text: text.clone() }));
        let reference = Arc::new(self.tokenizer.to_reference(FastRefused::Mismatch { text })?);
        self.reference.lock().unwrap_or_else(PoisonError::into_inner).insert(split, reference);
        Ok(())
    }
}

/// The parts that documents are divided into.
pub(crate) const fn parts_of(options: &ShardOptions) -> &'static [DatasetPart] {
    match options.held_out {
        Some(_) => &[DatasetPart::Train, DatasetPart::Validation],
        None => &[DatasetPart::Train],
    }
}

/// Progress, as counted by those who make shards.
#[derive(Debug, Default)]
pub(crate) struct RunCounters {
    handed_out: AtomicU64,
    bytes: AtomicU64,
    bytes_total: u64,
    documents: AtomicU64,
    tokens: AtomicU64,
    rejected: AtomicU64,
}

impl RunCounters {
    pub(crate) fn new(bytes_total: u64) -> Self {
        Self { bytes_total, ..Self::default() }
    }

    pub(crate) fn add(&self, counts: &DocumentCounts) {
        self.documents.fetch_add(counts.documents, Ordering::Relaxed);
        self.tokens.fetch_add(counts.ledger.tokens(), Ordering::Relaxed);
        self.rejected.fetch_add(counts.rejected.values().sum(), Ordering::Relaxed);
    }

    /// Bytes of input files are in the hands of workers.
    pub(crate) fn hand_out(&self, bytes: u64) {
        self.handed_out.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Bytes of input files that were handed out and not worked through so far.
    pub(crate) fn under_way(&self) -> u64 {
        self.handed_out.load(Ordering::Relaxed).saturating_sub(self.bytes())
    }

    /// Bytes of input files that were worked through so far.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Bytes of input files were worked through.
    pub(crate) fn read(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn now(&self) -> Progress {
        Progress {
            bytes: self.bytes.load(Ordering::Relaxed),
            bytes_total: self.bytes_total,
            documents: self.documents.load(Ordering::Relaxed),
            tokens: self.tokens.load(Ordering::Relaxed),
            rejected: self.rejected.load(Ordering::Relaxed),
        }
    }
}
