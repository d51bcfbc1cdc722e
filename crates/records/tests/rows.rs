//! How rows of a Parquet file become blocks.

#![expect(clippy::disallowed_methods, clippy::unwrap_used, reason = "a test fails where it panics")]

use std::fs;
use std::path::Path;
use std::sync::Arc;

use mashbill_records::{RowBlocks, RowCutting};
use parquet::data_type::{ByteArray, ByteArrayType};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;

const BLOCK_BYTES: u64 = 1 << 20;

/// Writes so many rows of the same text and source, which the file has once.
fn write(path: &Path, rows: usize, text: &str, source: &str) {
    let schema = "message rows { required binary text (UTF8); required binary source (UTF8); }";
    let schema = Arc::new(parse_message_type(schema).unwrap());
    let mut writer = SerializedFileWriter::new(Vec::new(), schema, Arc::default()).unwrap();
    let mut group = writer.next_row_group().unwrap();
    for value in [text, source] {
        let mut column = group.next_column().unwrap().unwrap();
        let values = vec![ByteArray::from(value); rows];
        column.typed::<ByteArrayType>().write_batch(&values, None, None).unwrap();
        column.close().unwrap();
    }
    group.close().unwrap();
    fs::write(path, writer.into_inner().unwrap()).unwrap();
}

/// The rows of each block, and the bytes of their sources.
fn blocks(path: &Path) -> Vec<(usize, usize)> {
    let cutting = RowCutting {
        block_bytes: BLOCK_BYTES,
        text_bytes_max: BLOCK_BYTES,
        text_fields: &["text"],
        is_whole: false,
    };
    let mut blocks = RowBlocks::open(path, cutting).unwrap();
    let mut all = Vec::new();
    while let Some(block) = blocks.next().unwrap() {
        let sources = block.rows().map(|row| row.record().unwrap().source.unwrap().len());
        all.push((block.rows().len(), sources.sum()));
    }
    all
}

#[test]
fn a_block_has_a_bound_whatever_its_labels_weigh() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    write(&path, 1500, "a", &"s".repeat(60_000));
    assert!(fs::metadata(&path).unwrap().len() < 1 << 20);
    let blocks = blocks(&path);
    assert_eq!(blocks.iter().map(|(rows, _)| rows).sum::<usize>(), 1500);
    for (_, label_bytes) in blocks {
        assert!(label_bytes < 18 << 20, "{label_bytes}");
    }
}

#[test]
fn labels_of_usual_lengths_move_no_border() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    let bytes_of_row = 8 + "some text".len() as u64;
    let rows_of_block = BLOCK_BYTES.div_ceil(bytes_of_row) as usize;
    for source in ["", &"s".repeat(200)] {
        write(&path, 2 * rows_of_block, "some text", source);
        assert_eq!(blocks(&path).iter().map(|(rows, _)| *rows).collect::<Vec<_>>(), [rows_of_block; 2]);
    }
}
