//! Fetching a file: in parts, from the last byte on, and never under its name before its hash is right.
//!
//! ```text
//!  workers ── GET Range ──▶ write into .part ──▶ note what is done
//!                                                    │
//!  caller's thread:   hashes what is done from the start on, keeps the journal
//! ```
//!
//! Large files are cut into parts, since one connection is slower than the line; a
//! small one is a single part. Bytes count as soon as they are written, so a
//! connection that breaks costs what was in its buffer. The hash follows behind the
//! first gap, from the page cache, and is done almost when the last byte arrives.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use mashbill_store::atomic;

use crate::digest::{Digest, DigestHasher};
use crate::error::{Error, Result};
use crate::hub::Hub;
use crate::local;
use crate::part::PartialFile;
use crate::ranges::Ranges;
use crate::source::FileSource;
use crate::transfer::{Fetched, Transfer};
use crate::tree::RemoteFile;

/// How often a file whose hash is wrong is fetched again.
const RETRIES_AFTER_CHECKSUM_MAX: u64 = 2;
/// How often the workers are looked at while nothing can be hashed.
const LOOK_EVERY: Duration = Duration::from_millis(50);
const TELL_EVERY: Duration = Duration::from_millis(200);
/// The time or the bytes after which the journal is replaced: what a killed process loses.
const NOTE_EVERY: (Duration, u64) = (Duration::from_millis(200), 1 << 20);
/// The same for the disk: what a machine loses that goes down.
const SYNC_EVERY: (Duration, u64) = (Duration::from_secs(5), 64 << 20);
/// What is hashed between two looks at the rest.
const HASH_STEP: usize = 1 << 20;

/// What the workers on one file share.
pub(crate) struct FetchJob<'j> {
    pub(crate) hub: &'j Hub<'j>,
    /// Raised where the file is not wanted any more.
    dropped: &'j AtomicBool,
    pub(crate) file: &'j RemoteFile,
    pub(crate) source: FileSource<'j>,
    pub(crate) part: &'j PartialFile,
    pub(crate) moved: AtomicU64,
    pub(crate) retries: AtomicU64,
    /// Set when a worker failed for good.
    pub(crate) stopped: AtomicBool,
    pub(crate) state: Mutex<FetchState>,
    changed: Condvar,
}

pub(crate) struct FetchState {
    /// The bytes that are written.
    pub(crate) done: Ranges,
    /// The stretches that no connection works on yet.
    pub(crate) queue: VecDeque<(u64, u64)>,
    /// Whether the server gives only whole files, and one worker reads it.
    pub(crate) whole: bool,
    workers: usize,
    failure: Option<Error>,
}

