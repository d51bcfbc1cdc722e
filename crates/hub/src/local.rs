//! A file that is on this machine already, in the Hub's own cache.
//!
//! The cache is only read. Its blobs are named by hashes, which are not believed: the
//! official client stores what arrived without looking.

use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use mashbill_store::{atomic, open};

use crate::error::{Error, Result};
use crate::hub::Hub;
use crate::part::{beside, remove};
use crate::tree::RemoteFile;

const BUFFER_SIZE: usize = 256 << 10;

/// Puts the cached file at `destination`, as a link to the same bytes where the disk allows; returns whether
/// there was one with the right content.
pub(crate) fn take_from_cache(hub: &Hub<'_>, file: &RemoteFile, destination: &Path) -> Result<bool> {
    let repo = hub.settings().cache.join(file.repo.folder());
    let places = [
        repo.join("blobs").join(file.hash.digits()),
        repo.join("snapshots").join(file.commit.as_str()).join(&file.path),
    ];
    for place in places {
        // A blob may be a link into a store that all repositories share.
        let Ok(place) = fs::canonicalize(place) else { continue };
        if has_content(hub, &place, file)? {
            let temporary = beside(destination, "linked");
            remove(&temporary)?;
            link_or_copy(&place, &temporary).map_err(|error| Error::io("write", &temporary, error))?;
            atomic::publish(&temporary, destination)?;
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether `path` is a file with the size and hash of `file`. One that cannot be read is not.
pub(crate) fn has_content(hub: &Hub<'_>, path: &Path, file: &RemoteFile) -> Result<bool> {
    if !fs::metadata(path).is_ok_and(|found| found.is_file() && found.len() == file.size) {
        return Ok(false);
    }
    let Ok(mut content) = open::open(path) else { return Ok(false) };
    let mut hasher = file.hash.hasher(file.size);
    let mut buffer = vec![0; BUFFER_SIZE];
    loop {
        hub.go_on()?;
        match content.read(&mut buffer) {
            Ok(0) => return Ok(hasher.finish() == file.hash),
            Ok(length) => hasher.update(&buffer[..length]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return Ok(false),
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the file is published under its final name afterwards")]
fn link_or_copy(from: &PathBuf, to: &Path) -> io::Result<()> {
    if fs::hard_link(from, to).is_ok() {
        return Ok(());
    }
    fs::copy(from, to)?;
    open::open(to)?.sync_all()
}
