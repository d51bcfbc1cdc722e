//! Document tables: what goes in comes out of the stock reader.

#![expect(clippy::unwrap_used, reason = "a test fails where it panics")]

use mashbill_format::documents::{self, Document, DocumentsEncoder};
use mashbill_parquet::encode::Compression;
use mashbill_parquet::file::ParquetAppender;
use mashbill_store::checksum::Checksum;
use proptest::prelude::*;

fn borrowed(document: &Document<String>) -> Document<&str> {
    Document {
        doc_id: document.doc_id,
        id: document.id.as_deref(),
        source: document.source.as_deref(),
        category: document.category.as_deref(),
        content_hash: document.content_hash,
        tokens: document.tokens,
        row: document.row,
        position: document.position,
    }
}

fn round_trip(groups: &[Vec<Document<String>>], compression: Compression) -> Vec<Document<String>> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("shard_0000.documents");
    let mut file = ParquetAppender::create(&path, documents::schema(compression)).unwrap();
    let mut encoder = DocumentsEncoder::new(compression);
    for group in groups {
        let group: Vec<_> = group.iter().map(borrowed).collect();
        file.append(&encoder.encode(&group)).unwrap();
    }
    assert_eq!(file.finish().unwrap().bytes, std::fs::metadata(&path).unwrap().len());
    let read = documents::read(&path).unwrap();
    assert_eq!(read.count_all(), groups.iter().map(|group| group.len() as u64).sum::<u64>());
    read.collect::<Result<_, _>>().unwrap()
}

fn any_document() -> impl Strategy<Value = Document<String>> {
    let text = || prop::option::of("\\PC{0,12}");
    let source = prop::option::of(prop::sample::select(vec!["", "web", "books", "stack é"]));
    let source = source.prop_map(|source| source.map(str::to_owned));
    let numbers = (0..=i64::MAX, 0..=i64::MAX, 0..=i64::MAX, 0..=i32::MAX);
    (text(), source, text(), any::<u128>(), numbers).prop_map(|(id, source, category, hash, numbers)| {
        Document {
            doc_id: numbers.0,
            id,
            source,
            category,
            content_hash: Checksum(hash),
            tokens: numbers.1,
            row: numbers.2,
            position: numbers.3,
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn documents_come_back_from_the_stock_reader(
        groups in prop::collection::vec(prop::collection::vec(any_document(), 0..300), 0..4),
        compression in proptest::sample::select(Compression::ALL.to_vec()),
    ) {
        prop_assert_eq!(round_trip(&groups, compression), groups.concat());
    }
}

#[test]
fn a_table_of_many_pages_and_few_sources_is_small() {
    let document = |index: i64| Document {
        doc_id: index * 1900,
        id: None,
        source: Some(format!("source-{}", index / 9000)),
        category: (index % 3 > 0).then(|| format!("category {}", index % 300)),
        content_hash: Checksum::of(&index.to_le_bytes()),
        tokens: 400 + index % 64,
        row: index,
        position: (index % 1024) as i32,
    };
    let documents: Vec<_> = (0..20_000).map(document).collect();
    let whole = round_trip(std::slice::from_ref(&documents), Compression::Snappy);
    assert_eq!(whole, documents);

    let borrowed: Vec<_> = documents.iter().map(borrowed).collect();
    let group = DocumentsEncoder::new(Compression::Snappy).encode(&borrowed);
    let bytes_beside_hashes = group.bytes.len() / documents.len() - 16;
    assert!(bytes_beside_hashes < 16, "{bytes_beside_hashes} bytes a document");
}