impl Hub<'_> {
    /// Fetches a file to `destination`, whose folder is made; at the end it has the right size and hash.
    ///
    /// A file that is there with the right content is left alone; one in the Hub's cache is linked or copied
    /// from there. What an interrupted run left in `<destination>.part` is used. `on_progress` is told a few
    /// times a second, by the calling thread, how many of the file's bytes are there; the number falls only
    /// if they were found to be wrong.
    ///
    /// # Errors
    /// [`Error::Checksum`] after three tries, [`Error::Changed`], [`Error::InUse`], [`DiskFull`](mashbill_store::Error::DiskFull),
    /// [`Error::Interrupted`], [`Io`](mashbill_store::Error::Io), and all that [`Hub::dataset`] lists. What has arrived stays in
    /// `<destination>.part`, unless it is wrong.
    pub fn fetch(&self, file: &RemoteFile, destination: &Path, on_progress: &dyn Fn(u64)) -> Result<Fetched> {
        self.fetch_unless(&AtomicBool::new(false), file, destination, on_progress)
    }

    /// The same as [`Hub::fetch`], until somebody raises `dropped` because the file is not wanted any more.
    ///
    /// # Errors
    /// Those of [`Hub::fetch`]; [`Error::Interrupted`] where it is not wanted any more.
    pub fn fetch_unless(
        &self,
        dropped: &AtomicBool,
        file: &RemoteFile,
        destination: &Path,
        on_progress: &dyn Fn(u64),
    ) -> Result<Fetched> {
        let start = Instant::now();
        self.go_on()?;
        if let Some(folder) = destination.parent() {
            atomic::create_folder(folder)?;
        }
        let mut fetched = Fetched::default();
        if local::has_content(self, destination, file)? || local::take_from_cache(self, file, destination)? {
            crate::part::discard(destination)?;
            fetched.reused_bytes = file.size;
        } else {
            self.need_network(&file.repo, || format!("`{}`", file.path))?;
            self.transfer_checked(dropped, file, destination, on_progress, &mut fetched)?;
        }
        on_progress(file.size);
        fetched.seconds = start.elapsed().as_secs_f64();
        Ok(fetched)
    }

    /// How many requests fetching `missing` bytes of a file takes, if nothing has to be tried again.
    #[must_use]
    pub fn requests_for(&self, file: &RemoteFile, missing: u64) -> u64 {
        if missing == 0 {
            return 0;
        }
        let stretch = self.transfer.stretch(file.size);
        // What goes by a SHA-256 lies in the store: the Hub is asked once where.
        u64::from(matches!(file.hash, Digest::Sha256(_))) + missing.div_ceil(stretch)
    }

    fn transfer_checked(
        &self,
        dropped: &AtomicBool,
        file: &RemoteFile,
        destination: &Path,
        on_progress: &dyn Fn(u64),
        fetched: &mut Fetched,
    ) -> Result<()> {
        let (part, mut done) = PartialFile::open(destination, file)?;
        fetched.reused_bytes = done.total();
        for retry in 0.. {
            let job = FetchJob::new(self, dropped, file, &part, done);
            let received = job.run(on_progress);
            fetched.moved_bytes += job.moved.load(Ordering::Relaxed);
            fetched.retries += job.retries.load(Ordering::Relaxed) + job.source.renewals();
            let received = match received {
                Ok(received) => received,
                Err(error) => {
                    if job.lock().done.total() == 0 {
                        // Nothing is worth the room that it takes.
                        part.discard()?;
                    }
                    return Err(error);
                }
            };
            if received == file.hash {
                return part.publish(destination);
            }
            // Nobody can tell which bytes are wrong.
            fetched.reused_bytes = 0;
            if retry == RETRIES_AFTER_CHECKSUM_MAX {
                part.discard()?;
                let (repo, path) = (file.repo.clone(), file.path.clone());
                return Err(Error::Checksum { repo, file: path, expected: file.hash.clone(), received });
            }
            fetched.retries += 1;
            part.restart(file.size)?;
            done = Ranges::default();
        }
        unreachable!("the loop has no end")
    }
}

impl<'j> FetchJob<'j> {
    fn new(
        hub: &'j Hub<'j>,
        dropped: &'j AtomicBool,
        file: &'j RemoteFile,
        part: &'j PartialFile,
        done: Ranges,
    ) -> Self {
        let queue = cut(&hub.transfer, file.size, &done);
        let workers = queue.len().min(hub.transfer.connections.max(1));
        Self {
            hub,
            dropped,
            file,
            source: FileSource::new(hub, file),
            part,
            moved: AtomicU64::new(0),
            retries: AtomicU64::new(0),
            stopped: AtomicBool::new(false),
            state: Mutex::new(FetchState { done, queue, whole: false, workers, failure: None }),
            changed: Condvar::new(),
        }
    }

    /// Fails if the caller wants no more, of this file or of any.
    pub(crate) fn go_on(&self) -> Result<()> {
        if self.dropped.load(Ordering::Relaxed) { Err(Error::Interrupted) } else { self.hub.go_on() }
    }

    /// Fetches what is missing and returns the hash of all.
    fn run(&self, on_progress: &dyn Fn(u64)) -> Result<Digest> {
        let workers = self.lock().workers;
        let hasher = thread::scope(|scope| {
            for _ in 0..workers {
                scope.spawn(|| {
                    let mut leaving = Leaving { job: self, result: None };
                    leaving.result = Some(self.work());
                });
            }
            // The workers must not go on alone if this fails.
            self.follow(on_progress).inspect_err(|_| self.stopped.store(true, Ordering::Relaxed))
        });
        let mut state = self.lock();
        match (state.failure.take(), hasher) {
            (None, Ok(hasher)) => Ok(hasher.finish()),
            (Some(error), _) | (None, Err(error)) => {
                // What is there is of use to the next run; that it cannot be noted changes nothing here.
                drop(self.part.note(&state.done, true));
                Err(error)
            }
        }
    }

