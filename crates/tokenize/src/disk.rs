//! Whether the output will fit.

use std::fs;
use std::path::Path;

use mashbill_format::held_out::{HeldOut, Part};
use mashbill_format::layout::Output;

use crate::error::{Error, Result};
use crate::plan::{Plan, SplitPlan};

/// Bytes of output for a byte of JSON Lines, at the least that real text was seen to need. The check before
/// the start must not refuse what would fit; what does not fit after all is met in the middle.
const OUTPUT_PER_INPUT: f64 = 0.6;

/// Room that is left to others, in bytes.
const RESERVE_BYTES: u64 = 16 << 20;

/// Fails where the disk of the output cannot hold what `plan` will write beside what an interrupted run has written.
///
/// # Errors
/// [`Error::TooLittleSpace`]. Where the system does not tell how much is free, nothing is refused.
pub(crate) fn check_space(plan: &Plan) -> Result<()> {
    let parts = || [Some(plan), plan.validation.as_deref()].into_iter().flatten();
    if parts().all(|part| part.splits.is_empty()) {
        return Ok(());
    }
    let expected: u64 = parts().map(bytes_of_part).sum();
    let folder = &plan.options.output;
    let Some(existing) = folder.ancestors().find(|folder| folder.exists()) else { return Ok(()) };
    let existing = if existing.as_os_str().is_empty() { Path::new(".") } else { existing };
    let Ok(free) = fs4::available_space(existing) else { return Ok(()) };
    let needed = expected + RESERVE_BYTES;
    if needed > free {
        return Err(Error::TooLittleSpace { path: folder.clone(), needed, free });
    }
    Ok(())
}

fn bytes_of_part(part: &Plan) -> u64 {
    let share = match part.options.bytes.held_out {
        Some(HeldOut { fraction, part: Part::Validation }) => fraction,
        Some(HeldOut { fraction, part: Part::Train }) => 1.0 - fraction,
        None => 1.0,
    };
    let output = Output::new(&part.options.output);
    part.splits.iter().map(|split| bytes_to_write(&output, split, share)).sum()
}

fn bytes_to_write(output: &Output, split: &SplitPlan, share: f64) -> u64 {
    let input = split.input.size as f64 * split.input.kind.expansion() * share;
    let written: u64 = fs::read_dir(output.staging(&split.input.split).files())
        .into_iter()
        .flatten()
        .filter_map(|file| file.ok()?.metadata().ok())
        .map(|metadata| metadata.len())
        .sum();
    ((input * OUTPUT_PER_INPUT) as u64).saturating_sub(written)
}
