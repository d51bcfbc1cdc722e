//! Whether the output will fit.

use std::fs;
use std::path::Path;

use mashbill_format::layout::Output;

use crate::error::{Error, Result};
use crate::split_plan::SplitPlan;

/// Bytes of output for a byte of JSON Lines, at the least that real text was seen to need. The check before
/// the start must not refuse what would fit; what does not fit after all is met in the middle.
const OUTPUT_PER_INPUT: f64 = 0.6;

/// Room that is left to others, in bytes.
const RESERVE_BYTES: u64 = 16 << 20;

/// Fails where the disk of the folder `output` cannot hold what will be written of `splits` beside what an interrupted run has
/// written.
///
/// # Errors
/// [`Error::TooLittleSpace`]. Where the system does not tell how much is free, nothing is refused.
pub(crate) fn check_space(splits: &[SplitPlan], output: &Path) -> Result<()> {
    if splits.is_empty() {
        return Ok(());
    }
    let groups = splits.iter().flat_map(|split| &split.groups);
    let expected = groups.map(|group| group.group.expanded_size());
    let expected = (expected.sum::<f64>() * OUTPUT_PER_INPUT) as u64;
    let folder = output;
    let Some(existing) = folder.ancestors().find(|folder| folder.exists()) else { return Ok(()) };
    let existing = if existing.as_os_str().is_empty() { Path::new(".") } else { existing };
    let Ok(free) = fs4::available_space(existing) else { return Ok(()) };
    let written = bytes_in(Output::new(folder).state().root());
    let needed = expected.saturating_sub(written) + RESERVE_BYTES;
    if needed > free {
        return Err(Error::TooLittleSpace { path: folder.to_owned(), needed, free });
    }
    Ok(())
}

/// Bytes of the files in a folder and those below it, as far as they can be seen.
fn bytes_in(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let each = entries.map(|entry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => bytes_in(&entry.path()),
        Ok(metadata) => metadata.len(),
        Err(_) => 0,
    });
    each.sum()
}
