//! Rows by number, from wherever they are fastest.
//!
//! Straight from the shards a row costs the decoding of its page (32,768 tokens, whatever the row's length), unless the page is still in memory; from the decoded cache it costs one read. Memory is
//! bounded here: pages of 80 MiB, dictionaries of 16 MiB, and the open files.

use std::collections::HashMap;
use std::hash::Hash;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use mashbill_format::row_cache::{self, RowCache};
use mashbill_format::shard::{PageScratch, Piece, PiecePage, ShardPages, TokenGroup, TokenPage};

use crate::cache;
use crate::dataset::{Dataset, what};
use crate::error::{Error, Result};

/// Memory for decoded pages, in bytes: the window of [`crate::Shuffle::Blocks`] and a quarter more.
const PAGES_BYTES: usize = 80 << 20;

/// Row groups whose dictionaries are kept: 256 KiB each, with up to 65,536 different tokens in a group.
const GROUPS: usize = 64;

/// Shards that are open at a time; systems allow a process 1,024 files by default.
const FILES: usize = 512;

/// All rows of a dataset, for many threads at a time.
#[derive(Debug)]
pub(crate) struct RowStore {
    dataset: Arc<Dataset>,
    cache: Option<PathBuf>,
    with_pieces: bool,
    shards: Kept<usize, ShardPages>,
    groups: Kept<(usize, usize), TokenGroup>,
    pages: Kept<(usize, usize, usize), PageRows>,
    caches: Kept<usize, RowCache>,
    made_again: AtomicU64,
}

/// One row, decoded.
#[derive(Debug, Default)]
pub(crate) struct RowBuffer {
    pub(crate) input_ids: Vec<i32>,
    /// The label of the last position.
    pub(crate) last_label: i32,
    /// Tokens before the padding.
    pub(crate) real_tokens: usize,
    /// Which tokens are learned, as run lengths; empty where all tokens of the dataset are.
    pub(crate) loss_spans: Vec<i32>,
    /// The documents' pieces, their keys counted from the beginning of the input; empty where they are not wanted.
    pub(crate) pieces: Vec<Piece>,
    bytes: Vec<u8>,
    scratch: PageScratch,
}

#[derive(Debug)]
struct PageRows {
    tokens: TokenPage,
    pieces: Option<PiecePage>,
}

impl RowStore {
    /// The rows of `dataset`; from the decoded rows in the folder `cache`, where there is one, else from the shards.
    pub(crate) fn new(dataset: Arc<Dataset>, cache: Option<PathBuf>, with_pieces: bool) -> Self {
        let page_bytes = 4 * dataset.row_length * dataset.layout.rows_per_page.max(1);
        Self {
            dataset,
            cache,
            with_pieces,
            shards: Kept::new(FILES),
            groups: Kept::new(GROUPS),
            pages: Kept::new((PAGES_BYTES / page_bytes.max(1)).max(2)),
            caches: Kept::new(FILES),
            made_again: AtomicU64::new(0),
        }
    }

    /// Reads row `row` of the dataset into `buffer`.
    ///
    /// # Errors
    /// [`Error::Shard`] where the shard cannot be read, [`Error::File`] where the cache cannot.
    pub(crate) fn read(&self, row: u64, buffer: &mut RowBuffer) -> Result<()> {
        buffer.pieces.clear();
        let shard = self.dataset.shard_of(row);
        let in_shard = row - self.dataset.shards[shard].first_row;
        match &self.cache {
            Some(folder) => self.read_cached(folder, shard, in_shard, buffer)?,
            None => self.read_page(shard, in_shard, buffer).map_err(|error| self.of_shard(shard, error))?,
        }
        self.count_keys_from_the_beginning(shard, in_shard, &mut buffer.pieces)
    }

    /// Turns the keys of a row's documents, which a shard counts from where its stretch of the input begins, into those
    /// that are handed out. Pages and the cache hold them as the shard does: equal shards of other places share a file.
    fn count_keys_from_the_beginning(&self, shard: usize, row: u64, pieces: &mut [Piece]) -> Result<()> {
        let of = &self.dataset.shards[shard];
        for piece in pieces {
            let doc_id = piece.doc_id;
            piece.doc_id = of.key(doc_id).ok_or_else(|| {
                let length = of.input.end - of.input.start;
                let what = format!("row {row} has a part of a document {doc_id} of a stretch of {length}");
                self.of_shard(shard, mashbill_format::Error::damaged(&of.path, what))
            })?;
        }
        Ok(())
    }

    fn read_cached(
        &self,
        folder: &std::path::Path,
        shard: usize,
        row: u64,
        buffer: &mut RowBuffer,
    ) -> Result<()> {
        let open = || {
            let shard = &self.dataset.shards[shard];
            let path = folder.join(row_cache::file_name(shard.checksum));
            RowCache::open(&path, shard.checksum, self.dataset.row_length, shard.rows, self.dataset.loss)
        };
        let cached = self.caches.get(shard, open).and_then(|cache| {
            self.read_cached_row(&cache, row, buffer)?;
            Ok(())
        });
        match cached {
            Err(error) if error.is_damage() => {}
            cached => return Ok(cached?),
        }
        // Damaged or cut off: it is made again of the shard, once, by whoever comes first.
        self.caches.forget(shard);
        cache::make_again(&self.dataset, &self.dataset.shards[shard], folder, &self.made_again)?;
        let cache = self.caches.get(shard, open)?;
        Ok(self.read_cached_row(&cache, row, buffer)?)
    }

