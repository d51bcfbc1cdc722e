//! Shards read page by page: the same rows as from the stock reader, and damage is found.

#![expect(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test fails where it panics")]

use std::path::Path;

use mashbill_format::error::Result;
use mashbill_format::loss_spans::{Loss, LossSpans, SpansBuilder};
use mashbill_format::row_cache::{RowCache, RowCacheWriter};
use mashbill_format::shard::{
    self, PageScratch, Piece, PiecePage, RowGroupEncoder, RowLayout, RowsToEncode, ShardPages, ShardReader,
    TokenPage,
};
use mashbill_parquet::encode::Compression;
use mashbill_parquet::file::{ParquetAppender, Tail};
use mashbill_store::checksum::Checksum;
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaDataReader};
use parquet::file::page_index::offset_index::PageLocation;
use proptest::prelude::*;
use tempfile::TempDir;

/// A shard of `groups` row groups of random documents; the last row is padded.
fn write_shard(
    folder: &TempDir,
    row_length: usize,
    vocabulary: u32,
    groups: &[Vec<u32>],
    compression: Compression,
    loss: Loss,
) -> (std::path::PathBuf, Tail) {
    let path = folder.path().join("shard_0000.parquet");
    let mut file = ParquetAppender::create(&path, shard::schema(compression, loss)).unwrap();
    let mut encoder = RowGroupEncoder::new(row_length, vocabulary as usize, 0, compression);
    let mut state = 1u64;
    for (index, lengths) in groups.iter().enumerate() {
        let total: usize = lengths.iter().map(|&length| length as usize).sum();
        // Only the last row of a split is padded.
        let total = if index + 1 < groups.len() { (total / row_length).max(1) * row_length } else { total };
        let tokens: Vec<u32> = (0..total)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                (state >> 33) as u32 % vocabulary
            })
            .collect();
        let count = total.div_ceil(row_length);
        let (mut pieces, mut pieces_in_row) = (Vec::new(), Vec::new());
        let mut each = lengths.iter().cycle();
        for row in 0..count {
            let (mut left, before) = ((total - row * row_length).min(row_length), pieces.len());
            while left > 0 {
                let len = (*each.next().unwrap() as usize).min(left);
                pieces.push(Piece { doc_id: pieces.len() as i64 * 77, doc_offset: 3, len: len as i32 });
                left -= len;
            }
            pieces_in_row.push((pieces.len() - before) as u32);
        }
        // Runs of tokens that are learned and are not.
        let is_learned = |at: usize| loss == Loss::All || at / 5 % 3 != 1 && at % 40 < 30;
        let mut spans = LossSpans::default();
        for row in 0..count {
            let mut builder = SpansBuilder::default();
            let tokens = row * row_length..((row + 1) * row_length).min(total);
            tokens.for_each(|at| builder.push(is_learned(at), 1));
            spans.push(&builder.take());
        }
        let target = |at: &usize| *at < total && is_learned(*at);
        let last_labels: Vec<i32> = (1..=count)
            .map(|row| Some(row * row_length).filter(target).map_or(-100, |at| tokens[at] as i32))
            .collect();
        let rows = RowsToEncode {
            count,
            tokens: &[&tokens],
            last_labels: &last_labels,
            pieces: &pieces,
            pieces_in_row: &pieces_in_row,
            loss_spans: (loss == Loss::Spans).then_some(&spans),
        };
        file.append(&encoder.encode(&rows)).unwrap();
    }
    let tail = file.finish().unwrap().tail;
    (path, tail)
}

/// All pages of a shard in order.
fn pages(shard: &ShardPages) -> Result<Vec<(TokenPage, PiecePage)>> {
    let mut scratch = PageScratch::default();
    let mut pages = Vec::new();
    for (group, count) in shard.pages().enumerate() {
        let tokens = shard.token_group(group, &mut scratch)?;
        for page in 0..count {
            let rows = shard.token_page(&tokens, page, &mut scratch)?;
            pages.push((rows, shard.piece_page(&tokens, page, &mut scratch)?));
        }
    }
    Ok(pages)
}

