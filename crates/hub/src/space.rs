//! Whether the disk will hold what is to be fetched.

use std::path::Path;

use crate::error::{Error, Result};

/// The bytes that are free for `folder`, which need not exist yet; `None` where the system does not tell.
#[must_use]
pub fn free_space(folder: &Path) -> Option<u64> {
    let existing = folder.ancestors().find(|folder| folder.exists())?;
    let existing = if existing.as_os_str().is_empty() { Path::new(".") } else { existing };
    fs4::available_space(existing).ok()
}

/// Fails where fewer than `needed` bytes are free for `folder`.
///
/// # Errors
/// [`Error::TooLittleSpace`]. Where the system does not tell how much is free, nothing is refused.
pub fn check_space(folder: &Path, needed: u64) -> Result<()> {
    match free_space(folder) {
        Some(free) if free < needed => Err(Error::TooLittleSpace { path: folder.to_owned(), needed, free }),
        _ => Ok(()),
    }
}
