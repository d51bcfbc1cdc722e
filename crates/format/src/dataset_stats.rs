//! `<name>.stats.json`: what a downloaded dataset is, where it came from and under which license.
//!
//! A file of records is taken for done only where its statistics say so and agree with the
//! catalogue, the lock and the file's size: that a file is there says nothing. The same counts
//! stand in the checkpoint of a conversion under way, so that one that was killed goes on with
//! them. Lengths are kept in a histogram of four buckets an octave: quantiles are exact to a
//! fifth, and a checkpoint stays small whatever the number of rows.

use std::collections::BTreeMap;
use std::path::Path;

use mashbill_records::conversation::Changes;
use mashbill_store::atomic;
use mashbill_store::checksum::Checksum;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::catalog::LicenseKind;
use crate::error::Result;
use crate::lock::{DATA_FORMAT_VERSION, PinnedFile};
use crate::manifest;
use crate::name;
use crate::stats::STATS_BYTES_MAX;
use crate::untaken::{UntakenColumns, UntakenFiles};

/// Rejected rows that are kept, in order, whatever their reasons.
pub const REJECTED_ROWS_KEPT: usize = 20;

/// The contents of `<name>.stats.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DatasetStats {
    /// The version of the format.
    pub format_version: u32,
    /// The dataset's name.
    #[serde(deserialize_with = "name::plain")]
    pub dataset: String,
    /// Its category.
    #[serde(deserialize_with = "name::plain")]
    pub category: String,
    /// Where it came from.
    pub source: DatasetSource,
    /// The license's id; `not stated` where there is none.
    pub license: String,
    /// The license's kind.
    pub license_kind: LicenseKind,
    /// Whether access had to be asked for.
    pub gated: bool,
    /// The mashbill that made it.
    pub mashbill_version: String,
    /// The checksum of what the catalogue says about its records.
    pub catalog_checksum: Checksum,
    /// How a row became a record, by the catalogue's word: `dialogue`, `exchange`.
    pub render: String,
    /// How much of it was taken.
    pub take: Take,
    /// When it was completed, in seconds since 1970.
    pub completed_unix_s: u64,
    /// Seconds from the first byte asked for to the last record, of the run that completed it.
    pub seconds: f64,
    /// Bytes that came over the network in that run.
    pub downloaded_bytes: u64,
    /// Bytes that were there already, from an earlier run or the Hub's cache.
    pub reused_bytes: u64,
    /// Requests that were tried again.
    pub retries: u64,
    /// Rows, records, bytes, lengths.
    pub counts: RowCounts,
    /// The checksum of the file of records.
    pub jsonl_checksum: Checksum,
    /// The characters of a text.
    pub text_len: TextLengths,
    /// Tokens, estimated from the bytes of text.
    pub est_tokens: u64,
    /// The share of all tokens in percent that its category is to have.
    pub target_percent: f64,
    /// Files of the repository that were not taken.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub untaken_files: Vec<UntakenFiles>,
    /// Columns of its rows that stand in no record.
    #[serde(default, skip_serializing_if = "UntakenColumns::is_empty")]
    pub untaken_columns: UntakenColumns,
    /// What was changed in its conversations to make them of one form.
    #[serde(default, skip_serializing_if = "is_unchanged")]
    pub changes: Changes,
    /// True: a file that is not complete has no statistics.
    pub complete: bool,
}

/// Where a dataset came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DatasetSource {
    /// The repository on the Hub.
    pub repo: String,
    /// The commit.
    pub commit: String,
    /// The files that were converted, in order.
    pub files: Vec<PinnedFile>,
}

/// How much of a dataset is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Take {
    /// How many of a million rows, chosen by a hash of the file's path and the row's number.
    pub rows_per_million: u32,
    /// The most records.
    pub max_rows: Option<u64>,
    /// The most bytes of records; the last record that fits is the last.
    pub max_bytes: Option<u64>,
}

impl Take {
    /// Everything.
    pub const ALL: Self = Self { rows_per_million: 1_000_000, max_rows: None, max_bytes: None };
}

