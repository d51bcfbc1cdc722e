//! A run's plan and the records of its tasks: values that say all that making a shard needs and all that came of it.
//!
//! A task is one or more shards. Its record is created only if absent, after the bytes it speaks of have reached the
//! disk; so a run that is killed at any moment finds, when it is started again, records of shards that are whole. A
//! shard's record speaks of nothing but its own stretch of the input.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::path::Path;

use mashbill_records::conversation::Changes;
use mashbill_records::record::{FieldCounts, Reason};
use mashbill_store::atomic;
use mashbill_store::checksum::{Checksum, Hasher};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::held_out::DatasetPart;
use crate::layout::{ShardId, StateFolder};
use crate::manifest::{
    self, FORMAT_VERSION, InputRange, Ledger, Manifest, ShardFile, SourceFile, TableFile, is_zero,
};
use crate::name;
use crate::stats::{InputFile, LengthHistogram};

/// The largest record, or plan, in bytes: a hundred thousand shards, or inputs.
const RECORD_BYTES_MAX: u64 = 256 << 20;

/// What a run makes, as `plan.json` has it. With it and the inputs every task can be made, by anybody and in any order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunPlan {
    /// The version of the format.
    pub format_version: u32,
    /// What the manifest will say, splits aside: options, tokenizer, labels, layout.
    pub manifest: Manifest,
    /// Whether the first bad line ends the run.
    pub strict: bool,
    /// Bytes of input that small shards of a task have together.
    pub task_bytes: u64,
    /// The splits that are made, in the order in which they are.
    pub splits: Vec<PlannedSplit>,
}

/// A split that is made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlannedSplit {
    /// The split.
    #[serde(deserialize_with = "name::plain")]
    pub split: String,
    /// What the manifest will call its input.
    pub source: String,
    /// Its files in order, in the groups that are cut as one stream each.
    pub groups: Vec<PlannedGroup>,
}

/// Files that are cut as one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlannedGroup {
    /// The files in order; their paths are relative to the input folder.
    pub inputs: Vec<InputFile>,
    /// How many shards they have; none where only reading to the end will tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shards: Option<u64>,
    /// Shards that are made already: of the finished split, or by a run with another plan.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kept: Vec<ShardRecord>,
}

/// What says which shards are of a plan's groups.
#[derive(Debug, Clone, Copy)]
pub struct GroupIds {
    /// Of options and tokenizer.
    run: Checksum,
}

/// The record of a finished task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskRecord {
    /// The version of the format.
    pub format_version: u32,
    /// Which attempt made it, where several processes make tasks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<String>,
    /// Its shards in order.
    pub shards: Vec<ShardRecord>,
}

/// What came of a shard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShardRecord {
    /// What it is a shard of: [`GroupIds::of`].
    pub of: Checksum,
    /// Which one it is.
    #[serde(flatten)]
    pub id: ShardId,
    /// Whether it is the last one of its file, or group: of a chain nobody knows before.
    pub last: bool,
    /// The stretch of the input.
    pub input: InputRange,
    /// Where the split is many files, those that the stretch has records of.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<SourceFile>,
    /// Bytes behind the end of what the input is packed in, which are no part of it.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub ignored_bytes: u64,
    /// The engine that made the ids.
    pub engine: String,
    /// What was made: one part, or both where documents are held out.
    pub parts: Vec<MadePart>,
}

/// What a shard became in one of the parts that documents are divided into.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MadePart {
    /// The part; the one to train on where nothing is held out.
    pub part: DatasetPart,
    /// The rows; none where there is no document.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<ShardFile>,
    /// The document table, where there are rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table: Option<TableFile>,
    /// What was counted.
    pub counts: DocumentCounts,
    /// The first refused lines of each reason.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rejects: Vec<Reject>,
}

/// What is counted of a shard's documents, and summed for a split.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DocumentCounts {
    /// Lines, blank ones included; rows for Parquet input.
    pub lines: u64,
    /// Lines with nothing but white space.
    pub blank_lines: u64,
    /// Byte order marks that were skipped.
    pub byte_order_marks: u64,
    /// Lines that the other part has, where documents are held out.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub other_part: u64,
    /// Documents kept.
    pub documents: u64,
    /// Bytes of text in the documents kept.
    pub text_bytes: u64,
    /// Where the tokens come from.
    pub ledger: Ledger,
    /// Refused lines by reason.
    #[serde(deserialize_with = "name::once_each")]
    pub rejected: BTreeMap<Reason, u64>,
    /// Documents that have messages of which only the text was taken, and refused lines that have some.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub with_messages: u64,
    /// What lines without a text have instead.
    #[serde(default, skip_serializing_if = "FieldCounts::is_empty")]
    pub without_text: FieldCounts,
    /// What was changed to bring records into the normal form of conversations.
    #[serde(default, skip_serializing_if = "Changes::is_nothing")]
    pub changes: Changes,
    /// Tokens a document.
    pub document_tokens: LengthHistogram,
}

/// A refused line. In a shard's record line and key are counted from where the shard's stretch of the input begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reject {
    /// The line's number, from 1; the row's for Parquet input.
    pub line: u64,
    /// The key of the line.
    pub key: u64,
    /// Why it was refused.
    pub reason: Reason,
    /// What was found.
    pub detail: String,
    /// The beginning of the line.
    pub excerpt: String,
}

