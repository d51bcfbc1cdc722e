//! Who may write into a folder.

use std::fs::{self, File, OpenOptions};
use std::io::{Seek, Write};
use std::path::Path;

use crate::atomic;
use crate::error::{Error, Result};
use crate::open;

/// The longest text of a lock.
const HOLDER_BYTES_MAX: u64 = 4096;

/// The right to write into an output folder: of one process for itself, or of several that stay out of one another's way.
///
/// The lock is the operating system's, so it ends with the process, however that ends;
/// the file's text only names its holder.
#[derive(Debug)]
pub struct FolderLock {
    file: File,
}

impl FolderLock {
    /// Takes the lock at `path`, whose folder exists, for this process on `host`.
    ///
    /// # Errors
    /// [`Error::InUse`] with the holder's process id and host, [`Error::Io`].
    pub fn take(path: &Path, host: &str) -> Result<Self> {
        Self::hold(path, host, File::try_lock)
    }

    /// Shares the lock at `path`, whose folder exists, with others that share it; while they do nobody can take it.
    ///
    /// # Errors
    /// [`Error::InUse`] with the process id and host of who has taken it, [`Error::Io`].
    pub fn share(path: &Path, host: &str) -> Result<Self> {
        Self::hold(path, host, File::try_lock_shared)
    }

    fn hold(
        path: &Path,
        host: &str,
        lock: fn(&File) -> std::result::Result<(), fs::TryLockError>,
    ) -> Result<Self> {
        let failed = |source| Error::io("lock", path, source);
        loop {
            open::check_own(path).map_err(failed)?;
            let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
            let mut file = file.map_err(failed)?;
            match lock(&file) {
                Ok(()) => {}
                Err(fs::TryLockError::WouldBlock) => {
                    let (pid, host) = holder(path).unwrap_or((0, "an unknown host".to_owned()));
                    let folder = path.parent().and_then(Path::parent).unwrap_or(path);
                    return Err(Error::InUse { path: folder.to_owned(), pid, host });
                }
                Err(fs::TryLockError::Error(source)) => return Err(failed(source)),
            }
            // Its last holder may have removed the file, and its folder: then others lock another one of the same name.
            if open::is_at(&file, path).map_err(failed)? {
                let holder = format!("{} {host}\n", std::process::id());
                file.set_len(0).and_then(|()| file.rewind()).map_err(failed)?;
                file.write_all(holder.as_bytes()).map_err(failed)?;
                return Ok(Self { file });
            }
            atomic::create_own_folder(atomic::folder_of(path))?;
        }
    }
}

/// The process id and host that the lock at `path` names: who holds it, or held it last.
#[must_use]
pub fn holder(path: &Path) -> Option<(u32, String)> {
    let text = open::read_text(path, HOLDER_BYTES_MAX).ok()?;
    let (pid, host) = text.trim().split_once(' ')?;
    Some((pid.parse().ok()?, host.to_owned()))
}

impl Drop for FolderLock {
    fn drop(&mut self) {
        // The system drops the lock with the file in any case; an error changes nothing.
        drop(self.file.unlock());
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn a_second_holder_learns_who_the_first_is() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("lock");
        let first = FolderLock::take(&path, "still-house").expect("nobody holds it");
        match FolderLock::take(&path, "elsewhere") {
            Err(Error::InUse { pid, host, .. }) => {
                assert_eq!((pid, host.as_str()), (std::process::id(), "still-house"));
                assert_eq!(holder(&path), Some((pid, host)));
            }
            other => panic!("expected a refusal, got {other:?}"),
        }
        drop(first);
        FolderLock::take(&path, "elsewhere").expect("it is free again");
    }

    #[test]
    fn of_those_who_come_while_a_holder_goes_one_has_the_lock() {
        let folder = tempfile::tempdir().expect("a folder");
        let state = folder.path().join("state");
        let path = state.join("lock");
        let held = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..500 {
                        // Another one may be removing it.
                        if atomic::create_own_folder(&state).is_err() {
                            continue;
                        }
                        let Ok(lock) = FolderLock::take(&path, "still-house") else { continue };
                        assert_eq!(held.fetch_add(1, Ordering::SeqCst), 0, "one at a time");
                        held.fetch_sub(1, Ordering::SeqCst);
                        // The last act of a run: the lock's file goes before the lock.
                        drop(atomic::remove_folder(&state));
                        drop(lock);
                    }
                });
            }
        });
    }

    #[test]
    fn who_shares_a_lock_keeps_out_who_takes_it_and_the_other_way_round() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("lock");
        let shared = [0, 1].map(|_| FolderLock::share(&path, "still-house").expect("others share it"));
        assert!(matches!(FolderLock::take(&path, "elsewhere"), Err(Error::InUse { .. })));
        drop(shared);
        let taken = FolderLock::take(&path, "elsewhere").expect("it is free");
        assert!(matches!(FolderLock::share(&path, "still-house"), Err(Error::InUse { .. })));
        drop(taken);
    }
}
