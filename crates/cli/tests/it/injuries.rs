//! `verify` finds every injury in the table, as it is and with all checksums sealed again over it, and finds
//! nothing in datasets that have none. A new injury is a line.

#![expect(clippy::unwrap_used, reason = "a test fails where it panics")]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::sync::atomic::AtomicBool;

use mashbill_format::checksum::Checksum;
use mashbill_format::documents::{self, Document, DocumentsEncoder};
use mashbill_format::encode::Compression;
use mashbill_format::parquet_file::{ParquetAppender, Tail};
use mashbill_format::shard::ShardReader;
use mashbill_format::verify::{Kind, Options, Report, verify};
use parquet::data_type::{DataType, Int32Type, Int64Type};
use parquet::file::metadata::ParquetMetaDataReader;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::project::Project;

/// The injuries: what is done, and what `verify` has to call it even when all checksums fit.
const INJURIES: &[Injury] = &[
    // Ids, masks and labels.
    ("an id is another one", Kind::Labels, |f| f.rows(FIRST, |g| g.ids().values[5] += 1)),
    ("an id and its label are another one's", Kind::Encoding, |f| f.rows(FIRST, |g| g.set_token(5, 11))),
    ("an id is outside the vocabulary", Kind::Ids, |f| f.rows(FIRST, |g| g.set_token(5, 50_257))),
    ("an id is negative", Kind::Ids, |f| f.rows(FIRST, |g| g.set_token(5, -1))),
    ("an id is the ignored label", Kind::Ids, |f| f.rows(FIRST, |g| g.set_token(5, -100))),
    ("the end of a document is another token", Kind::SpecialTokens, |f| f.rows(FIRST, |g| g.replace_end(11))),
    ("a label is another one", Kind::Labels, |f| f.rows(FIRST, |g| g.labels().values[3] = 7)),
    ("a label is ignored", Kind::Labels, |f| f.rows(FIRST, |g| g.labels().values[3] = -100)),
    ("labels are the ids", Kind::Labels, |f| f.rows(FIRST, |g| g.shift_labels(0))),
    ("labels are shifted twice", Kind::Labels, |f| f.rows(FIRST, |g| g.shift_labels(2))),
    ("labels are shifted the other way", Kind::Labels, |f| {
        f.rows(FIRST, |g| g.labels().values.rotate_right(2))
    }),
    ("a row's last label is another token", Kind::Labels, |f| f.rows(FIRST, |g| g.last_label(true, 7))),
    ("a row's last label is ignored, and its document goes on", Kind::Labels, |f| {
        f.rows(FIRST, |g| g.last_label(true, -100));
    }),
    ("a row's last label is a token, and its document ends", Kind::Labels, |f| {
        f.rows(ENDING, |g| g.end_label(7))
    }),
    ("the last label of a group is another token", Kind::Labels, |f| f.rows(FIRST, |g| g.group_label(7))),
    ("a label of padding is a token", Kind::Labels, |f| {
        f.last_rows(|g| *g.labels().values.last_mut().unwrap() = 7)
    }),
    ("the mask has a hole", Kind::AttentionMask, |f| f.rows(FIRST, |g| g.mask().values[4] = 0)),
    ("the mask has a 2", Kind::AttentionMask, |f| f.rows(FIRST, |g| g.mask().values[4] = 2)),
    ("the mask covers padding", Kind::AttentionMask, |f| {
        f.last_rows(|g| *g.mask().values.last_mut().unwrap() = 1)
    }),
    ("the mask ends early", Kind::AttentionMask, |f| f.rows(FIRST, |g| g.mask().values[15] = 0)),
    ("padding is another token", Kind::Padding, |f| f.last_rows(|g| *g.ids().values.last_mut().unwrap() = 7)),
    // Lengths and pieces.
    ("a row is too short", Kind::RowLength, |f| f.rows(FIRST, |g| (0..3).for_each(|c| g.0[c].remove(3)))),
    ("a row is too long", Kind::RowLength, |f| f.rows(FIRST, |g| (0..3).for_each(|c| g.0[c].insert(3, 7)))),
    ("a row's labels are too short", Kind::RowLength, |f| f.rows(FIRST, |g| g.labels().remove(3))),
    ("a row's mask is too long", Kind::RowLength, |f| f.rows(FIRST, |g| g.mask().insert(3, 1))),
    ("a border of documents is off by one", Kind::Pieces, |f| f.rows(ENDING, Group::move_border)),
    ("seq_lens sum to less", Kind::Pieces, |f| f.rows(FIRST, |g| g.0[3].values[0] -= 1)),
    ("seq_lens sum to more", Kind::Pieces, |f| f.rows(FIRST, |g| g.0[3].values[0] += 1)),
    ("a length is negative", Kind::Pieces, |f| f.rows(FIRST, |g| g.0[3].values[0] = -1)),
    ("a key is another document's", Kind::Pieces, |f| f.rows(FIRST, |g| g.0[4].values[0] += 1)),
    ("a key is nobody's", Kind::Pieces, |f| f.rows(FIRST, |g| g.0[4].values[0] = -5)),
    ("an offset is off by one", Kind::Pieces, |f| f.rows(FIRST, |g| *g.0[5].values.last_mut().unwrap() += 1)),
    ("a row has a key too many", Kind::Pieces, |f| f.rows(FIRST, |g| g.0[4].insert(0, 5))),
    ("two pieces are one", Kind::Pieces, |f| f.rows(ENDING, Group::join_pieces)),
    // Rows, row groups and shards.
    ("two rows are swapped", Kind::Pieces, |f| f.rows(FIRST, |g| g.swap_rows(0, 1))),
    ("a row stands twice", Kind::Pieces, |f| f.rows(FIRST, |g| g.copy_row(0, 1))),
    ("a row is gone", Kind::Rows, |f| f.rows(FIRST, |g| g.0.iter_mut().for_each(Lists::pop_row))),
    ("a row group is gone", Kind::Rows, |f| f.groups(FIRST, |groups| drop(groups.remove(0)))),
    ("a row group stands twice", Kind::Rows, |f| f.groups(FIRST, |groups| groups.push(groups[0].clone()))),
    ("two row groups are swapped", Kind::Pieces, |f| f.groups(FIRST, |groups| groups.swap(0, 1))),
    ("the same values are encoded otherwise", Kind::Encoding, |f| f.groups(FIRST, |_| ())),
    ("two shards are swapped", Kind::Pieces, |f| f.swap(FIRST, "a/shard_0001.parquet")),
    ("a shard is that of another split", Kind::Pieces, |f| f.copy("b/shard_0000.parquet", FIRST)),
    ("a shard is gone", Kind::Missing, |f| f.remove(FIRST)),
    ("a shard is empty", Kind::Unreadable, |f| f.bytes(FIRST, Vec::clear)),
    ("a shard is cut off", Kind::Unreadable, |f| f.bytes(FIRST, |b| b.truncate(b.len() / 2))),
    ("a shard's beginning is gone", Kind::Encoding, |f| f.bytes(FIRST, |b| b[..4].fill(0))),
    ("a shard goes on after its end", Kind::Unreadable, |f| f.bytes(FIRST, |b| b.extend([0; 8]))),
    ("a shard is called otherwise", Kind::Sums, |f| f.rename_shard("shard_0007.parquet")),
    ("a column is called otherwise", Kind::Columns, |f| f.columns("labels", "targets", "int32")),
    ("a column has another type", Kind::Columns, |f| f.columns("labels", "labels", "int64")),
    ("a column is optional", Kind::Columns, |f| {
        f.columns("required group labels", "optional group labels", "int32")
    }),
    // The document table.
    ("the document table is gone", Kind::Missing, |f| f.remove(TABLE)),
    ("the document table is cut off", Kind::Unreadable, |f| f.bytes(TABLE, |b| b.truncate(b.len() / 2))),
    ("a document is longer", Kind::DocumentTable, |f| f.documents(|d| d[1].tokens += 1)),
    ("a document has no tokens", Kind::DocumentTable, |f| f.documents(|d| d[1].tokens = 0)),
    ("the last document is longer", Kind::DocumentTable, |f| {
        f.documents(|d| d.last_mut().unwrap().tokens += 1)
    }),
    ("a document stands a position later", Kind::DocumentTable, |f| f.documents(|d| d[1].position += 1)),
    ("a document stands a row later", Kind::DocumentTable, |f| f.documents(|d| d[1].row += 1)),
    ("a document is of another unit", Kind::DocumentTable, |f| f.documents(|d| d[1].unit += 1)),
    ("two documents have the same key", Kind::DocumentTable, |f| f.documents(|d| d[1].doc_id = d[0].doc_id)),
    ("a document has another key", Kind::Pieces, |f| f.documents(|d| d[1].doc_id += 1)),
    ("a document is gone", Kind::Sums, |f| f.documents(|d| drop(d.remove(1)))),
    ("a document stands twice", Kind::Sums, |f| f.documents(|d| d.insert(1, d[1].clone()))),
    ("two documents have changed their lengths", Kind::Pieces, |f| f.documents(|d| move_token(&mut d[..2]))),
    // The manifest.
    ("the manifest is gone", Kind::Manifest, |f| {
        f.remove("manifest.json");
        fs::create_dir(f.path(".mashbill")).unwrap();
    }),
    ("the manifest is cut off", Kind::Manifest, |f| f.bytes("manifest.json", |b| b.truncate(b.len() / 2))),
    ("the manifest lacks a field", Kind::Manifest, |f| {
        f.manifest(|m| drop(m.as_object_mut().unwrap().remove("layout")))
    }),
    ("a number is a text", Kind::Manifest, |f| f.split(|s| s["tokens"] = json!("many"))),
    ("text_tokens is off by one", Kind::Sums, |f| f.split(|s| add(&mut s["ledger"]["text_tokens"], 1))),
    ("special_tokens is off by one", Kind::Sums, |f| f.split(|s| add(&mut s["ledger"]["special_tokens"], 1))),
    ("a special token is called text", Kind::Sums, |f| {
        f.split(|s| {
            add(&mut s["ledger"]["special_tokens"], -1);
            add(&mut s["ledger"]["text_tokens"], 1);
        })
    }),
    ("padding is off by one", Kind::Sums, |f| f.split(|s| add(&mut s["ledger"]["padding"], 1))),
    ("literal_special_tokens is more than there are", Kind::Stats, |f| {
        f.split(|s| add(&mut s["ledger"]["literal_special_tokens"], 1));
    }),
    ("tokens is off by one", Kind::Sums, |f| f.split(|s| add(&mut s["tokens"], 1))),
    ("sequences is off by one", Kind::Sums, |f| f.split(|s| add(&mut s["sequences"], 1))),
    ("samples is off by one", Kind::Sums, |f| f.split(|s| add(&mut s["samples"], 1))),
    ("shards is off by one", Kind::Sums, |f| f.split(|s| add(&mut s["shards"], 1))),
    ("files_processed is off by one", Kind::Sums, |f| f.manifest(|m| add(&mut m["files_processed"], 1))),
    ("a shard's rows are off by one", Kind::Rows, |f| f.split(|s| add(&mut s["shard_files"][0]["rows"], 1))),
    ("rows have moved between shards", Kind::Rows, |f| {
        f.split(|s| {
            add(&mut s["shard_files"][0]["rows"], 1);
            add(&mut s["shard_files"][1]["rows"], -1);
        })
    }),
    ("a shard is not listed", Kind::Stray, |f| {
        f.split(|s| drop(s["shard_files"].as_array_mut().unwrap().pop()))
    }),
    ("a split is not listed", Kind::Stray, |f| {
        f.manifest(|m| drop(m["splits"].as_object_mut().unwrap().remove("b")))
    }),
    ("a unit has a row more", Kind::Sums, |f| f.split(|s| add(&mut s["units"][0]["rows"], 1))),
    ("a unit has a row of the next one", Kind::DocumentTable, |f| {
        f.split(|s| {
            add(&mut s["units"][0]["rows"], 1);
            add(&mut s["units"][1]["rows"], -1);
            add(&mut s["units"][1]["first_row"], 1);
        })
    }),
    ("a unit has a document of the next one", Kind::DocumentTable, |f| {
        f.split(|s| {
            add(&mut s["units"][0]["documents"], 1);
            add(&mut s["units"][1]["documents"], -1);
        })
    }),
    ("a unit begins elsewhere", Kind::Sums, |f| f.split(|s| add(&mut s["units"][1]["first_row"], 1))),
    ("a unit's tail has a token more", Kind::Sums, |f| {
        f.split(|s| add(&mut s["units"][0]["tail_tokens"], 1))
    }),
    ("the source's bytes are other ones", Kind::Sums, |f| f.split(|s| add(&mut s["source"]["bytes"], 1))),
    ("a unit's checksum is another one", Kind::Identity, |f| {
        f.split(|s| s["units"][0]["checksum"] = json!("0".repeat(32)))
    }),
    ("the source is another one", Kind::Identity, |f| {
        f.split(|s| s["source"]["checksum"] = json!("0".repeat(32)))
    }),
    ("the identity is another one", Kind::Identity, |f| f.split(|s| s["identity"] = json!("0".repeat(32)))),
    ("the tokenizer is another one", Kind::Identity, |f| {
        f.tokenizer(|t| t["sha256"] = json!("0".repeat(64)))
    }),
    ("the vocabulary is smaller", Kind::Ids, |f| f.tokenizer(|t| t["vocabulary_size"] = json!(300))),
    ("documents should begin with a token", Kind::SpecialTokens, |f| {
        f.tokenizer(|t| t["ids_before"] = json!([1]))
    }),
    ("the pad token is another one", Kind::Padding, |f| f.tokenizer(|t| t["pad"]["id"] = json!(7))),
    ("an option is another one", Kind::Identity, |f| {
        f.manifest(|m| m["options"]["text_field"] = json!("body"))
    }),
    ("the row length is another one", Kind::RowLength, |f| {
        f.manifest(|m| {
            m["max_seq_length"] = json!(8);
            m["options"]["max_seq_length"] = json!(8);
        })
    }),
    ("the row length is two", Kind::Sums, |f| f.manifest(|m| m["max_seq_length"] = json!(8))),
    ("there is no row length", Kind::Manifest, |f| f.manifest(|m| m["options"]["max_seq_length"] = json!(0))),
    ("the label convention is another one", Kind::Identity, |f| {
        f.manifest(|m| m["labels"]["convention"] = json!("unshifted"));
    }),
    ("the layout is another one", Kind::Identity, |f| {
        f.manifest(|m| m["layout"]["rows_per_page"] = json!(1))
    }),
    ("the compression is another one", Kind::Encoding, |f| {
        f.manifest(|m| m["options"]["compression"] = json!("zstd"))
    }),
    ("refused lines are counted otherwise", Kind::Rejects, |f| {
        f.split(|s| s["rejected"] = json!({"invalid_json": 2}))
    }),
    // What stands beside.
    ("the statistics are gone", Kind::Stats, |f| f.remove("a/a_stats.json")),
    ("the statistics are stale", Kind::Stats, |f| f.json("a/a_stats.json", |s| add(&mut s["tokens"], 1))),
    ("the statistics' lines are off by one", Kind::Stats, |f| {
        f.json("a/a_stats.json", |s| add(&mut s["lines"], 1))
    }),
    ("the statistics are another split's", Kind::Stats, |f| f.copy("b/b_stats.json", "a/a_stats.json")),
    ("the statistics' lengths are other ones", Kind::Stats, |f| {
        f.json("a/a_stats.json", |s| add(&mut s["document_tokens"]["max"], 1));
    }),
    ("a refused line is gone", Kind::Rejects, |f| f.bytes("a/a_rejects.jsonl", Vec::clear)),
    ("the refused lines are gone", Kind::Rejects, |f| f.remove("a/a_rejects.jsonl")),
    ("a refused line is no JSON", Kind::Rejects, |f| f.bytes("a/a_rejects.jsonl", |b| b.truncate(20))),
    ("a refused line is of another file", Kind::Rejects, |f| {
        f.json("a/a_rejects.jsonl", |r| r["file"] = json!("c.jsonl"))
    }),
    ("the unit records are cut off", Kind::Units, |f| {
        f.bytes("a/a_units.jsonl.zst", |b| b.truncate(b.len() / 2))
    }),
    ("the unit records are another split's", Kind::Units, |f| {
        f.copy("b/b_units.jsonl.zst", "a/a_units.jsonl.zst")
    }),
    ("a shard is there that nobody lists", Kind::Stray, |f| f.copy(FIRST, "a/shard_0099.parquet")),
    ("a file is there that nobody knows", Kind::Stray, |f| f.bytes("a/notes.txt", |b| b.push(b'x'))),
    ("a shard lies beside the splits", Kind::Stray, |f| f.copy(FIRST, "shard_0000.parquet")),
    ("a folder with shards is no split", Kind::Stray, |f| {
        fs::create_dir(f.path("old")).unwrap();
        f.copy(FIRST, "old/shard_0000.parquet");
    }),
];

