//! Fetched files that were kept, hashed again and held against the lock.
//!
//! `verify` compares records with their statistics and these with the lock; what is left is whether the bytes that
//! were converted are those that the lock names. They can be read only where `--keep-raw` kept them.

use std::io::{self, Read};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use mashbill_format::layout::Data;
use mashbill_format::lock::{Lock, Pin, PinnedFile};
use mashbill_hub::Digest;
use mashbill_store::open;
use mashbill_verify::{Problem, ProblemKind, ProblemPlace, Remedy, Severity};

use crate::error::{Error, Result};
use crate::pin::remote;

/// Bytes read at a time.
const CHUNK_BYTES: usize = 1 << 20;

/// What an audit did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Audit {
    /// Files that were hashed.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Files of the lock that were not kept.
    pub not_kept: u64,
    /// What is wrong.
    pub problems: Vec<Problem>,
}

/// Hashes what is kept of the files of the datasets that `is_wanted`, by name.
///
/// # Errors
/// [`Error::Format`] where the lock cannot be read, [`Error::Interrupted`]. What is wrong with a file is a [`Problem`].
pub fn audit(data: &Data, is_wanted: &dyn Fn(&str) -> bool, interrupted: &AtomicBool) -> Result<Audit> {
    let lock = Lock::read(&data.pins())?;
    let mut report = Audit::default();
    for (name, pin) in lock.datasets.iter().filter(|(name, _)| is_wanted(name)) {
        let folder = data.raw(name);
        for file in &pin.files {
            let path = folder.join(&file.path);
            if !path.is_file() {
                report.not_kept += 1;
                continue;
            }
            report.files += 1;
            let place = path.strip_prefix(data.root()).unwrap_or(&path).display().to_string();
            match differs(pin, file, &path, interrupted, &mut report.bytes) {
                Ok(None) => {}
                Ok(Some(detail)) => report.problems.push(problem(name, place, ProblemKind::Checksum, detail)),
                Err(Error::Interrupted) => return Err(Error::Interrupted),
                Err(error) => {
                    report.problems.push(problem(name, place, ProblemKind::Unreadable, error.to_string()))
                }
            }
        }
    }
    Ok(report)
}

/// How a file differs from the one in the lock, if it does.
fn differs(
    pin: &Pin,
    file: &PinnedFile,
    path: &Path,
    interrupted: &AtomicBool,
    read: &mut u64,
) -> Result<Option<String>> {
    let expected = remote(pin, file)?.hash;
    let (bytes, found) = hash(path, &expected, file.size, interrupted)
        .map_err(|error| Error::read(path, error))?
        .ok_or(Error::Interrupted)?;
    *read += bytes;
    Ok(if bytes != file.size {
        Some(format!("it has {bytes} bytes, and the lock says {}", file.size))
    } else if found != expected {
        Some(format!("its hash is {found}, and the lock says {expected}"))
    } else {
        None
    })
}

/// A file's bytes and its hash of the same kind; none where it was interrupted.
fn hash(
    path: &Path,
    kind: &Digest,
    size: u64,
    interrupted: &AtomicBool,
) -> io::Result<Option<(u64, Digest)>> {
    let mut file = open::open(path)?;
    let (mut hasher, mut bytes, mut chunk) = (kind.hasher(size), 0, vec![0; CHUNK_BYTES]);
    loop {
        if interrupted.load(Ordering::Relaxed) {
            return Ok(None);
        }
        match file.read(&mut chunk)? {
            0 => return Ok(Some((bytes, hasher.finish()))),
            read => {
                hasher.update(&chunk[..read]);
                bytes += read as u64;
            }
        }
    }
}

fn problem(dataset: &str, place: String, kind: ProblemKind, detail: String) -> Problem {
    let remedy = Remedy::FetchAgain { dataset: dataset.to_owned(), file: place.clone() };
    Problem { severity: Severity::Error, kind, place: ProblemPlace::file(place), detail, remedy }
}
