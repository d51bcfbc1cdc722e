//! A folder of which not all tokens are learned: made of a plain one, read in every way, and injured.

use std::fs;
use std::path::Path;
use std::sync::{Arc, LazyLock};

use mashbill_format::card::Card;
use mashbill_format::documents::{self, Document, DocumentsEncoder};
use mashbill_format::layout::Output;
use mashbill_format::loss_spans::{Loss, LossSpans, SpansBuilder};
use mashbill_format::manifest::{self, Feature, Manifest, split_identity};
use mashbill_format::shard::{self, RowGroupEncoder, RowsToEncode, ShardReader, ShardRows};
use mashbill_load::{
    Columns, Dataset, LabelAlignment, LastBatch, Loader, LoaderOptions, OnError, Shuffle, StreamOptions,
    build_cache,
};
use mashbill_parquet::encode::Compression;
use mashbill_parquet::file::{FinishedFile, ParquetAppender, Schema};
use mashbill_parquet::row_group::EncodedRowGroup;
use mashbill_verify::ProblemKind;

use super::folder::{Folder, Lists};
use super::{ENDING, FIRST, GOOD, Injury, LAST, ROW_LENGTH, TABLE, missed};

const INJURIES: &[Injury] = &[
    ("a span is moved by one", ProblemKind::LossSpans, |f| {
        f.rows(FIRST, |g| {
            let at = row_with_spans(&g.0[6], 3);
            g.0[6].values[at + 1] -= 1;
            g.0[6].values[at + 2] += 1;
        });
    }),
    ("spans are too short", ProblemKind::LossSpans, |f| {
        f.rows(FIRST, |g| *last_of_first_row(&mut g.0[6]) -= 1)
    }),
    ("spans are too long", ProblemKind::LossSpans, |f| {
        f.rows(FIRST, |g| *last_of_first_row(&mut g.0[6]) += 1)
    }),
    ("spans have an empty one in their middle", ProblemKind::LossSpans, |f| {
        f.rows(FIRST, |g| {
            let at = row_with_spans(&g.0[6], 3);
            let length = std::mem::take(&mut g.0[6].values[at + 1]);
            g.0[6].values[at + 2] += length;
        });
    }),
    ("a span is negative", ProblemKind::LossSpans, |f| {
        f.rows(FIRST, |g| {
            let at = row_with_spans(&g.0[6], 2);
            g.0[6].values[at] -= 1000;
            g.0[6].values[at + 1] += 1000;
        });
    }),
    ("spans are as long as a number can be", ProblemKind::LossSpans, |f| {
        f.rows(FIRST, |g| g.0[6].values.fill(i64::from(i32::MAX)));
    }),
    ("all tokens are said to be learned", ProblemKind::LossSpans, |f| {
        f.rows(FIRST, |g| g.0[6] = Lists::of(&vec![vec![0, ROW_LENGTH as i64]; g.0[6].lengths.len()]));
    }),
    ("a row has no spans", ProblemKind::Unreadable, |f| {
        f.rows(FIRST, |g| {
            let mut rows = g.0[6].rows();
            rows[0].clear();
            g.0[6] = Lists::of(&rows);
        });
    }),
    ("a label is a token that is not learned", ProblemKind::Labels, |f| {
        f.rows(FIRST, |g| {
            let (at, next) = label(&g.0, |label| label < 0);
            g.labels().values[at] = next;
        });
    }),
    ("a label within a learned span is ignored", ProblemKind::Labels, |f| {
        f.rows(FIRST, |g| {
            let (at, _) = label(&g.0, |label| label >= 0);
            g.labels().values[at] = -100;
        });
    }),
    ("labels are those of a plain folder", ProblemKind::Labels, |f| f.rows(FIRST, |g| g.shift_labels(1))),
    ("labels of the row with padding are those of a plain folder", ProblemKind::Labels, |f| {
        f.last_rows(|g| g.shift_labels(1));
    }),
    ("a row's last label is a token, which is not learned", ProblemKind::Labels, |f| {
        f.rows(FIRST, |g| g.last_label(false, 7));
    }),
    ("a row's last label is ignored, and its token is learned", ProblemKind::Labels, |f| {
        f.rows(FIRST, |g| g.last_label(true, -100));
    }),
    ("the same values are encoded otherwise", ProblemKind::Encoding, |f| f.groups(ENDING, |_| ())),
    ("there are no spans, and the manifest requires them", ProblemKind::Columns, |f| {
        f.rows(FIRST, |g| g.0.truncate(6));
    }),
    ("the manifest does not require the spans that are there", ProblemKind::Columns, |f| {
        f.manifest(|m| drop(m.as_object_mut().unwrap().remove("requires")));
    }),
    ("a document table has no spans", ProblemKind::Columns, |f| {
        f.documents(|d| d.iter_mut().for_each(|document| document.loss_spans.clear()));
    }),
    ("a document is said to be learned as a whole", ProblemKind::LossSpans, |f| {
        f.documents(|d| {
            let whole = |document: &Document<String>| vec![0, document.tokens as i32];
            let document = d.iter_mut().find(|d| d.loss_spans != whole(d)).expect("a masked document");
            document.loss_spans = whole(document);
        });
    }),
    ("a shard is that of the plain folder", ProblemKind::Columns, |f| {
        fs::copy(GOOD.path("out").join(FIRST), f.path(FIRST)).unwrap();
    }),
];

