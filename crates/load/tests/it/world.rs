//! A tokenized folder made without the tokenizer, and what a reader should find in it.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use mashbill_format::checksum::Checksum;
use mashbill_format::documents::{self, Document, DocumentsEncoder};
use mashbill_format::encode::Compression;
use mashbill_format::manifest::{
    DataFile, FORMAT_VERSION, Labels, Ledger, Manifest, Options, Source, SpecialToken, Split,
    TokenizerIdentity, Unit,
};
use mashbill_format::parquet_file::ParquetAppender;
use mashbill_format::shard::{self, Piece, RowGroupEncoder, RowLayout, Rows};
use mashbill_load::{
    Columns, Dataset, LabelConvention, LastBatch, Loader, LoaderOptions, OnError, Shuffle, StreamOptions,
};
use tempfile::TempDir;

pub(crate) const PAD: u32 = 1;
const VOCABULARY: u32 = 500;

/// A dataset on disk and its rows as they should be read.
pub(crate) struct World {
    pub(crate) folder: TempDir,
    pub(crate) row_length: usize,
    pub(crate) rows: Vec<Row>,
}

/// A row in the plainest form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) input_ids: Vec<i32>,
    pub(crate) attention_mask: Vec<i32>,
    /// The stored labels: each position's next token.
    pub(crate) labels: Vec<i32>,
    pub(crate) pieces: Vec<Piece>,
}

impl World {
    /// Splits by the path of their input without its ending (`code/python`), with the lengths of their units'
    /// documents.
    pub(crate) fn new(row_length: usize, splits: &[(&str, Vec<Vec<usize>>)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut rows = Vec::new();
        let mut by_name = BTreeMap::new();
        for (path, units) in splits {
            let name = path.rsplit('/').next().unwrap();
            by_name.insert(name.to_owned(), (format!("{path}.jsonl"), units));
        }
        let mut entries = BTreeMap::new();
        for (seed, (name, (input, units))) in by_name.into_iter().enumerate() {
            let place = folder.path().join(&name);
            fs::create_dir(&place).unwrap();
            entries.insert(name, write_split(&place, input, units, row_length, seed as u64, &mut rows));
        }
        let world = Self { folder, row_length, rows };
        fs::write(
            world.folder.path().join("manifest.json"),
            serde_json::to_vec(&world.manifest(entries)).unwrap(),
        )
        .unwrap();
        world
    }

    /// A world of `rows` full rows in one split.
    pub(crate) fn of_rows(rows: usize) -> Self {
        Self::new(8, &[("all", vec![vec![8 * rows]])])
    }

    pub(crate) fn dataset(&self) -> Arc<Dataset> {
        Arc::new(Dataset::open(self.folder.path(), None).unwrap())
    }

    pub(crate) fn shard(&self, split: &str) -> PathBuf {
        self.folder.path().join(split).join("shard_0000.parquet")
    }

    fn manifest(&self, splits: BTreeMap<String, Split>) -> Manifest {
        let pad = SpecialToken { id: PAD, token: "<pad>".into() };
        Manifest {
            format_version: FORMAT_VERSION,
            tokenizer: "none".into(),
            max_seq_length: self.row_length,
            shard_size_gb: 1.0,
            input_path: "input".into(),
            output_path: "output".into(),
            files_processed: splits.len() as u64,
            options: Options {
                max_seq_length: self.row_length,
                shard_bytes: 1_000_000_000,
                compression: Compression::Snappy,
                text_field: "text".into(),
                other_text_fields: Vec::new(),
                unit_bytes: 1000,
                max_document_bytes: 1000,
                held_out: None,
            },
            tokenizer_identity: TokenizerIdentity {
                sha256: "0".into(),
                vocabulary_size: VOCABULARY,
                bos: None,
                eos: None,
                pad,
                ids_before: Vec::new(),
                ids_after: Vec::new(),
                special_tokens_in_text: "encode".into(),
                cleared: Vec::new(),
            },
            labels: Labels::default(),
            layout: RowLayout::of(self.row_length),
            splits,
            vanished: BTreeMap::new(),
        }
    }
}

/// A document with its tokens.
struct Doc {
    key: i64,
    tokens: Vec<u32>,
}

/// A run of tokens, each with its document's index and its place in it.
type Run = Vec<(u32, usize, usize)>;

fn write_split(
    place: &std::path::Path,
    input: String,
    units: &[Vec<usize>],
    row_length: usize,
    seed: u64,
    all_rows: &mut Vec<Row>,
) -> Split {
    let mut state = seed.wrapping_mul(77).wrapping_add(5);
    let mut random = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as u32 % (VOCABULARY - 2) + 2
    };
    let (mut docs, mut table, mut entries) = (Vec::new(), Vec::new(), Vec::<Unit>::new());
    let (mut full, mut tails): (Run, Run) = (Vec::new(), Vec::new());
    for (unit, lengths) in units.iter().enumerate() {
        let mut run = Run::new();
        let first_doc = docs.len();
        for &length in lengths {
            let doc = Doc { key: docs.len() as i64 * 100, tokens: (0..length).map(|_| random()).collect() };
            let (row, position) = (run.len() / row_length, run.len() % row_length);
            table.push((doc.key, length, unit, row, position));
            run.extend(doc.tokens.iter().enumerate().map(|(at, &token)| (token, docs.len(), at)));
            docs.push(doc);
        }
        let rows = run.len() / row_length;
        let tail = run.split_off(rows * row_length);
        entries.push(Unit {
            first_key: first_doc as i64 as u64 * 100,
            bytes: 1,
            checksum: Checksum(0),
            documents: lengths.len() as u64,
            first_row: (full.len() / row_length) as u64,
            rows: rows as u64,
            tail_tokens: tail.len() as u64,
        });
        full.extend(run);
        tails.extend(tail);
    }
    let tokens = full.len() + tails.len();
    full.extend(tails);
    let rows: Vec<Row> = full.chunks(row_length).map(|run| plain_row(run, &docs, row_length)).collect();
    let shard_files = vec![write_shard(place, &rows, row_length)];
    let documents = write_documents(place, &table);
    let sequences = rows.len() as u64;
    all_rows.extend(rows);
    Split {
        path: place.display().to_string(),
        shards: 1,
        sequences,
        samples: docs.len() as u64,
        tokens: tokens as u64,
        identity: Checksum(u128::from(seed) + 1),
        source: Source { file: input, bytes: 1, checksum: Checksum(0) },
        license: None,
        ledger: Ledger { text_tokens: tokens as u64, ..Ledger::default() },
        shard_files,
        documents,
        units: entries,
        rejected: BTreeMap::new(),
    }
}