fn any_groups() -> impl Strategy<Value = Vec<Vec<u32>>> {
    let lengths = prop::collection::vec(prop_oneof![3 => 1..60u32, 1 => 1..4000u32], 1..30);
    prop::collection::vec(lengths, 1..4)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn pages_have_the_rows_that_the_stock_reader_finds(
        row_length in prop_oneof![1..=20usize, 21..=300usize, Just(1024usize), Just(40_000usize)],
        vocabulary in prop_oneof![8..=300u32, 60_000..=70_000u32],
        groups in any_groups(),
        compression in prop::sample::select(Compression::ALL.to_vec()),
        loss in prop::sample::select(vec![Loss::All, Loss::Spans]),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let (path, tail) = write_shard(&folder, row_length, vocabulary, &groups, compression, loss);
        let stock = ShardReader::open(&path).unwrap();
        let stock: Vec<_> = stock.row_groups().collect::<Result<_>>().unwrap();
        let shard = ShardPages::open(&path, row_length, RowLayout::of(row_length), loss, tail).unwrap();
        let pages = pages(&shard).unwrap();

        let cache = folder.path().join("cache");
        let checksum = Checksum(7);
        let mut writer =
            RowCacheWriter::create(&folder.path().join("temporary"), checksum, row_length, shard.rows(), loss).unwrap();
        for (tokens, pieces) in &pages {
            writer.append(tokens, pieces).unwrap();
        }
        writer.finish(&cache).unwrap();
        let cache = RowCache::open(&cache, checksum, row_length, shard.rows(), loss).unwrap();
        let (mut bytes, mut pieces) = (Vec::new(), Vec::new());

        let rows_per_page = RowLayout::of(row_length).rows_per_page;
        let page_of_group: Vec<usize> = shard.pages().scan(0, |sum, count| { *sum += count; Some(*sum - count) }).collect();
        for (row, expected) in stock.iter().flat_map(|group| group.iter()).enumerate() {
            let (group, page, index) = shard.place(row as u64);
            prop_assert!(index < rows_per_page);
            let (tokens, in_page) = &pages[page_of_group[group] + page];
            prop_assert_eq!(&tokens.input_ids[index * row_length..][..row_length], expected.input_ids);
            prop_assert_eq!(tokens.last_labels[index], *expected.labels.last().unwrap());
            let real = expected.attention_mask.iter().sum::<i32>();
            prop_assert_eq!(tokens.real_tokens[index], real as u32);
            let start = index.checked_sub(1).map_or(0, |before| in_page.ends[before] as usize);
            prop_assert_eq!(&in_page.pieces[start..in_page.ends[index] as usize], expected.pieces);

            let cached = cache.row(row as u64, &mut bytes).unwrap();
            let (mut ids, mut spans) = (Vec::new(), Vec::new());
            cached.read_to(&mut ids, &mut spans);
            prop_assert_eq!(ids, expected.input_ids);
            prop_assert_eq!(spans, expected.loss_spans);
            prop_assert_eq!(cached.last_label, tokens.last_labels[index]);
            prop_assert_eq!(cached.real_tokens, real as u32);
            pieces.clear();
            cache.pieces(row as u64, &mut bytes, &mut pieces).unwrap();
            prop_assert_eq!(&pieces, expected.pieces);
        }
    }
}

#[test]
fn a_changed_byte_in_a_cached_row_is_found() {
    [Loss::All, Loss::Spans].into_iter().for_each(changed_byte_is_found);
}