/// Where the spans begin of the first row that has at least so many.
fn row_with_spans(spans: &Lists, count: usize) -> usize {
    let row = spans.lengths.iter().position(|&length| length >= count).expect("a row with so many");
    spans.lengths[..row].iter().sum()
}

fn last_of_first_row(spans: &mut Lists) -> &mut i64 {
    &mut spans.values[spans.lengths[0] - 1]
}

/// The first position with such a label, but for rows' last ones, and the id after it.
fn label(columns: &[Lists], is_such: fn(i64) -> bool) -> (usize, i64) {
    let inner = |at: &usize| !(at + 1).is_multiple_of(ROW_LENGTH);
    let at = (0..columns[2].values.len()).filter(inner).find(|&at| is_such(columns[2].values[at]));
    at.map(|at| (at, columns[0].values[at + 1])).expect("there is such a label")
}

/// The plain folder with random spans for each document.
static MASKED: LazyLock<Folder> = LazyLock::new(|| {
    let folder = Folder::copy_of(&GOOD.path("out"));
    mask(&folder.root);
    folder
});

/// Makes a plain folder one of which not all tokens are learned, with all that follows.
fn mask(root: &Path) {
    let output = Output::new(root);
    let mut manifest = Manifest::read(&output.manifest()).unwrap().unwrap();
    manifest.requires = vec![Feature::LossSpans.name().to_owned()];
    let plain = manifest.clone();
    for (name, split) in &mut manifest.splits {
        split.identity = split_identity(plain.run_identity(), split.source.checksum);
        let learned: Vec<u64> =
            split.shard_list.iter_mut().map(|shard| mask_shard(&output, name, shard, &plain)).collect();
        split.ledger.learned_tokens = learned.iter().sum();
        let bytes: u64 = split.shard_files().map(|file| file.bytes).sum();
        let path = output.split(name).join(format!("{name}_stats.json"));
        let mut stats: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        stats["shard_bytes"] = bytes.into();
        stats["ledger"]["learned_tokens"] = split.ledger.learned_tokens.into();
        for (shard, learned) in stats["shards"].as_array_mut().unwrap().iter_mut().zip(learned) {
            // As they are written: what is none is left out.
            if learned > 0 {
                shard["ledger"]["learned_tokens"] = learned.into();
            }
        }
        fs::write(path, stats.to_string()).unwrap();
    }
    fs::write(output.manifest(), serde_json::to_vec(&manifest).unwrap()).unwrap();
    let card = Card::of(&manifest, None).merge(None).unwrap();
    assert!(card.text.contains("- name: loss_spans\n    list: int32\n"), "{}", card.text);
    fs::write(output.readme(), card.text).unwrap();
}

/// Masks a shard, and gives how many of its tokens are learned.
fn mask_shard(output: &Output, split: &str, shard: &mut manifest::Shard, manifest: &Manifest) -> u64 {
    let (Some(file), Some(table)) = (&mut shard.file, &mut shard.table) else { return 0 };
    let path = output.tables(split).join(&table.name);
    let mut documents: Vec<Document<String>> =
        documents::read(&path).unwrap().collect::<Result<_, _>>().unwrap();
    documents.iter_mut().for_each(|document| document.loss_spans = random_spans(document));
    let all: Vec<_> = documents.iter().map(Document::as_deref).collect();
    let group = DocumentsEncoder::new(Compression::Snappy).encode(&all);
    let finished = write(&path, documents::schema(Compression::Snappy, Loss::Spans), &group);
    (table.bytes, table.checksum) = (finished.bytes, finished.checksum);

    let learned: Vec<bool> = documents.iter().flat_map(learned_tokens).collect();
    let path = output.split(split).join(&file.name);
    let groups = rows_of(&path);
    let [rows] = &groups[..] else { panic!("a small shard has one row group") };
    let group = encoded(rows, &learned, manifest);
    let finished = write(&path, shard::schema(Compression::Snappy, Loss::Spans), &group);
    (file.bytes, file.checksum, file.tail) = (finished.bytes, finished.checksum, finished.tail);
    learned.iter().filter(|is_learned| **is_learned).count() as u64
}

