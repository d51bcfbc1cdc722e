//! What a split's input may be used for.
//!
//! A downloaded dataset has its license beside it, in `<name>.stats.json`. The manifest repeats it, so that
//! whoever has the tokens alone knows. Statistics that speak of another file (records that were changed
//! since, a stranger's file) say nothing about this one, and nothing is better than a wrong license. It is
//! looked up whenever the split is listed, so a correction needs no token made again.

use mashbill_format::dataset_stats::DatasetStats;
use mashbill_format::layout::DATASET_STATS_SUFFIX;
use mashbill_format::manifest::{License, Source};

use crate::error::Result;
use crate::input::Input;

/// The license of `input`, which `source` describes as it was read.
///
/// # Errors
/// The statistics were written by a newer mashbill or cannot be read.
pub(crate) fn license_of(input: &Input, source: &Source) -> Result<Option<License>> {
    let Some(name) = input.stem() else { return Ok(None) };
    let path = input.path.with_file_name(format!("{name}{DATASET_STATS_SUFFIX}"));
    let of_this = |stats: &DatasetStats| {
        stats.complete && stats.dataset == name && stats.counts.jsonl_bytes == source.bytes
    };
    let stats = DatasetStats::read(&path)?.filter(of_this);
    Ok(stats.map(|stats| License { id: stats.license, kind: stats.license_kind }))
}
