//! A tokenized folder made without the tokenizer, and what a reader should find in it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mashbill_format::documents::{self, Document, DocumentKey, DocumentsEncoder};
use mashbill_format::layout::{MANIFEST, Output, ShardId};
use mashbill_format::loss_spans::Loss;
use mashbill_format::manifest::{
    FORMAT_VERSION, InputRange, Labels, Ledger, Manifest, Packing, Shard, ShardFile, ShardOptions,
    SourceFile, SpecialToken, Split, SplitSource, TableFile, TokenizerIdentity,
};
use mashbill_format::shard::{self, Piece, RowGroupEncoder, RowLayout, RowsToEncode};
use mashbill_load::{
    Columns, Dataset, LabelAlignment, LastBatch, Loader, LoaderOptions, OnError, Shuffle, StreamOptions,
};
use mashbill_parquet::encode::Compression;
use mashbill_parquet::file::{FinishedFile, ParquetAppender};
use mashbill_store::checksum::Checksum;
use tempfile::TempDir;

pub(crate) const PAD: u32 = 1;
const VOCABULARY: u32 = 500;

/// A dataset on disk and its rows as they should be read.
pub(crate) struct World {
    pub(crate) folder: TempDir,
    pub(crate) row_length: usize,
    pub(crate) rows: Vec<Row>,
    /// The keys of each split's documents, counted from the beginning of the input.
    pub(crate) keys: BTreeMap<String, Vec<i64>>,
}

/// A row in the plainest form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) input_ids: Vec<i32>,
    pub(crate) attention_mask: Vec<i32>,
    /// The stored labels: each position's next token.
    pub(crate) labels: Vec<i32>,
    /// The pieces, their keys counted from the beginning of the input.
    pub(crate) pieces: Vec<Piece>,
}

impl World {
    /// Splits by the path of their input without its ending (`code/python`), with the lengths of their shards'
    /// documents. A shard without documents has no file.
    pub(crate) fn new(row_length: usize, splits: &[(&str, Vec<Vec<usize>>)]) -> Self {
        Self::of_seeds(row_length, splits, |split, shard| split * 1000 + shard + 1)
    }

    /// One split of shards whose bytes are the same.
    pub(crate) fn of_equal_shards(row_length: usize, shards: usize, lengths: &[usize]) -> Self {
        Self::of_seeds(row_length, &[("all", vec![lengths.to_vec(); shards])], |_, _| 1)
    }

    fn of_seeds(
        row_length: usize,
        splits: &[(&str, Vec<Vec<usize>>)],
        seed: fn(split: u64, shard: u64) -> u64,
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut world = Self { folder, row_length, rows: Vec::new(), keys: BTreeMap::new() };
        let mut by_name = BTreeMap::new();
        for (path, shards) in splits {
            let name = path.rsplit('/').next().unwrap();
            by_name.insert(name.to_owned(), (format!("{path}.jsonl"), shards));
        }
        let mut entries = BTreeMap::new();
        for (index, (name, (input, shards))) in by_name.into_iter().enumerate() {
            let split = world.write_split(&name, input, shards, &|shard| seed(index as u64, shard));
            entries.insert(name, split);
        }
        world.write_manifest(&world.manifest(entries));
        world
    }

    /// A world of `rows` full rows in one split, in two shards.
    pub(crate) fn of_rows(rows: usize) -> Self {
        let first = rows / 3;
        Self::new(8, &[("all", vec![vec![8 * first], vec![], vec![8 * (rows - first)]])])
    }

    pub(crate) fn dataset(&self) -> Arc<Dataset> {
        Arc::new(Dataset::open(self.folder.path(), None).unwrap())
    }

    /// The first shard of a split.
    pub(crate) fn shard(&self, split: &str) -> PathBuf {
        self.folder.path().join(split).join(ShardId::of_file(0).file_name())
    }

    /// The document table of a split's first shard.
    pub(crate) fn table(&self, split: &str) -> PathBuf {
        Output::new(self.folder.path()).tables(split).join(ShardId::of_file(0).table_name())
    }

    /// The manifest as it lies on the disk, changed by `change`.
    pub(crate) fn change(&self, change: impl FnOnce(&mut Manifest)) {
        let mut manifest = Manifest::read(&self.folder.path().join(MANIFEST)).unwrap().unwrap();
        change(&mut manifest);
        self.write_manifest(&manifest);
    }

    /// Writes the document table of a shard anew, so that its checksum is the manifest's.
    pub(crate) fn replace_table(&self, split: &str, index: usize, documents: &[Document<&str>]) {
        let table = write_documents(&Output::new(self.folder.path()).tables(split), index, documents);
        self.change(|manifest| manifest.splits.get_mut(split).unwrap().shard_list[index].table = Some(table));
    }