pub(super) fn rows_of(shard: &Path) -> Vec<ShardRows> {
    ShardReader::open(shard).unwrap().row_groups().collect::<Result<_, _>>().unwrap()
}

pub(super) fn write(path: &Path, schema: Schema, group: &EncodedRowGroup) -> FinishedFile {
    let mut file = ParquetAppender::create(path, schema).unwrap();
    file.append(group).unwrap();
    file.finish().unwrap()
}

/// The rows of a shard, of whose tokens these are learned.
pub(super) fn encoded(rows: &ShardRows, learned: &[bool], manifest: &Manifest) -> EncodedRowGroup {
    let mut spans = LossSpans::default();
    for row in learned.chunks(rows.row_length) {
        let mut builder = SpansBuilder::default();
        row.iter().for_each(|&is_learned| builder.push(is_learned, 1));
        spans.push(&builder.take());
    }
    let tokens: Vec<u32> = rows.input_ids[..learned.len()].iter().map(|&id| id as u32).collect();
    let last_labels = (1..=spans.rows()).map(|row| {
        let label = rows.labels[row * rows.row_length - 1];
        if learned.get(row * rows.row_length) == Some(&true) { label } else { -100 }
    });
    let last_labels: Vec<i32> = last_labels.collect();
    let identity = &manifest.tokenizer_identity;
    let vocabulary = identity.vocabulary_size as usize;
    RowGroupEncoder::new(rows.row_length, vocabulary, identity.pad.id, Compression::Snappy).encode(
        &RowsToEncode {
            count: spans.rows(),
            tokens: &[&tokens],
            last_labels: &last_labels,
            pieces: &rows.pieces,
            pieces_in_row: &rows.pieces_in_row,
            loss_spans: Some(&spans),
        },
    )
}

/// Spans of a document, which its key decides.
fn random_spans(document: &Document<String>) -> Vec<i32> {
    let mut state = document.doc_id as u64 + 3;
    let mut random = |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((state >> 33) % below) as i32
    };
    let (mut builder, mut left) = (SpansBuilder::default(), document.tokens as i32);
    let mut is_learned = random(2) == 0;
    while left > 0 {
        let here = (1 + random(9)).min(left);
        builder.push(is_learned, here);
        (left, is_learned) = (left - here, !is_learned);
    }
    builder.take()
}

/// For each token of a document whether it is learned, spelled out.
pub(super) fn learned_tokens(document: &Document<String>) -> Vec<bool> {
    let each = document.loss_spans.iter().enumerate();
    each.flat_map(|(at, &length)| vec![at % 2 == 1; length as usize]).collect()
}

/// A token of a document.
struct Token {
    id: i32,
    is_learned: bool,
    /// Whether the document has another one behind it.
    goes_on: bool,
}

/// The tokens of each shard in order: their ids from the plain folder, what is learned from the document tables.
fn tokens() -> Vec<Vec<Token>> {
    let (plain, masked) = (Output::new(&GOOD.path("out")), Output::new(&MASKED.root));
    let manifest = Manifest::read(&masked.manifest()).unwrap().unwrap();
    let mut shards = Vec::new();
    for (name, split) in &manifest.splits {
        for (shard, file) in split.shards_with_rows() {
            let rows = rows_of(&plain.split(name).join(&file.name));
            let mut ids = rows.iter().flat_map(|rows| rows.input_ids.iter().copied());
            let table = masked.tables(name).join(&shard.table.as_ref().unwrap().name);
            let mut tokens = Vec::new();
            for document in documents::read(&table).unwrap() {
                let learned = learned_tokens(&document.unwrap());
                let last = learned.len() - 1;
                tokens.extend(learned.into_iter().enumerate().map(|(at, is_learned)| Token {
                    id: ids.next().unwrap(),
                    is_learned,
                    goes_on: at < last,
                }));
            }
            shards.push(tokens);
        }
    }
    shards
}

/// The labels of each row of the dataset, by their definition.
fn labels(convention: LabelAlignment) -> Vec<Vec<i64>> {
    let of_shard = |tokens: Vec<Token>| {
        let learned = |at: usize| tokens.get(at).filter(|token| token.is_learned).map(|token| token.id);
        let label = |at: usize| match convention {
            LabelAlignment::Aligned => learned(at),
            LabelAlignment::Shifted => {
                let is_last = (at + 1).is_multiple_of(ROW_LENGTH);
                let has_next = tokens.get(at).is_some_and(|token| token.goes_on || !is_last);
                learned(at + 1).filter(|_| has_next)
            }
        };
        let positions = 0..tokens.len().next_multiple_of(ROW_LENGTH);
        let labels: Vec<i64> = positions.map(|at| label(at).map_or(-100, i64::from)).collect();
        labels.chunks(ROW_LENGTH).map(<[i64]>::to_vec).collect::<Vec<_>>()
    };
    tokens().into_iter().flat_map(of_shard).collect()
}