/// What came of the rows so far.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RowCounts {
    /// Rows read.
    pub rows_in: u64,
    /// Records written.
    pub rows_out: u64,
    /// Rows that sampling left out.
    pub rows_not_sampled: u64,
    /// Rows refused, by reason.
    #[serde(deserialize_with = "name::once_each")]
    pub rejected: BTreeMap<String, u64>,
    /// Bytes of the file of records.
    pub jsonl_bytes: u64,
    /// Bytes of text in the records.
    pub text_bytes: u64,
    /// Characters of text in the records.
    pub chars: u64,
}

impl RowCounts {
    /// Rows refused in all.
    #[must_use]
    pub fn rejected_total(&self) -> u64 {
        self.rejected.values().copied().fold(0, u64::saturating_add)
    }
}

/// The characters of a text: the least, the most, and two quantiles to a fifth.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TextLengths {
    /// The shortest.
    pub min: u64,
    /// Half are this long or shorter.
    pub p50: u64,
    /// 95 % are this long or shorter.
    pub p95: u64,
    /// The longest.
    pub max: u64,
}

/// Texts by length.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LengthBuckets {
    min: u64,
    max: u64,
    /// Texts by the largest length of their bucket.
    up_to: BTreeMap<u64, u64>,
}

impl LengthBuckets {
    /// Counts a text of `chars` characters.
    pub fn count(&mut self, chars: u64) {
        self.min = if self.up_to.is_empty() { chars } else { self.min.min(chars) };
        self.max = self.max.max(chars);
        *self.up_to.entry(bucket(chars)).or_default() += 1;
    }

    /// Takes in the texts that were counted elsewhere.
    pub fn add(&mut self, other: &Self) {
        if other.up_to.is_empty() {
            return;
        }
        self.min = if self.up_to.is_empty() { other.min } else { self.min.min(other.min) };
        self.max = self.max.max(other.max);
        other.up_to.iter().for_each(|(&length, count)| *self.up_to.entry(length).or_default() += count);
    }

    /// The lengths' summary.
    #[must_use]
    pub fn summary(&self) -> TextLengths {
        let total: u64 = self.up_to.values().sum();
        let quantile = |percent: u64| {
            let wanted = (total * percent).div_ceil(100);
            let mut seen = 0;
            let found = self.up_to.iter().find(|(_, count)| {
                seen += **count;
                seen >= wanted
            });
            found.map_or(0, |(&length, _)| length.min(self.max))
        };
        TextLengths { min: self.min, p50: quantile(50), p95: quantile(95), max: self.max }
    }
}

/// The largest length in the bucket of `length`: four buckets between a power of two and the next.
fn bucket(length: u64) -> u64 {
    if length < 8 {
        return length;
    }
    let shift = length.ilog2() - 2;
    (((length >> shift) + 1) << shift) - 1
}

/// A row that became no record: a line of `<name>_rejects.jsonl`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RejectedRow {
    /// The file in the repository.
    pub file: String,
    /// The row's number in it, from 0.
    pub row: u64,
    /// Why, as a word.
    pub reason: String,
    /// What was found.
    pub detail: String,
    /// The beginning of the row.
    pub start: String,
}

/// How far the conversion of a dataset is, for a run that goes on. It speaks of what reached the disk.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// The version of the format.
    pub format_version: u32,
    /// What is being made: it is gone on with only where this is the same.
    pub making: Making,
    /// How many of the files are done with.
    pub files_done: usize,
    /// Where the next row of the file after those begins: a byte of its decompressed content, or a row.
    pub position: u64,
    /// Rows of that file that were read.
    pub rows_in_file: u64,
    /// What came of the rows so far.
    pub counts: RowCounts,
    /// The records' lengths.
    pub lengths: LengthBuckets,
    /// Columns of the rows so far that stand in no record.
    #[serde(default)]
    pub untaken_columns: UntakenColumns,
    /// What was changed in the conversations so far.
    #[serde(default)]
    pub changes: Changes,
    /// The first refused rows.
    pub rejects: Vec<RejectedRow>,
    /// Bytes that came over the network so far.
    pub downloaded_bytes: u64,
    /// Bytes that were there already.
    pub reused_bytes: u64,
    /// Requests that were tried again.
    pub retries: u64,
}

