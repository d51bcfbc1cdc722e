//! `<split>_stats.json` and `<split>_rejects.jsonl`: what people want to know of a run
//! that the bytes of the data do not depend on.

use std::collections::BTreeMap;
use std::path::Path;

use mashbill_records::conversation::Changes;
use mashbill_records::record::{FieldCounts, Reason};
use mashbill_store::atomic;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::manifest::{self, FORMAT_VERSION, Ledger, MANIFEST_BYTES_MAX, is_zero};
use crate::name;
use crate::task::{DocumentCounts, Reject};

/// The largest file of statistics in bytes: it has each file and each shard of a split, as the manifest does.
pub const STATS_BYTES_MAX: u64 = MANIFEST_BYTES_MAX;

/// The largest file of refused lines, or rows, in bytes: twenty of each reason are kept, and the beginning of each.
pub const REJECTS_BYTES_MAX: u64 = 16 << 20;

/// Refused lines that are kept of each reason in a split; the others are only counted.
pub const REJECTS_KEPT: u64 = 20;

/// The contents of `<split>_stats.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Stats {
    /// The version of the format.
    pub format_version: u32,
    /// The split's name.
    #[serde(deserialize_with = "name::plain")]
    pub split: String,
    /// The input files as they were found, in order: one, or many.
    pub inputs: Vec<InputFile>,
    /// Lines read, blank ones included; rows for Parquet input.
    pub lines: u64,
    /// Lines with nothing but white space.
    pub blank_lines: u64,
    /// Byte order marks that were skipped.
    pub byte_order_marks: u64,
    /// Bytes behind the end of a packed input that are no part of it, which were passed over.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub ignored_bytes: u64,
    /// Lines that the other part has, where documents are held out.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub other_part: u64,
    /// Documents kept.
    pub samples: u64,
    /// Rows.
    pub sequences: u64,
    /// Real tokens in the rows.
    pub tokens: u64,
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
    /// What lines without a text have instead, by the fields' names.
    #[serde(default, skip_serializing_if = "FieldCounts::is_empty")]
    pub without_text: FieldCounts,
    /// What was changed to bring records into the normal form of conversations.
    #[serde(default, skip_serializing_if = "Changes::is_nothing")]
    pub changes: Changes,
    /// Tokens a document.
    pub document_tokens: LengthHistogram,
    /// Bytes of the split's shards.
    pub shard_bytes: u64,
    /// What was counted of each shard, in the order of the manifest: what a later run keeps of shards that stay.
    pub shards: Vec<DocumentCounts>,
    /// The engine that made the ids: `fast` or `reference`; both where a shard was made by each.
    pub engine: String,
    /// Seconds that the run which completed the split worked on it.
    pub seconds: f64,
    /// Threads of the last run.
    pub threads: usize,
    /// When the split was completed, in seconds since 1970.
    pub completed_unix_s: u64,
    /// The mashbill that completed it.
    pub mashbill_version: String,
}

/// An input file as it lay on the disk when its checksum was taken. The same size and the same times
/// are taken for the same content until `--rehash` asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct InputFile {
    /// Its path.
    pub path: String,
    /// Its size in bytes.
    pub size: u64,
    /// Its modification time in nanoseconds since 1970.
    pub modified_ns: u64,
    /// When its content or its place on the disk last changed, in nanoseconds since 1970: the system keeps this time,
    /// also where a tool that replaces a file sets the modification time back. 0 where it does not say.
    #[serde(default)]
    pub changed_ns: u64,
}

/// How many documents have how many tokens: one bucket a power of two.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LengthHistogram {
    /// The fewest tokens in a document; 0 where there is none.
    pub min: u64,
    /// The most tokens in a document.
    pub max: u64,
    /// Documents by the power of two that their length is below: `"8"` counts lengths of 4 to 7.
    pub below: BTreeMap<u64, u64>,
}

impl LengthHistogram {
    /// Counts a document of `tokens` tokens.
    pub fn count(&mut self, tokens: u64) {
        let first = self.below.is_empty();
        self.min = if first { tokens } else { self.min.min(tokens) };
        self.max = self.max.max(tokens);
        *self.below.entry((tokens + 1).next_power_of_two()).or_default() += 1;
    }

    /// Adds another histogram.
    pub fn add(&mut self, other: &Self) {
        if other.below.is_empty() {
            return;
        }
        self.min = if self.below.is_empty() { other.min } else { self.min.min(other.min) };
        self.max = self.max.max(other.max);
        for (&below, &count) in &other.below {
            let sum = self.below.entry(below).or_default();
            *sum = sum.saturating_add(count);
        }
    }
}

