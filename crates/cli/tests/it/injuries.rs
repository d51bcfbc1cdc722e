//! `verify` finds every injury in the table, as it is and with all checksums sealed again over it, and finds
//! nothing in datasets that have none. A new injury is a line.

#![expect(clippy::unwrap_used, reason = "a test fails where it panics")]

mod folder;
mod masked;
mod chat;

use std::fs;
use std::path::Path;
use std::sync::LazyLock;
use std::sync::atomic::AtomicBool;

use mashbill_format::documents::Document;
use mashbill_verify::{Options, ProblemKind, verify};
use serde_json::{Value, json};

use crate::project::Project;
use folder::{Folder, Group, Lists, groups_of};

/// The injuries: what is done, and what `verify` has to call it even when all checksums fit.
const INJURIES: &[Injury] = &[
    // Ids, masks and labels.
    ("an id is another one", ProblemKind::Labels, |f| f.rows(FIRST, |g| g.ids().values[5] += 1)),
    ("an id and its label are another one's", ProblemKind::Encoding, |f| {
        f.rows(FIRST, |g| g.set_token(5, 11))
    }),
    ("an id is outside the vocabulary", ProblemKind::Ids, |f| f.rows(FIRST, |g| g.set_token(5, 50_257))),
    ("an id is negative", ProblemKind::Ids, |f| f.rows(FIRST, |g| g.set_token(5, -1))),
    ("an id is the ignored label", ProblemKind::Ids, |f| f.rows(FIRST, |g| g.set_token(5, -100))),
    ("the end of a document is another token", ProblemKind::SpecialTokens, |f| {
        f.rows(FIRST, |g| g.replace_end(11))
    }),
    ("a label is another one", ProblemKind::Labels, |f| f.rows(FIRST, |g| g.labels().values[3] = 7)),
    ("a label is ignored", ProblemKind::Labels, |f| f.rows(FIRST, |g| g.labels().values[3] = -100)),
    ("labels are the ids", ProblemKind::Labels, |f| f.rows(FIRST, |g| g.shift_labels(0))),
    ("labels are shifted twice", ProblemKind::Labels, |f| f.rows(FIRST, |g| g.shift_labels(2))),
    ("labels are shifted the other way", ProblemKind::Labels, |f| {
        f.rows(FIRST, |g| g.labels().values.rotate_right(2))
    }),
    ("a row's last label is another token", ProblemKind::Labels, |f| {
        f.rows(FIRST, |g| g.last_label(true, 7))
    }),
    ("a row's last label is ignored, and its document goes on", ProblemKind::Labels, |f| {
        f.rows(FIRST, |g| g.last_label(true, -100));
    }),
    ("a row's last label is a token, and its document ends", ProblemKind::Labels, |f| {
        f.rows(ENDING, |g| g.end_label(7))
    }),
    ("a label of padding is a token", ProblemKind::Labels, |f| {
        f.last_rows(|g| *g.labels().values.last_mut().unwrap() = 7)
    }),
    ("the mask has a hole", ProblemKind::AttentionMask, |f| f.rows(FIRST, |g| g.mask().values[4] = 0)),
    ("the mask has a 2", ProblemKind::AttentionMask, |f| f.rows(FIRST, |g| g.mask().values[4] = 2)),
    ("the mask covers padding", ProblemKind::AttentionMask, |f| {
        f.last_rows(|g| *g.mask().values.last_mut().unwrap() = 1)
    }),
    ("the mask ends early", ProblemKind::AttentionMask, |f| f.rows(FIRST, |g| g.mask().values[15] = 0)),
    ("padding is another token", ProblemKind::Padding, |f| {
        f.last_rows(|g| *g.ids().values.last_mut().unwrap() = 7)
    }),
    // Lengths and pieces.
    ("a row is too short", ProblemKind::RowLength, |f| {
        f.rows(FIRST, |g| (0..3).for_each(|c| g.0[c].remove(3)))
    }),
    ("a row is too long", ProblemKind::RowLength, |f| {
        f.rows(FIRST, |g| (0..3).for_each(|c| g.0[c].insert(3, 7)))
    }),
    ("a row's labels are too short", ProblemKind::RowLength, |f| f.rows(FIRST, |g| g.labels().remove(3))),
    ("a row's mask is too long", ProblemKind::RowLength, |f| f.rows(FIRST, |g| g.mask().insert(3, 1))),
    ("a border of documents is off by one", ProblemKind::Pieces, |f| f.rows(ENDING, Group::move_border)),
    ("seq_lens sum to less", ProblemKind::Pieces, |f| f.rows(FIRST, |g| g.0[3].values[0] -= 1)),
    ("seq_lens sum to more", ProblemKind::Pieces, |f| f.rows(FIRST, |g| g.0[3].values[0] += 1)),
    ("a length is negative", ProblemKind::Pieces, |f| f.rows(FIRST, |g| g.0[3].values[0] = -1)),
    ("a key is another document's", ProblemKind::Pieces, |f| f.rows(FIRST, |g| g.0[4].values[0] += 1)),
    ("a key is nobody's", ProblemKind::Pieces, |f| f.rows(FIRST, |g| g.0[4].values[0] = -5)),
    ("an offset is off by one", ProblemKind::Pieces, |f| {
        f.rows(FIRST, |g| *g.0[5].values.last_mut().unwrap() += 1)
    }),
    ("a row has a key too many", ProblemKind::Pieces, |f| f.rows(FIRST, |g| g.0[4].insert(0, 5))),
    ("two pieces are one", ProblemKind::Pieces, |f| f.rows(ENDING, Group::join_pieces)),
    // Rows and shards; what shards of several row groups can suffer is in the tests of `mashbill-format`.
    ("two rows are swapped", ProblemKind::Pieces, |f| f.rows(FIRST, |g| g.swap_rows(0, 1))),
    ("a row stands twice", ProblemKind::Pieces, |f| f.rows(FIRST, |g| g.copy_row(0, 1))),
    ("a row is gone", ProblemKind::Rows, |f| f.rows(FIRST, |g| g.0.iter_mut().for_each(Lists::pop_row))),
    ("a row group stands twice", ProblemKind::Rows, |f| {
        f.groups(FIRST, |groups| groups.push(groups[0].clone()))
    }),
    ("the same values are encoded otherwise", ProblemKind::Encoding, |f| f.groups(FIRST, |_| ())),
    ("two shards are swapped", ProblemKind::Pieces, |f| f.swap(FIRST, "a/shard_0001.parquet")),
    ("a shard is that of another split", ProblemKind::Pieces, |f| f.copy("b/shard_0000.parquet", FIRST)),
    ("a shard is gone", ProblemKind::Missing, |f| f.remove(FIRST)),
    ("a shard is empty", ProblemKind::Unreadable, |f| f.bytes(FIRST, Vec::clear)),
    ("a shard is cut off", ProblemKind::Unreadable, |f| f.bytes(FIRST, |b| b.truncate(b.len() / 2))),
    ("a shard's beginning is gone", ProblemKind::Encoding, |f| f.bytes(FIRST, |b| b[..4].fill(0))),
    ("a shard goes on after its end", ProblemKind::Unreadable, |f| f.bytes(FIRST, |b| b.extend([0; 8]))),
    ("a shard is called otherwise", ProblemKind::Sums, |f| f.rename_shard("shard_0007.parquet")),
    ("a column is called otherwise", ProblemKind::Columns, |f| f.columns("labels", "targets", "int32")),
    ("a column has another type", ProblemKind::Columns, |f| f.columns("labels", "labels", "int64")),
    ("a column is optional", ProblemKind::Columns, |f| {
        f.columns("required group labels", "optional group labels", "int32")
    }),
    ("there are spans of learned tokens, which the manifest does not require", ProblemKind::Columns, |f| {
        f.rows(FIRST, |g| {
            let rows = vec![vec![0, ROW_LENGTH as i64]; g.0[0].lengths.len()];
            g.0.push(Lists::of(&rows));
        });
    }),
    // The document tables.
    ("a document table is gone", ProblemKind::Missing, |f| f.remove(TABLE)),
    ("a document table is cut off", ProblemKind::Unreadable, |f| f.bytes(TABLE, |b| b.truncate(b.len() / 2))),
    ("a document is longer", ProblemKind::DocumentTable, |f| f.documents(|d| d[1].tokens += 1)),
    ("a document has no tokens", ProblemKind::DocumentTable, |f| f.documents(|d| d[1].tokens = 0)),
    ("the last document is longer", ProblemKind::DocumentTable, |f| {
        f.documents(|d| d.last_mut().unwrap().tokens += 1)
    }),
    ("a document stands a position later", ProblemKind::DocumentTable, |f| {
        f.documents(|d| d[1].position += 1)
    }),
    ("a document stands a row later", ProblemKind::DocumentTable, |f| f.documents(|d| d[1].row += 1)),
    ("a document begins behind its shard's stretch", ProblemKind::DocumentTable, |f| {
        f.documents(|d| d.last_mut().unwrap().doc_id += 1_000_000);
    }),
    ("two document tables are swapped", ProblemKind::DocumentTable, |f| {
        f.swap(TABLE, "a/_documents/shard_0001.documents");
    }),
    ("the document tables are gone", ProblemKind::Missing, |f| {
        fs::remove_dir_all(f.path("a/_documents")).unwrap()
    }),
    ("a document table is there that nobody lists", ProblemKind::Stray, |f| {
        f.copy(TABLE, "a/_documents/shard_0099.documents");
    }),
    ("a shard lies among the document tables", ProblemKind::Stray, |f| {
        f.copy(FIRST, "a/_documents/shard_0000.parquet");
    }),
    ("a document table is called otherwise", ProblemKind::Sums, |f| {
        fs::rename(f.path(TABLE), f.path("a/_documents/shard_0007.documents")).unwrap();
        f.shards(|shards| shards[0]["table"]["name"] = json!("shard_0007.documents"));
    }),
    ("two documents have the same key", ProblemKind::DocumentTable, |f| {
        f.documents(|d| d[1].doc_id = d[0].doc_id)
    }),
    ("a document has another key", ProblemKind::Pieces, |f| f.documents(|d| d[1].doc_id += 1)),
    ("a document is gone", ProblemKind::Sums, |f| f.documents(|d| drop(d.remove(1)))),
    ("a document stands twice", ProblemKind::Sums, |f| f.documents(|d| d.insert(1, d[1].clone()))),
    ("two documents have changed their lengths", ProblemKind::Pieces, |f| {
        f.documents(|d| move_token(&mut d[..2]))
    }),
    // The manifest.
    ("the manifest is gone", ProblemKind::Manifest, |f| {
        f.remove("manifest.json");
        fs::create_dir(f.path(".mashbill")).unwrap();
    }),
    ("the manifest is cut off", ProblemKind::Manifest, |f| {
        f.bytes("manifest.json", |b| b.truncate(b.len() / 2))
    }),
    ("the manifest lacks a field", ProblemKind::Manifest, |f| {
        f.manifest(|m| drop(m.as_object_mut().unwrap().remove("layout")))
    }),
    ("a number is a text", ProblemKind::Manifest, |f| f.split(|s| s["tokens"] = json!("many"))),
    ("text_tokens is off by one", ProblemKind::Sums, |f| {
        f.split(|s| add(&mut s["ledger"]["text_tokens"], 1))
    }),
    ("special_tokens is off by one", ProblemKind::Sums, |f| {
        f.split(|s| add(&mut s["ledger"]["special_tokens"], 1))
    }),
    ("a special token is called text", ProblemKind::Sums, |f| {
        f.split(|s| {
            add(&mut s["ledger"]["special_tokens"], -1);
            add(&mut s["ledger"]["text_tokens"], 1);
        })
    }),
    ("padding is off by one", ProblemKind::Sums, |f| f.split(|s| add(&mut s["ledger"]["padding"], 1))),
    ("literal_special_tokens is more than there are", ProblemKind::Stats, |f| {
        f.split(|s| add(&mut s["ledger"]["literal_special_tokens"], 1));
    }),
    ("tokens is off by one", ProblemKind::Sums, |f| f.split(|s| add(&mut s["tokens"], 1))),
    ("sequences is off by one", ProblemKind::Sums, |f| f.split(|s| add(&mut s["sequences"], 1))),
    ("samples is off by one", ProblemKind::Sums, |f| f.split(|s| add(&mut s["samples"], 1))),
    ("shards is off by one", ProblemKind::Sums, |f| f.split(|s| add(&mut s["shards"], 1))),
    ("files_processed is off by one", ProblemKind::Sums, |f| {
        f.manifest(|m| add(&mut m["files_processed"], 1))
    }),
    ("a shard's rows are off by one", ProblemKind::Rows, |f| f.shards(|s| add(&mut s[0]["file"]["rows"], 1))),
    ("rows have moved between shards", ProblemKind::Rows, |f| {
        f.shards(|s| {
            add(&mut s[0]["file"]["rows"], 1);
            add(&mut s[1]["file"]["rows"], -1);
        })
    }),
    ("a shard is not listed", ProblemKind::Stray, |f| f.shards(|s| drop(s.pop()))),
    ("a shard with documents has no file", ProblemKind::Manifest, |f| {
        f.shards(|s| {
            s[1].as_object_mut().unwrap().remove("file");
            s[1].as_object_mut().unwrap().remove("table");
        })
    }),
    ("a split is not listed", ProblemKind::Stray, |f| {
        f.manifest(|m| drop(m["splits"].as_object_mut().unwrap().remove("b")))
    }),
    ("a document has moved between shards", ProblemKind::Sums, |f| {
        f.shards(|s| {
            add(&mut s[0]["documents"], 1);
            add(&mut s[1]["documents"], -1);
        })
    }),
    ("a token has moved between shards", ProblemKind::DocumentTable, |f| {
        f.shards(|s| token_of_another_shard(s))
    }),
    ("a shard's tokens are off by one", ProblemKind::Sums, |f| f.shards(|s| add(&mut s[0]["tokens"], 1))),
    ("a shard's padding is off by one", ProblemKind::Sums, |f| f.shards(|s| add(&mut s[0]["padding"], 1))),
    ("a shard's padding fills a row", ProblemKind::Sums, |f| {
        f.shards(|s| {
            add(&mut s[0]["padding"], ROW_LENGTH as i64);
            add(&mut s[0]["file"]["rows"], 1);
        });
    }),
    ("a stretch begins elsewhere", ProblemKind::Manifest, |f| {
        f.shards(|s| add(&mut s[1]["input"]["start"], 1))
    }),
    ("a stretch ends before its documents", ProblemKind::DocumentTable, |f| {
        f.shards(|s| {
            s[0]["input"]["end"] = json!(1);
            s[1]["input"]["start"] = json!(1);
        })
    }),
    ("a border of stretches has moved", ProblemKind::Sums, |f| {
        f.shards(|s| {
            add(&mut s[0]["input"]["end"], 1);
            add(&mut s[1]["input"]["start"], 1);
        })
    }),
    ("a stretch has another number of bytes", ProblemKind::Sums, |f| {
        f.shards(|s| add(&mut s[0]["input"]["bytes"], 1))
    }),
    ("the source's bytes are other ones", ProblemKind::Sums, |f| {
        f.split(|s| add(&mut s["source"]["bytes"], 1))
    }),
    ("a stretch is another one", ProblemKind::Identity, |f| {
        f.shards(|s| s[0]["input"]["checksum"] = json!("0".repeat(32)))
    }),
    ("the source is another one", ProblemKind::Identity, |f| {
        f.split(|s| s["source"]["checksum"] = json!("0".repeat(32)))
    }),
    ("the identity is another one", ProblemKind::Identity, |f| {
        f.split(|s| s["identity"] = json!("0".repeat(32)))
    }),
    ("the tokenizer is another one", ProblemKind::Identity, |f| {
        f.tokenizer(|t| t["sha256"] = json!("0".repeat(64)))
    }),
    ("the vocabulary is smaller", ProblemKind::Ids, |f| f.tokenizer(|t| t["vocabulary_size"] = json!(300))),
    ("documents should begin with a token", ProblemKind::SpecialTokens, |f| {
        f.tokenizer(|t| t["ids_before"] = json!([1]))
    }),
    ("the pad token is another one", ProblemKind::Padding, |f| f.tokenizer(|t| t["pad"]["id"] = json!(7))),
    ("an option is another one", ProblemKind::Identity, |f| {
        f.manifest(|m| m["options"]["text_field"] = json!("body"))
    }),
    ("the row length is another one", ProblemKind::RowLength, |f| {
        f.manifest(|m| {
            m["max_seq_length"] = json!(8);
            m["options"]["max_seq_length"] = json!(8);
        })
    }),
    ("the row length is two", ProblemKind::Sums, |f| f.manifest(|m| m["max_seq_length"] = json!(8))),
    ("there is no row length", ProblemKind::Manifest, |f| {
        f.manifest(|m| m["options"]["max_seq_length"] = json!(0))
    }),
    ("the label convention is another one", ProblemKind::Manifest, |f| {
        f.manifest(|m| m["labels"]["convention"] = json!("unshifted"));
    }),
    ("another label is ignored", ProblemKind::Identity, |f| {
        f.manifest(|m| m["labels"]["ignore_index"] = json!(-1))
    }),
    ("special tokens are spelled in a way that nobody knows", ProblemKind::Manifest, |f| {
        f.manifest(|m| m["tokenizer_identity"]["special_tokens_in_text"] = json!("magic"))
    }),
    ("the packing is another one", ProblemKind::Manifest, |f| {
        f.manifest(|m| m["options"]["packing"] = json!("magic"))
    }),
    ("the stride is another one", ProblemKind::Sums, |f| {
        f.manifest(|m| add(&mut m["options"]["stride_bytes"], 1))
    }),
    ("the layout is another one", ProblemKind::Identity, |f| {
        f.manifest(|m| m["layout"]["rows_per_page"] = json!(1))
    }),
    ("the compression is another one", ProblemKind::Encoding, |f| {
        f.manifest(|m| m["options"]["compression"] = json!("zstd"))
    }),
    ("refused lines are counted otherwise", ProblemKind::Rejects, |f| {
        f.split(|s| s["rejected"] = json!({"invalid_json": 2}))
    }),
    // What stands beside.
    ("the statistics are gone", ProblemKind::Stats, |f| f.remove("a/a_stats.json")),
    ("the statistics are stale", ProblemKind::Stats, |f| {
        f.json("a/a_stats.json", |s| add(&mut s["tokens"], 1))
    }),
    ("the statistics' lines are off by one", ProblemKind::Stats, |f| {
        f.json("a/a_stats.json", |s| add(&mut s["lines"], 1))
    }),
    ("the statistics are another split's", ProblemKind::Stats, |f| {
        f.copy("b/b_stats.json", "a/a_stats.json")
    }),
    ("the statistics' lengths are other ones", ProblemKind::Stats, |f| {
        f.json("a/a_stats.json", |s| add(&mut s["document_tokens"]["max"], 1));
    }),
    ("the statistics' lengths of a shard are other ones", ProblemKind::Stats, |f| {
        f.json("a/a_stats.json", |s| {
            s["document_tokens"]["max"] = json!(1000);
            s["shards"][0]["document_tokens"]["max"] = json!(1000);
        });
    }),
    ("the statistics of two shards are swapped", ProblemKind::Stats, |f| {
        f.json("a/a_stats.json", |s| s["shards"].as_array_mut().unwrap().swap(0, 1));
    }),
    ("the statistics lack a shard", ProblemKind::Stats, |f| {
        f.json("a/a_stats.json", |s| drop(s["shards"].as_array_mut().unwrap().pop()));
    }),
    ("the statistics count more than there can be", ProblemKind::Stats, |f| {
        f.json("a/a_stats.json", |s| {
            for shard in s["shards"].as_array_mut().unwrap() {
                shard["lines"] = json!(u64::MAX);
                shard["ledger"]["text_tokens"] = json!(u64::MAX);
            }
        });
    }),
    ("a refused line is gone", ProblemKind::Rejects, |f| f.bytes("a/a_rejects.jsonl", Vec::clear)),
    ("the refused lines are gone", ProblemKind::Rejects, |f| f.remove("a/a_rejects.jsonl")),
    ("a refused line is no JSON", ProblemKind::Rejects, |f| f.bytes("a/a_rejects.jsonl", |b| b.truncate(20))),
    ("a refused line is of another file", ProblemKind::Rejects, |f| {
        f.json("a/a_rejects.jsonl", |r| r["file"] = json!("c.jsonl"))
    }),
    ("a shard is there that nobody lists", ProblemKind::Stray, |f| f.copy(FIRST, "a/shard_0099.parquet")),
    ("a file is there that nobody knows", ProblemKind::Stray, |f| f.bytes("a/notes.txt", |b| b.push(b'x'))),
    ("a shard lies beside the splits", ProblemKind::Stray, |f| f.copy(FIRST, "shard_0000.parquet")),
    ("a folder with shards is no split", ProblemKind::Stray, |f| {
        fs::create_dir(f.path("old")).unwrap();
        f.copy(FIRST, "old/shard_0000.parquet");
    }),
];