/// What decides about every byte of a file of records.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Making {
    /// The checksum of what the catalogue says.
    pub catalog_checksum: Checksum,
    /// Repository, commit and files.
    pub source: DatasetSource,
    /// How much is taken.
    pub take: Take,
}

fn is_unchanged(changes: &Changes) -> bool {
    *changes == Changes::default()
}

impl Checkpoint {
    /// Whether all rows were read and none became a record: to go on would end as before.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.counts.rows_out == 0
            && self.counts.rejected_total() > 0
            && self.files_done == self.making.source.files.len()
    }
}

impl DatasetStats {
    /// Writes the statistics at `path`, going through `temporary`.
    ///
    /// # Errors
    /// [`DiskFull`](mashbill_store::Error::DiskFull), [`Io`](mashbill_store::Error::Io).
    pub fn write(&self, path: &Path, temporary: &Path) -> Result<()> {
        write_json(self, path, temporary)
    }

    /// Reads statistics; none where the file is missing or not ours.
    ///
    /// # Errors
    /// [`TooNew`](crate::Error::TooNew), [`Io`](mashbill_store::Error::Io).
    pub fn read(path: &Path) -> Result<Option<Self>> {
        read_json(path)
    }
}

impl Checkpoint {
    /// Writes the checkpoint at `path`, going through `temporary`.
    ///
    /// # Errors
    /// [`DiskFull`](mashbill_store::Error::DiskFull), [`Io`](mashbill_store::Error::Io).
    pub fn write(&self, path: &Path, temporary: &Path) -> Result<()> {
        write_json(self, path, temporary)
    }

    /// Reads a checkpoint; none where the file is missing or not ours.
    ///
    /// # Errors
    /// [`TooNew`](crate::Error::TooNew), [`Io`](mashbill_store::Error::Io).
    pub fn read(path: &Path) -> Result<Option<Self>> {
        read_json(path)
    }
}

/// Writes refused rows at `path`, one a line.
///
/// # Errors
/// [`DiskFull`](mashbill_store::Error::DiskFull), [`Io`](mashbill_store::Error::Io).
pub fn write_rejected_rows(path: &Path, temporary: &Path, rows: &[RejectedRow]) -> Result<()> {
    let mut text = Vec::new();
    for row in rows {
        serde_json::to_writer(&mut text, row).expect("strings and numbers are JSON");
        text.push(b'\n');
    }
    Ok(atomic::replace(path, temporary, &text)?)
}

fn write_json<T: Serialize>(value: &T, path: &Path, temporary: &Path) -> Result<()> {
    let mut text = manifest::to_json(value);
    text.push(b'\n');
    Ok(atomic::replace(path, temporary, &text)?)
}

fn read_json<T: for<'de> Deserialize<'de>>(path: &Path) -> Result<Option<T>> {
    let bytes = match manifest::read_whole(path, STATS_BYTES_MAX) {
        Ok(Some(bytes)) => bytes,
        Ok(None) => return Ok(None),
        Err(error) if error.is_damage() => return Ok(None),
        Err(error) => return Err(error),
    };
    match manifest::parse_versioned(path, &bytes, DATA_FORMAT_VERSION) {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.is_damage() => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_right_to_a_fifth() {
        let mut lengths = LengthBuckets::default();
        (1..=10_000).for_each(|length| lengths.count(length));
        let summary = lengths.summary();
        assert_eq!((summary.min, summary.max), (1, 10_000));
        assert!(
            (5000..=6000).contains(&summary.p50) && (9500..=10_000).contains(&summary.p95),
            "{summary:?}"
        );
        assert_eq!(LengthBuckets::default().summary(), TextLengths::default());
        let mut halves = [LengthBuckets::default(), LengthBuckets::default(), LengthBuckets::default()];
        (1..=10_000).for_each(|length| halves[length as usize % 2].count(length));
        let mut joined = LengthBuckets::default();
        halves.iter().for_each(|half| joined.add(half));
        assert_eq!(joined, lengths);
    }

    #[test]
    fn a_bucket_holds_what_is_at_most_a_fifth_shorter() {
        for length in 1..100_000_u64 {
            let end = bucket(length);
            assert!(end >= length && end as f64 <= length as f64 * 1.25, "{length} {end}");
            assert_eq!(bucket(end), end);
        }
    }
}