/// The labels of all rows as the loader hands them out, from the shards or from a cache; what can't be read is an error and
/// nothing else.
fn read_all(
    root: &Path,
    labels: LabelAlignment,
    cache: Option<&Path>,
) -> mashbill_load::Result<Vec<Vec<i64>>> {
    let dataset = Arc::new(Dataset::open(root, None)?);
    if let Some(cache) = cache {
        build_cache(&dataset, cache, 1, &|| false, &mut |_| {})?;
    }
    let rows = dataset.rows;
    let stream = StreamOptions {
        batch_size: 1,
        world_size: 1,
        rank: 0,
        seed: 1,
        shuffle: Shuffle::Full,
        last_batch: LastBatch::Wrap,
        mixture: None,
        steps: None,
        lane: None,
    };
    let columns = Columns { labels, attention_mask: true, documents: true, mask_borders: false };
    let cache = cache.map(Path::to_owned);
    let options = LoaderOptions { stream, columns, threads: 0, prefetch: 1, cache, on_error: OnError::Raise };
    let mut loader = Loader::new(dataset, options, None)?;
    let mut found = vec![Vec::new(); rows as usize];
    for _ in 0..rows {
        let batch = loader.next_batch()?.expect("an epoch has all rows");
        found[batch.rows[0] as usize] = batch.labels;
    }
    Ok(found)
}

#[test]
fn a_masked_folder_has_no_problem_and_its_labels_are_those_that_are_learned() {
    let report = MASKED.verify();
    assert!(report.is_good() && report.problems.is_empty(), "{:#?}", report.problems);
    for convention in [LabelAlignment::Shifted, LabelAlignment::Aligned] {
        let expected = labels(convention);
        let ignored = expected.iter().flatten().filter(|&&label| label == -100).count();
        let all = expected.len() * ROW_LENGTH;
        assert!(all / 4 < ignored && ignored < all / 4 * 3, "{ignored} of {all}");
        let cache = tempfile::tempdir().unwrap();
        for cache in [None, Some(cache.path())] {
            let found = read_all(&MASKED.root, convention, cache).unwrap();
            assert_eq!(found, expected, "{convention:?}, from a cache: {}", cache.is_some());
        }
    }
    // What is stored is what is handed out.
    let stored: Vec<i64> = rows_of(&MASKED.path(FIRST))[0].labels.iter().map(|&label| label.into()).collect();
    assert_eq!(stored, labels(LabelAlignment::Shifted).concat()[..stored.len()]);
}

/// The files that other readers are held to (`tests/python/test_masked.py`).
#[test]
fn the_bytes_of_masked_files_are_promised() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/golden/masked");
    for (file, name) in [(FIRST, "shard_0000.parquet"), (TABLE, "shard_0000.documents")] {
        let made = fs::read(MASKED.path(file)).unwrap();
        if std::env::var_os("MASHBILL_WRITE_GOLDEN").is_some() {
            fs::create_dir_all(&golden).unwrap();
            fs::write(golden.join(name), &made).unwrap();
        }
        assert!(fs::read(golden.join(name)).unwrap() == made, "{name}");
    }
}

#[test]
fn each_injury_of_spans_is_found_and_read_without_a_panic() {
    let look = |folder: &Folder| {
        let cache = tempfile::tempdir().unwrap();
        for cache in [None, Some(cache.path())] {
            // Rows are read or refused; what a reader can't know `verify` finds.
            drop(read_all(&folder.root, LabelAlignment::Shifted, cache));
        }
        for shard in [FIRST, LAST] {
            drop(ShardReader::open(&folder.path(shard)).map(|reader| reader.row_groups().count()));
        }
        drop(documents::read(&folder.path(TABLE)).map(Iterator::count));
    };
    let missed = missed(INJURIES, &MASKED.root, look);
    assert!(missed.is_empty(), "{} of {}\n{}", missed.len(), INJURIES.len(), missed.join("\n"));
}

#[test]
fn inspect_shows_what_is_learned() {
    let inspect = |arguments: &str| {
        let folder = MASKED.root.display();
        GOOD.run(&format!("inspect {folder} --split a --row 0 {arguments}")).with_code(0).stdout
    };
    let json = inspect("--json");
    let rows: serde_json::Value = serde_json::from_str(&json).unwrap();
    let row = &rows_of(&MASKED.path(FIRST))[0];
    let first = row.iter().next().unwrap();
    assert_eq!(rows[0]["loss_spans"], serde_json::json!(first.loss_spans));
    let learned: i32 = first.loss_spans.iter().skip(1).step_by(2).sum();
    let text = inspect("");
    assert!(text.contains(&format!("── learned: {learned} of {ROW_LENGTH} tokens")), "{text}");
}
