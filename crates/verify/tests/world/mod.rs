//! A tokenized folder made without a tokenizer, as plainly as it can be: documents of given lengths, packed row by row.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use mashbill_format::card::Card;
use mashbill_format::documents::{self, Document, DocumentsEncoder};
use mashbill_format::layout::{Output, ShardId};
use mashbill_format::loss_spans::Loss;
use mashbill_format::manifest::{
    FORMAT_VERSION, InputRange, Labels, Ledger, Manifest, Packing, Shard, ShardFile, ShardOptions,
    SpecialToken, Split, SplitSource, TableFile, TokenizerIdentity, source_checksum, split_identity,
};
use mashbill_format::shard::{self, IGNORED, Piece, RowGroupEncoder, RowLayout, RowsToEncode};
use mashbill_format::stats::{InputFile, Stats};
use mashbill_format::task::DocumentCounts;
use mashbill_parquet::encode::Compression;
use mashbill_parquet::file::ParquetAppender;
use mashbill_store::checksum::Checksum;
use tempfile::TempDir;

/// The ids of GPT-2.
pub(crate) const VOCABULARY: u32 = 50_257;
/// The token behind each document.
pub(crate) const EOS: u32 = 50_256;
/// The target size of shards, which nothing here is cut by.
const SHARD_BYTES: u64 = 1_000_000_000;
/// Bytes of input that stand for a document.
const RECORD_BYTES: u64 = 10;

/// A dataset on the disk.
pub(crate) struct World {
    folder: TempDir,
    pub(crate) row_length: usize,
    pub(crate) compression: Compression,
    /// The rows of each split as they should be read.
    pub(crate) rows: BTreeMap<String, Vec<Row>>,
}

/// A row in the plainest form; the keys of its pieces are those of the whole input.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) input_ids: Vec<i32>,
    pub(crate) labels: Vec<i32>,
    pub(crate) pieces: Vec<Piece>,
}

/// What a shard is made of: its documents and its rows.
#[derive(Debug, Clone, Default)]
pub(crate) struct Packed {
    pub(crate) documents: Vec<Document<String>>,
    /// All tokens, one document after another.
    pub(crate) tokens: Vec<u32>,
    /// One a row, and the pieces of all rows with the keys of the shard.
    pub(crate) last_labels: Vec<i32>,
    pub(crate) pieces: Vec<Piece>,
    pub(crate) pieces_in_row: Vec<u32>,
}

impl World {
    /// Splits by their names, with the lengths of each shard's documents, 1 or more.
    pub(crate) fn new(
        row_length: usize,
        compression: Compression,
        splits: &[(&str, Vec<Vec<usize>>)],
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut world = Self { folder, row_length, compression, rows: BTreeMap::new() };
        let mut manifest = world.empty_manifest();
        for (name, shards) in splits {
            fs::create_dir_all(world.output().tables(name)).unwrap();
            let (split, stats) = world.split(name, shards, &manifest);
            world.write_json(&format!("{name}/{name}_stats.json"), &stats);
            manifest.splits.insert((*name).to_owned(), split);
        }
        manifest.files_processed = manifest.splits.len() as u64;
        world.write_json("manifest.json", &manifest);
        let card = Card::of(&manifest, None).merge(None).unwrap();
        fs::write(world.output().readme(), card.text).unwrap();
        world
    }

    pub(crate) fn root(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root().join(name)
    }

    pub(crate) fn output(&self) -> Output {
        Output::new(self.root())
    }

    pub(crate) fn manifest(&self) -> Manifest {
        Manifest::read(&self.path("manifest.json")).unwrap().unwrap()
    }

    pub(crate) fn write_json(&self, name: &str, value: &impl serde::Serialize) {
        fs::write(self.path(name), serde_json::to_vec(value).unwrap()).unwrap();
    }

    /// Writes a shard's row groups; what the manifest says of it.
    pub(crate) fn write_shard(&self, split: &str, index: usize, groups: &[Packed]) -> ShardFile {
        let name = ShardId::of_file(index).file_name();
        let path = self.output().split(split).join(&name);
        let mut file = ParquetAppender::create(&path, shard::schema(self.compression, Loss::All)).unwrap();
        let mut encoder = RowGroupEncoder::new(self.row_length, VOCABULARY as usize, EOS, self.compression);
        for group in groups {
            let rows = RowsToEncode {
                count: group.pieces_in_row.len(),
                tokens: &[&group.tokens],
                last_labels: &group.last_labels,
                pieces: &group.pieces,
                pieces_in_row: &group.pieces_in_row,
                loss_spans: None,
            };
            file.append(&encoder.encode(&rows)).unwrap();
        }
        let finished = file.finish().unwrap();
        let (rows, bytes, checksum, tail) = (finished.rows, finished.bytes, finished.checksum, finished.tail);
        ShardFile { name, rows, bytes, checksum, tail }
    }

