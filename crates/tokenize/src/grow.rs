//! Keeping the units of an input that has only grown at its end.
//!
//! A finished split keeps its units' records. Where the input still begins with the
//! same bytes, the journal of the new run is filled with them and with copies of the
//! files they speak of; from there on it is a run that was interrupted.

use std::fs;

use mashbill_format::Error as FormatError;
use mashbill_format::atomic;
use mashbill_format::checksum::Hasher;
use mashbill_format::journal::{Journal, UnitRecord, read_records};
use mashbill_format::layout::{DOCUMENTS, UNITS_SUFFIX, shard_name};

use crate::error::Result;
use crate::plan::SplitPlan;
use crate::read::Blocks;
use crate::run::Context;
use crate::shards::Written;

/// Fills the journal of `plan` with units of the finished split that the new input begins with, if any.
///
/// # Errors
/// Errors of reading and writing.
pub(crate) fn seed(plan: &SplitPlan, context: &Context<'_>) -> Result<()> {
    let name = &plan.input.split;
    let staging = context.output.staging(name);
    if !plan.input_changed || Journal::is_under_way(&staging, &plan.journal)? {
        return Ok(());
    }
    let place = context.output.split(name);
    let Some(mut records) = read_records(&place.join(format!("{name}{UNITS_SUFFIX}")))? else {
        return Ok(());
    };
    // The last unit ended where the input did.
    records.pop();
    records.truncate(same_units(plan, context, &records)?);
    if records.is_empty() {
        return Ok(());
    }
    // Its plan comes last, so that half a copy is no journal.
    atomic::remove_folder(staging.root())?;
    atomic::create_own_folder(&staging.units())?;
    atomic::create_own_folder(&staging.files())?;
    let mut written = Written::default();
    records.iter().for_each(|record| written.add(record.clone()));
    let last = shard_name(written.finished_shards().len());
    for file in written.finished_shards().iter().map(|shard| &shard.name).chain([&last]) {
        copy(&place.join(file), &staging.files().join(file))?;
    }
    copy(&place.join(DOCUMENTS), &staging.files().join(DOCUMENTS))?;
    Journal::seed(&staging, &plan.journal, &records)?;
    Ok(())
}

/// How many of the recorded units the input still begins with.
fn same_units(plan: &SplitPlan, context: &Context<'_>, records: &[UnitRecord]) -> Result<usize> {
    let mut blocks = Blocks::open(&plan.input, &context.cutting(), 0, 0)?;
    let mut hasher = Hasher::new();
    let mut unit = 0;
    let mut next_key = 0;
    let is_same = |unit: usize, hasher: &Hasher, next_key: u64| {
        records
            .get(unit)
            .is_some_and(|record| record.checksum == hasher.finish() && record.next_key == next_key)
    };
    while let Some(block) = blocks.next()? {
        if block.unit > unit {
            if !is_same(unit, &hasher, next_key) {
                return Ok(unit);
            }
            unit += 1;
            hasher = Hasher::new();
            if unit == records.len() {
                return Ok(unit);
            }
        }
        next_key = block.next_key;
        hasher.update(&block.checksum(&plan.input)?.to_bytes());
    }
    Ok(unit)
}

/// Copies a file that is there; one that is not will be missed when it is gone on with.
#[expect(
    clippy::disallowed_methods,
    reason = "into the staging folder, which counts only when its plan is there"
)]
fn copy(from: &std::path::Path, to: &std::path::Path) -> Result<()> {
    if from.exists() {
        fs::copy(from, to).map_err(|source| FormatError::io("copy to", to, source))?;
    }
    Ok(())
}
