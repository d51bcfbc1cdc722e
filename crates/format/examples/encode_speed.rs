//! How fast rows are encoded on one thread, and how small they become.
//!
//! ```text
//! cargo run --release -p mashbill-format --example encode_speed -- IDS.u32 [ROW_LENGTH] [FOLDER]
//! ```
//!
//! `IDS.u32` holds token ids, little endian; its last id is taken for the end of a
//! document wherever it occurs. With a folder, the shards and document tables are
//! written there. The times are of encoding alone: no file is written meanwhile.

#![expect(clippy::print_stdout, clippy::disallowed_methods, reason = "a benchmark prints what it measured")]

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::Instant;

use mashbill_format::documents::{self, Document, DocumentsEncoder};
use mashbill_format::loss_spans::Loss;
use mashbill_format::shard::{self, IGNORED, Piece, RowGroupEncoder, RowLayout, RowsToEncode};
use mashbill_parquet::encode::Compression;
use mashbill_parquet::file::{FinishedFile, ParquetAppender, Schema};
use mashbill_parquet::row_group::EncodedRowGroup;
use mashbill_store::checksum::Checksum;

const RUNS: usize = 7;

/// About a document of text.
const TOKENS_PER_SLICE: usize = 500;

/// A stream of documents, cut into rows.
struct Packed<'a> {
    row_length: usize,
    vocabulary_size: usize,
    documents: Vec<&'a [u32]>,
    tokens: &'a [u32],
    last_labels: Vec<i32>,
    pieces: Vec<Piece>,
    pieces_in_row: Vec<u32>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let ids = arguments.next().ok_or("a file of token ids is wanted")?;
    let row_length = arguments.next().map_or(Ok(1024), |length| length.parse())?;
    let folder = arguments.next().map(PathBuf::from);

    let bytes = std::fs::read(ids)?;
    let tokens: Vec<u32> = bytes.as_chunks().0.iter().map(|&id| u32::from_le_bytes(id)).collect();
    let packed = Packed::new(&tokens, row_length).ok_or("the file is empty")?;
    println!("{} tokens, {} documents, rows of {row_length}", tokens.len(), packed.documents.len());
    for compression in Compression::ALL {
        packed.measure(compression);
        if let Some(folder) = &folder {
            let mut groups = Vec::new();
            let vocabulary = packed.vocabulary_size;
            let mut encoder = RowGroupEncoder::new(row_length, vocabulary, 0, compression);
            packed.encode(&mut encoder, |group| groups.push(group));
            let table = packed.documents(compression);
            let path = |name| folder.join(format!("{name}_{compression}.parquet"));
            let shard = write(&path("shard"), shard::schema(compression, Loss::All), &groups)?;
            let table = write(&path("documents"), documents::schema(compression, Loss::All), &[table])?;
            println!("  {shard:?}\n  {table:?}");
        }
    }
    Ok(())
}

impl<'a> Packed<'a> {
    fn new(tokens: &'a [u32], row_length: usize) -> Option<Self> {
        let end = *tokens.last()?;
        let documents: Vec<_> = tokens.split_inclusive(|&token| token == end).collect();
        let rows = tokens.len().div_ceil(row_length);
        let (mut pieces, mut pieces_in_row, mut last_labels) =
            (Vec::new(), vec![0; rows], vec![IGNORED; rows]);
        let mut at = 0;
        for (index, document) in documents.iter().enumerate() {
            let mut offset = 0;
            while offset < document.len() {
                let len = (document.len() - offset).min(row_length - at % row_length);
                pieces_in_row[at / row_length] += 1;
                let doc_id = index as i64 * 1901;
                pieces.push(Piece { doc_id, doc_offset: offset as i32, len: len as i32 });
                (at, offset) = (at + len, offset + len);
                if at % row_length == 0 && offset < document.len() {
                    last_labels[at / row_length - 1] = document[offset] as i32;
                }
            }
        }
        let vocabulary_size = tokens.iter().max().map_or(0, |&largest| largest as usize + 1);
        Some(Self { row_length, vocabulary_size, documents, tokens, last_labels, pieces, pieces_in_row })
    }

