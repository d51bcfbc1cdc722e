//! Files that are read as a whole, after a look whether they are what the manifest says.

use std::path::Path;

use mashbill_store::checksum::{Checksum, Hasher};
use mashbill_store::open;

/// Reads the file at `path` once; what is wrong where its checksum is another one, as a fragment.
///
/// # Errors
/// [`mashbill_store::Error::Io`], [`mashbill_store::Error::Damaged`].
pub(crate) fn check(path: &Path, expected: Checksum) -> mashbill_store::error::Result<()> {
    const CHUNK_BYTES: usize = 1 << 20;
    let file = open::open(path);
    let mut file = file.map_err(|error| mashbill_store::Error::io("open", path, error))?;
    let (mut hasher, mut buffer) = (Hasher::new(), vec![0; CHUNK_BYTES]);
    let read = hasher.update_from(&mut file, &mut buffer, |_| {});
    read.map_err(|error| mashbill_store::Error::io("read", path, error))?;
    let found = hasher.finish();
    if found == expected {
        return Ok(());
    }
    let what = format!("its checksum is {found} where the manifest says {expected}");
    Err(mashbill_store::Error::damaged(path, what))
}