/// What is done in words, what it has to be called, and how it is done.
type Injury = (&'static str, Kind, fn(&Folder));

const FIRST: &str = "a/shard_0000.parquet";
/// A shard in which documents end.
const ENDING: &str = "b/shard_0000.parquet";
/// The shard with the padded row.
const LAST: &str = "b/shard_0000.parquet";
const TABLE: &str = "a/documents.parquet";

const ROW_LENGTH: usize = 16;

/// A dataset that is good, made once: two splits, of which the first has many units, groups and shards.
static GOOD: LazyLock<Project> = LazyLock::new(|| {
    let project =
        Project::with(&[("data/a.jsonl", &documents_of(60, 7)), ("data/b.jsonl", &documents_of(5, 2))]);
    project.tokenize("--unit-size 900 --shard-size 0.000014").with_code(0);
    project
});

/// JSON Lines with documents of different lengths, some of them longer than a row, and one line that is none.
fn documents_of(count: usize, step: usize) -> String {
    // Fifteen tokens and the end: a row of its own.
    let row = ["hello"; 15].join(" ");
    let mut text = format!("not json\n{}\n", json!({"text": row}));
    for document in 0..count {
        let words: Vec<_> =
            (0..2 + document * step % 37).map(|word| format!("word{}", word * document % 29)).collect();
        let record = json!({"id": format!("d{document}"), "source": "made", "text": words.join(" ")});
        text.push_str(&format!("{record}\n"));
    }
    text
}

#[test]
fn each_is_found_as_it_is_and_sealed_again() {
    assert!(INJURIES.len() >= 40);
    let mut missed = Vec::new();
    for (name, kind, injure) in INJURIES {
        let folder = Folder::copy_of(&GOOD.path("out"));
        injure(&folder);
        let found = folder.verify();
        if found.is_good() {
            missed.push(format!("{name}: not found"));
        }
        folder.seal();
        if *kind != Kind::Units {
            folder.forget_units();
        }
        let found = folder.verify();
        if found.is_good() || !found.problems.iter().any(|problem| problem.kind == *kind) {
            missed.push(format!(
                "{name}: sealed again it is not found as {kind:?} but as {:#?}",
                found.problems
            ));
        }
        if found.problems.iter().any(|problem| matches!(problem.kind, Kind::Checksum | Kind::Size)) {
            missed.push(format!("{name}: it was not sealed"));
        }
    }
    assert!(missed.is_empty(), "{} of {}\n{}", missed.len(), INJURIES.len(), missed.join("\n"));
}

/// Every byte of a shard follows from the document table, the manifest and the ids, and every id but the first of
/// a document at a row's beginning stands in a label, too: no other byte can be another one unnoticed, even where
/// the checksum fits. A compressed page may be spelled in two ways; then what it says is the same.
#[test]
fn no_byte_of_a_shard_can_be_another_one() {
    for (compression, step) in [("none", 1), ("snappy", 11), ("zstd", 11)] {
        let project = Project::with(&[("data/b.jsonl", &documents_of(4, 5))]);
        project.tokenize(&format!("--compression {compression}")).with_code(0);
        let folder = Folder::copy_of(&project.path("out"));
        let good = fs::read(folder.path(LAST)).unwrap();
        let rows = groups_of(&folder.path(LAST));
        let mut missed = Vec::new();
        // All bits of some bytes would take minutes, and say little more than one bit of each.
        for at in (0..good.len()).step_by(step) {
            folder.bytes(LAST, |bytes| bytes[at] ^= 1 << (at % 8));
            folder.seal();
            folder.forget_units();
            if folder.verify().is_good()
                && (compression == "none" || groups_of(&folder.path(LAST)) != rows)
                && repeated(groups_of(&folder.path(LAST))) != repeated(rows.clone())
            {
                missed.push(at);
            }
            fs::write(folder.path(LAST), &good).unwrap();
        }
        assert!(missed.is_empty(), "{compression}: {missed:?} of {} bytes", good.len());
    }
}

#[test]
fn clean_datasets_have_no_problem() {
    let many = documents_of(60, 7);
    let few = documents_of(5, 2);
    let odd =
        "\u{feff}{\"text\":\"a<|endoftext|>b\",\"id\":7}\r\n\n{\"text\":\"\"}\n[1]\n{\"text\":\"日本語 🦀\"}";
    let options = [
        "",
        "--tokenizer cl100k_base",
        "--max-seq-length 2",
        "--max-seq-length 8192",
        "--compression zstd --unit-size 500",
        "--compression none --shard-size 0.000003",
        "--no-eos",
        "--special-tokens-in-text reject --unit-size 300",
        "--threads 3 --unit-size 2000 --shard-size 0.00001",
        "--text-field id",
    ];
    for arguments in options {
        let project = Project::with(&[
            ("data/a.jsonl", &many),
            ("data/b.jsonl", &few),
            ("data/empty.jsonl", ""),
            ("data/odd.jsonl", odd),
        ]);
        let length = if arguments.contains("max-seq-length") { "" } else { "--max-seq-length 16" };
        let tokenizer = if arguments.contains("--tokenizer") { "" } else { "--tokenizer gpt2" };
        project
            .run(&format!("tokenize --input data --output out {length} {tokenizer} {arguments}"))
            // Of numbers as texts one split has nothing left.
            .with_code(if arguments == "--text-field id" { 3 } else { 0 });
        let found = Folder::copy_of(&project.path("out")).verify();
        let told = |kind| matches!(kind, Kind::Empty | Kind::Refused);
        assert!(
            found.problems.iter().all(|problem| told(problem.kind)),
            "{arguments}: {:#?}",
            found.problems
        );
        assert_eq!(found.rows, sum(&project, "sequences"), "{arguments}");
    }
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/golden/v1/output");
    let found = Folder::copy_of(&golden).verify();
    assert!(found.problems.iter().all(|problem| problem.kind == Kind::Empty), "{:#?}", found.problems);
}

/// The same without the ids that stand in no label.
fn repeated(mut groups: Vec<Group>) -> Vec<Group> {
    for group in &mut groups {
        let offsets = group.0[5].rows();
        for (row, offsets) in offsets.iter().enumerate().filter(|(_, offsets)| offsets[0] == 0) {
            group.ids().values[row * ROW_LENGTH] = offsets[0];
        }
    }
    groups
}

/// Threads come and go in any order; what is found does not.
#[test]
fn threads_change_nothing() {
    let folder = Folder::copy_of(&GOOD.path("out"));
    folder.groups(FIRST, |groups| {
        groups.iter_mut().for_each(|g| g.labels().values.iter_mut().for_each(|l| *l += 1))
    });
    let one = folder.verify_with(1);
    assert!(one.errors > one.problems.len() as u64);
    assert_eq!(folder.verify_with(4), one);
}

#[test]
fn an_interrupted_check_says_so() {
    let folder = Folder::copy_of(&GOOD.path("out"));
    let report = verify(&folder.root, Options { threads: 1 }, &AtomicBool::new(true), &mut |_| {});
    let report = report.unwrap().unwrap();
    assert!(report.interrupted && !report.is_good());
}

fn sum(project: &Project, field: &str) -> u64 {
    let manifest = project.json("out/manifest.json");
    let splits = manifest["splits"].as_object().expect("splits");
    splits.values().map(|split| split[field].as_u64().expect("a number")).sum()
}

fn add(value: &mut Value, number: i64) {
    *value = json!(value.as_i64().expect("a number") + number);
}

/// Makes the first of two documents a token longer and the second a token shorter, in all columns.
fn move_token(documents: &mut [Document<String>]) {
    documents[0].tokens += 1;
    documents[1].tokens -= 1;
    documents[1].position += 1;
    if documents[1].position as usize == ROW_LENGTH {
        documents[1].position = 0;
        documents[1].row += 1;
    }
}

/// A copy of a dataset that may be injured.
struct Folder {
    root: PathBuf,
    _folder: TempDir,
}

/// What stands behind the last row group of a Parquet file, whoever wrote it.
fn tail(file: &[u8]) -> Option<&[u8]> {
    let read = || {
        // A footer is at the end, and its length before the last four bytes.
        let (before, end) = file.split_last_chunk::<8>()?;
        let length = u32::from_le_bytes([end[0], end[1], end[2], end[3]]) as usize;
        ParquetMetaDataReader::decode_metadata(&before[before.len().checked_sub(length)?..]).ok()
    };
    let metadata = std::panic::catch_unwind(std::panic::AssertUnwindSafe(read)).ok()??;
    let columns = metadata.row_groups().last()?.columns();
    let first = columns.first()?;
    let start = first.dictionary_page_offset().unwrap_or_else(|| first.data_page_offset());
    let bytes: i64 = columns.iter().map(|column| column.compressed_size()).fold(0, i64::saturating_add);
    file.get(usize::try_from(start.saturating_add(bytes)).ok()?..)
}

impl Folder {
    fn copy_of(good: &Path) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("out");
        for (name, bytes) in crate::project::files_below(good) {
            let path = root.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
        Self { root, _folder: folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    fn verify(&self) -> Report {
        self.verify_with(1)
    }

    fn verify_with(&self, threads: usize) -> Report {
        let mut report =
            verify(&self.root, Options { threads }, &AtomicBool::new(false), &mut |_| {}).unwrap().unwrap();
        report.path = PathBuf::new();
        report
    }

    /// Writes sizes and checksums as the files have them now.
    fn seal(&self) {
        let Ok(text) = fs::read(self.path("manifest.json")) else { return };
        let Ok(mut manifest) = serde_json::from_slice::<Value>(&text) else { return };
        for (name, split) in manifest["splits"].as_object_mut().unwrap() {
            let mut table = split["documents"].take();
            let files = split["shard_files"].as_array_mut().unwrap();
            for file in files.iter_mut().chain([&mut table]) {
                let path = self.path(name).join(file["name"].as_str().unwrap());
                if let Ok(bytes) = fs::read(path) {
                    file["bytes"] = json!(bytes.len());
                    file["checksum"] = json!(Checksum::of(&bytes));
                    if let Some(tail) = tail(&bytes).filter(|_| file["name"] != "documents.parquet") {
                        file["tail"] = json!(Tail::of(tail));
                    }
                }
            }
            split["documents"] = table;
            let bytes: u64 =
                split["shard_files"].as_array().unwrap().iter().map(|f| f["bytes"].as_u64().unwrap()).sum();
            self.seal_stats(name, bytes);
        }
        fs::write(self.path("manifest.json"), manifest.to_string()).unwrap();
    }

    /// Removes the unit records, which readers do not need and which repeat much of the manifest.
    fn forget_units(&self) {
        for split in ["a", "b"] {
            drop(fs::remove_file(self.path(split).join(format!("{split}_units.jsonl.zst"))));
        }
    }

    fn seal_stats(&self, split: &str, shard_bytes: u64) {
        let path = self.path(split).join(format!("{split}_stats.json"));
        let Ok(text) = fs::read(&path) else { return };
        let mut stats: Value = serde_json::from_slice(&text).unwrap();
        stats["shard_bytes"] = json!(shard_bytes);
        fs::write(path, stats.to_string()).unwrap();
    }

    fn bytes(&self, name: &str, change: impl FnOnce(&mut Vec<u8>)) {
        let mut bytes = fs::read(self.path(name)).unwrap_or_default();
        change(&mut bytes);
        fs::write(self.path(name), bytes).unwrap();
    }

    fn json(&self, name: &str, change: impl FnOnce(&mut Value)) {
        self.bytes(name, |bytes| {
            let mut value = serde_json::from_slice(bytes).unwrap();
            change(&mut value);
            *bytes = format!("{value}\n").into_bytes();
        });
    }

    fn manifest(&self, change: impl FnOnce(&mut Value)) {
        self.json("manifest.json", change);
    }

    fn split(&self, change: impl FnOnce(&mut Value)) {
        self.manifest(|manifest| change(&mut manifest["splits"]["a"]));
    }

    fn tokenizer(&self, change: impl FnOnce(&mut Value)) {
        self.manifest(|manifest| change(&mut manifest["tokenizer_identity"]));
    }

    fn remove(&self, name: &str) {
        fs::remove_file(self.path(name)).unwrap();
    }

    fn copy(&self, from: &str, to: &str) {
        fs::copy(self.path(from), self.path(to)).unwrap();
    }

    fn swap(&self, one: &str, other: &str) {
        let bytes = fs::read(self.path(one)).unwrap();
        self.copy(other, one);
        fs::write(self.path(other), bytes).unwrap();
    }

    fn rename_shard(&self, name: &str) {
        fs::rename(self.path(FIRST), self.path("a").join(name)).unwrap();
        self.split(|split| split["shard_files"][0]["name"] = json!(name));
    }

    /// Changes the first row group of a shard.
    fn rows(&self, shard: &str, change: impl FnOnce(&mut Group)) {
        self.groups(shard, |groups| change(&mut groups[0]));
    }

    /// Changes the row group with the padded row.
    fn last_rows(&self, change: impl FnOnce(&mut Group)) {
        self.groups(LAST, |groups| change(groups.last_mut().unwrap()));
    }

    /// Changes a shard's row groups; the stock writer writes them.
    fn groups(&self, shard: &str, change: impl FnOnce(&mut Vec<Group>)) {
        let mut groups = groups_of(&self.path(shard));
        change(&mut groups);
        write(&self.path(shard), MESSAGE, &groups);
    }

    /// Writes the first shard with a column of another name or type.
    fn columns(&self, name: &str, other: &str, element: &str) {
        let groups = groups_of(&self.path(FIRST));
        let message = MESSAGE.replacen(name, other, 1);
        let at = message.find(other).unwrap();
        let (before, after) = message.split_at(at);
        write(&self.path(FIRST), &format!("{before}{}", after.replacen("int32", element, 1)), &groups);
    }

    /// Changes the document table; our own writer writes it.
    fn documents(&self, change: impl FnOnce(&mut Vec<Document<String>>)) {
        let path = self.path(TABLE);
        let mut rows = documents::read(&path).unwrap().collect::<Result<Vec<_>, _>>().unwrap();
        change(&mut rows);
        let rows: Vec<Document<&str>> = rows.iter().map(borrowed).collect();
        let mut file = ParquetAppender::create(&path, documents::schema(Compression::Snappy)).unwrap();
        file.append(&DocumentsEncoder::new(Compression::Snappy).encode(&rows)).unwrap();
        file.finish().unwrap();
        let rows = rows.len();
        self.split(|split| {
            // A table of another length that says so is told by the number of samples.
            split["documents"]["rows"] = json!(rows);
        });
    }
}

fn borrowed(document: &Document<String>) -> Document<&str> {
    Document {
        doc_id: document.doc_id,
        id: document.id.as_deref(),
        source: document.source.as_deref(),
        category: document.category.as_deref(),
        content_hash: document.content_hash,
        tokens: document.tokens,
        unit: document.unit,
        row: document.row,
        position: document.position,
    }
}

/// The columns of a row group in the order of the schema.
#[derive(Debug, Clone, PartialEq)]
struct Group([Lists; 6]);

#[derive(Debug, Clone, Default, PartialEq)]
struct Lists {
    values: Vec<i64>,
    lengths: Vec<usize>,
}

impl Lists {
    /// Removes a value of the first row.
    fn remove(&mut self, at: usize) {
        self.values.remove(at);
        self.lengths[0] -= 1;
    }

    /// Inserts a value into the first row.
    fn insert(&mut self, at: usize, value: i64) {
        self.values.insert(at, value);
        self.lengths[0] += 1;
    }

    fn pop_row(&mut self) {
        let length = self.lengths.pop().unwrap();
        self.values.truncate(self.values.len() - length);
    }

    fn rows(&self) -> Vec<Vec<i64>> {
        let mut values = self.values.as_slice();
        self.lengths.iter().map(|&length| values.split_off(..length).unwrap().to_vec()).collect()
    }

    fn of(rows: &[Vec<i64>]) -> Self {
        Self { values: rows.concat(), lengths: rows.iter().map(Vec::len).collect() }
    }
}

impl Group {
    fn ids(&mut self) -> &mut Lists {
        &mut self.0[0]
    }

    fn mask(&mut self) -> &mut Lists {
        &mut self.0[1]
    }

    fn labels(&mut self) -> &mut Lists {
        &mut self.0[2]
    }

    /// Changes a token and the label that names it.
    fn set_token(&mut self, at: usize, token: i64) {
        self.ids().values[at] = token;
        self.labels().values[at - 1] = token;
    }

    /// Changes the token with which the first document ends that ends within a row.
    fn replace_end(&mut self, token: i64) {
        let at = (1..).find(|at| self.0[0].values[*at] == 50_256 && at % ROW_LENGTH > 0).unwrap();
        self.set_token(at, token);
    }

    /// Makes the labels those of another shift.
    fn shift_labels(&mut self, by: usize) {
        let rows = self.0[0].rows().into_iter().map(|row| {
            (0..row.len()).map(|at| row.get(at + by).copied().unwrap_or(-100)).collect::<Vec<_>>()
        });
        self.0[2] = Lists::of(&rows.collect::<Vec<_>>());
    }

    /// Sets the first label of a row's last position that is a token, or is none.
    fn last_label(&mut self, token: bool, label: i64) {
        let labels = &mut self.0[2].values;
        let at = (ROW_LENGTH - 1..labels.len()).step_by(ROW_LENGTH).find(|&at| (labels[at] >= 0) == token);
        labels[at.expect("there is such a row")] = label;
    }

    /// Sets the label of the last position of a row where a document ends.
    fn end_label(&mut self, label: i64) {
        // The padded row ends so, too; it is the last one.
        let rows = self.0[2].lengths.len();
        let at = (0..rows - 1).map(|row| (row + 1) * ROW_LENGTH - 1).find(|&at| self.0[2].values[at] < 0);
        self.0[2].values[at.expect("a document ends with a row")] = label;
    }

    /// Sets the label of the group's last position.
    fn group_label(&mut self, label: i64) {
        *self.0[2].values.last_mut().unwrap() = label;
    }

    /// Gives a token of a row's second piece to its first.
    fn move_border(&mut self) {
        let row = self.0[3].lengths.iter().position(|&pieces| pieces > 1).expect("a row with two pieces");
        let at: usize = self.0[3].lengths[..row].iter().sum();
        self.0[3].values[at] += 1;
        self.0[3].values[at + 1] -= 1;
    }

    /// Makes one piece of the first two of a row.
    fn join_pieces(&mut self) {
        let row = self.0[3].lengths.iter().position(|&pieces| pieces > 1).expect("a row with two pieces");
        let at: usize = self.0[3].lengths[..row].iter().sum();
        let second = self.0[3].values[at + 1];
        self.0[3].values[at] += second;
        for column in &mut self.0[3..] {
            column.values.remove(at + 1);
            column.lengths[row] -= 1;
        }
    }

    fn swap_rows(&mut self, one: usize, other: usize) {
        for column in &mut self.0 {
            let mut rows = column.rows();
            rows.swap(one, other);
            *column = Lists::of(&rows);
        }
    }

    fn copy_row(&mut self, from: usize, to: usize) {
        for column in &mut self.0 {
            let mut rows = column.rows();
            rows[to] = rows[from].clone();
            *column = Lists::of(&rows);
        }
    }
}

fn groups_of(path: &Path) -> Vec<Group> {
    let reader = ShardReader::open(path).unwrap();
    let group = |rows: mashbill_format::shard::ShardRows| {
        let row_count = rows.pieces_in_row.len();
        let wide = |values: &[i32]| Lists {
            values: values.iter().map(|&value| value.into()).collect(),
            lengths: vec![rows.row_length; row_count],
        };
        let pieces = |value: fn(&mashbill_format::shard::Piece) -> i64| Lists {
            values: rows.pieces.iter().map(value).collect(),
            lengths: rows.pieces_in_row.iter().map(|&count| count as usize).collect(),
        };
        Group([
            wide(&rows.input_ids),
            wide(&rows.attention_mask),
            wide(&rows.labels),
            pieces(|piece| piece.len.into()),
            pieces(|piece| piece.doc_id),
            pieces(|piece| piece.doc_offset.into()),
        ])
    };
    reader.row_groups().map(|rows| group(rows.unwrap())).collect()
}

const MESSAGE: &str = "message shard {
    required group input_ids (LIST) { repeated group list { required int32 element; } }
    required group attention_mask (LIST) { repeated group list { required int32 element; } }
    required group labels (LIST) { repeated group list { required int32 element; } }
    required group seq_lens (LIST) { repeated group list { required int32 element; } }
    required group doc_ids (LIST) { repeated group list { required int64 element; } }
    required group doc_offsets (LIST) { repeated group list { required int32 element; } }
}";

/// Writes row groups with the stock writer.
fn write(path: &Path, message: &str, groups: &[Group]) {
    let schema = std::sync::Arc::new(parse_message_type(message).unwrap());
    let properties = std::sync::Arc::new(WriterProperties::builder().build());
    let mut writer = SerializedFileWriter::new(fs::File::create(path).unwrap(), schema, properties).unwrap();
    let descriptors = writer.schema_descr().columns().to_vec();
    for group in groups {
        let mut row_group = writer.next_row_group().unwrap();
        for (lists, descriptor) in group.0.iter().zip(&descriptors) {
            let mut writer = row_group.next_column().unwrap().unwrap();
            let defined = descriptor.max_def_level();
            if descriptor.physical_type() == parquet::basic::Type::INT64 {
                write_lists::<Int64Type>(&mut writer, lists, defined, |value| value);
            } else {
                write_lists::<Int32Type>(&mut writer, lists, defined, |value| value as i32);
            }
            writer.close().unwrap();
        }
        row_group.close().unwrap();
    }
    writer.close().unwrap();
}

fn write_lists<T: DataType>(
    writer: &mut parquet::file::writer::SerializedColumnWriter<'_>,
    lists: &Lists,
    defined: i16,
    value: fn(i64) -> T::T,
) {
    let values: Vec<_> = lists.values.iter().map(|&v| value(v)).collect();
    let repetitions: Vec<i16> =
        lists.lengths.iter().flat_map(|&length| (0..length).map(|at| i16::from(at > 0))).collect();
    let definitions = vec![defined; values.len()];
    writer.typed::<T>().write_batch(&values, Some(&definitions), Some(&repetitions)).unwrap();
}