fn changed_byte_is_found(loss: Loss) {
    let folder = tempfile::tempdir().unwrap();
    let (path, tail) = write_shard(&folder, 16, 50, &[vec![100, 3, 45]], Compression::Snappy, loss);
    let shard = ShardPages::open(&path, 16, RowLayout::of(16), loss, tail).unwrap();
    let (cache, checksum) = (folder.path().join("cache"), Checksum(1));
    let mut writer =
        RowCacheWriter::create(&folder.path().join("t"), checksum, 16, shard.rows(), loss).unwrap();
    for (tokens, pieces) in pages(&shard).unwrap() {
        writer.append(&tokens, &pieces).unwrap();
    }
    writer.finish(&cache).unwrap();
    let whole = std::fs::read(&cache).unwrap();
    let read = || -> Result<()> {
        let cache = RowCache::open(&cache, checksum, 16, shard.rows(), loss)?;
        for row in 0..shard.rows() {
            cache.row(row, &mut Vec::new())?;
            cache.pieces(row, &mut Vec::new(), &mut Vec::new())?;
        }
        Ok(())
    };
    read().unwrap();
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x10;
        std::fs::write(&cache, &bytes).unwrap();
        assert!(read().is_err(), "byte {at}");
    }
    std::fs::write(&cache, &whole[..whole.len() - 1]).unwrap();
    assert!(read().is_err());
}

/// Where the data pages of each column of the first row group stand, as the stock reader finds them.
fn page_ranges(path: &Path) -> Vec<Vec<std::ops::Range<usize>>> {
    let file = std::fs::File::open(path).unwrap();
    let reader = ParquetMetaDataReader::new().with_page_index_policy(PageIndexPolicy::Optional);
    let metadata = reader.parse_and_finish(&file).unwrap();
    let index = metadata.page_index().unwrap();
    let range =
        |page: &PageLocation| page.offset as usize..page.offset as usize + page.compressed_page_size as usize;
    let column = |column| index.offset_index(0, column).unwrap().page_locations().iter().map(range).collect();
    (0..6).map(column).collect()
}

#[test]
fn pages_that_change_places_are_found() {
    let folder = tempfile::tempdir().unwrap();
    // Without compression all full pages of a column of ids are of one size.
    let (row_length, compression) = (8192, Compression::None);
    let lengths = vec![vec![8192; 24]];
    let (path, tail) = write_shard(&folder, row_length, 900, &lengths, compression, Loss::All);
    let read = |bytes: Vec<u8>| {
        let layout = RowLayout::of(row_length);
        pages(&ShardPages::read(Path::new("shard"), Box::new(bytes), row_length, layout, Loss::All, tail)?)
    };
    let bytes = std::fs::read(&path).unwrap();
    let whole = read(bytes.clone()).unwrap();
    let mut swapped = 0;
    for (column, pages) in page_ranges(&path).into_iter().enumerate() {
        for (one, other) in (0..pages.len()).flat_map(|one| (0..one).map(move |other| (one, other))) {
            let (one, other) = (pages[one].clone(), pages[other].clone());
            if one.len() != other.len() || bytes[one.clone()] == bytes[other.clone()] {
                continue;
            }
            let mut injured = bytes.clone();
            injured[one.clone()].copy_from_slice(&bytes[other.clone()]);
            injured[other].copy_from_slice(&bytes[one]);
            match read(injured) {
                Ok(found) => assert_eq!(found, whole, "column {column}"),
                Err(_) => swapped += 1,
            }
        }
    }
    assert!(swapped >= 15 + 15, "the pages of ids and labels: {swapped}");
}

#[test]
fn other_readers_find_the_checksum_of_every_page() {
    let folder = tempfile::tempdir().unwrap();
    let (path, _) =
        write_shard(&folder, 64, 900, &[vec![100, 3, 40, 800, 7]], Compression::Snappy, Loss::All);
    let whole = std::fs::read(&path).unwrap();
    let read = || -> Result<Vec<_>> { ShardReader::open(&path)?.row_groups().collect() };
    let rows = read().unwrap();
    // Behind the longest header a page of ours can have, so that it is the checksum that tells.
    const HEADER_BYTES: usize = 40;
    let bodies = page_ranges(&path).into_iter().flatten();
    let places = bodies.flat_map(|page| (page.start + HEADER_BYTES..page.end).step_by(7));
    let mut noticed = 0;
    for at in places {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x20;
        std::fs::write(&path, &bytes).unwrap();
        match read() {
            Ok(found) => assert_eq!(found, rows, "byte {at}"),
            Err(error) => {
                assert!(error.to_string().contains("checksum"), "{error}");
                noticed += 1;
            }
        }
    }
    assert!(noticed > 10, "{noticed}");
}
