//! Document tables: what goes in comes out of the stock reader.

#![expect(clippy::unwrap_used, reason = "a test fails where it panics")]

use mashbill_format::documents::{self, Document, DocumentsEncoder};
use mashbill_format::loss_spans::Loss;
use mashbill_parquet::encode::Compression;
use mashbill_parquet::file::ParquetAppender;
use mashbill_store::checksum::Checksum;
use proptest::prelude::*;

fn round_trip(
    groups: &[Vec<Document<String>>],
    compression: Compression,
    loss: Loss,
) -> Vec<Document<String>> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("shard_0000.documents");
    let mut file = ParquetAppender::create(&path, documents::schema(compression, loss)).unwrap();
    let mut encoder = DocumentsEncoder::new(compression);
    for group in groups {
        let group: Vec<_> = group.iter().map(Document::as_deref).collect();
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
            loss_spans: Vec::new(),
        }
    })
}

fn any_spans() -> impl Strategy<Value = Vec<i32>> {
    let first = prop_oneof![Just(0), 1..100_000];
    (first, prop::collection::vec(1..100_000, 0..9))
        .prop_map(|(first, others)| [vec![first], others].concat())
        .prop_filter("a document has tokens", |spans| spans != &[0])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn documents_come_back_from_the_stock_reader(
        groups in prop::collection::vec(prop::collection::vec(any_document(), 0..300), 0..4),
        compression in proptest::sample::select(Compression::ALL.to_vec()),
    ) {
        prop_assert_eq!(round_trip(&groups, compression, Loss::All), groups.concat());
    }

    #[test]
    fn spans_of_documents_come_back(
        groups in prop::collection::vec(prop::collection::vec((any_document(), any_spans()), 1..300), 0..4),
        compression in proptest::sample::select(Compression::ALL.to_vec()),
    ) {
        let with_spans = |(document, spans): (Document<String>, Vec<i32>)| Document {
            tokens: spans.iter().map(|&length| i64::from(length)).sum(),
            loss_spans: spans,
            ..document
        };
        let groups: Vec<Vec<_>> =
            groups.into_iter().map(|group| group.into_iter().map(with_spans).collect()).collect();
        prop_assert_eq!(round_trip(&groups, compression, Loss::Spans), groups.concat());
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
        loss_spans: Vec::new(),
    };
    let documents: Vec<_> = (0..20_000).map(document).collect();
    let whole = round_trip(std::slice::from_ref(&documents), Compression::Snappy, Loss::All);
    assert_eq!(whole, documents);

    let borrowed: Vec<_> = documents.iter().map(Document::as_deref).collect();
    let group = DocumentsEncoder::new(Compression::Snappy).encode(&borrowed);
    let bytes_beside_hashes = group.bytes.len() / documents.len() - 16;
    assert!(bytes_beside_hashes < 16, "{bytes_beside_hashes} bytes a document");
}
