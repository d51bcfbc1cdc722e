//! What all who work on a run share.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Instant;

use mashbill_format::checksum::Checksum;
use mashbill_format::held_out::Part;
use mashbill_format::layout::State;
use mashbill_format::manifest::Options;
use mashbill_format::shard::RowGroupEncoder;
use mashbill_format::task::{Counts, ShardRecord};

use crate::error::{Error, Result};
use crate::event::{Event, Progress};
use crate::plan::SplitPlan;
use crate::tokenizer::{FastRefused, Tokenizer};

/// A split that is worked on.
#[derive(Debug)]
pub(crate) struct Making<'a> {
    pub(crate) plan: &'a SplitPlan,
    /// What its shards' records say they are of.
    pub(crate) id: Checksum,
    /// How many shards it has; none where only reading to the end will tell.
    pub(crate) count: Option<u64>,
    /// Shards that are made already, by their numbers.
    pub(crate) kept: HashMap<usize, ShardRecord>,
    /// When work on it began.
    pub(crate) begun: OnceLock<Instant>,
    /// Set when it cannot be made.
    pub(crate) failed: AtomicBool,
}

impl Making<'_> {
    /// Whether it cannot be made.
    pub(crate) fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Relaxed)
    }
}

/// What is told while a run is under way.
#[derive(Debug)]
pub(crate) enum Message {
    Event(Event),
    /// Shards are made and recorded: each with the place of its split in the plan.
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
    pub(crate) options: &'a Options,
    pub(crate) state: State,
    pub(crate) splits: Vec<Making<'a>>,
    pub(crate) strict: bool,
    /// Bytes of input that small shards of a task have together.
    pub(crate) task_bytes: u64,
    /// Blocks that may be under way at the same time in a lane.
    pub(crate) window: usize,
    pub(crate) progress: Counters,
    pub(crate) vocabulary_size: usize,
    pub(crate) pad_id: u32,
    pub(crate) tokenizer: Arc<Tokenizer>,
    /// The reference, for splits with which the fast engine is not trusted any more.
    pub(crate) reference: Mutex<HashMap<usize, Arc<Tokenizer>>>,
    pub(crate) interrupted: &'a AtomicBool,
    /// Set when an error ends the run.
    pub(crate) stopped: AtomicBool,
    pub(crate) messages: Sender<Message>,
}

impl Context<'_> {
    pub(crate) fn tell(&self, message: Message) {
        // The receiver outlives everybody who tells; if it did not, there would be nobody to tell.
        drop(self.messages.send(message));
    }

    pub(crate) fn is_interrupted(&self) -> bool {
        self.interrupted.load(Ordering::Relaxed) || self.stopped.load(Ordering::Relaxed)
    }

    /// The parts that documents are divided into.
    pub(crate) fn parts(&self) -> &'static [Part] {
        parts_of(self.options)
    }

    pub(crate) fn row_group_encoder(&self) -> RowGroupEncoder {
        let Self { options, vocabulary_size, pad_id, .. } = self;
        RowGroupEncoder::new(options.max_seq_length, *vocabulary_size, *pad_id, options.compression)
    }

    /// The tokenizer that makes the split.
    pub(crate) fn tokenizer_of(&self, split: usize) -> Arc<Tokenizer> {
        let distrusted = self.reference.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(distrusted.get(&split).unwrap_or(&self.tokenizer))
    }

    /// Has what is left of the split made by the reference: the engines disagree about `text`.
    pub(crate) fn distrust(&self, split: usize, text: String) -> Result<()> {
        let name = self.splits[split].plan.input.split.clone();
        self.tell(Message::Event(Event::EngineMismatch { split: name, text: text.clone() }));
        let reference = Arc::new(self.tokenizer.to_reference(FastRefused::Mismatch { text })?);
        self.reference.lock().unwrap_or_else(PoisonError::into_inner).insert(split, reference);
        Ok(())
    }
}

/// The parts that documents are divided into.
pub(crate) const fn parts_of(options: &Options) -> &'static [Part] {
    match options.held_out {
        Some(_) => &[Part::Train, Part::Validation],
        None => &[Part::Train],
    }
}

/// Progress, as counted by those who make shards.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    bytes: AtomicU64,
    bytes_total: u64,
    documents: AtomicU64,
    tokens: AtomicU64,
    rejected: AtomicU64,
}

impl Counters {
    pub(crate) fn new(bytes_total: u64) -> Self {
        Self { bytes_total, ..Self::default() }
    }

    pub(crate) fn add(&self, counts: &Counts) {
        self.documents.fetch_add(counts.documents, Ordering::Relaxed);
        self.tokens.fetch_add(counts.ledger.tokens(), Ordering::Relaxed);
        self.rejected.fetch_add(counts.rejected.values().sum(), Ordering::Relaxed);
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