    fn read_cached_row(
        &self,
        cache: &RowCache,
        row: u64,
        buffer: &mut RowBuffer,
    ) -> mashbill_format::error::Result<()> {
        let cached = cache.row(row, &mut buffer.bytes)?;
        cached.read_to(&mut buffer.input_ids, &mut buffer.loss_spans);
        buffer.last_label = cached.last_label;
        buffer.real_tokens = cached.real_tokens as usize;
        if self.with_pieces {
            buffer.pieces.clear();
            cache.pieces(row, &mut buffer.bytes, &mut buffer.pieces)?;
        }
        Ok(())
    }

    /// Files of the cache that were damaged and have been made again.
    pub(crate) fn made_again(&self) -> u64 {
        self.made_again.load(Ordering::Relaxed)
    }

    fn read_page(
        &self,
        shard: usize,
        row: u64,
        buffer: &mut RowBuffer,
    ) -> mashbill_format::error::Result<()> {
        let pages = self.shard(shard)?;
        let (group, page, index) = pages.place(row);
        let rows = self.pages.get((shard, group, page), || {
            let scratch = &mut buffer.scratch;
            let tokens = self.groups.get((shard, group), || pages.token_group(group, scratch))?;
            let scratch = &mut buffer.scratch;
            let pieces = self.with_pieces.then(|| pages.piece_page(&tokens, page, scratch)).transpose()?;
            let tokens = pages.token_page(&tokens, page, &mut buffer.scratch)?;
            if !pieces.as_ref().is_none_or(|pieces| pieces.fill(&tokens)) {
                let what = "its pieces and its tokens contradict each other";
                return Err(mashbill_format::Error::damaged(&self.dataset.shards[shard].path, what));
            }
            Ok(PageRows { tokens, pieces })
        })?;
        let row_length = self.dataset.row_length;
        buffer.input_ids.clear();
        buffer.input_ids.extend_from_slice(&rows.tokens.input_ids[index * row_length..][..row_length]);
        buffer.loss_spans.clear();
        if let Some(spans) = &rows.tokens.loss_spans {
            buffer.loss_spans.extend_from_slice(spans.of(index));
        }
        buffer.last_label = rows.tokens.last_labels[index];
        buffer.real_tokens = rows.tokens.real_tokens[index] as usize;
        if let Some(pieces) = &rows.pieces {
            let start = index.checked_sub(1).map_or(0, |before| pieces.ends[before] as usize);
            buffer.pieces.extend_from_slice(&pieces.pieces[start..pieces.ends[index] as usize]);
        }
        Ok(())
    }

    fn shard(&self, shard: usize) -> mashbill_format::error::Result<Arc<ShardPages>> {
        self.shards.get(shard, || {
            let Dataset { row_length, layout, loss, .. } = *self.dataset;
            let shard = &self.dataset.shards[shard];
            let pages = ShardPages::open(&shard.path, row_length, layout, loss, shard.tail)?;
            if pages.rows() == shard.rows {
                return Ok(pages);
            }
            let what = format!("it has {} rows where the manifest says {}", pages.rows(), shard.rows);
            Err(mashbill_format::Error::damaged(&shard.path, what))
        })
    }

    /// An error of a shard's, with what a user needs to find it.
    fn of_shard(&self, shard: usize, error: mashbill_format::Error) -> Error {
        let shard = &self.dataset.shards[shard];
        let split = self.dataset.splits[shard.split].name.clone();
        Error::Shard { split, path: shard.path.clone(), what: what(&error) }
    }
}

/// The last values that were used, up to a number; each is made by one thread while others wait for it.
#[derive(Debug)]
struct Kept<K, V> {
    most: usize,
    values: Mutex<Values<K, V>>,
}

#[derive(Debug)]
struct Values<K, V> {
    by_key: HashMap<K, KeptValue<V>>,
    clock: u64,
}

#[derive(Debug)]
struct KeptValue<V> {
    value: Arc<Mutex<Option<Arc<V>>>>,
    used: u64,
}

impl<K: Hash + Eq + Copy, V> Kept<K, V> {
    fn new(most: usize) -> Self {
        Self { most, values: Mutex::new(Values { by_key: HashMap::new(), clock: 0 }) }
    }

    /// The value of `key`, made by `make` where it is not kept.
    fn get<E>(
        &self,
        key: K,
        make: impl FnOnce() -> std::result::Result<V, E>,
    ) -> std::result::Result<Arc<V>, E> {
        let entry = self.entry(key);
        // A thread that panicked while it made the value has left none behind.
        let mut value = entry.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(value) = &*value {
            return Ok(Arc::clone(value));
        }
        let made = Arc::new(make()?);
        *value = Some(Arc::clone(&made));
        Ok(made)
    }

    /// Makes the value of `key` anew when it is wanted next.
    fn forget(&self, key: K) {
        self.values.lock().unwrap_or_else(PoisonError::into_inner).by_key.remove(&key);
    }

    fn entry(&self, key: K) -> Arc<Mutex<Option<Arc<V>>>> {
        let mut values = self.values.lock().unwrap_or_else(PoisonError::into_inner);
        values.clock += 1;
        let clock = values.clock;
        if let Some(entry) = values.by_key.get_mut(&key) {
            entry.used = clock;
            return Arc::clone(&entry.value);
        }
        if values.by_key.len() >= self.most {
            // A look at every entry, which is nothing beside making one.
            let oldest = values.by_key.iter().min_by_key(|(_, entry)| entry.used).map(|(key, _)| *key);
            oldest.map(|key| values.by_key.remove(&key));
        }
        let entry = KeptValue { value: Arc::default(), used: clock };
        let value = Arc::clone(&entry.value);
        values.by_key.insert(key, entry);
        value
    }
}
