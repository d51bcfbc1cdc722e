//! Bad input is counted by reason with file and line, the first of each kind is kept, and the rest goes on.

use std::fs;
use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use crate::project::{Project, Ran};

const GOOD: &str = "{\"text\":\"hello world\"}\n";

/// A project whose one file `a.jsonl` has this content, tokenized.
fn tokenized(content: impl AsRef<[u8]>, arguments: &str) -> (Project, Ran) {
    let project = Project::new();
    project.write("data/a.jsonl", content);
    let ran = project.tokenize(arguments);
    // A run without a document is no success.
    let documents = project.json("out/a/a_stats.json")["samples"].as_u64().expect("a number");
    let ran = ran.with_code(if documents > 0 { 0 } else { 3 });
    (project, ran)
}

/// The refused lines that were kept, as (line, reason), and the counts by reason.
fn refused(project: &Project) -> (Vec<(u64, String)>, Value) {
    let statistics = project.json("out/a/a_stats.json");
    if !project.path("out/a/a_rejects.jsonl").exists() {
        return (Vec::new(), statistics["rejected"].clone());
    }
    let kept = project.read("out/a/a_rejects.jsonl");
    let lines = kept.lines().map(|line| {
        let reject: Value = serde_json::from_str(line).expect("JSON");
        assert_eq!(reject["file"], "a.jsonl");
        (reject["line"].as_u64().expect("a number"), reject["reason"].as_str().expect("a name").to_owned())
    });
    (lines.collect(), statistics["rejected"].clone())
}

