//! The decoded cache: made once, for full shuffles at memory speed.
//!
//! A shard is read once from front to back, its checksum compared with the manifest's, and its rows written as
//! they are: 4 bytes a token. Files are named after the shards' checksums, so datasets can share a folder, and
//! processes that want the same one wait for each other shard by shard. A file holds what its shard holds and nothing
//! of where that stands in an input, so it is never another shard's and never outdated.

use std::fs::{self, File, OpenOptions};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use mashbill_format::error::Result as FormatResult;
use mashbill_format::row_cache::{RowCache, RowCacheWriter, file_name};
use mashbill_format::shard::{PageScratch, ShardPages};
use mashbill_store::open;
use mashbill_store::trust;

use crate::dataset::{Dataset, DatasetShard, what};
use crate::error::{Error, Result};
use crate::whole;

/// A shard whose rows are in the cache now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CachedShard {
    /// The shard.
    pub shard: PathBuf,
    /// Whether its rows were there before.
    pub found: bool,
    /// Shards whose rows are in the cache.
    pub done: usize,
    /// All shards.
    pub of: usize,
}

/// Puts the rows of all shards of `dataset` that are not there yet into the folder `cache`, on `threads` threads, until
/// `is_stopped` says so.
///
/// # Errors
/// [`Error::Shard`] where a shard is not what the manifest says, [`Error::File`] where the cache cannot be written,
/// [`Error::Distrusted`] where others can write to it, [`Error::Interrupted`]. Nothing half done stays.
pub fn build_cache(
    dataset: &Dataset,
    cache: &Path,
    threads: usize,
    is_stopped: &(dyn Fn() -> bool + Sync),
    on_event: &mut (dyn FnMut(CachedShard) + Send),
) -> Result<()> {
    create_folder(cache)?;
    let next = AtomicUsize::new(0);
    let state = Mutex::new((0, on_event, None::<Error>));
    let of = dataset.shards.len();
    let work = || {
        while let Some(shard) = dataset.shards.get(next.fetch_add(1, Ordering::Relaxed)) {
            let made = make(dataset, shard, cache, is_there, &|| (), is_stopped);
            let mut state = state.lock().expect("events do not panic");
            let (done, on_event, error) = &mut *state;
            match made {
                Ok(made) => {
                    *done += 1;
                    on_event(CachedShard { shard: shard.path.clone(), found: !made, done: *done, of });
                }
                Err(failed) => {
                    error.get_or_insert(failed);
                    next.store(of, Ordering::Relaxed);
                }
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..threads.min(of) {
            scope.spawn(work);
        }
        work();
    });
    let (_, _, error) = state.into_inner().expect("events do not panic");
    error.map_or(Ok(()), Err)
}

/// Makes a file of the cache again whose rows are not all what they should be, and counts it in `made_again` before
/// anyone can read it: whoever has a row of it sees it counted.
pub(crate) fn make_again(
    dataset: &Dataset,
    shard: &DatasetShard,
    cache: &Path,
    made_again: &AtomicU64,
) -> Result<()> {
    let count = || {
        made_again.fetch_add(1, Ordering::Relaxed);
    };
    make(dataset, shard, cache, is_whole, &count, &|| false).map(|_| ())
}

/// Creates the folder, writable by its user alone, and checks that nobody else can write to it.
fn create_folder(cache: &Path) -> Result<()> {
    let mut folder = fs::DirBuilder::new();
    folder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut folder, 0o755);
    folder.create(cache).map_err(|error| mashbill_format::Error::io("create the folder", cache, error))?;
    match trust::doubt(cache)? {
        Some(why) => Err(Error::Distrusted { path: cache.to_owned(), why }),
        None => Ok(()),
    }
}

/// Whether the file of a shard is there, in its full length.
fn is_there(path: &Path, shard: &DatasetShard, dataset: &Dataset) -> bool {
    RowCache::open(path, shard.checksum, dataset.row_length, shard.rows, dataset.loss).is_ok()
}