/// What is done in words, what it has to be called, and how it is done.
type Injury = (&'static str, ProblemKind, fn(&Folder));

const FIRST: &str = "a/shard_0000.parquet";
/// A shard in which documents end.
const ENDING: &str = "b/shard_0000.parquet";
/// The shard with the padded row.
const LAST: &str = "b/shard_0000.parquet";
const TABLE: &str = "a/_documents/shard_0000.documents";

const ROW_LENGTH: usize = 16;

/// A dataset that is good, made once: two splits, of which the first has several shards.
static GOOD: LazyLock<Project> = LazyLock::new(|| {
    let project =
        Project::with(&[("data/a.jsonl", &documents_of(60, 7)), ("data/b.jsonl", &documents_of(5, 2))]);
    project.tokenize("--shard-size 0.000003").with_code(0);
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
    let missed = missed(INJURIES, &GOOD.path("out"), |_| ());
    assert!(missed.is_empty(), "{} of {}\n{}", missed.len(), INJURIES.len(), missed.join("\n"));
}

/// The injuries of the folder `good` that are not found; `look` sees each folder when it is sealed again.
fn missed(injuries: &[Injury], good: &Path, look: fn(&Folder)) -> Vec<String> {
    let mut missed = Vec::new();
    for (name, kind, injure) in injuries {
        let folder = Folder::copy_of(good);
        injure(&folder);
        let found = folder.verify();
        if found.is_good() {
            missed.push(format!("{name}: not found"));
        }
        folder.seal();
        let found = folder.verify();
        if found.is_good() || !found.problems.iter().any(|problem| problem.kind == *kind) {
            missed.push(format!(
                "{name}: sealed again it is not found as {kind:?} but as {:#?}",
                found.problems
            ));
        }
        if found
            .problems
            .iter()
            .any(|problem| matches!(problem.kind, ProblemKind::Checksum | ProblemKind::Size))
        {
            missed.push(format!("{name}: it was not sealed"));
        }
        look(&folder);
    }
    missed
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
        "--compression zstd --shard-size 0.000001",
        "--compression none --shard-size 0.000003",
        "--no-eos",
        "--special-tokens-in-text reject --shard-size 0.000001",
        "--threads 3 --shard-size 0.000002",
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
        let told = |kind| matches!(kind, ProblemKind::Empty | ProblemKind::Refused);
        assert!(
            found.problems.iter().all(|problem| told(problem.kind)),
            "{arguments}: {:#?}",
            found.problems
        );
        assert_eq!(found.rows, sum(&project, "sequences"), "{arguments}");
    }
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/golden/v2/output");
    let found = Folder::copy_of(&golden).verify();
    assert!(found.problems.iter().all(|problem| problem.kind == ProblemKind::Empty), "{:#?}", found.problems);
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

/// Gives a token of one shard to another one, in the manifest: no sum of rows or of a split is another one then.
fn token_of_another_shard(shards: &mut [Value]) {
    let padding = |shard: &Value| shard["padding"].as_u64().unwrap();
    let to = shards.iter().position(|shard| padding(shard) > 0).expect("a shard with padding");
    let room = |from: &usize| *from != to && padding(&shards[*from]) + 1 < ROW_LENGTH as u64;
    let from = (0..shards.len()).find(room).expect("another shard with room for more");
    for (shard, tokens) in [(to, 1), (from, -1)] {
        add(&mut shards[shard]["tokens"], tokens);
        add(&mut shards[shard]["padding"], -tokens);
    }
}
