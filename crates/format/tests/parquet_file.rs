//! Files that grow by row groups: resumed anywhere, they end with the same bytes.

#![expect(clippy::disallowed_methods, reason = "tests make and change files as they like")]
#![expect(clippy::unwrap_used, reason = "a test fails where it panics")]

use std::fs;

use mashbill_format::Error;
use mashbill_format::checksum::Checksum;
use mashbill_format::documents;
use mashbill_format::encode::Compression;
use mashbill_format::parquet_file::ParquetAppender;
use mashbill_format::row_group::{EncodedRowGroup, RowGroup};
use mashbill_format::shard::{self, IGNORED, Piece, RowGroupEncoder, Rows};

/// A group of four rows of eight tokens.
fn group(first_token: u32) -> EncodedRowGroup {
    let tokens: Vec<u32> = (first_token..first_token + 32).collect();
    let pieces: Vec<Piece> = (0..4).map(|row| Piece { doc_id: row * 50, doc_offset: 0, len: 8 }).collect();
    RowGroupEncoder::new(8, 1000, 0, Compression::Snappy).encode(&Rows {
        count: 4,
        tokens: &[&tokens],
        last_labels: &[IGNORED; 4],
        pieces: &pieces,
        pieces_in_row: &[1; 4],
    })
}

#[test]
fn a_file_that_is_resumed_ends_with_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("shard.parquet");
    let schema = || shard::schema(Compression::Snappy);
    let groups: Vec<_> = (0..5).map(|index| group(index * 40)).collect();

    let mut file = ParquetAppender::create(&path, schema()).unwrap();
    groups.iter().for_each(|group| file.append(group).unwrap());
    let finished = file.finish().unwrap();
    let bytes = fs::read(&path).unwrap();
    assert_eq!(finished.checksum, Checksum::of(&bytes));
    assert_eq!((finished.bytes, finished.rows, finished.row_groups), (bytes.len() as u64, 20, 5));

    for kept in 0..=groups.len() {
        // More was written than was recorded: half a group, as if the machine had died.
        let mut file = ParquetAppender::create(&path, schema()).unwrap();
        groups[..kept].iter().for_each(|group| file.append(group).unwrap());
        let checksum = file.checksum();
        drop(file);
        let mut torn = fs::read(&path).unwrap();
        torn.extend_from_slice(&groups[0].bytes[..groups[0].bytes.len() / 2]);
        fs::write(&path, torn).unwrap();

        // The journal is JSON.
        let recorded: Vec<RowGroup> = groups[..kept].iter().map(|group| group.meta.clone()).collect();
        let recorded = serde_json::from_str(&serde_json::to_string(&recorded).unwrap()).unwrap();
        let mut file = ParquetAppender::resume(&path, schema(), recorded).unwrap();
        assert_eq!(file.checksum(), checksum);
        assert_eq!(file.rows(), kept as u64 * 4);
        groups[kept..].iter().for_each(|group| file.append(group).unwrap());
        assert_eq!(file.bytes(), finished.bytes);
        assert_eq!(file.finish().unwrap(), finished);
        assert_eq!(fs::read(&path).unwrap(), bytes);
    }
}

#[test]
fn the_bytes_of_a_format_version_never_change() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("shard.parquet");
    let document = documents::Document {
        doc_id: 7,
        id: Some("seven"),
        source: Some("web"),
        category: None,
        content_hash: Checksum(7 << 100),
        tokens: 32,
        unit: 1,
        row: 2,
        position: 3,
    };
    let table = documents::DocumentsEncoder::new(Compression::Snappy).encode(&[document.clone(), document]);
    let checksum = |schema, group: &EncodedRowGroup| {
        let mut file = ParquetAppender::create(&path, schema).unwrap();
        file.append(group).unwrap();
        file.append(group).unwrap();
        file.finish().unwrap().checksum.to_string()
    };
    let shard = checksum(shard::schema(Compression::Snappy), &group(1));
    let table = checksum(documents::schema(Compression::Snappy), &table);
    // A change of these is a new format_version, whatever caused it: this crate, `snap` or `parquet`.
    assert_eq!([shard, table], ["103cf4bc7b59c536f9ef78b2bfeee36b", "8a761af01ec67fcb3d712f3e20f15707"]);
}

#[test]
fn a_file_that_is_shorter_than_recorded_is_damaged() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("shard.parquet");
    let schema = shard::schema(Compression::Snappy);
    let mut file = ParquetAppender::create(&path, schema.clone()).unwrap();
    file.append(&group(0)).unwrap();
    drop(file);
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();

    let error = ParquetAppender::resume(&path, schema, vec![group(0).meta]).unwrap_err();
    assert!(matches!(error, Error::Damaged { .. }), "{error}");
    let error = ParquetAppender::resume(&path, documents::schema(Compression::Snappy), vec![group(0).meta]);
    assert!(matches!(error, Err(Error::Damaged { .. })));
}

#[test]
fn a_file_of_other_columns_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("shard.parquet");
    ParquetAppender::create(&path, shard::schema(Compression::None)).unwrap().finish().unwrap();
    assert_eq!(shard::ShardReader::open(&path).unwrap().rows(), 0);
    assert!(matches!(documents::read(&path), Err(Error::Damaged { .. })));
    fs::write(&path, "no Parquet").unwrap();
    assert!(matches!(shard::ShardReader::open(&path), Err(Error::Damaged { .. })));
    assert!(matches!(shard::ShardReader::open(&folder.path().join("absent")), Err(Error::Io { .. })));
}

#[test]
fn a_group_without_rows_leaves_no_trace() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("documents.parquet");
    let mut file = ParquetAppender::create(&path, documents::schema(Compression::Snappy)).unwrap();
    let before = file.bytes();
    file.append(&documents::DocumentsEncoder::new(Compression::Snappy).encode(&[])).unwrap();
    assert_eq!(file.bytes(), before);
    assert_eq!(file.finish().unwrap().row_groups, 0);
    assert_eq!(documents::read(&path).unwrap().count(), 0);
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_told_as_one() {
    let full = std::path::Path::new("/dev/full");
    let error = ParquetAppender::create(full, shard::schema(Compression::None)).unwrap_err();
    assert!(matches!(error, Error::DiskFull { .. }), "{error}");
}
