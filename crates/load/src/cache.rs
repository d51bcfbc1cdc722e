//! The decoded cache: made once, for full shuffles at memory speed.
//!
//! A shard is read once from front to back, its checksum compared with the manifest's, and its rows written as
//! they are: 4 bytes a token. Files are named after the shards' checksums, so datasets can share a folder, and
//! processes that want the same one wait for each other shard by shard.

use std::fs::OpenOptions;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use mashbill_format::atomic;
use mashbill_format::checksum::Hasher;
use mashbill_format::open;
use mashbill_format::row_cache::{RowCache, RowCacheWriter, file_name};
use mashbill_format::shard::{Scratch, ShardPages};

use crate::dataset::{Dataset, Shard};
use crate::error::{Error, Result};

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

/// Puts the rows of all shards of `dataset` that are not there yet into the folder `cache`, on `threads` threads.
///
/// # Errors
/// [`Error::Shard`] where a shard is not what the manifest says, [`Error::File`] where the cache cannot be written.
pub fn build_cache(
    dataset: &Dataset,
    cache: &Path,
    threads: usize,
    on_event: &mut (dyn FnMut(CachedShard) + Send),
) -> Result<()> {
    atomic::create_folder(cache)?;
    let next = AtomicUsize::new(0);
    let state = Mutex::new((0, on_event, None::<Error>));
    let of = dataset.shards.len();
    let work = || {
        while let Some(shard) = dataset.shards.get(next.fetch_add(1, Ordering::Relaxed)) {
            let made = make(dataset, shard, cache);
            let mut state = state.lock().expect("events do not panic");
            let (done, on_event, error) = &mut *state;
            match made {
                Ok(found) => {
                    *done += 1;
                    on_event(CachedShard { shard: shard.path.clone(), found, done: *done, of });
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

/// Makes one shard's file; whether it was there already.
fn make(dataset: &Dataset, shard: &Shard, cache: &Path) -> Result<bool> {
    let path = cache.join(file_name(shard.checksum));
    let is_there = || RowCache::open(&path, shard.checksum, dataset.row_length, shard.rows).is_ok();
    if is_there() {
        return Ok(true);
    }
    let lock_path = path.with_extension("lock");
    open::check_own(&lock_path).map_err(|error| mashbill_format::Error::io("lock", &lock_path, error))?;
    let lock = OpenOptions::new().create(true).truncate(false).write(true).open(&lock_path);
    let lock = lock.map_err(|error| mashbill_format::Error::io("create", &lock_path, error))?;
    lock.lock().map_err(|error| mashbill_format::Error::io("lock", &lock_path, error))?;
    // Another process may have made it while this one waited.
    if is_there() {
        return Ok(true);
    }
    check(dataset, shard)?;
    let pages = ShardPages::open(&shard.path, dataset.row_length, dataset.layout)?;
    let temporary = path.with_extension("temporary");
    let mut writer = RowCacheWriter::create(&temporary, shard.checksum, dataset.row_length, shard.rows)?;
    let mut scratch = Scratch::default();
    for (group, count) in pages.pages().enumerate() {
        let tokens = pages.token_group(group, &mut scratch)?;
        for page in 0..count {
            let rows = pages.token_page(&tokens, page, &mut scratch)?;
            writer.append(&rows, &pages.piece_page(group, page, &mut scratch)?)?;
        }
    }
    writer.finish(&path)?;
    // Whoever still waits for the lock holds the file open and finds the rows.
    drop(std::fs::remove_file(&lock_path));
    Ok(false)
}

/// Compares a shard with the manifest's checksum.
fn check(dataset: &Dataset, shard: &Shard) -> Result<()> {
    let wrong = |what: String| Error::Shard {
        split: dataset.splits[shard.split].name.clone(),
        path: shard.path.clone(),
        what,
    };
    let unreadable = |error: std::io::Error| wrong(format!("cannot be read: {error}"));
    let mut file = open::open(&shard.path).map_err(unreadable)?;
    let (mut hasher, mut buffer) = (Hasher::new(), vec![0; 1 << 20]);
    loop {
        match file.read(&mut buffer).map_err(unreadable)? {
            0 => break,
            read => hasher.update(&buffer[..read]),
        }
    }
    let found = hasher.finish();
    if found == shard.checksum {
        return Ok(());
    }
    Err(wrong(format!("is damaged: its checksum is {found} where the manifest says {}", shard.checksum)))
}