impl Stats {
    /// The statistics as their file has them.
    #[must_use]
    pub fn to_text(&self) -> Vec<u8> {
        let mut text = manifest::to_json(self);
        text.push(b'\n');
        text
    }

    /// Writes the statistics at `path`, going through `temporary`.
    ///
    /// # Errors
    /// [`DiskFull`](mashbill_store::Error::DiskFull), [`Io`](mashbill_store::Error::Io).
    pub fn write(&self, path: &Path, temporary: &Path) -> Result<()> {
        Ok(atomic::replace(path, temporary, &self.to_text())?)
    }

    /// Reads statistics; none where the file is missing or not ours.
    ///
    /// # Errors
    /// [`TooNew`](crate::Error::TooNew), [`TooOld`](crate::Error::TooOld), [`Io`](mashbill_store::Error::Io).
    pub fn read(path: &Path) -> Result<Option<Self>> {
        let bytes = match manifest::read_whole(path, STATS_BYTES_MAX) {
            Ok(Some(bytes)) => bytes,
            Ok(None) => return Ok(None),
            Err(error) if error.is_damage() => return Ok(None),
            Err(error) => return Err(error),
        };
        match manifest::parse_versioned(path, &bytes, FORMAT_VERSION) {
            Ok(stats) => Ok(Some(stats)),
            Err(error) if error.is_damage() => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// A line of `<split>_rejects.jsonl`: line and key are those in the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RejectedLine {
    /// The input file, relative to the input folder.
    pub file: String,
    /// The refused line.
    #[serde(flatten)]
    pub reject: Reject,
}

/// Reads the refused lines at `path`; nothing where the file is missing or not ours.
///
/// # Errors
/// [`Io`](mashbill_store::Error::Io).
pub fn read_rejects(path: &Path) -> Result<Vec<RejectedLine>> {
    let bytes = match manifest::read_whole(path, REJECTS_BYTES_MAX) {
        Ok(bytes) => bytes.unwrap_or_default(),
        Err(error) if error.is_damage() => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let lines = bytes.split(|&byte| byte == b'\n').filter(|line| !line.is_empty());
    Ok(lines.map_while(|line| serde_json::from_slice(line).ok()).collect())
}

/// Refused lines as their file has them.
#[must_use]
pub fn rejects_text(rejects: &[RejectedLine]) -> Vec<u8> {
    let mut text = Vec::new();
    for reject in rejects {
        serde_json::to_writer(&mut text, reject).expect("a reject has string keys");
        text.push(b'\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statistics_of_very_many_files_are_read_again() {
        let file = |number: usize| InputFile {
            path: format!("/{}/part-{number:05}", "far/away/".repeat(200)),
            size: 1,
            modified_ns: 2,
            changed_ns: 3,
        };
        let stats = Stats {
            format_version: FORMAT_VERSION,
            split: "all".into(),
            inputs: (0..10_000).map(file).collect(),
            lines: 0,
            blank_lines: 0,
            byte_order_marks: 0,
            ignored_bytes: 0,
            other_part: 0,
            samples: 0,
            sequences: 0,
            tokens: 0,
            text_bytes: 0,
            ledger: Ledger::default(),
            rejected: BTreeMap::new(),
            with_messages: 0,
            without_text: FieldCounts::default(),
            changes: Changes::default(),
            document_tokens: LengthHistogram::default(),
            shard_bytes: 0,
            shards: Vec::new(),
            engine: "fast".into(),
            seconds: 0.0,
            threads: 1,
            completed_unix_s: 0,
            mashbill_version: "0".into(),
        };
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("all_stats.json");
        stats.write(&path, &folder.path().join("temporary")).expect("it is written");
        assert!(std::fs::metadata(&path).expect("it is there").len() > 16 << 20);
        assert_eq!(Stats::read(&path).expect("it is read"), Some(stats));
    }

    #[test]
    fn a_histogram_of_parts_equals_that_of_the_whole() {
        let lengths = [0, 1, 2, 3, 4, 7, 8, 1000, 5];
        let mut whole = LengthHistogram::default();
        lengths.iter().for_each(|&n| whole.count(n));
        let (mut first, mut second) = (LengthHistogram::default(), LengthHistogram::default());
        lengths[..4].iter().for_each(|&n| first.count(n));
        lengths[4..].iter().for_each(|&n| second.count(n));
        first.add(&second);
        first.add(&LengthHistogram::default());
        assert_eq!(first, whole);
        assert_eq!((whole.min, whole.max), (0, 1000));
        // 4, 7 and 5 are below 8; 8 is below 16.
        assert_eq!((whole.below[&8], whole.below[&16]), (3, 1));
    }
}
