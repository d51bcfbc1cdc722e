//! Labels of documents that weigh more than the documents.

use std::fs::File;
use std::sync::Arc;

use parquet::data_type::{ByteArray, ByteArrayType};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;

use crate::project::Project;

/// A Parquet file whose rows name a source of 60,000 bytes each, which it has once.
fn heavy(rows: usize) -> Vec<u8> {
    let schema = "message rows { required binary text (UTF8); required binary source (UTF8); }";
    let schema = Arc::new(parse_message_type(schema).expect("a schema"));
    let mut writer = SerializedFileWriter::new(Vec::new(), schema, Arc::default()).expect("a writer");
    let mut group = writer.next_row_group().expect("a row group");
    for value in ["a", &"s".repeat(60_000)] {
        let mut column = group.next_column().expect("a column").expect("one more");
        let values = vec![ByteArray::from(value); rows];
        column.typed::<ByteArrayType>().write_batch(&values, None, None).expect("written");
        column.close().expect("written");
    }
    group.close().expect("written");
    writer.into_inner().expect("written")
}

#[test]
fn a_row_group_of_a_document_table_ends_where_its_labels_are_too_many() {
    let project = Project::new();
    project.write("data/a.parquet", heavy(1500));
    project.tokenize("").with_code(0);
    let table = File::open(project.path("out/a/_documents/shard_0000.documents")).expect("a table");
    let table = SerializedFileReader::new(table).expect("a Parquet file");
    let groups = table.metadata().row_groups();
    assert_eq!(groups.iter().map(|group| group.num_rows()).sum::<i64>(), 1500);
    assert!(groups.len() > 1);
    project.run("verify out --deep").with_code(0);
}