    /// Encodes everything several times and prints the median.
    fn measure(&self, compression: Compression) {
        let mut encoder = RowGroupEncoder::new(self.row_length, self.vocabulary_size, 0, compression);
        let mut times = Vec::new();
        let mut columns = [0; 6];
        for _ in 0..RUNS {
            columns = [0; 6];
            let begin = cpu_ns();
            self.encode(&mut encoder, |group| {
                columns.iter_mut().zip(&group.meta.columns).for_each(|(sum, chunk)| *sum += chunk.bytes());
            });
            times.push((cpu_ns() - begin) / self.tokens.len() as f64);
        }
        times.sort_by(f64::total_cmp);
        let [ids, mask, labels, lens, doc_ids, doc_offsets] =
            columns.map(|bytes| bytes as f64 / self.tokens.len() as f64);
        println!(
            "{compression}: {:.2} CPU-ns a token (median of {RUNS}; {:.2} to {:.2})",
            times[RUNS / 2],
            times[0],
            times[RUNS - 1],
        );
        println!(
            "  {:.4} bytes a token: input_ids {ids:.4}, attention_mask {mask:.4}, labels {labels:.4},",
            ids + mask + labels
        );
        println!("  and seq_lens {lens:.4}, doc_ids {doc_ids:.4}, doc_offsets {doc_offsets:.4}");
    }

    /// Gives the row groups of everything, from slices as long as documents.
    fn encode(&self, encoder: &mut RowGroupEncoder, mut each: impl FnMut(EncodedRowGroup)) {
        let layout = RowLayout::of(self.row_length);
        let (mut tokens, mut pieces) = (self.tokens, self.pieces.as_slice());
        let mut slices = Vec::new();
        for (last_labels, pieces_in_row) in self
            .last_labels
            .chunks(layout.rows_per_group)
            .zip(self.pieces_in_row.chunks(layout.rows_per_group))
        {
            let count = last_labels.len();
            let mut here =
                tokens.split_off(..tokens.len().min(count * self.row_length)).expect("there is as much");
            let here_pieces = pieces.split_off(..pieces_in_row.iter().sum::<u32>() as usize);
            let here_pieces = here_pieces.expect("the pieces were counted");
            slices.clear();
            while let Some(slice) =
                here.split_off(..here.len().min(TOKENS_PER_SLICE)).filter(|slice| !slice.is_empty())
            {
                slices.push(slice);
            }
            let rows = RowsToEncode {
                count,
                tokens: &slices,
                last_labels,
                pieces: here_pieces,
                pieces_in_row,
                loss_spans: None,
            };
            each(encoder.encode(&rows));
        }
    }

    /// The document table, with made-up texts.
    fn documents(&self, compression: Compression) -> EncodedRowGroup {
        let ids: Vec<String> = (0..self.documents.len()).map(|index| format!("document-{index}")).collect();
        let mut at = 0;
        let document = |(index, document): (usize, &&[u32])| {
            let first = at;
            at += document.len();
            Document {
                doc_id: index as i64 * 1901,
                id: (index % 10 > 0).then(|| ids[index].as_str()),
                source: Some(if index < 20_000 { "web" } else { "books" }),
                category: None,
                content_hash: Checksum::of(ids[index].as_bytes()),
                tokens: document.len() as i64,
                row: (first / self.row_length) as i64,
                position: (first % self.row_length) as i32,
                loss_spans: Vec::new(),
            }
        };
        let documents: Vec<_> = self.documents.iter().enumerate().map(document).collect();
        DocumentsEncoder::new(compression).encode(&documents)
    }
}

fn write(
    path: &Path,
    schema: Schema,
    groups: &[EncodedRowGroup],
) -> mashbill_store::error::Result<FinishedFile> {
    let mut file = ParquetAppender::create(path, schema)?;
    for group in groups {
        file.append(group)?;
    }
    file.finish()
}

/// CPU time of this thread in nanoseconds, which says more than the clock on a busy machine; the clock where
/// the system is not Linux.
fn cpu_ns() -> f64 {
    static BEGIN: LazyLock<Instant> = LazyLock::new(Instant::now);
    let scheduled = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let on_cpu = scheduled.and_then(|text| text.split_whitespace().next()?.parse().ok());
    on_cpu.unwrap_or_else(|| BEGIN.elapsed().as_nanos() as f64)
}
