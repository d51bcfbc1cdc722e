//! The journal of a split that is being made: one record a finished unit.
//!
//! A record is created only if absent, after the bytes it speaks of have reached
//! the disk. So a run that is killed at any moment finds, when it is started again,
//! a row of records whose files are whole up to the last of them, and goes on there.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::io::{self, BufRead, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::atomic;
use crate::checksum::Checksum;
use crate::error::{Error, Result};
use crate::layout::Staging;
use crate::manifest::{self, DataFile, FORMAT_VERSION, Ledger, Split};
use crate::open;
use crate::record::{FieldCounts, Reason};
use crate::row_group::RowGroup;
use crate::shard::Piece;
use crate::stats::{LengthHistogram, is_zero};

/// The largest record in bytes: a unit of 32 MB, a row group and a tail of a row of the greatest length each.
const RECORD_BYTES_MAX: u64 = 256 << 20;

/// What a run is making of a split. A journal is gone on with only where this is the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// The version of the format.
    pub format_version: u32,
    /// The identity of options and tokenizer.
    pub identity: Checksum,
    /// The input file.
    pub input: String,
    /// Its size in bytes as it lies on the disk.
    pub size: u64,
    /// Its modification time in nanoseconds since 1970.
    pub modified_ns: u64,
    /// When its content or its place on the disk last changed, in nanoseconds since 1970; 0 where the system does not say.
    pub changed_ns: u64,
}

/// The record of a finished unit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct UnitRecord {
    /// The version of the format.
    pub format_version: u32,
    /// The key at which the unit begins.
    pub first_key: u64,
    /// The key at which the next unit begins.
    pub next_key: u64,
    /// Bytes of input.
    pub bytes: u64,
    /// Checksum of the input.
    pub checksum: Checksum,
    /// The unit's full rows: the shard that each row group stands in, by index, in order.
    pub row_groups: Vec<(usize, RowGroup)>,
    /// Shards that were finished on the way.
    pub finished_shards: Vec<DataFile>,
    /// The row groups of the document table.
    pub documents: Vec<RowGroup>,
    /// What is left of the unit after its full rows.
    pub tail: Tail,
    /// What was counted.
    pub counts: Counts,
    /// The first refused lines of each reason.
    pub rejects: Vec<Reject>,
}

/// The tokens of a unit that fill no row.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tail {
    /// The tokens: fewer than a row.
    pub tokens: Vec<u32>,
    /// The documents they belong to.
    pub pieces: Vec<Piece>,
}

/// What is counted of a unit, and summed for a split.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
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
    /// Full rows.
    pub rows: u64,
    /// Where the tokens come from; padding is 0 here.
    pub ledger: Ledger,
    /// Refused lines by reason.
    pub rejected: BTreeMap<Reason, u64>,
    /// What lines without a text have instead.
    #[serde(default, skip_serializing_if = "FieldCounts::is_empty")]
    pub without_text: FieldCounts,
    /// Tokens a document.
    pub document_tokens: LengthHistogram,
}

/// A refused line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reject {
    /// The line's number in its file, from 1; the row's for Parquet input.
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

impl Counts {
    /// Adds the counts of another part of the same split.
    pub fn add(&mut self, other: &Self) {
        self.lines += other.lines;
        self.blank_lines += other.blank_lines;
        self.byte_order_marks += other.byte_order_marks;
        self.other_part += other.other_part;
        self.documents += other.documents;
        self.text_bytes += other.text_bytes;
        self.rows += other.rows;
        self.ledger.text_tokens += other.ledger.text_tokens;
        self.ledger.special_tokens += other.ledger.special_tokens;
        self.ledger.padding += other.ledger.padding;
        self.ledger.literal_special_tokens += other.ledger.literal_special_tokens;
        for (&reason, &count) in &other.rejected {
            *self.rejected.entry(reason).or_default() += count;
        }
        self.without_text.add(&other.without_text);
        self.document_tokens.add(&other.document_tokens);
    }
}

impl Ledger {
    /// Real tokens in the rows.
    #[must_use]
    pub const fn tokens(&self) -> u64 {
        self.text_tokens + self.special_tokens
    }
}

/// The records of a split that is being made.
#[derive(Debug, Clone)]
pub struct Journal {
    staging: Staging,
}

impl Journal {
    /// Opens the journal for `plan`. Where another plan was under way, its state is removed.
    ///
    /// # Errors
    /// [`Error::TooNew`], [`Error::Io`], [`Error::DiskFull`].
    pub fn open(staging: &Staging, plan: &Plan) -> Result<Self> {
        let same = read::<Plan>(&staging.plan())?.is_some_and(|found| found == *plan);
        if !same {
            atomic::remove_folder(staging.root())?;
        }
        for folder in [staging.root(), &staging.units(), &staging.files()] {
            atomic::create_own_folder(folder)?;
        }
        if !same {
            atomic::replace(&staging.plan(), &staging.temporary(), &manifest::to_json(plan))?;
        }
        let journal = Self { staging: staging.clone() };
        if same {
            journal.forget_after_gap()?;
        }
        Ok(journal)
    }

