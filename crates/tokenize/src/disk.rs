//! Whether the output will fit.

use std::fs;
use std::path::Path;

use mashbill_format::layout::Output;

use crate::error::{Error, Result};
use crate::plan::SplitPlan;

/// Bytes of output for a byte of JSON Lines, at the least that real text was seen to need. The check before
/// the start must not refuse what would fit; what does not fit after all is met in the middle.
const OUTPUT_PER_INPUT: f64 = 0.6;

/// Room that is left to others, in bytes.
const RESERVE_BYTES: u64 = 16 << 20;

/// Fails where the disk of the output cannot hold what `splits` will become beside what an interrupted
/// run has written of them.
///
/// # Errors
/// [`Error::TooLittleSpace`]. Where the system does not tell how much is free, nothing is refused.
pub(crate) fn check_space(output: &Output, splits: &[SplitPlan]) -> Result<()> {
    let expected: u64 = splits.iter().map(|split| bytes_to_write(output, split)).sum();
    if splits.is_empty() {
        return Ok(());
    }
    let folder = output.root();
    let Some(existing) = folder.ancestors().find(|folder| folder.exists()) else { return Ok(()) };
    let existing = if existing.as_os_str().is_empty() { Path::new(".") } else { existing };
    let Ok(free) = fs4::available_space(existing) else { return Ok(()) };
    let needed = expected + RESERVE_BYTES;
    if needed > free {
        return Err(Error::TooLittleSpace { path: folder.to_owned(), needed, free });
    }
    Ok(())
}

fn bytes_to_write(output: &Output, split: &SplitPlan) -> u64 {
    let input = split.input.size as f64 * split.input.kind.expansion();
    let written: u64 = fs::read_dir(output.staging(&split.input.split).files())
        .into_iter()
        .flatten()
        .filter_map(|file| file.ok()?.metadata().ok())
        .map(|metadata| metadata.len())
        .sum();
    ((input * OUTPUT_PER_INPUT) as u64).saturating_sub(written)
}