    /// Writes a shard's document table; what the manifest says of it.
    pub(crate) fn write_table(&self, split: &str, index: usize, documents: &[Document<String>]) -> TableFile {
        let name = ShardId::of_file(index).table_name();
        let path = self.output().tables(split).join(&name);
        let mut file =
            ParquetAppender::create(&path, documents::schema(self.compression, Loss::All)).unwrap();
        let borrowed: Vec<_> = documents.iter().map(Document::as_deref).collect();
        file.append(&DocumentsEncoder::new(self.compression).encode(&borrowed)).unwrap();
        let finished = file.finish().unwrap();
        TableFile { name, rows: finished.rows, bytes: finished.bytes, checksum: finished.checksum }
    }

    fn split(&mut self, name: &str, shards: &[Vec<usize>], manifest: &Manifest) -> (Split, Stats) {
        let (mut list, mut counts, mut sum) = (Vec::new(), Vec::new(), DocumentCounts::default());
        let mut start = 0;
        self.rows.insert(name.to_owned(), Vec::new());
        for (index, lengths) in shards.iter().enumerate() {
            let (shard, counted) = self.shard(name, index, lengths, start);
            start = shard.input.end;
            sum.add(&counted);
            counts.push(counted);
            list.push(shard);
        }
        let checksum = source_checksum(list.iter().map(|shard| &shard.input));
        let files: Vec<&ShardFile> = list.iter().filter_map(|shard: &Shard| shard.file.as_ref()).collect();
        let (sequences, shard_bytes) =
            (files.iter().map(|file| file.rows).sum(), files.iter().map(|file| file.bytes).sum());
        let split = Split {
            path: name.to_owned(),
            shards: files.len() as u64,
            sequences,
            samples: sum.documents,
            tokens: sum.ledger.tokens(),
            identity: split_identity(manifest.run_identity(), checksum),
            source: SplitSource { file: format!("{name}.jsonl"), bytes: start, checksum },
            license: Vec::new(),
            ledger: sum.ledger.clone(),
            shard_list: list,
            rejected: BTreeMap::new(),
        };
        let stats = Stats {
            format_version: FORMAT_VERSION,
            split: name.to_owned(),
            inputs: vec![InputFile { path: String::new(), size: start, modified_ns: 0, changed_ns: 0 }],
            lines: sum.lines,
            blank_lines: 0,
            byte_order_marks: 0,
            ignored_bytes: 0,
            other_part: 0,
            samples: sum.documents,
            sequences,
            tokens: split.tokens,
            text_bytes: sum.text_bytes,
            ledger: sum.ledger,
            rejected: BTreeMap::new(),
            with_messages: sum.with_messages,
            without_text: sum.without_text,
            changes: sum.changes,
            document_tokens: sum.document_tokens,
            shard_bytes,
            shards: counts,
            engine: "none".to_owned(),
            seconds: 0.0,
            threads: 1,
            completed_unix_s: 0,
            mashbill_version: String::new(),
        };
        (split, stats)
    }

    fn shard(&mut self, split: &str, index: usize, lengths: &[usize], start: u64) -> (Shard, DocumentCounts) {
        let packed = Packed::of(lengths, self.row_length, (index * 31 + split.len()) as u64);
        let end = start + RECORD_BYTES * (lengths.len() as u64 + 1);
        let checksum = Checksum::of(format!("{split} {index} {lengths:?}").as_bytes());
        let tokens = packed.tokens.len() as u64;
        let padding = tokens.next_multiple_of(self.row_length as u64) - tokens;
        let is_there = !lengths.is_empty();
        let groups = packed.groups(self.row_length);
        self.rows.get_mut(split).unwrap().extend(packed.rows(self.row_length, start as i64));
        let shard = Shard {
            group: None,
            sources: Vec::new(),
            input: InputRange { start, end, bytes: end - start, checksum },
            documents: lengths.len() as u64,
            tokens,
            padding,
            file: is_there.then(|| self.write_shard(split, index, &groups)),
            table: is_there.then(|| self.write_table(split, index, &packed.documents)),
        };
        let special_tokens = lengths.len() as u64;
        let mut counts = DocumentCounts {
            lines: lengths.len() as u64,
            documents: lengths.len() as u64,
            text_bytes: tokens,
            ledger: Ledger {
                text_tokens: tokens - special_tokens,
                special_tokens,
                padding,
                ..Ledger::default()
            },
            ..DocumentCounts::default()
        };
        lengths.iter().for_each(|&length| counts.document_tokens.count(length as u64));
        (shard, counts)
    }