fn plain_row(run: &[(u32, usize, usize)], docs: &[Doc], row_length: usize) -> Row {
    let mut row = Row {
        input_ids: vec![PAD as i32; row_length],
        attention_mask: vec![0; row_length],
        labels: vec![-100; row_length],
        pieces: Vec::new(),
    };
    for (at, &(token, doc, offset)) in run.iter().enumerate() {
        row.input_ids[at] = token as i32;
        row.attention_mask[at] = 1;
        let next_here = run.get(at + 1).map(|&(next, _, _)| next);
        let next_elsewhere = docs[doc].tokens.get(offset + 1).copied().filter(|_| at + 1 == row_length);
        row.labels[at] = next_here.or(next_elsewhere).map_or(-100, |next| next as i32);
        match row.pieces.last_mut() {
            Some(piece) if piece.doc_id == docs[doc].key => piece.len += 1,
            _ => row.pieces.push(Piece { doc_id: docs[doc].key, doc_offset: offset as i32, len: 1 }),
        }
    }
    row
}

fn write_shard(place: &std::path::Path, rows: &[Row], row_length: usize) -> DataFile {
    let name = "shard_0000.parquet";
    let mut file = ParquetAppender::create(&place.join(name), shard::schema(Compression::Snappy)).unwrap();
    let mut encoder = RowGroupEncoder::new(row_length, VOCABULARY as usize, PAD, Compression::Snappy);
    for rows in rows.chunks(RowLayout::of(row_length).rows_per_group.min(700)) {
        let tokens: Vec<u32> = rows
            .iter()
            .flat_map(|row| row.input_ids.iter().zip(&row.attention_mask))
            .filter(|(_, mask)| **mask == 1)
            .map(|(id, _)| *id as u32)
            .collect();
        let last_labels: Vec<i32> = rows.iter().map(|row| row.labels[row_length - 1]).collect();
        let pieces: Vec<Piece> = rows.iter().flat_map(|row| row.pieces.clone()).collect();
        let pieces_in_row: Vec<u32> = rows.iter().map(|row| row.pieces.len() as u32).collect();
        let rows = Rows {
            count: rows.len(),
            tokens: &[&tokens],
            last_labels: &last_labels,
            pieces: &pieces,
            pieces_in_row: &pieces_in_row,
        };
        file.append(&encoder.encode(&rows)).unwrap();
    }
    let finished = file.finish().unwrap();
    DataFile {
        name: name.into(),
        rows: finished.rows,
        bytes: finished.bytes,
        checksum: finished.checksum,
        tail: Some(finished.tail),
    }
}

fn write_documents(place: &std::path::Path, table: &[(i64, usize, usize, usize, usize)]) -> DataFile {
    let name = "documents.parquet";
    let ids: Vec<String> = table.iter().map(|(key, ..)| format!("id-{key}")).collect();
    let rows: Vec<Document<&str>> = table
        .iter()
        .zip(&ids)
        .map(|(&(doc_id, tokens, unit, row, position), id)| Document {
            doc_id,
            id: Some(id.as_str()),
            source: Some("source"),
            category: None,
            content_hash: Checksum(0),
            tokens: tokens as i64,
            unit: unit as i32,
            row: row as i64,
            position: position as i32,
        })
        .collect();
    let mut file =
        ParquetAppender::create(&place.join(name), documents::schema(Compression::Snappy)).unwrap();
    file.append(&DocumentsEncoder::new(Compression::Snappy).encode(&rows)).unwrap();
    let finished = file.finish().unwrap();
    DataFile {
        name: name.into(),
        rows: finished.rows,
        bytes: finished.bytes,
        checksum: finished.checksum,
        tail: None,
    }
}

/// The options of one rank without a mixture.
pub(crate) fn stream_options(batch_size: usize, world_size: usize, rank: usize) -> StreamOptions {
    StreamOptions {
        batch_size,
        world_size,
        rank,
        seed: 42,
        shuffle: Shuffle::Full,
        last_batch: LastBatch::Wrap,
        mixture: None,
        steps: None,
        lane: None,
    }
}

/// Options that make batches with all arrays, without threads.
pub(crate) fn options(stream: StreamOptions) -> LoaderOptions {
    LoaderOptions {
        stream,
        columns: Columns {
            labels: LabelConvention::Shifted,
            attention_mask: true,
            documents: true,
            mask_borders: false,
        },
        threads: 0,
        prefetch: 4,
        cache: None,
        on_error: OnError::Raise,
    }
}

/// The rows of the loader's next `steps` steps.
pub(crate) fn take(loader: &mut Loader, steps: u64) -> Vec<Vec<u64>> {
    (0..steps).map(|_| loader.next_batch().unwrap().unwrap().rows).collect()
}
