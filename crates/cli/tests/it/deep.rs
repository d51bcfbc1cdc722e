//! `verify --deep`: what only the source can tell.

use std::fs;

use mashbill_format::documents::{self, Document, DocumentsEncoder};
use mashbill_format::loss_spans::Loss;
use mashbill_parquet::encode::Compression;
use mashbill_parquet::file::ParquetAppender;
use mashbill_store::checksum::Checksum;
use serde_json::json;

use crate::project::Project;

fn tokenized() -> Project {
    let text =
        |words: usize| format!("{{\"id\":\"d{words}\",\"text\":\"{}\"}}\n", "some words ".repeat(words));
    let project = Project::with(&[
        ("data/a.jsonl", &(1..40).map(text).collect::<String>()),
        ("data/b.jsonl", "not json\n{\"text\":\"naïve café 日本\"}\n"),
    ]);
    project.tokenize("--shard-size 0.000002").with_code(0);
    project
}

#[test]
fn a_good_folder_is_made_again_as_it_is() {
    let project = tokenized();
    let ran = project.run("verify out --deep").with_code(0);
    assert!(ran.stderr.contains("40 documents encoded again from the source, "), "{ran}");
    let ran = project.run("verify out --deep --sample 1").with_code(0);
    assert!(
        ran.stderr
            .contains("40 documents encoded again from the source, 40 of them (100.0 %) by the reference"),
        "{ran}"
    );
    fs::rename(project.path("data"), project.path("moved")).expect("it is there");
    let ran = project.run("verify out --deep").with_code(4);
    assert!(ran.stderr.contains("error: a: its source `a.jsonl`: "), "{ran}");
    assert!(
        ran.stderr.contains(
            "hint: say with PATH where what was tokenized is now: `mashbill verify out --deep --source PATH`"
        ),
        "{ran}"
    );
    assert!(ran.stderr.contains("out is good, but") && !ran.stderr.contains("damaged"), "{ran}");
    project.run("verify out --deep --source moved").with_code(0);
}

/// A token that was replaced together with its label stands nowhere else in the folder.
#[test]
fn a_document_that_was_exchanged_is_found() {
    let project = tokenized();
    // The source says something else now, at the same length.
    let text = project.read("data/a.jsonl").replacen("some words some", "some birds some", 1);
    project.write("data/a.jsonl", text);
    let ran = project.run("verify out --deep").with_code(4);
    assert!(ran.stderr.contains("error: a: document "), "{ran}");
    assert!(ran.stderr.contains("its text is different (source)"), "{ran}");
}

#[test]
fn what_the_table_says_of_texts_is_compared() {
    for (change, said) in [
        ((|d: &mut Document<String>| d.id = Some("x".into())) as fn(&mut _), "its id is different"),
        (|d| d.source = Some("x".into()), "its source is different"),
        (|d| d.category = Some("x".into()), "its category is different"),
        (|d| d.content_hash = Checksum::of(b"x"), "its text is different"),
    ] {
        let project = tokenized();
        let path = project.path("out/b/_documents/shard_0000.documents");
        let rows = documents::read(&path).expect("a table").collect::<Result<Vec<_>, _>>();
        let mut rows = rows.expect("documents");
        change(&mut rows[0]);
        let rows: Vec<_> = rows.iter().map(Document::as_deref).collect();
        let schema = documents::schema(Compression::Snappy, Loss::All);
        let mut file = ParquetAppender::create(&path, schema).expect("a file");
        file.append(&DocumentsEncoder::new(Compression::Snappy).encode(&rows)).expect("it is written");
        let written = file.finish().expect("it is written");
        let mut manifest = project.json("out/manifest.json");
        let recorded = &mut manifest["splits"]["b"]["shard_list"][0]["table"];
        recorded["bytes"] = json!(written.bytes);
        recorded["checksum"] = json!(written.checksum);
        project.write("out/manifest.json", manifest.to_string());
        // The folder agrees with itself; the source does not agree with it.
        project.run("verify out").with_code(0);
        let ran = project.run("verify out --deep").with_code(4);
        assert!(ran.stderr.contains(said), "{said}: {ran}");
    }
}

#[test]
fn a_source_that_has_grown_or_shrunk_is_found() {
    let project = tokenized();
    let text = project.read("data/a.jsonl");
    project.write("data/a.jsonl", format!("{text}{{\"text\":\"more\"}}\n"));
    let ran = project.run("verify out --deep").with_code(4);
    assert!(ran.stderr.contains("the table does not"), "{ran}");
    let (shorter, _) = text.trim_end().rsplit_once('\n').expect("two lines");
    project.write("data/a.jsonl", format!("{shorter}\n"));
    let ran = project.run("verify out --deep").with_code(4);
    assert!(ran.stderr.contains("the document table has documents that the source does not have"), "{ran}");
}

#[test]
fn a_shard_with_rows_of_another_length_is_found() {
    let project = tokenized();
    let shorter =
        "tokenize --input data --output shorter --tokenizer gpt2 --max-seq-length 8 --shard-size 0.000002";
    project.run(shorter).with_code(0);
    let shard = |folder: &str| project.path(folder).join("a/shard_0000.parquet");
    fs::copy(shard("shorter"), shard("out")).expect("it is there");
    let ran = project.run("verify out --deep").with_code(4);
    assert!(ran.stderr.contains("error: a: document "), "{ran}");
    assert!(ran.stderr.contains(": its token "), "{ran}");
}
