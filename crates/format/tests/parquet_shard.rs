//! Shards: what goes in comes out of the stock reader, and the bytes depend on the rows alone.

#![expect(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test fails where it panics")]

use mashbill_format::loss_spans::Loss;
use mashbill_format::shard::{
    self, IGNORED, Piece, RowGroupEncoder, RowLayout, RowsToEncode, ShardReader, ShardRows,
};
use mashbill_parquet::encode::Compression;
use mashbill_parquet::file::ParquetAppender;
use mashbill_parquet::row_group::EncodedRowGroup;
use proptest::prelude::*;

const PAD: u32 = 7;

/// Packed rows in the plainest form.
#[derive(Debug, Clone)]
struct Packed {
    row_length: usize,
    vocabulary_size: usize,
    tokens: Vec<u32>,
    last_labels: Vec<i32>,
    pieces: Vec<Piece>,
    pieces_in_row: Vec<u32>,
}

impl Packed {
    /// Packs `documents` tokens drawn from `next` into rows; at each row's end the document goes on or not.
    fn new(
        row_length: usize,
        vocabulary_size: usize,
        lengths: &[usize],
        mut next: impl FnMut() -> u32,
    ) -> Self {
        let total: usize = lengths.iter().sum();
        let tokens: Vec<u32> = (0..total).map(|_| next() % vocabulary_size as u32).collect();
        let mut packed = Self {
            row_length,
            vocabulary_size,
            tokens,
            last_labels: Vec::new(),
            pieces: Vec::new(),
            pieces_in_row: vec![0; total.div_ceil(row_length)],
        };
        let mut at = 0;
        for (document, &length) in lengths.iter().enumerate() {
            let mut offset = 0;
            while offset < length {
                let here = (length - offset).min(row_length - at % row_length);
                packed.pieces_in_row[at / row_length] += 1;
                let (doc_id, doc_offset) = (document as i64 * 1000, offset as i32);
                packed.pieces.push(Piece { doc_id, doc_offset, len: here as i32 });
                (at, offset) = (at + here, offset + here);
                if at % row_length == 0 {
                    let goes_on = offset < length;
                    packed.last_labels.push(if goes_on { packed.tokens[at] as i32 } else { IGNORED });
                }
            }
        }
        packed.last_labels.resize(packed.pieces_in_row.len(), IGNORED);
        packed
    }

    fn encoder(&self, compression: Compression) -> RowGroupEncoder {
        RowGroupEncoder::new(self.row_length, self.vocabulary_size, PAD, compression)
    }

    fn encode(&self, encoder: &mut RowGroupEncoder, tokens: &[&[u32]]) -> EncodedRowGroup {
        encoder.encode(&RowsToEncode {
            count: self.pieces_in_row.len(),
            tokens,
            last_labels: &self.last_labels,
            pieces: &self.pieces,
            pieces_in_row: &self.pieces_in_row,
            loss_spans: None,
        })
    }

    /// The rows as a reader should see them, by the definition of the columns.
    fn expected(&self) -> ShardRows {
        let length = self.pieces_in_row.len() * self.row_length;
        let mut input_ids: Vec<i32> = self.tokens.iter().map(|&token| token as i32).collect();
        let mut attention_mask = vec![1; input_ids.len()];
        let mut labels: Vec<i32> = (0..length)
            .map(|at| match at % self.row_length == self.row_length - 1 {
                true => self.last_labels[at / self.row_length],
                false => input_ids.get(at + 1).copied().unwrap_or(IGNORED),
            })
            .collect();
        if input_ids.len() < length {
            labels[input_ids.len() - 1..].fill(IGNORED);
        }
        input_ids.resize(length, PAD as i32);
        attention_mask.resize(length, 0);
        ShardRows {
            row_length: self.row_length,
            input_ids,
            attention_mask,
            labels,
            pieces: self.pieces.clone(),
            pieces_in_row: self.pieces_in_row.clone(),
            loss_spans: None,
        }
    }
}

/// Writes `groups` to a shard and reads it back.
fn round_trip(groups: &[EncodedRowGroup], compression: Compression) -> Vec<ShardRows> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("shard.parquet");
    let mut file = ParquetAppender::create(&path, shard::schema(compression, Loss::All)).unwrap();
    groups.iter().for_each(|group| file.append(group).unwrap());
    let finished = file.finish().unwrap();
    assert_eq!(finished.bytes, std::fs::metadata(&path).unwrap().len());
    let reader = ShardReader::open(&path).unwrap();
    assert_eq!(reader.rows(), groups.iter().map(|group| group.meta.rows).sum::<u64>());
    reader.row_groups().collect::<Result<_, _>>().unwrap()
}

/// A small generator, so that large vocabularies need no large test case.
fn random(mut state: u64) -> impl FnMut() -> u32 {
    move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as u32
    }
}

fn any_compression() -> impl Strategy<Value = Compression> {
    proptest::sample::select(Compression::ALL.to_vec())
}