    /// Hashes what is there from the start on and keeps the journal, until the workers are done.
    fn follow(&self, on_progress: &dyn Fn(u64)) -> Result<DigestHasher> {
        let mut hasher = self.file.hash.hasher(self.file.size);
        let mut buffer = vec![0; HASH_STEP.min(usize::try_from(self.file.size).unwrap_or(HASH_STEP))];
        let mut hashed = 0;
        let start = (Instant::now(), self.lock().done.total());
        let (mut told, mut noted, mut synced) = (start.0, start, start);
        on_progress(start.1);
        loop {
            let state = self.lock();
            let prefix = state.done.prefix();
            if hashed < prefix {
                drop(state);
                let step =
                    usize::try_from(prefix - hashed).map_or(buffer.len(), |rest| rest.min(buffer.len()));
                self.part.read_at(&mut buffer[..step], hashed)?;
                hasher.update(&buffer[..step]);
                hashed += step as u64;
            } else if state.workers == 0 {
                return Ok(hasher);
            } else {
                drop(self.changed.wait_timeout(state, LOOK_EVERY).unwrap_or_else(PoisonError::into_inner));
            }
            let now = (Instant::now(), self.lock().done.total());
            if now.0 - told >= TELL_EVERY {
                on_progress(now.1);
                told = now.0;
            }
            let sync = is_due(synced, now, SYNC_EVERY);
            if sync || is_due(noted, now, NOTE_EVERY) {
                let done = self.lock().done.clone();
                self.part.note(&done, sync)?;
                noted = now;
                if sync {
                    synced = (Instant::now(), now.1);
                }
            }
        }
    }

    /// Makes the calling worker the one that stays, because the server gives only the whole file; returns
    /// false if another was first.
    pub(crate) fn claim_the_whole(&self) -> bool {
        let mut state = self.lock();
        state.queue.clear();
        !std::mem::replace(&mut state.whole, true)
    }

    /// Whether no other worker is left.
    pub(crate) fn is_alone(&self) -> bool {
        self.lock().workers == 1
    }

    /// Waits until no other worker is left: bytes that may be hashed already must not be written by two. The
    /// calling worker holds no connection, which the others may need to come to their end.
    pub(crate) fn wait_until_alone(&self) {
        let others = |state: &mut FetchState| state.workers > 1 && !self.stopped.load(Ordering::Relaxed);
        drop(self.changed.wait_while(self.lock(), others).unwrap_or_else(PoisonError::into_inner));
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, FetchState> {
        // A worker's panic ends the whole transfer; nothing here is left half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether enough time or bytes have passed, and any bytes at all.
fn is_due(last: (Instant, u64), now: (Instant, u64), every: (Duration, u64)) -> bool {
    now.1 > last.1 && (now.0 - last.0 >= every.0 || now.1 - last.1 >= every.1)
}

/// A worker's last act, even if it panics: the others would wait for it.
struct Leaving<'a, 'j> {
    job: &'a FetchJob<'j>,
    result: Option<Result<()>>,
}

impl Drop for Leaving<'_, '_> {
    fn drop(&mut self) {
        let mut state = self.job.lock();
        match self.result.take() {
            Some(Ok(())) => {}
            failed => {
                self.job.stopped.store(true, Ordering::Relaxed);
                state.failure = state.failure.take().or(failed.and_then(Result::err));
            }
        }
        state.workers -= 1;
        self.job.changed.notify_all();
    }
}

/// What is missing, in stretches for one worker each.
fn cut(transfer: &Transfer, size: u64, done: &Ranges) -> VecDeque<(u64, u64)> {
    let step = transfer.stretch(size);
    let missing = done.missing(0, size);
    let steps = missing.into_iter().flat_map(|(start, end)| {
        let starts = std::iter::successors(Some(start), move |start| Some(start + step));
        starts.take_while(move |start| *start < end).map(move |start| (start, end.min(start + step)))
    });
    steps.collect()
}