    /// The documents of a split: their ids, and their keys.
    pub(crate) fn documents(&self, split: &str) -> Vec<(String, DocumentKey)> {
        let manifest = Manifest::read(&self.folder.path().join(MANIFEST)).unwrap().unwrap();
        let (mut documents, mut begins, mut keys) = (Vec::new(), 0, self.keys[split].iter());
        for Shard { group, input, documents: count, .. } in &manifest.splits[split].shard_list {
            for &key in keys.by_ref().take(*count as usize) {
                let of_split = key as u64 - input.start + begins;
                documents.push((format!("id-{of_split}"), DocumentKey { group: *group, offset: key as u64 }));
            }
            begins += input.end - input.start;
        }
        documents
    }

    /// Makes each shard of a split a group of files of its own, as one large file: keys begin again with each.
    pub(crate) fn cut_as_groups(&mut self, split: &str) {
        let dataset = self.dataset();
        let index = dataset.split(split).unwrap();
        for shard in &dataset.shards[dataset.splits[index].shards.clone()] {
            let rows = &mut self.rows[shard.first_row as usize..(shard.first_row + shard.rows) as usize];
            let pieces = rows.iter_mut().flat_map(|row| &mut row.pieces);
            pieces.for_each(|piece| piece.doc_id -= shard.input.start as i64);
        }
        let keys = std::mem::take(self.keys.get_mut(split).unwrap());
        let mut keys = keys.into_iter();
        let mut own = Vec::new();
        self.change(|manifest| {
            let shards = manifest.splits.get_mut(split).unwrap().shard_list.iter_mut();
            for (group, shard) in shards.enumerate() {
                let start = std::mem::take(&mut shard.input.start);
                shard.input.end -= start;
                shard.group = Some(group);
                shard.sources =
                    vec![SourceFile { file: format!("{split}-{group}.jsonl"), start: 0, line: 0 }];
                own.extend(keys.by_ref().take(shard.documents as usize).map(|key| key - start as i64));
            }
        });
        self.keys.insert(split.to_owned(), own);
    }

    /// Writes a shard anew, whose rows have keys counted from where its stretch of the input begins.
    pub(crate) fn replace_shard(&self, split: &str, index: usize, rows: &[Row]) {
        let place = Output::new(self.folder.path()).split(split);
        let file = write_shard(&place, index, rows, self.row_length);
        self.change(|manifest| manifest.splits.get_mut(split).unwrap().shard_list[index].file = Some(file));
    }

    fn write_manifest(&self, manifest: &Manifest) {
        fs::write(self.folder.path().join(MANIFEST), serde_json::to_vec(manifest).unwrap()).unwrap();
    }

    fn manifest(&self, splits: BTreeMap<String, Split>) -> Manifest {
        let pad = SpecialToken { id: PAD, token: "<pad>".into() };
        Manifest {
            format_version: FORMAT_VERSION,
            requires: Vec::new(),
            tokenizer: "none".into(),
            max_seq_length: self.row_length,
            shard_size_gb: 1.0,
            input_path: "input".into(),
            output_path: "output".into(),
            files_processed: splits.len() as u64,
            options: ShardOptions {
                max_seq_length: self.row_length,
                shard_bytes: 1_000_000_000,
                stride_bytes: ShardOptions::stride_of(1_000_000_000, Compression::Snappy),
                packing: Packing::Concat,
                compression: Compression::Snappy,
                text_field: "text".into(),
                other_text_fields: Vec::new(),
                max_document_bytes: 1000,
                chat: None,
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
                special_tokens_in_text: mashbill_format::special_tokens::SpecialTokensInText::Encode,
                cleared: Vec::new(),
            },
            labels: Labels::default(),
            layout: RowLayout::of(self.row_length),
            splits,
            vanished: BTreeMap::new(),
        }
    }
}

/// Bytes of a record, and of what was refused at the beginning and at the end of a stretch of the input.
const RECORD_BYTES: u64 = 100;
const REFUSED_BYTES: u64 = 35;

/// A document with its tokens.
struct Doc {
    /// Counted from the beginning of the shard's stretch of the input.
    key: i64,
    tokens: Vec<u32>,
}

/// A run of tokens, each with its document's index and its place in it.
type Run = Vec<(u32, usize, usize)>;

impl World {
    fn write_split(
        &mut self,
        name: &str,
        input: String,
        shards: &[Vec<usize>],
        seed: &dyn Fn(u64) -> u64,
    ) -> Split {
        let mut shard_list = Vec::new();
        let mut start = 0;
        for (index, lengths) in shards.iter().enumerate() {
            let shard = self.write_made_shard(name, index, start, lengths, seed(index as u64));
            start = shard.input.end;
            shard_list.push(shard);
        }
        let sum = |value: &dyn Fn(&Shard) -> u64| shard_list.iter().map(value).sum::<u64>();
        let tokens = sum(&|shard| shard.tokens);
        Split {
            path: self.folder.path().join(name).display().to_string(),
            shards: sum(&|shard| u64::from(shard.file.is_some())),
            sequences: sum(&|shard| shard.file.as_ref().map_or(0, |file| file.rows)),
            samples: sum(&|shard| shard.documents),
            tokens,
            identity: Checksum(u128::from(seed(0)) + 1),
            source: SplitSource { file: input, bytes: start, checksum: Checksum(0) },
            license: Vec::new(),
            ledger: Ledger { text_tokens: tokens, padding: sum(&|shard| shard.padding), ..Ledger::default() },
            shard_list,
            rejected: BTreeMap::new(),
        }
    }

