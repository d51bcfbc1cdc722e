//! A file on its way: `<name>.part` with the bytes and `<name>.part.json` saying which of them are there.
//!
//! The journal is replaced several times a second, so that a killed process loses
//! almost nothing, but synced to the disk only now and then, since that takes long.
//! It tells the two apart: bytes that were only written count while the machine has
//! not been started anew, because they are in its memory then. Were it wrong, the
//! file's hash would tell, and the file would be fetched again.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use mashbill_store::{atomic, open};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::ranges::Ranges;
use crate::tree::RemoteFile;

/// The largest journal of a transfer in bytes: the ranges that are there.
const JOURNAL_BYTES_MAX: u64 = 16 << 20;

const FORMAT_VERSION: u32 = 1;

/// What is there of a file that was not fetched to the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Partial {
    /// The bytes that are there.
    pub done: u64,
    /// The size of the whole file.
    pub size: u64,
}

/// What an interrupted run left of the file that was to become `destination`; `None`: nothing that is of use
/// for `file`.
#[must_use]
pub fn partial(destination: &Path, file: &RemoteFile) -> Option<Partial> {
    let done = read_journal(&beside(destination, "part.json"))?.ranges_of(file)?.total();
    beside(destination, "part").is_file().then_some(Partial { done, size: file.size })
}

/// Removes what an interrupted run left of the file that was to become `destination`.
///
/// # Errors
/// [`Io`](mashbill_store::Error::Io).
pub fn discard(destination: &Path) -> Result<()> {
    remove(&beside(destination, "part.json"))?;
    remove(&beside(destination, "part"))
}

/// The file under its temporary name, held by this process alone.
#[derive(Debug)]
pub(crate) struct PartialFile {
    path: PathBuf,
    journal: PathBuf,
    file: File,
    text: Mutex<Journal>,
}

/// `<name>.part.json`.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Journal {
    format_version: u32,
    repo: String,
    commit: String,
    path: String,
    hash: String,
    size: u64,
    /// What has reached the disk.
    synced: Ranges,
    /// What was handed to the operating system.
    written: Ranges,
    /// The start of the machine in which that was.
    boot: Option<String>,
    /// The process that fetches or fetched it.
    pid: u32,
}

impl Journal {
    fn of(file: &RemoteFile) -> Self {
        Self {
            format_version: FORMAT_VERSION,
            repo: file.repo.to_string(),
            commit: file.commit.to_string(),
            path: file.path.clone(),
            hash: file.hash.digits().to_owned(),
            size: file.size,
            synced: Ranges::default(),
            written: Ranges::default(),
            boot: boot(),
            pid: std::process::id(),
        }
    }

    /// What is there of `file`; `None` if this speaks of other content. The commit and the path may be others:
    /// the content is the same.
    fn ranges_of(&self, file: &RemoteFile) -> Option<Ranges> {
        let same = self.format_version == FORMAT_VERSION
            && self.hash == file.hash.digits()
            && self.size == file.size;
        let in_memory = self.boot.is_some() && self.boot == boot();
        let ranges = if in_memory { &self.written } else { &self.synced };
        (same && ranges.is_valid(file.size)).then(|| ranges.clone())
    }
}

impl PartialFile {
    /// Opens what is there for `file`, or makes it anew, with room on the disk for all its bytes. Returns which
    /// bytes are there.
    ///
    /// # Errors
    /// [`Error::InUse`], [`DiskFull`](mashbill_store::Error::DiskFull), [`Io`](mashbill_store::Error::Io).
    pub(crate) fn open(destination: &Path, file: &RemoteFile) -> Result<(Self, Ranges)> {
        let (path, journal) = (beside(destination, "part"), beside(destination, "part.json"));
        let handle = open_locked(&path, &journal)?;
        let length = handle.metadata().map_err(|error| Error::io("read", &path, error))?.len();
        let known = read_journal(&journal).and_then(|journal| journal.ranges_of(file));
        let ranges = known.filter(|_| length == file.size).unwrap_or_default();
        let part = Self { path, journal, file: handle, text: Mutex::new(Journal::of(file)) };
        if ranges.total() == 0 {
            part.restart(file.size)?;
        }
        Ok((part, ranges))
    }

    /// Empties the file and makes room for `size` bytes.
    pub(crate) fn restart(&self, size: u64) -> Result<()> {
        let failed = |error| Error::io("write", &self.path, error);
        remove(&self.journal)?;
        self.file.set_len(0).map_err(failed)?;
        if let Err(error) = allocate(&self.file, size) {
            // Nothing is in it, and what room it has others may want.
            drop(remove(&self.path));
            return Err(failed(error));
        }
        Ok(())
    }

