//! What stands beside a split's data: statistics, refused lines, unit records.

use std::collections::BTreeMap;
use std::io;

use serde::Deserialize;

use super::findings::Findings;
use super::problem::{Kind, Place, Remedy};
use crate::journal::{Reject, UnitRecord, read_records};
use crate::layout::{Output, REJECTS_SUFFIX, STATS_SUFFIX, UNITS_SUFFIX};
use crate::manifest::{Split, Unit};
use crate::open;
use crate::record::Reason;
use crate::row_group::RowGroup;
use crate::stats::{LengthHistogram, REJECTS_BYTES_MAX, Stats};

/// Refused lines of each reason that are kept, as the format says.
const REJECTS_KEPT: u64 = 20;

/// Checks a split's statistics against the manifest; `lengths` are those of the document table, where it is good.
pub(super) fn check_stats(
    output: &Output,
    name: &str,
    split: &Split,
    lengths: Option<&LengthHistogram>,
    findings: &Findings,
) {
    let file = format!("{name}/{name}{STATS_SUFFIX}");
    let wrong = |detail: String| {
        let remedy = Remedy::MakeSplitAgain { split: name.to_owned() };
        findings.error(Kind::Stats, Place::file(&file), remedy, detail);
    };
    let stats = match Stats::read(&output.root().join(&file)) {
        Ok(Some(stats)) => stats,
        Ok(None) => return wrong("it is missing, or no statistics".into()),
        Err(error) => return wrong(error.detail()),
    };
    let refused = stats.rejected.values().copied().fold(0, u64::saturating_add);
    let own = stats.samples.saturating_add(stats.blank_lines).saturating_add(refused);
    let accounted = own.saturating_add(stats.other_part);
    let shard_bytes = split.shard_files.iter().map(|file| file.bytes).fold(0, u64::saturating_add);
    let pairs = [
        ("samples and the manifest's", stats.samples, split.samples),
        ("sequences and the manifest's", stats.sequences, split.sequences),
        ("tokens and the manifest's", stats.tokens, split.tokens),
        ("shard_bytes and the manifest's", stats.shard_bytes, shard_bytes),
        ("lines and samples, blank lines, refused ones and those of the other part", stats.lines, accounted),
    ];
    for (what, left, right) in pairs {
        if left != right {
            wrong(format!("{what}: {left} and {right}"));
        }
    }
    if stats.split != name {
        wrong(format!("it is of the split {}", stats.split));
    }
    if stats.ledger != split.ledger {
        wrong("its ledger is not the manifest's".into());
    }
    if stats.rejected != split.rejected {
        wrong("its counts of refused lines are not the manifest's".into());
    }
    if lengths.is_some_and(|lengths| *lengths != stats.document_tokens) {
        wrong("document_tokens is not what the document table gives".into());
    }
}

/// Checks the file of refused lines: the first of each reason are there, and nothing else.
pub(super) fn check_rejects(output: &Output, name: &str, split: &Split, findings: &Findings) {
    /// A line of the file.
    #[derive(Deserialize)]
    struct Line {
        file: String,
        #[serde(flatten)]
        reject: Reject,
    }
    let place = Place::file(format!("{name}/{name}{REJECTS_SUFFIX}"));
    let wrong = |place: Place, detail: String| {
        let remedy = Remedy::MakeSplitAgain { split: name.to_owned() };
        findings.error(Kind::Rejects, place, remedy, detail);
    };
    let text = match open::read_text(&output.root().join(&place.file), REJECTS_BYTES_MAX) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound && split.rejected.is_empty() => return,
        Err(error) => return wrong(place, error.to_string()),
    };
    let mut found: BTreeMap<Reason, u64> = BTreeMap::new();
    for (number, line) in (1..).zip(text.lines()) {
        match serde_json::from_str::<Line>(line) {
            Ok(line) => {
                if line.file != split.source.file {
                    wrong(place.line(number), format!("it is of `{}`", line.file));
                }
                *found.entry(line.reject.reason).or_default() += 1;
            }
            Err(error) => wrong(place.line(number), error.to_string()),
        }
    }
    let expected: BTreeMap<_, _> =
        split.rejected.iter().map(|(&reason, &count)| (reason, count.min(REJECTS_KEPT))).collect();
    if found != expected {
        let count = |counts: &BTreeMap<Reason, u64>| counts.values().sum::<u64>();
        wrong(place, format!("{} lines where {} should be", count(&found), count(&expected)));
    }
}