fn any_packed() -> impl Strategy<Value = Packed> {
    let row_length = prop_oneof![1..=20usize, 21..=300usize, Just(1024), Just(70_000)];
    let vocabulary = prop_oneof![8..=300usize, 60_000..=70_000usize];
    let lengths = prop::collection::vec(prop_oneof![4 => 1..=50usize, 1 => 1..=3000usize], 1..40);
    (row_length, vocabulary, lengths, any::<u64>()).prop_map(|(row_length, vocabulary, lengths, seed)| {
        Packed::new(row_length, vocabulary, &lengths, random(seed))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn rows_come_back_from_the_stock_reader(packed in any_packed(), compression in any_compression()) {
        let group = packed.encode(&mut packed.encoder(compression), &[&packed.tokens]);
        prop_assert_eq!(group.meta.bytes(), group.bytes.len() as u64);
        let read = round_trip(&[group], compression);
        prop_assert_eq!(read, vec![packed.expected()]);
    }

    #[test]
    fn bytes_depend_neither_on_slices_nor_on_what_came_before(
        packed in any_packed(),
        before in any::<u64>(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..20),
    ) {
        let whole = packed.encode(&mut packed.encoder(Compression::Snappy), &[&packed.tokens]);

        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(packed.tokens.len() + 1)).collect();
        cuts.sort_unstable();
        let (mut slices, mut from) = (Vec::new(), 0);
        for cut in cuts {
            slices.push(&packed.tokens[from..cut]);
            from = cut;
        }
        slices.push(&packed.tokens[from..]);
        let mut used = packed.encoder(Compression::Snappy);
        let earlier = Packed::new(packed.row_length, packed.vocabulary_size, &[500, 3], random(before));
        earlier.encode(&mut used, &[&earlier.tokens]);
        prop_assert_eq!(packed.encode(&mut used, &slices), whole);
    }
}

#[test]
fn a_group_may_have_more_than_65536_distinct_tokens() {
    let mut next = 0;
    let packed = Packed::new(1024, 100_000, &[90_000, 120_000, 1], || {
        next += 1;
        next
    });
    for compression in Compression::ALL {
        let group = packed.encode(&mut packed.encoder(compression), &[&packed.tokens]);
        assert_eq!(round_trip(&[group], compression), [packed.expected()]);
    }
}

#[test]
fn a_shard_of_many_groups_has_the_size_that_was_told() {
    for groups in [0, 1, 14, 15, 16, 140] {
        let packed = Packed::new(8, 300, &[20, 5, 30], random(groups));
        let mut encoder = packed.encoder(Compression::Snappy);
        let group = packed.encode(&mut encoder, &[&packed.tokens]);
        let read = round_trip(&vec![group; groups as usize], Compression::Snappy);
        assert_eq!(read, vec![packed.expected(); groups as usize]);
    }
}

#[test]
fn the_offset_index_leads_to_single_rows() {
    use parquet::arrow::arrow_reader::{
        ArrowReaderOptions, ParquetRecordBatchReaderBuilder, RowSelection, RowSelector,
    };
    use parquet::file::metadata::PageIndexPolicy;

    let row_length = 512;
    let layout = RowLayout::of(row_length);
    let rows = layout.rows_per_page * 3 + 5;
    let packed = Packed::new(row_length, 5000, &vec![100; rows * row_length / 100], random(3));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("shard.parquet");
    let mut file = ParquetAppender::create(&path, shard::schema(Compression::Snappy, Loss::All)).unwrap();
    file.append(&packed.encode(&mut packed.encoder(Compression::Snappy), &[&packed.tokens])).unwrap();
    file.finish().unwrap();

    let options = ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Optional);
    let file = std::fs::File::open(&path).unwrap();
    let builder = ParquetRecordBatchReaderBuilder::try_new_with_options(file, options).unwrap();
    let index = builder.metadata().page_index().expect("an offset index");
    let pages = index.offset_index(0, 0).unwrap().page_locations();
    assert_eq!(pages.len(), rows.div_ceil(layout.rows_per_page));
    assert_eq!(pages[1].first_row_index as usize, layout.rows_per_page);

    let wanted = layout.rows_per_page * 2 + 3;
    let selection = RowSelection::from(vec![RowSelector::skip(wanted), RowSelector::select(1)]);
    let batch = builder.with_row_selection(selection).build().unwrap().next().unwrap().unwrap();
    let expected = packed.expected();
    let expected = expected.iter().nth(wanted).unwrap();
    for (column, expected) in [(0, expected.input_ids), (1, expected.attention_mask), (2, expected.labels)] {
        use arrow_array::cast::AsArray;
        let list = batch.column(column).as_list::<i32>().value(0);
        assert_eq!(list.as_primitive::<arrow_array::types::Int32Type>().values(), expected);
    }
}

#[test]
fn layouts_hold_one_row_at_least() {
    let layout = |rows_per_group, rows_per_page| RowLayout { rows_per_group, rows_per_page };
    assert_eq!(RowLayout::of(1), layout(1 << 20, 1 << 15));
    assert_eq!(RowLayout::of(1024), layout(1024, 32));
    assert_eq!(RowLayout::of(1 << 21), layout(1, 1));
}
