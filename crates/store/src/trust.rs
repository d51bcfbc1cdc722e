//! Whether a folder is in nobody else's hands.
//!
//! A cache is believed: what stands in it becomes what a run reads. So it has to be in a folder that only its user
//! can write to, or somebody else decides on that.

use std::fs;
use std::path::Path;

use crate::error::{Error, Result};

/// Why what stands in the folder at `path` cannot be believed, as a lowercase fragment; none where it can.
///
/// A group of one's own (its number is the user's, as on systems where each user has one) counts as nobody else.
///
/// # Errors
/// [`Error::Io`].
#[cfg(unix)]
pub fn doubt(path: &Path) -> Result<Option<&'static str>> {
    use std::os::unix::fs::MetadataExt;

    const GROUP_MAY_WRITE: u32 = 0o020;
    const OTHERS_MAY_WRITE: u32 = 0o002;
    let folder = fs::metadata(path).map_err(|error| Error::io("read", path, error))?;
    let own = rustix::process::geteuid().as_raw();
    Ok(if folder.uid() != own && folder.uid() != 0 {
        Some("it belongs to another user")
    } else if folder.mode() & OTHERS_MAY_WRITE != 0 {
        Some("every user can write to it")
    } else if folder.mode() & GROUP_MAY_WRITE != 0 && folder.gid() != own {
        Some("a group of users can write to it")
    } else {
        None
    })
}

/// Why what stands in the folder at `path` cannot be believed: rights of this system are not looked at.
///
/// # Errors
/// [`Error::Io`] where it is not there.
#[cfg(not(unix))]
pub fn doubt(path: &Path) -> Result<Option<&'static str>> {
    fs::metadata(path).map(|_| None).map_err(|error| Error::io("read", path, error))
}