/// The records of a split's units, where the file is there and its records are those of the manifest's units.
pub(super) fn check_units(
    output: &Output,
    name: &str,
    split: &Split,
    findings: &Findings,
) -> Option<Records> {
    let file = format!("{name}/{name}{UNITS_SUFFIX}");
    let wrong = |detail: String| {
        let remedy = Remedy::MakeSplitAgain { split: name.to_owned() };
        findings.error(Kind::Units, Place::file(&file), remedy, detail);
    };
    let path = output.root().join(&file);
    if !path.exists() {
        return None;
    }
    let records = match read_records(&path) {
        Ok(Some(records)) => records,
        Ok(None) => {
            wrong("it cannot be read".into());
            return None;
        }
        Err(error) => {
            wrong(error.detail());
            return None;
        }
    };
    if records.len() != split.units.len() {
        wrong(format!("{} records of {} units", records.len(), split.units.len()));
    }
    for (index, (record, unit)) in records.iter().zip(&split.units).enumerate() {
        if !is_of(record, unit) {
            wrong(format!("the record of unit {index} is not that of the manifest's"));
        }
    }
    let same_rejects = records.iter().fold(BTreeMap::new(), |mut sum: BTreeMap<Reason, u64>, record| {
        record.counts.rejected.iter().for_each(|(&reason, count)| *sum.entry(reason).or_default() += count);
        sum
    }) == split.rejected;
    if !same_rejects {
        wrong("the records' counts of refused lines are not the manifest's".into());
    }
    let finished = records.iter().flat_map(|record| &record.finished_shards);
    if let Some((shard, _)) = finished.zip(&split.shard_files).find(|(recorded, shard)| recorded != shard) {
        wrong(format!("{} is recorded otherwise than in the manifest", shard.name));
    }
    Some(Records::of(&file, records))
}

/// Whether a record and the manifest say the same of a unit.
fn is_of(record: &UnitRecord, unit: &Unit) -> bool {
    let tail = record.tail.tokens.len() as u64;
    let in_pieces: i64 = record.tail.pieces.iter().map(|piece| i64::from(piece.len)).sum();
    (record.first_key, record.bytes, record.checksum) == (unit.first_key, unit.bytes, unit.checksum)
        && (record.counts.documents, record.counts.rows, tail)
            == (unit.documents, unit.rows, unit.tail_tokens)
        && in_pieces == tail as i64
}

/// What unit records say of the shards.
#[derive(Debug)]
pub(super) struct Records {
    pub(super) file: String,
    /// The row groups of each shard that units wrote, in order; tails come after them.
    row_groups: BTreeMap<usize, Vec<RowGroup>>,
    /// The tails' tokens, one after another.
    pub(super) tail_tokens: Vec<u32>,
}

impl Records {
    fn of(file: &str, records: Vec<UnitRecord>) -> Self {
        let mut all = Self { file: file.to_owned(), row_groups: BTreeMap::new(), tail_tokens: Vec::new() };
        for record in records {
            for (shard, group) in record.row_groups {
                all.row_groups.entry(shard).or_default().push(group);
            }
            all.tail_tokens.extend(record.tail.tokens);
        }
        all
    }

    /// Whether shard `shard` begins with the row groups that were recorded.
    pub(super) fn agree_with(&self, shard: usize, found: &[RowGroup]) -> bool {
        self.row_groups.get(&shard).is_none_or(|recorded| found.starts_with(recorded))
    }
}