/// Whether every row in the file of a shard can be read.
fn is_whole(path: &Path, shard: &DatasetShard, dataset: &Dataset) -> bool {
    let (mut bytes, mut pieces) = (Vec::new(), Vec::new());
    RowCache::open(path, shard.checksum, dataset.row_length, shard.rows, dataset.loss).is_ok_and(|cache| {
        (0..shard.rows).all(|row| {
            pieces.clear();
            cache.row(row, &mut bytes).is_ok() && cache.pieces(row, &mut bytes, &mut pieces).is_ok()
        })
    })
}

/// Makes one shard's file, unless it is `good`; whether it did. `on_start` is called before it begins, by one of those
/// who want it.
fn make(
    dataset: &Dataset,
    shard: &DatasetShard,
    cache: &Path,
    good: fn(&Path, &DatasetShard, &Dataset) -> bool,
    on_start: &dyn Fn(),
    is_stopped: &(dyn Fn() -> bool + Sync),
) -> Result<bool> {
    let path = cache.join(file_name(shard.checksum));
    if good(&path, shard, dataset) {
        return Ok(false);
    }
    let lock = CacheLock::take(path.with_extension("lock"))?;
    // Another process may have made it while this one waited.
    if good(&path, shard, dataset) {
        return Ok(false);
    }
    on_start();
    let of_shard = |error| Error::Shard {
        split: dataset.splits[shard.split].name.clone(),
        path: shard.path.clone(),
        what: what(&error),
    };
    whole::check(&shard.path, shard.checksum).map_err(|error| of_shard(error.into()))?;
    let pages = ShardPages::open(&shard.path, dataset.row_length, dataset.layout, dataset.loss, shard.tail);
    let pages = pages.map_err(of_shard)?;
    if pages.rows() != shard.rows {
        let what = format!("it has {} rows where the manifest says {}", pages.rows(), shard.rows);
        return Err(of_shard(mashbill_format::Error::damaged(&shard.path, what)));
    }
    let temporary = path.with_extension("temporary");
    let (row_length, rows) = (dataset.row_length, shard.rows);
    let mut writer = RowCacheWriter::create(&temporary, shard.checksum, row_length, rows, dataset.loss)?;
    let mut scratch = PageScratch::default();
    for (group, count) in pages.pages().enumerate() {
        let tokens = pages.token_group(group, &mut scratch).map_err(of_shard)?;
        for page in 0..count {
            if is_stopped() {
                return Err(Error::Interrupted);
            }
            let rows = pages.token_page(&tokens, page, &mut scratch).map_err(of_shard)?;
            let pieces = pages.piece_page(&tokens, page, &mut scratch).map_err(of_shard)?;
            if !pieces.fill(&rows) {
                let what = "its pieces and its tokens contradict each other";
                return Err(of_shard(mashbill_format::Error::damaged(&shard.path, what)));
            }
            writer.append(&rows, &pieces)?;
        }
    }
    writer.finish(&path)?;
    drop(lock);
    Ok(true)
}

/// The right to make one file of the cache; it ends with its holder, whatever becomes of that.
#[derive(Debug)]
struct CacheLock {
    path: PathBuf,
    file: File,
}

impl CacheLock {
    /// Waits for the lock at `path`.
    fn take(path: PathBuf) -> FormatResult<Self> {
        open::check_own(&path).map_err(|error| mashbill_format::Error::io("lock", &path, error))?;
        loop {
            let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
            let file = file.map_err(|error| mashbill_format::Error::io("create", &path, error))?;
            file.lock().map_err(|error| mashbill_format::Error::io("lock", &path, error))?;
            // Its last holder has removed the file: then others lock another one of the same name.
            if open::is_at(&file, &path).map_err(|error| mashbill_format::Error::io("lock", &path, error))? {
                return Ok(Self { path, file });
            }
        }
    }
}

impl Drop for CacheLock {
    fn drop(&mut self) {
        // Still held: whoever waits for it finds that it has no name any more.
        drop(fs::remove_file(&self.path));
        drop(self.file.unlock());
    }
}