    fn write_made_shard(
        &mut self,
        split: &str,
        index: usize,
        start: u64,
        lengths: &[usize],
        seed: u64,
    ) -> Shard {
        let mut state = seed.wrapping_mul(77).wrapping_add(5);
        let mut random = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as u32 % (VOCABULARY - 2) + 2
        };
        let (mut docs, mut run, mut table) = (Vec::new(), Run::new(), Vec::new());
        for (doc, &length) in lengths.iter().enumerate() {
            let key = (REFUSED_BYTES + RECORD_BYTES * doc as u64) as i64;
            let tokens: Vec<u32> = (0..length).map(|_| random()).collect();
            let (row, position) = (run.len() / self.row_length, run.len() % self.row_length);
            let id = format!("id-{}", start as i64 + key);
            table.push((key, id, length as i64, row as i64, position as i32));
            run.extend(tokens.iter().enumerate().map(|(at, &token)| (token, doc, at)));
            docs.push(Doc { key, tokens });
        }
        let rows: Vec<Row> =
            run.chunks(self.row_length).map(|run| plain_row(run, &docs, self.row_length)).collect();
        let end = start + 2 * REFUSED_BYTES + RECORD_BYTES * docs.len() as u64;
        let files = (!docs.is_empty()).then(|| {
            let output = Output::new(self.folder.path());
            fs::create_dir_all(output.tables(split)).unwrap();
            let file = write_shard(&output.split(split), index, &rows, self.row_length);
            (file, write_documents(&output.tables(split), index, &documents(&table)))
        });
        let (file, table) = files.unzip();
        let keys = self.keys.entry(split.to_owned()).or_default();
        keys.extend(docs.iter().map(|doc| start as i64 + doc.key));
        let padding = rows.len() * self.row_length - run.len();
        self.rows.extend(rows.into_iter().map(|mut row| {
            row.pieces.iter_mut().for_each(|piece| piece.doc_id += start as i64);
            row
        }));
        Shard {
            group: None,
            sources: Vec::new(),
            input: InputRange { start, end, bytes: end - start, checksum: Checksum(0) },
            documents: docs.len() as u64,
            tokens: run.len() as u64,
            padding: padding as u64,
            file,
            table,
        }
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

/// Writes the shard with this index, whose rows have keys counted from where its stretch of the input begins.
fn write_shard(place: &Path, index: usize, rows: &[Row], row_length: usize) -> ShardFile {
    let name = ShardId::of_file(index).file_name();
    let mut file =
        ParquetAppender::create(&place.join(&name), shard::schema(Compression::Snappy, Loss::All)).unwrap();
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
        let rows = RowsToEncode {
            count: rows.len(),
            tokens: &[&tokens],
            last_labels: &last_labels,
            pieces: &pieces,
            pieces_in_row: &pieces_in_row,
            loss_spans: None,
        };
        file.append(&encoder.encode(&rows)).unwrap();
    }
    let FinishedFile { rows, bytes, checksum, tail, .. } = file.finish().unwrap();
    ShardFile { name, rows, bytes, checksum, tail }
}

/// Writes the document table of the shard with this index.
fn write_documents(place: &Path, index: usize, documents: &[Document<&str>]) -> TableFile {
    let name = ShardId::of_file(index).table_name();
    let schema = documents::schema(Compression::Snappy, Loss::All);
    let mut file = ParquetAppender::create(&place.join(&name), schema).unwrap();
    file.append(&DocumentsEncoder::new(Compression::Snappy).encode(documents)).unwrap();
    let FinishedFile { rows, bytes, checksum, .. } = file.finish().unwrap();
    TableFile { name, rows, bytes, checksum }
}

/// Documents of these keys, ids, tokens, rows and positions, each with its id as its source.
fn documents(table: &[(i64, String, i64, i64, i32)]) -> Vec<Document<&str>> {
    let rows = table.iter().map(|&(doc_id, ref id, tokens, row, position)| Document {
        doc_id,
        id: Some(id.as_str()),
        source: Some(id.as_str()),
        category: None,
        content_hash: Checksum(0),
        tokens,
        row,
        position,
        loss_spans: Vec::new(),
    });
    rows.collect()
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
            labels: LabelAlignment::Shifted,
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