#[test]
fn each_kind_is_counted_with_its_line() {
    let mut content = Vec::new();
    for line in [
        &b"{\"text\":\"good\"}"[..],
        b"{\"text\":\"cut off",
        b"hello",
        b"",
        b"{\"txt\":\"no text\"}",
        b"{\"text\":17}",
        b"{\"text\":null}",
        b"{\"text\":\"\xff\xfe\"}",
        b"{\"text\":\"half \\ud83d a pair\"}",
        b"\"a string\"",
        b"[{\"text\":\"an array\"}]",
        b"   \t",
        b"{\"text\":\"good\"}",
    ] {
        content.extend_from_slice(line);
        content.push(b'\n');
    }
    let (project, ran) = tokenized(content, "");
    check!(ran, @r#"
    exit: 0
    --- stderr
    done a: 2 documents, 4 tokens, 1 row
    tokenized 2 documents into 4 tokens in [TIME] ([SPEED])
    1 row, 12 positions of padding (75.00 %), [SIZE] of shards ([RATIO] bytes a token)
    warning: a: 9 lines refused (invalid_json 2, json_array 1, not_an_object 1, no_text 1, text_not_string 2, invalid_utf8 1, lone_surrogate 1), see out/a/a_rejects.jsonl
    hint: a line that is an array is not a record; if the arrays hold records: jq -c '.[]' [PROJECT]/data/a.jsonl > a.lines.jsonl
    a begins with "good" "<|endoftext|>"
    1 split with 1 row of 16 tokens in out
    labels are shifted already: labels[i] is the token after input_ids[i]. Hugging Face models shift once more by themselves: give them input_ids as labels, not this column
    manifest: out/manifest.json
    hint: load it with mashbill.Dataset("out") or datasets.load_dataset("out")
    "#);
    let (lines, counts) = refused(&project);
    let lines: Vec<_> = lines.iter().map(|(line, reason)| (*line, reason.as_str())).collect();
    assert_eq!(
        lines,
        [
            (2, "invalid_json"),
            (3, "invalid_json"),
            (5, "no_text"),
            (6, "text_not_string"),
            (7, "text_not_string"),
            (8, "invalid_utf8"),
            (9, "lone_surrogate"),
            (10, "not_an_object"),
            (11, "json_array"),
        ]
    );
    assert_eq!(
        counts,
        json!({
            "invalid_json": 2, "json_array": 1, "not_an_object": 1, "no_text": 1, "text_not_string": 2,
            "invalid_utf8": 1, "lone_surrogate": 1,
        })
    );
    let statistics = project.json("out/a/a_stats.json");
    let numbers = ["samples", "lines", "blank_lines"].map(|name| statistics[name].as_u64());
    assert_eq!(numbers, [Some(2), Some(13), Some(2)]);
    assert_eq!(project.json("out/manifest.json")["splits"]["a"]["rejected"], counts);
}

#[test]
fn only_the_first_of_each_reason_are_kept() {
    let (project, _) = tokenized(format!("{}{GOOD}", "{\n".repeat(1000)), "");
    let (lines, counts) = refused(&project);
    assert_eq!(lines.iter().map(|(line, _)| *line).collect::<Vec<_>>(), (1..=20).collect::<Vec<_>>());
    assert_eq!(counts, json!({ "invalid_json": 1000 }));
}

#[test]
fn what_editors_leave_behind_is_no_fault() {
    let samples = |content: &[u8]| {
        let (project, _) = tokenized(content, "");
        let statistics = project.json("out/a/a_stats.json");
        assert_eq!(refused(&project).1, json!({}), "{content:?}");
        let number = |name: &str| statistics[name].as_u64().expect("a number");
        (number("samples"), number("blank_lines"), number("byte_order_marks"), number("tokens"))
    };
    assert_eq!(samples(b"{\"text\":\"hello world\"}\n"), (1, 0, 0, 3));
    // No line feed at the end.
    assert_eq!(samples(b"{\"text\":\"hello world\"}"), (1, 0, 0, 3));
    // Line ends of Windows.
    assert_eq!(samples(b"{\"text\":\"hello world\"}\r\n\r\n{\"text\":\"b\"}\r\n"), (2, 1, 0, 5));
    // A byte order mark.
    assert_eq!(samples(b"\xef\xbb\xbf{\"text\":\"hello world\"}\n"), (1, 0, 1, 3));
    // Blank lines.
    assert_eq!(samples(b"\n\n \n{\"text\":\"hello world\"}\n\n"), (1, 4, 0, 3));
    // Nothing at all.
    assert_eq!(samples(b""), (0, 0, 0, 0));
    assert_eq!(samples(b"\n"), (0, 1, 0, 0));
    // An empty text is a document of an EOS token.
    assert_eq!(samples(b"{\"text\":\"\"}\n"), (1, 0, 0, 1));
}

#[test]
fn texts_beyond_the_largest_document_are_refused() {
    let long = format!("{{\"text\":\"{}\"}}\n{GOOD}", "word ".repeat(100));
    let (project, _) = tokenized(&long, "--max-document 100");
    assert_eq!(refused(&project), (vec![(1, "too_large".into())], json!({ "too_large": 1 })));
    let (project, _) = tokenized(&long, "--max-document 500");
    assert_eq!(refused(&project), (vec![], json!({})));
}

/// A line that is longer than any document can be is read past, and its neighbors are found.
#[test]
fn a_line_of_twenty_megabytes_is_read_past() {
    let long = format!("{GOOD}{{\"text\":\"{}\"}}\n{GOOD}", "word ".repeat(4_000_000));
    let (project, _) = tokenized(long, "--max-document 1000");
    assert_eq!(refused(&project), (vec![(2, "too_large".into())], json!({ "too_large": 1 })));
    assert_eq!(project.json("out/a/a_stats.json")["samples"], 2);
}

#[test]
fn documents_without_tokens_are_refused() {
    let (project, _) = tokenized("{\"text\":\"\"}\n", "--no-eos");
    assert_eq!(refused(&project), (vec![(1, "no_tokens".into())], json!({ "no_tokens": 1 })));
}

#[test]
fn special_tokens_are_refused_with_their_line() {
    let content = format!("{GOOD}{{\"text\":\"<|endoftext|>\"}}\n");
    let (project, _) = tokenized(content, "--special-tokens-in-text reject");
    assert_eq!(refused(&project), (vec![(2, "special_tokens".into())], json!({ "special_tokens": 1 })));
}

#[test]
fn another_field_can_hold_the_text() {
    let (project, _) = tokenized("{\"content\":\"a b\"}\n", "--text-field content");
    assert_eq!(project.json("out/a/a_stats.json")["samples"], 1);
}

/// Splits that fail leave the others alone; what is missing is made when the file is there again.
#[test]
fn a_damaged_file_fails_its_split_alone() {
    let project = Project::with(&[("data/a.jsonl", GOOD), ("data/z.jsonl", GOOD)]);
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    for number in 0..20_000 {
        writeln!(encoder, "{{\"text\":\"number {number}\"}}").expect("memory");
    }
    let whole = encoder.finish().expect("memory");
    project.write("data/cut.jsonl.gz", &whole[..whole.len() / 2]);
    project.write("data/junk.jsonl.zst", "this is no frame");
    project.write("data/junk2.parquet", "this is no footer");
    check!(project.tokenize(""), @r#"
    exit: 3
    --- stderr
    done a: 1 document, 3 tokens, 1 row
    done z: 1 document, 3 tokens, 1 row
    tokenized 2 documents into 6 tokens in [TIME] ([SPEED])
    2 rows, 26 positions of padding (81.25 %), [SIZE] of shards ([RATIO] bytes a token)
    a begins with "hello" " world" "<|endoftext|>"
    2 splits with 2 rows of 16 tokens in out
    labels are shifted already: labels[i] is the token after input_ids[i]. Hugging Face models shift once more by themselves: give them input_ids as labels, not this column
    warning: cut was not made: cannot read `data/cut.jsonl.gz`: incomplete deflate stream
    warning: junk was not made: cannot read `data/junk.jsonl.zst`: it is plain text, but its name says zstd
    warning: junk2 was not made: `data/junk2.parquet` is damaged: it does not end as a Parquet file does
    hint: get the file again from its source, then run the same command again
    hint: mv data/junk.jsonl.zst data/junk.jsonl
    manifest: out/manifest.json
    hint: load it with mashbill.Dataset("out") or datasets.load_dataset("out")
    error: incomplete: 3 of 5 splits were not made: cut, junk, junk2
    hint: fix what is named above, then run the same command again
    "#);
    let manifest = project.json("out/manifest.json");
    assert_eq!(manifest["splits"].as_object().expect("splits").keys().collect::<Vec<_>>(), ["a", "z"]);
    assert!(!project.path("out/cut").exists());
    project.write("data/cut.jsonl.gz", &whole);
    fs::remove_file(project.path("data/junk.jsonl.zst")).expect("it was there");
    fs::remove_file(project.path("data/junk2.parquet")).expect("it was there");
    project.tokenize("").with_code(0);
    assert_eq!(project.json("out/manifest.json")["splits"]["cut"]["samples"], 20_000);
    assert!(!project.path("out/.mashbill").exists());
}

#[test]
fn a_parquet_file_without_the_text_column() {
    let project = Project::with(&[("data/a.jsonl", GOOD)]);
    project.tokenize("").with_code(0);
    // The document table has labels and numbers, and no text.
    fs::create_dir(project.path("more")).expect("a folder");
    fs::copy(project.path("out/a/_documents/shard_0000.documents"), project.path("more/a.parquet"))
        .expect("a copy");
    check!(project.run("tokenize --input more --tokenizer gpt2"), @r"
    exit: 3
    --- stderr
    warning: a was not made: `more/a.parquet` has no text column `text`; its columns are: doc_id (int64), id (string), source (string), category (string), content_hash (binary), tokens (int64), row (int64), position (int32)
    hint: name the column with `--text-field`
    error: incomplete: 1 of 1 split was not made: a
    hint: fix what is named above, then run the same command again
    ");
    // A label can be the text; here there is none, so every row is refused.
    let ran = project.run("tokenize --input more --tokenizer gpt2 --text-field source").with_code(3);
    assert!(ran.stderr.contains("1 line refused (no_text 1)"), "{ran}");
}

#[test]
fn a_folder_with_the_name_of_a_file_is_a_folder() {
    let project = Project::with(&[("data/x.jsonl/a.jsonl", GOOD), ("data/b.jsonl", GOOD)]);
    project.tokenize("").with_code(0);
    assert_eq!(project.json("out/manifest.json")["files_processed"], 1);
    project.tokenize("--recursive").with_code(0);
    assert_eq!(project.json("out/manifest.json")["files_processed"], 2);
}

#[cfg(unix)]
#[test]
fn files_that_cannot_be_read_fail_their_splits_alone() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::process::Command;
    let project = Project::with(&[("data/a.jsonl", GOOD)]);
    symlink("nowhere.jsonl", project.path("data/dangling.jsonl")).expect("a link");
    let pipe = Command::new("mkfifo").arg(project.path("data/pipe.jsonl")).status().expect("mkfifo is there");
    assert!(pipe.success());
    check!(project.tokenize(""), @r#"
    exit: 3
    --- stderr
    done a: 1 document, 3 tokens, 1 row
    tokenized 1 document into 3 tokens in [TIME] ([SPEED])
    1 row, 13 positions of padding (81.25 %), [SIZE] of shards ([RATIO] bytes a token)
    a begins with "hello" " world" "<|endoftext|>"
    1 split with 1 row of 16 tokens in out
    labels are shifted already: labels[i] is the token after input_ids[i]. Hugging Face models shift once more by themselves: give them input_ids as labels, not this column
    warning: dangling was not made: cannot read `data/dangling.jsonl`: No such file or directory (os error 2)
    warning: pipe.jsonl was not made: cannot read `data/pipe.jsonl`: it is a pipe, not a regular file
    hint: get the file again from its source, then run the same command again
    hint: give a file: write the output of a pipe or device to one first
    manifest: out/manifest.json
    hint: load it with mashbill.Dataset("out") or datasets.load_dataset("out")
    error: incomplete: 2 of 3 splits were not made: dangling, pipe.jsonl
    hint: fix what is named above, then run the same command again
    "#);
    fs::remove_file(project.path("data/dangling.jsonl")).expect("it was there");
    fs::remove_file(project.path("data/pipe.jsonl")).expect("it was there");
    project.write("data/locked.jsonl", GOOD);
    let locked = project.path("data/locked.jsonl");
    fs::set_permissions(&locked, fs::Permissions::from_mode(0o000)).expect("it is ours");
    if fs::read(&locked).is_ok() {
        println!("skipped in part: this user may read everything");
        return;
    }
    let ran = project.tokenize("").with_code(3);
    assert!(ran.stderr.contains("hint: make the file readable (chmod u+r)"), "{ran}");
}