    fn empty_manifest(&self) -> Manifest {
        let eos = SpecialToken { id: EOS, token: "<|endoftext|>".into() };
        Manifest {
            format_version: FORMAT_VERSION,
            requires: Vec::new(),
            tokenizer: "none".into(),
            max_seq_length: self.row_length,
            shard_size_gb: 1.0,
            input_path: "input".into(),
            output_path: "output".into(),
            files_processed: 0,
            options: ShardOptions {
                max_seq_length: self.row_length,
                shard_bytes: SHARD_BYTES,
                stride_bytes: ShardOptions::stride_of(SHARD_BYTES, self.compression),
                packing: Packing::Concat,
                compression: self.compression,
                text_field: "text".into(),
                other_text_fields: Vec::new(),
                max_document_bytes: 1000,
                chat: None,
                held_out: None,
            },
            tokenizer_identity: TokenizerIdentity {
                sha256: "0".repeat(64),
                vocabulary_size: VOCABULARY,
                bos: None,
                eos: Some(eos.clone()),
                pad: eos,
                ids_before: Vec::new(),
                ids_after: vec![EOS],
                special_tokens_in_text: mashbill_format::special_tokens::SpecialTokensInText::Encode,
                cleared: Vec::new(),
            },
            labels: Labels::default(),
            layout: RowLayout::of(self.row_length),
            splits: BTreeMap::new(),
            vanished: BTreeMap::new(),
        }
    }
}

impl Packed {
    /// Documents of these lengths, whose tokens `seed` decides, one after another.
    pub(crate) fn of(lengths: &[usize], row_length: usize, seed: u64) -> Self {
        let mut state = seed.wrapping_mul(77).wrapping_add(5);
        let mut random = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as u32 % 1000
        };
        let mut packed = Self::default();
        for (index, &length) in lengths.iter().enumerate() {
            let at = packed.tokens.len();
            packed.documents.push(Document {
                doc_id: index as i64 * RECORD_BYTES as i64,
                id: Some(format!("d{index}")),
                source: Some("made".to_owned()),
                category: None,
                content_hash: Checksum::of(&seed.to_le_bytes()),
                tokens: length as i64,
                row: (at / row_length) as i64,
                position: (at % row_length) as i32,
                loss_spans: Vec::new(),
            });
            packed.tokens.extend((1..length).map(|_| random()).chain([EOS]));
        }
        packed.cut(row_length);
        packed
    }

    /// Cuts the documents where rows end.
    fn cut(&mut self, row_length: usize) {
        let (mut left, mut pieces) = (row_length, 0);
        for document in &self.documents {
            let mut offset = 0;
            while offset < document.tokens {
                let here = left.min((document.tokens - offset) as usize);
                self.pieces.push(Piece {
                    doc_id: document.doc_id,
                    doc_offset: offset as i32,
                    len: here as i32,
                });
                (offset, left, pieces) = (offset + here as i64, left - here, pieces + 1);
                if left == 0 {
                    let next = self.tokens.get((self.pieces_in_row.len() + 1) * row_length);
                    let goes_on = offset < document.tokens;
                    let label = next.filter(|_| goes_on).map_or(IGNORED, |&token| token as i32);
                    self.last_labels.push(label);
                    self.pieces_in_row.push(pieces);
                    (left, pieces) = (row_length, 0);
                }
            }
        }
        if pieces > 0 {
            self.last_labels.push(IGNORED);
            self.pieces_in_row.push(pieces);
        }
    }

    /// The rows as the layout has them in row groups.
    pub(crate) fn groups(&self, row_length: usize) -> Vec<Self> {
        self.groups_of(row_length, RowLayout::of(row_length).rows_per_group)
    }

    /// The rows in row groups of so many.
    pub(crate) fn groups_of(&self, row_length: usize, rows_per_group: usize) -> Vec<Self> {
        let mut pieces = self.pieces.as_slice();
        let each = self.pieces_in_row.chunks(rows_per_group).enumerate().map(|(index, pieces_in_row)| {
            let here = pieces.split_off(..pieces_in_row.iter().sum::<u32>() as usize).unwrap();
            let first = index * rows_per_group;
            let tokens =
                first * row_length..((first + pieces_in_row.len()) * row_length).min(self.tokens.len());
            Self {
                documents: Vec::new(),
                tokens: self.tokens[tokens].to_vec(),
                last_labels: self.last_labels[first..first + pieces_in_row.len()].to_vec(),
                pieces: here.to_vec(),
                pieces_in_row: pieces_in_row.to_vec(),
            }
        });
        each.collect()
    }

    /// The rows in the plainest form, of a shard whose stretch begins at `start`.
    fn rows(&self, row_length: usize, start: i64) -> Vec<Row> {
        let mut pieces = self.pieces.iter().map(|piece| Piece { doc_id: piece.doc_id + start, ..*piece });
        let each = self.tokens.chunks(row_length).zip(&self.pieces_in_row).zip(&self.last_labels);
        each.map(|((tokens, &count), &last)| {
            let mut input_ids: Vec<i32> = tokens.iter().map(|&id| id as i32).collect();
            let mut labels = input_ids[1..].to_vec();
            labels.push(last);
            input_ids.resize(row_length, EOS as i32);
            labels.resize(row_length, IGNORED);
            Row { input_ids, labels, pieces: pieces.by_ref().take(count as usize).collect() }
        })
        .collect()
    }
}