    /// Removes the records after a unit that has none: what they speak of is written and recorded again.
    fn forget_after_gap(&self) -> Result<()> {
        let mut kept = HashSet::new();
        while self.unit(kept.len())?.is_some() {
            kept.insert(self.staging.unit(kept.len()));
        }
        let folder = self.staging.units();
        let failed = |source| Error::io("read", &folder, source);
        for entry in fs::read_dir(&folder).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            if !kept.contains(&path) {
                fs::remove_file(&path).map_err(|source| Error::io("remove", &path, source))?;
            }
        }
        Ok(())
    }

    /// The record of unit `unit`; none where the unit is not finished.
    ///
    /// # Errors
    /// [`Error::TooNew`], [`Error::Io`].
    pub fn unit(&self, unit: usize) -> Result<Option<UnitRecord>> {
        read(&self.staging.unit(unit))
    }

    /// The records from the first unit on, up to the first that is not there, read one at a time.
    pub fn units(&self) -> impl Iterator<Item = Result<UnitRecord>> + '_ {
        (0..).map_while(|unit| self.unit(unit).transpose())
    }

    /// Makes a journal for `plan` that has `records` already. The files they speak of are there.
    ///
    /// # Errors
    /// [`Error::AlreadyExists`], [`Error::DiskFull`], [`Error::Io`].
    pub fn seed(staging: &Staging, plan: &Plan, records: &[UnitRecord]) -> Result<()> {
        let journal = Self { staging: staging.clone() };
        for (unit, record) in records.iter().enumerate() {
            journal.record(unit, record)?;
        }
        // The plan comes last: without it the records count for nothing.
        atomic::replace(&staging.plan(), &staging.temporary(), &manifest::to_json(plan))
    }

    /// Whether a journal for `plan` is there to be gone on with.
    ///
    /// # Errors
    /// [`Error::TooNew`], [`Error::Io`].
    pub fn is_under_way(staging: &Staging, plan: &Plan) -> Result<bool> {
        Ok(read::<Plan>(&staging.plan())?.is_some_and(|found| found == *plan))
    }

    /// Records a finished unit. The bytes it speaks of have been synced.
    ///
    /// # Errors
    /// [`Error::AlreadyExists`], [`Error::DiskFull`], [`Error::Io`].
    pub fn record(&self, unit: usize, record: &UnitRecord) -> Result<()> {
        debug_assert_eq!(record.format_version, FORMAT_VERSION);
        let bytes = serde_json::to_vec(record).expect("a record has string keys and finite numbers");
        atomic::create(&self.staging.unit(unit), &self.staging.temporary(), &bytes)
    }

    /// Declares the split's files complete: from here on the split can only go forward.
    ///
    /// # Errors
    /// [`Error::DiskFull`], [`Error::Io`].
    pub fn complete(&self, split: &Split) -> Result<()> {
        let entry = Completed { format_version: FORMAT_VERSION, split: split.clone() };
        atomic::replace(&self.staging.split(), &self.staging.temporary(), &manifest::to_json(&entry))
    }

    /// The manifest's entry of a split whose files are complete but may not have their final names.
    ///
    /// # Errors
    /// [`Error::TooNew`], [`Error::Io`].
    pub fn completed(staging: &Staging) -> Result<Option<Split>> {
        Ok(read::<Completed>(&staging.split())?.map(|completed| completed.split))
    }
}

/// Writes the records of a finished split to `path`, through `temporary`: what is needed to keep its units
/// when its input grows.
///
/// # Errors
/// [`Error::DiskFull`], [`Error::Io`], and the errors of `records`.
pub fn write_records(
    path: &Path,
    temporary: &Path,
    records: impl Iterator<Item = Result<UnitRecord>>,
) -> Result<()> {
    let failed = |source| Error::io("write", temporary, source);
    let mut file = zstd::Encoder::new(Vec::new(), 3).map_err(failed)?;
    for record in records {
        let mut line = serde_json::to_vec(&record?).expect("a record has string keys and finite numbers");
        line.push(b'\n');
        file.write_all(&line).map_err(failed)?;
    }
    atomic::replace(path, temporary, &file.finish().map_err(failed)?)
}

/// Reads what [`write_records`] wrote; none where there is no such file or it cannot be used.
///
/// # Errors
/// [`Error::Io`].
pub fn read_records(path: &Path) -> Result<Option<Vec<UnitRecord>>> {
    let file = match open::open(path) {
        Ok(file) => file,
        Err(source) if source.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(Error::io("read", path, source)),
    };
    let lines = zstd::Decoder::new(file).map(|decoder| io::BufReader::new(decoder).lines());
    let records = lines.and_then(|lines| {
        lines
            .map(|line| {
                let record: UnitRecord = serde_json::from_str(&line?)?;
                Ok(record)
            })
            .collect::<io::Result<Vec<_>>>()
    });
    Ok(records.ok().filter(|records| records.iter().all(|record| record.format_version == FORMAT_VERSION)))
}

#[derive(Serialize, Deserialize)]
struct Completed {
    format_version: u32,
    split: Split,
}

/// Reads a file of the journal. One that is damaged counts as absent: it is made again.
fn read<T: for<'de> Deserialize<'de>>(path: &Path) -> Result<Option<T>> {
    let read = manifest::read_whole(path, RECORD_BYTES_MAX);
    let parsed = match read {
        Ok(Some(bytes)) => manifest::parse_versioned(path, &bytes),
        Ok(None) => return Ok(None),
        Err(error) => Err(error),
    };
    match parsed {
        Ok(value) => Ok(Some(value)),
        Err(Error::Damaged { .. }) => {
            fs::remove_file(path).map_err(|source| Error::io("remove", path, source))?;
            Ok(None)
        }
        Err(error) => Err(error),
    }
}
