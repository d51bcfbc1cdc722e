//! What stands beside a split's data: statistics and refused lines.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use mashbill_format::layout::{Output, REJECTS_SUFFIX, STATS_SUFFIX};
use mashbill_format::manifest::{Ledger, Split};
use mashbill_format::stats::{REJECTS_BYTES_MAX, REJECTS_KEPT, RejectedLine, Stats};
use mashbill_format::task::DocumentCounts;
use mashbill_records::record::Reason;
use mashbill_store::open;

use crate::findings::Findings;
use crate::problem::{ProblemKind, ProblemPlace, Remedy};
use crate::table::TableTotals;

/// A split's statistics, where they can be read, to hold what the document tables give against them.
#[derive(Debug)]
pub(crate) struct Statistics {
    place: ProblemPlace,
    stats: Stats,
}

impl Statistics {
    /// Reads a split's statistics and checks them against themselves and the manifest; none where they cannot be read.
    pub(crate) fn check(output: &Output, name: &str, split: &Split, findings: &Findings) -> Option<Self> {
        let place = ProblemPlace::file(format!("{name}/{name}{STATS_SUFFIX}"));
        let wrong = |detail: String| wrong_stats(&place, name, detail, findings);
        let stats = match Stats::read(&output.root().join(&place.file)) {
            Ok(Some(stats)) => stats,
            Ok(None) => {
                wrong("it is missing, or not statistics".into());
                return None;
            }
            Err(error) => {
                wrong(error.detail());
                return None;
            }
        };
        for (what, left, right) in pairs(&stats, split) {
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
        let mut sum = DocumentCounts::default();
        stats.shards.iter().for_each(|counts| sum.add(counts));
        for what in different(&sum, &totals(&stats)) {
            wrong(format!("{what} is not the sum of the shards'"));
        }
        for (index, (counts, shard)) in stats.shards.iter().zip(&split.shard_list).enumerate() {
            let found = (counts.documents, counts.ledger.tokens(), counts.ledger.padding);
            if found != (shard.documents, shard.tokens, shard.padding) {
                wrong(format!("the documents, tokens or padding of shard {index} are not the manifest's"));
            }
        }
        Some(Self { place, stats })
    }

    /// The books of shard `index`.
    pub(crate) fn ledger(&self, index: usize) -> Option<&Ledger> {
        self.stats.shards.get(index).map(|counts| &counts.ledger)
    }

    /// Compares how many tokens the documents of shard `index` have, and how many are learned, by its document table.
    pub(crate) fn check_totals(&self, split: &str, index: usize, totals: &TableTotals, findings: &Findings) {
        let Some(counts) = self.stats.shards.get(index) else { return };
        for (what, is_same) in [
            ("document_tokens", counts.document_tokens == totals.lengths),
            ("learned_tokens", counts.ledger.learned_tokens == totals.learned_tokens),
        ] {
            if !is_same {
                let detail = format!("{what} of shard {index} is not what its document table gives");
                wrong_stats(&self.place, split, detail, findings);
            }
        }
    }
}

fn wrong_stats(place: &ProblemPlace, split: &str, detail: String, findings: &Findings) {
    let remedy = Remedy::MakeSplitAgain { split: split.to_owned() };
    findings.error(ProblemKind::Stats, place.clone(), remedy, detail);
}

/// Pairs of numbers that are the same in all good statistics.
fn pairs(stats: &Stats, split: &Split) -> [(&'static str, u64, u64); 6] {
    let refused = stats.rejected.values().copied().fold(0, u64::saturating_add);
    let own = stats.samples.saturating_add(stats.blank_lines).saturating_add(refused);
    let accounted = own.saturating_add(stats.other_part);
    let shard_bytes = split.shard_files().map(|file| file.bytes).fold(0, u64::saturating_add);
    [
        ("samples and the manifest's", stats.samples, split.samples),
        ("sequences and the manifest's", stats.sequences, split.sequences),
        ("tokens and the manifest's", stats.tokens, split.tokens),
        ("shard_bytes and the manifest's", stats.shard_bytes, shard_bytes),
        ("shards and the manifest's shard_list", stats.shards.len() as u64, split.shard_list.len() as u64),
        ("lines and samples, blank lines, refused ones and those of the other part", stats.lines, accounted),
    ]
}

/// What was counted of the whole split.
fn totals(stats: &Stats) -> DocumentCounts {
    DocumentCounts {
        lines: stats.lines,
        blank_lines: stats.blank_lines,
        byte_order_marks: stats.byte_order_marks,
        other_part: stats.other_part,
        documents: stats.samples,
        text_bytes: stats.text_bytes,
        ledger: stats.ledger.clone(),
        rejected: stats.rejected.clone(),
        with_messages: stats.with_messages,
        without_text: stats.without_text.clone(),
        changes: stats.changes,
        document_tokens: stats.document_tokens.clone(),
    }
}

/// The names that the statistics have for what is different in two counts. What lines without a text have instead is left
/// out: it is there to give advice by, and not all names are kept.
fn different(a: &DocumentCounts, b: &DocumentCounts) -> impl Iterator<Item = &'static str> {
    let each = [
        ("lines", a.lines == b.lines),
        ("blank_lines", a.blank_lines == b.blank_lines),
        ("byte_order_marks", a.byte_order_marks == b.byte_order_marks),
        ("other_part", a.other_part == b.other_part),
        ("samples", a.documents == b.documents),
        ("text_bytes", a.text_bytes == b.text_bytes),
        ("ledger", a.ledger == b.ledger),
        ("rejected", a.rejected == b.rejected),
        ("with_messages", a.with_messages == b.with_messages),
        ("changes", a.changes == b.changes),
        ("document_tokens", a.document_tokens == b.document_tokens),
    ];
    each.into_iter().filter(|(_, same)| !same).map(|(name, _)| name)
}

/// Checks the file of refused lines: the first of each reason are there, and nothing else.
pub(crate) fn check_rejects(output: &Output, name: &str, split: &Split, findings: &Findings) {
    let sources = split.shard_list.iter().flat_map(|shard| &shard.sources).map(|source| source.file.as_str());
    let sources: BTreeSet<&str> = sources.collect();
    let is_many = split.shard_list.iter().any(|shard| shard.group.is_some());
    let place = ProblemPlace::file(format!("{name}/{name}{REJECTS_SUFFIX}"));
    let wrong = |place: ProblemPlace, detail: String| {
        let remedy = Remedy::MakeSplitAgain { split: name.to_owned() };
        findings.error(ProblemKind::Rejects, place, remedy, detail);
    };
    let text = match open::read_text(&output.root().join(&place.file), REJECTS_BYTES_MAX) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound && split.rejected.is_empty() => return,
        Err(error) => return wrong(place, error.to_string()),
    };
    let mut found: BTreeMap<Reason, u64> = BTreeMap::new();
    for (number, line) in (1..).zip(text.lines()) {
        match serde_json::from_str::<RejectedLine>(line) {
            Ok(line) => {
                let is_its =
                    if is_many { sources.contains(&*line.file) } else { line.file == split.source.file };
                if !is_its {
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