    /// Writes `bytes` at `offset`.
    pub(crate) fn write_at(&self, bytes: &[u8], offset: u64) -> Result<()> {
        write_all_at(&self.file, bytes, offset).map_err(|error| Error::io("write", &self.path, error))
    }

    /// Reads from `offset` on as much as `buffer` takes.
    pub(crate) fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<()> {
        read_exact_at(&self.file, buffer, offset).map_err(|error| Error::io("read", &self.path, error))
    }

    /// Notes that the bytes in `ranges` are written, and synced where `sync` is set.
    pub(crate) fn note(&self, ranges: &Ranges, sync: bool) -> Result<()> {
        let mut text = self.text.lock().unwrap_or_else(PoisonError::into_inner);
        if sync {
            self.file.sync_data().map_err(|error| Error::io("sync", &self.path, error))?;
            text.synced = ranges.clone();
        }
        text.written = ranges.clone();
        let bytes = serde_json::to_vec(&*text).expect("a journal is plain data");
        let temporary = beside(&self.journal, "tmp");
        if sync {
            return Ok(atomic::replace(&self.journal, &temporary, &bytes)?);
        }
        replace_unsynced(&self.journal, &temporary, &bytes)
            .map_err(|error| Error::io("write", &self.journal, error))
    }

    /// Gives the file, whose content has been checked, its final name.
    pub(crate) fn publish(self, destination: &Path) -> Result<()> {
        self.file.sync_all().map_err(|error| Error::io("sync", &self.path, error))?;
        atomic::publish(&self.path, destination)?;
        remove(&self.journal)
    }

    /// Removes the file and its journal.
    pub(crate) fn discard(self) -> Result<()> {
        remove(&self.journal)?;
        remove(&self.path)
    }
}

/// Opens the file, made if it is not there, so that no other process does as long as it is open.
fn open_locked(path: &Path, journal: &Path) -> Result<File> {
    let failed = |error| Error::io("open", path, error);
    open::check_own(path).map_err(failed)?;
    loop {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => {
                let pid = read_journal(journal).map(|journal| journal.pid);
                return Err(Error::InUse { path: path.to_owned(), pid });
            }
            // Where there are no locks, the hash at the end still keeps wrong bytes out.
            Err(fs::TryLockError::Error(_)) => return Ok(file),
        }
        // Between the opening and the locking another process may have published or removed it.
        if open::is_at(&file, path).map_err(failed)? {
            return Ok(file);
        }
    }
}

/// Makes room on the disk where the file system can, so that a full disk shows now and not in the middle.
fn allocate(file: &File, size: u64) -> io::Result<()> {
    use fs4::FileExt as _;
    match file.allocate(size) {
        Err(error) if matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) => {
            Err(error)
        }
        // Room is made for what has none; the length is set in any case.
        _ => file.set_len(size),
    }
}

#[cfg(unix)]
fn write_all_at(file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::write_all_at(file, bytes, offset)
}

#[cfg(unix)]
fn read_exact_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, buffer, offset)
}

#[cfg(windows)]
fn write_all_at(file: &File, mut bytes: &[u8], mut offset: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        let written = std::os::windows::fs::FileExt::seek_write(file, bytes, offset)?;
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        bytes = &bytes[written..];
        offset += written as u64;
    }
    Ok(())
}

#[cfg(windows)]
fn read_exact_at(file: &File, mut buffer: &mut [u8], mut offset: u64) -> io::Result<()> {
    while !buffer.is_empty() {
        let read = std::os::windows::fs::FileExt::seek_read(file, buffer, offset)?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        buffer = &mut buffer[read..];
        offset += read as u64;
    }
    Ok(())
}

/// As `atomic::replace`, without waiting for the disk: a journal that is lost with the machine is no loss.
#[expect(clippy::disallowed_methods, reason = "the journal is a temporary file itself")]
fn replace_unsynced(path: &Path, temporary: &Path, bytes: &[u8]) -> io::Result<()> {
    fs::write(temporary, bytes)?;
    fs::rename(temporary, path)
}

fn read_journal(path: &Path) -> Option<Journal> {
    serde_json::from_slice(&open::read(path, JOURNAL_BYTES_MAX).ok()?).ok()
}

/// Removes a file; that there is none is no error.
pub(crate) fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::io("remove", path, error)),
        _ => Ok(()),
    }
}

/// `<path>.<suffix>`.
pub(crate) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(suffix);
    name.into()
}

/// A name for the time since the machine was started; `None` where the system has none.
fn boot() -> Option<String> {
    open::read_text(Path::new("/proc/sys/kernel/random/boot_id"), JOURNAL_BYTES_MAX)
        .ok()
        .map(|id| id.trim().to_owned())
}