impl DocumentCounts {
    /// Adds the counts of another part of the same split. Counts that somebody changed in a file stop at the largest number.
    pub fn add(&mut self, other: &Self) {
        let add = |sum: &mut u64, count: u64| *sum = sum.saturating_add(count);
        add(&mut self.lines, other.lines);
        add(&mut self.blank_lines, other.blank_lines);
        add(&mut self.byte_order_marks, other.byte_order_marks);
        add(&mut self.other_part, other.other_part);
        add(&mut self.documents, other.documents);
        add(&mut self.text_bytes, other.text_bytes);
        self.ledger.add(&other.ledger);
        self.changes.add(&other.changes);
        for (&reason, &count) in &other.rejected {
            add(self.rejected.entry(reason).or_default(), count);
        }
        add(&mut self.with_messages, other.with_messages);
        self.without_text.add(&other.without_text);
        self.document_tokens.add(&other.document_tokens);
    }
}

impl PlannedSplit {
    /// Whether it is many files.
    #[must_use]
    pub fn is_many(&self) -> bool {
        self.groups.iter().map(|group| group.inputs.len()).sum::<usize>() > 1
    }
}

impl RunPlan {
    /// Reads the plan of an interrupted run; none where there is none, or none that can be used.
    ///
    /// # Errors
    /// [`Error::TooNew`], [`Error::TooOld`], [`Io`](mashbill_store::Error::Io).
    pub fn read(state: &StateFolder) -> Result<Option<Self>> {
        read(&state.plan())
    }

    /// Writes the plan in the place of another one.
    ///
    /// # Errors
    /// [`DiskFull`](mashbill_store::Error::DiskFull), [`Io`](mashbill_store::Error::Io).
    pub fn write(&self, state: &StateFolder) -> Result<()> {
        let temporary = state.temporary().join("plan.json");
        Ok(atomic::replace(&state.plan(), &temporary, &manifest::to_json(self))?)
    }
}

impl GroupIds {
    /// The ids of the groups of plans with this manifest.
    #[must_use]
    pub fn new(manifest: &Manifest) -> Self {
        Self { run: manifest.run_identity() }
    }

    /// What a shard of the group with this number in `split` is a shard of: the same id, the same shards.
    #[must_use]
    pub fn of(&self, split: &PlannedSplit, number: usize) -> Checksum {
        let mut hasher = Hasher::new();
        hasher.update(&self.run.to_bytes());
        let input = (&split.split, split.is_many(), number, &split.groups[number].inputs);
        hasher.update(&serde_json::to_vec(&input).expect("plain types with string keys"));
        hasher.finish()
    }
}

impl TaskRecord {
    /// All records that are there, in the order of their names.
    ///
    /// # Errors
    /// [`Error::TooNew`], [`Error::TooOld`], [`Io`](mashbill_store::Error::Io).
    pub fn read_all(state: &StateFolder) -> Result<Vec<Self>> {
        Self::read_where(state, |_| true)
    }

    /// The records of the task called `name`: its own, or those of its shards where each is recorded by itself.
    ///
    /// # Errors
    /// [`Error::TooNew`], [`Error::TooOld`], [`Io`](mashbill_store::Error::Io).
    pub fn read_of(state: &StateFolder, name: &str) -> Result<Vec<Self>> {
        Self::read_where(state, |file| {
            file.strip_prefix(name).is_some_and(|rest| rest.starts_with(['.', '_']))
        })
    }

    fn read_where(state: &StateFolder, is_wanted: impl Fn(&str) -> bool) -> Result<Vec<Self>> {
        let folder = state.tasks();
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(_) if !folder.exists() => return Ok(Vec::new()),
            Err(source) => return Err(Error::io("read", &folder, source)),
        };
        let mut paths = Vec::new();
        for entry in entries {
            paths.push(entry.map_err(|source| Error::io("read", &folder, source))?.path());
        }
        paths.retain(|path| path.file_name().and_then(OsStr::to_str).is_some_and(&is_wanted));
        paths.sort();
        let records = paths.iter().map(|path| read(path)).collect::<Result<Vec<_>>>()?;
        Ok(records.into_iter().flatten().collect())
    }

    /// Records a task at `path`, going through `temporary`; its files are on the disk.
    ///
    /// # Errors
    /// [`AlreadyExists`](mashbill_store::Error::AlreadyExists), [`DiskFull`](mashbill_store::Error::DiskFull), [`Io`](mashbill_store::Error::Io).
    pub fn create(&self, path: &Path, temporary: &Path) -> Result<()> {
        debug_assert_eq!(self.format_version, FORMAT_VERSION);
        let bytes = serde_json::to_vec(self).expect("a record has string keys and finite numbers");
        Ok(atomic::create(path, temporary, &bytes)?)
    }
}

/// Reads a file of the state. One that is damaged counts as absent: it is made again.
fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<T>> {
    let parsed = match manifest::read_whole(path, RECORD_BYTES_MAX) {
        Ok(Some(bytes)) => manifest::parse_versioned(path, &bytes, FORMAT_VERSION).map(Some),
        Ok(None) => Ok(None),
        Err(error) => Err(error),
    };
    match parsed {
        Err(error) if error.is_damage() => Ok(None),
        parsed => parsed,
    }
}
