//! Whether the output will fit.

use std::path::Path;

use crate::error::{Error, Result};
use crate::plan::SplitPlan;

/// Bytes of output for a byte of JSON Lines, at the least that real text was seen to need. The check before
/// the start must not refuse what would fit; what does not fit after all is met in the middle.
const OUTPUT_PER_INPUT: f64 = 0.6;

/// Room that is left to others, in bytes.
const RESERVE_BYTES: u64 = 16 << 20;

/// Fails where the disk of `folder` cannot hold what `splits` will become.
///
/// # Errors
/// [`Error::TooLittleSpace`]. Where the system does not tell how much is free, nothing is refused.
pub(crate) fn check_space(folder: &Path, splits: &[SplitPlan]) -> Result<()> {
    let expected: f64 = splits
        .iter()
        .map(|split| split.input.size as f64 * split.input.kind.expansion() * OUTPUT_PER_INPUT)
        .sum();
    let Some(existing) = folder.ancestors().find(|folder| folder.exists()) else { return Ok(()) };
    let existing = if existing.as_os_str().is_empty() { Path::new(".") } else { existing };
    let Ok(free) = fs4::available_space(existing) else { return Ok(()) };
    let needed = expected as u64 + RESERVE_BYTES;
    if needed > free && expected > 0.0 {
        return Err(Error::TooLittleSpace { path: folder.to_owned(), needed, free });
    }
    Ok(())
}
