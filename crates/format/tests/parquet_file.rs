//! Files that grow by row groups.

#![expect(clippy::disallowed_methods, reason = "tests make and change files as they like")]
#![expect(clippy::unwrap_used, reason = "a test fails where it panics")]

use std::fs;

use mashbill_format::Error;
use mashbill_format::documents;
use mashbill_format::loss_spans::Loss;
use mashbill_format::shard::{self, IGNORED, Piece, RowGroupEncoder, RowsToEncode};
use mashbill_parquet::encode::Compression;
use mashbill_parquet::file::ParquetAppender;
use mashbill_parquet::row_group::EncodedRowGroup;
use mashbill_store::checksum::Checksum;

/// A group of four rows of eight tokens.
fn group(first_token: u32) -> EncodedRowGroup {
    let tokens: Vec<u32> = (first_token..first_token + 32).collect();
    let pieces: Vec<Piece> = (0..4).map(|row| Piece { doc_id: row * 50, doc_offset: 0, len: 8 }).collect();
    RowGroupEncoder::new(8, 1000, 0, Compression::Snappy).encode(&RowsToEncode {
        count: 4,
        tokens: &[&tokens],
        last_labels: &[IGNORED; 4],
        pieces: &pieces,
        pieces_in_row: &[1; 4],
        loss_spans: None,
    })
}

#[test]
fn a_finished_file_is_said_to_be_what_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("shard.parquet");
    let groups: Vec<_> = (0..20).map(|index| group(index * 40)).collect();
    for count in 0..=groups.len() {
        let mut file = ParquetAppender::create(&path, shard::schema(Compression::Snappy, Loss::All)).unwrap();
        groups[..count].iter().for_each(|group| file.append(group).unwrap());
        let finished = file.finish().unwrap();
        let bytes = fs::read(&path).unwrap();
        assert_eq!(finished.bytes, bytes.len() as u64);
        assert_eq!((finished.rows, finished.row_groups), (count as u64 * 4, count as u64));
        assert_eq!(finished.checksum, Checksum::of(&bytes));
        assert!(bytes.ends_with(b"PAR1"));
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
        row: 2,
        position: 3,
        loss_spans: Vec::new(),
    };
    let table = documents::DocumentsEncoder::new(Compression::Snappy).encode(&[document.clone(), document]);
    let checksum = |schema, group: &EncodedRowGroup| {
        let mut file = ParquetAppender::create(&path, schema).unwrap();
        file.append(group).unwrap();
        file.append(group).unwrap();
        file.finish().unwrap().checksum.to_string()
    };
    let shard = checksum(shard::schema(Compression::Snappy, Loss::All), &group(1));
    let table = checksum(documents::schema(Compression::Snappy, Loss::All), &table);
    // A change of these is a new format_version, whatever caused it: this crate, `snap` or `parquet`.
    assert_eq!([shard, table], ["103cf4bc7b59c536f9ef78b2bfeee36b", "8e42aa4d1ff0986ee0abc9c4537fe77a"]);
}

#[test]
fn a_file_of_other_columns_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("shard.parquet");
    ParquetAppender::create(&path, shard::schema(Compression::None, Loss::All)).unwrap().finish().unwrap();
    assert_eq!(shard::ShardReader::open(&path).unwrap().rows(), 0);
    assert!(matches!(documents::read(&path), Err(error) if error.is_damage()));
    fs::write(&path, "no Parquet").unwrap();
    assert!(matches!(shard::ShardReader::open(&path), Err(error) if error.is_damage()));
    assert!(matches!(
        shard::ShardReader::open(&folder.path().join("absent")),
        Err(Error::Store(mashbill_store::Error::Io { .. }))
    ));
}

#[test]
fn a_group_without_rows_leaves_no_trace() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("shard_0000.documents");
    let mut file = ParquetAppender::create(&path, documents::schema(Compression::Snappy, Loss::All)).unwrap();
    file.append(&documents::DocumentsEncoder::new(Compression::Snappy).encode(&[])).unwrap();
    assert_eq!(file.finish().unwrap().row_groups, 0);
    assert_eq!(documents::read(&path).unwrap().count(), 0);
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_told_as_one() {
    let full = std::path::Path::new("/dev/full");
    let error = ParquetAppender::create(full, shard::schema(Compression::None, Loss::All))
        .unwrap()
        .finish()
        .unwrap_err();
    assert!(matches!(error, mashbill_store::Error::DiskFull { .. }), "{error}");
}
