//! What a split's input may be used for.
//!
//! A downloaded dataset has its license beside it, in `<name>.stats.json`. The manifest repeats it, so that
//! whoever has the tokens alone knows. Statistics that speak of another file (records that were changed
//! since, a stranger's file) say nothing about this one, and nothing is better than a wrong license. It is
//! looked up whenever the split is listed, so a correction needs no token made again.

use std::collections::BTreeSet;

use mashbill_format::dataset_stats::DatasetStats;
use mashbill_format::layout::DATASET_STATS_SUFFIX;
use mashbill_format::manifest::{License, Split};
use mashbill_records::FileKind;

use crate::error::Result;
use crate::split_input::Input;
use crate::split_plan::SplitPlan;

/// The licenses of the files of `plan`, of which `split` was made: each once, sorted.
///
/// # Errors
/// The statistics were written by a newer mashbill or cannot be read.
pub(crate) fn licenses_of(plan: &SplitPlan, split: &Split) -> Result<Vec<License>> {
    let mut licenses = BTreeSet::new();
    let bytes = bytes_by_file(plan, split);
    for (file, bytes) in plan.files().zip(bytes) {
        licenses.extend(license_of(file, bytes)?);
    }
    Ok(licenses.into_iter().collect())
}

/// The decoded bytes of each file, of Parquet files their rows; none where nothing was read of it.
fn bytes_by_file(plan: &SplitPlan, split: &Split) -> Vec<Option<u64>> {
    if !plan.is_many() {
        return vec![Some(split.source.bytes)];
    }
    // A file ends where the next one of its group begins.
    let mut ends: Vec<(&str, u64)> = Vec::new();
    let mut begun: Option<(&str, usize, u64)> = None;
    let mut end = 0;
    for shard in &split.shard_list {
        for source in &shard.sources {
            let group = shard.group.unwrap_or(0);
            if let Some((file, of, start)) = begun.filter(|(file, ..)| *file != source.file) {
                ends.push((file, if of == group { source.start } else { end } - start));
            }
            begun = Some((&source.file, group, source.start));
        }
        end = shard.input.end;
    }
    ends.extend(begun.map(|(file, _, start)| (file, end - start)));
    let mut ends = ends.into_iter().peekable();
    let each = plan.files().map(|file| Some(ends.next_if(|(name, _)| *name == file.relative)?.1));
    each.collect()
}

fn license_of(input: &Input, bytes: Option<u64>) -> Result<Option<License>> {
    // Downloads make no Parquet files: what lies beside one is of another file.
    let (Some(name), Some(bytes), FileKind::Json(_)) = (input.stem(), bytes, input.kind) else {
        return Ok(None);
    };
    let path = input.path.with_file_name(format!("{name}{DATASET_STATS_SUFFIX}"));
    let of_this =
        |stats: &DatasetStats| stats.complete && stats.dataset == name && stats.counts.jsonl_bytes == bytes;
    let stats = DatasetStats::read(&path)?.filter(of_this);
    Ok(stats.map(|stats| License { id: stats.license, kind: stats.license_kind }))
}
