//! What a second run does, and what a run tells.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::SystemTime;

use mashbill_format::manifest;
use mashbill_parquet::encode::Compression;
use mashbill_tokenize::input::SplitNames;
use mashbill_tokenize::plan::{FinishedSplits, TASK_BYTES};
use mashbill_tokenize::{Error, Options, plan};
use mashbill_tokenizer::{Tokenizer, TokenizerOptions, embedded};
use serde_json::{Value, json};

use crate::project::{Project, files_below};

const ONE: &str = "{\"text\":\"hello world\"}\n";
const TWO: &str = "{\"text\":\"good morning\"}\n{\"text\":\"good night\"}\n";

fn two_files() -> Project {
    Project::with(&[("data/a.jsonl", ONE), ("data/b.jsonl", TWO)])
}

/// When each file below `folder` was last written.
fn written(folder: &Path) -> BTreeMap<String, SystemTime> {
    let modified = |name: &String| fs::metadata(folder.join(name)).and_then(|found| found.modified());
    files_below(folder).into_keys().map(|name| (name.clone(), modified(&name).expect("a time"))).collect()
}

/// Gives a file another modification time and leaves its content alone.
fn touch(path: &Path) {
    let file = fs::File::options().append(true).open(path).expect("a file");
    file.set_modified(SystemTime::UNIX_EPOCH).expect("it is ours");
}

#[test]
fn a_first_run_tells_what_came_out() {
    check!(two_files().tokenize(""), @r#"
    exit: 0
    --- stderr
    done a: 1 document, 3 tokens, 1 row
    done b: 2 documents, 6 tokens, 1 row
    tokenized 3 documents into 9 tokens in [TIME] ([SPEED])
    2 rows, 23 positions of padding (71.88 %), [SIZE] of shards ([RATIO] bytes a token)
    a begins with "hello" " world" "<|endoftext|>"
    2 splits with 2 rows of 16 tokens in out
    labels are shifted already: labels[i] is the token after input_ids[i]. Hugging Face models shift once more by themselves: give them input_ids as labels, not this column
    manifest: out/manifest.json
    hint: load it with mashbill.Dataset("out") or datasets.load_dataset("out")
    "#);
}

#[test]
fn an_unchanged_run_leaves_everything_alone() {
    let project = two_files();
    project.tokenize("").with_code(0);
    let before = written(&project.path("out"));
    assert_eq!(before.len(), 8, "{before:?}");
    check!(project.tokenize(""), @r#"
    exit: 0
    --- stderr
    2 finished splits unchanged, skipped: a, b
    2 splits with 2 rows of 16 tokens in out
    manifest: out/manifest.json
    hint: load it with mashbill.Dataset("out") or datasets.load_dataset("out")
    "#);
    project.tokenize("--skip-existing").with_code(0);
    project.tokenize("--rehash").with_code(0);
    assert_eq!(files_below(&project.path("out")).len(), 8);
    let after = written(&project.path("out"));
    // Reading the input again is noted in the statistics.
    let but_statistics = |files: &BTreeMap<String, SystemTime>| {
        files.clone().into_iter().filter(|(name, _)| !name.ends_with("_stats.json")).collect::<Vec<_>>()
    };
    assert_eq!(but_statistics(&before), but_statistics(&after));
    assert!(!project.path("out/.mashbill").exists());
}

#[test]
fn a_new_file_only_adds_its_split() {
    let project = two_files();
    project.tokenize("").with_code(0);
    let before = written(&project.path("out"));
    project.write("data/c.jsonl", ONE);
    check!(project.tokenize(""), @r#"
    exit: 0
    --- stderr
    2 finished splits unchanged, skipped: a, b
    done c: 1 document, 3 tokens, 1 row
    tokenized 1 document into 3 tokens in [TIME] ([SPEED])
    1 row, 13 positions of padding (81.25 %), [SIZE] of shards ([RATIO] bytes a token)
    c begins with "hello" " world" "<|endoftext|>"
    3 splits with 3 rows of 16 tokens in out
    labels are shifted already: labels[i] is the token after input_ids[i]. Hugging Face models shift once more by themselves: give them input_ids as labels, not this column
    manifest: out/manifest.json
    hint: load it with mashbill.Dataset("out") or datasets.load_dataset("out")
    "#);
    let after = written(&project.path("out"));
    for (name, time) in before.iter().filter(|(name, _)| name.contains('/')) {
        assert_eq!(after[name], *time, "{name}");
    }
    let splits = project.json("out/manifest.json")["splits"].clone();
    assert_eq!(splits.as_object().expect("splits").keys().collect::<Vec<_>>(), ["a", "b", "c"]);
}

#[test]
fn a_touched_file_is_recognized_by_its_content() {
    let project = two_files();
    project.tokenize("").with_code(0);
    let before = written(&project.path("out"));
    touch(&project.path("data/a.jsonl"));
    check!(project.tokenize(""), @r#"
    exit: 0
    --- stderr
    a: compared with its input, because its input was written again
    1 finished split unchanged, skipped: b
    a: unchanged, skipped
    2 splits with 2 rows of 16 tokens in out
    manifest: out/manifest.json
    hint: load it with mashbill.Dataset("out") or datasets.load_dataset("out")
    "#);
    let after = written(&project.path("out"));
    assert_eq!(before["a/shard_0000.parquet"], after["a/shard_0000.parquet"]);
    assert_eq!(project.json("out/a/a_stats.json")["inputs"][0]["modified_ns"], 0, "the time is known now");
}

#[test]
fn changed_content_is_made_again_where_that_is_asked_for() {
    let project = two_files();
    project.tokenize("").with_code(0);
    project.write("data/a.jsonl", TWO);
    project.tokenize("").with_code(2);
    check!(project.tokenize("--skip-existing"), @r#"
    exit: 0
    --- stderr
    a: compared with its input, because its input had 23 bytes and has 46
    1 finished split unchanged, skipped: b
    a: 1 shard compared, to redo: shard 0
    done a: 2 documents, 6 tokens, 1 row
    tokenized 2 documents into 6 tokens in [TIME] ([SPEED])
    1 row, 10 positions of padding (62.50 %), [SIZE] of shards ([RATIO] bytes a token)
    a begins with "good" " morning" "<|endoftext|>"
    2 splits with 2 rows of 16 tokens in out
    labels are shifted already: labels[i] is the token after input_ids[i]. Hugging Face models shift once more by themselves: give them input_ids as labels, not this column
    manifest: out/manifest.json
    hint: load it with mashbill.Dataset("out") or datasets.load_dataset("out")
    "#);
    assert_eq!(project.json("out/manifest.json")["splits"]["a"]["samples"], 2);
    check!(project.run("tokenize --input data --output out --tokenizer gpt2 --max-seq-length 8 --skip-existing --quiet"), @r"
    exit: 0
    ");
    assert_eq!(project.json("out/manifest.json")["max_seq_length"], 8);
}

/// A change of the same size within the same modification time.
#[test]
#[cfg(unix)]
fn a_change_that_hides_is_found() {
    let project = two_files();
    touch(&project.path("data/a.jsonl"));
    project.tokenize("").with_code(0);
    project.write("data/a.jsonl", ONE.replace("hello", "jello"));
    touch(&project.path("data/a.jsonl"));
    check!(project.tokenize(""), @r"
    exit: 2
    --- stderr
    a: compared with its input, because its input was written again
    1 finished split unchanged, skipped: b
    error: the finished split `a` in `out` is different: its input has changed
    hint: `--skip-existing` redoes those that differ, `--force` redoes all, another `--output` keeps both
    ");
    project.tokenize("--rehash").with_code(2);
    project.tokenize("--rehash --skip-existing").with_code(0);
}

#[test]
fn a_missing_shard_is_noticed() {
    let project = two_files();
    project.tokenize("").with_code(0);
    let before = project.files("out");
    fs::remove_file(project.path("out/b/shard_0000.parquet")).expect("it was there");
    check!(project.tokenize(""), @r"
    exit: 2
    --- stderr
    error: the finished split `b` in `out` is different: `shard_0000.parquet` is missing or has another size
    hint: `--skip-existing` redoes those that differ, `--force` redoes all, another `--output` keeps both
    ");
    project.tokenize("--skip-existing").with_code(0);
    assert_eq!(before["b/shard_0000.parquet"], project.files("out")["b/shard_0000.parquet"]);
}

#[test]
fn force_makes_everything_again() {
    let project = two_files();
    project.tokenize("").with_code(0);
    let before = written(&project.path("out"));
    let bytes = project.files("out");
    project.tokenize("--force").with_code(0);
    let after = written(&project.path("out"));
    assert!(
        before.iter().all(|(name, time)| !name.contains('/') || after[name] > *time),
        "{before:?} {after:?}"
    );
    assert_eq!(bytes["a/shard_0000.parquet"], project.files("out")["a/shard_0000.parquet"]);
    assert_eq!(bytes["manifest.json"], project.files("out")["manifest.json"]);
}

#[test]
fn a_vanished_input_counts_no_more_and_goes_when_that_is_asked_for() {
    let project = two_files();
    project.tokenize("").with_code(0);
    fs::remove_file(project.path("data/b.jsonl")).expect("it was there");
    check!(project.tokenize(""), @r#"
    exit: 0
    --- stderr
    warning: the input of the split `b` is gone: the manifest lists it as vanished, and readers ignore it
    hint: `--prune` removes such splits
    1 finished split unchanged, skipped: a
    1 split with 1 row of 16 tokens in out
    manifest: out/manifest.json
    hint: load it with mashbill.Dataset("out") or datasets.load_dataset("out")
    "#);
    let manifest = project.json("out/manifest.json");
    assert_eq!(manifest["files_processed"], 1);
    assert!(manifest["splits"]["b"].is_null() && manifest["vanished"]["b"].is_object());
    assert!(project.path("out/b/shard_0000.parquet").exists());
    // It comes back with its input.
    project.write("data/b.jsonl", TWO);
    project.tokenize("").with_code(0);
    assert!(project.json("out/manifest.json")["vanished"].is_null());
    fs::remove_file(project.path("data/b.jsonl")).expect("it was there");
    check!(project.tokenize("--prune"), @r#"
    exit: 0
    --- stderr
    1 finished split unchanged, skipped: a
    removed out/b
    1 split with 1 row of 16 tokens in out
    manifest: out/manifest.json
    hint: load it with mashbill.Dataset("out") or datasets.load_dataset("out")
    "#);
    assert!(!project.path("out/b").exists());
    assert!(project.json("out/manifest.json")["vanished"].is_null());
}

#[test]
fn splits_of_another_input_folder_stay() {
    let project = Project::with(&[("data/a.jsonl", ONE), ("more/b.jsonl", TWO)]);
    project.tokenize("").with_code(0);
    let more = "tokenize --input more --output out --tokenizer gpt2 --max-seq-length 16";
    project.run(more).with_code(0);
    project.run(&format!("{more} --prune")).with_code(0);
    assert_eq!(project.json("out/manifest.json")["files_processed"], 2);
}

#[test]
fn splits_can_be_named_after_their_folders() {
    let project =
        Project::with(&[("data/code/a.jsonl", ONE), ("data/chat/a.jsonl", TWO), ("data/b.jsonl", ONE)]);
    project.tokenize("--recursive --split-names path").with_code(0);
    let manifest = project.json("out/manifest.json");
    let splits = manifest["splits"].as_object().expect("splits");
    assert_eq!(splits.keys().collect::<Vec<_>>(), ["b", "chat__a", "code__a"]);
    assert_eq!(splits["code__a"]["source"]["file"], "code/a.jsonl");
    assert!(project.path("out/chat__a/chat__a_stats.json").exists());
}

#[test]
fn a_single_file_is_input_too_and_output_has_a_default() {
    let project = Project::with(&[("chat.jsonl", ONE), ("data/a.jsonl", ONE)]);
    project.run("tokenize --input chat.jsonl --tokenizer gpt2").with_code(0);
    assert!(project.path("chat_preprocessed/chat/shard_0000.parquet").exists());
    project.run("tokenize --input data/ --tokenizer gpt2").with_code(0);
    assert!(project.path("data_preprocessed/manifest.json").exists());
}

#[test]
fn json_is_the_only_thing_on_stdout() {
    let project = two_files();
    assert_eq!(project.tokenize("").with_code(0).stdout, "");
    fs::remove_dir_all(project.path("out")).expect("it was there");
    let ran = project.tokenize("--json").with_code(0);
    let result: Value = serde_json::from_str(&ran.stdout).expect("JSON");
    assert_eq!(result["manifest"], project.json("out/manifest.json"));
    let made = result["made"].as_array().expect("a list");
    assert_eq!(made.len(), 2);
    let mut statistics = project.json("out/a/a_stats.json");
    statistics["inputs"][0]["path"] = json!("[PROJECT]/data/a.jsonl");
    assert_eq!(made[0], statistics);
    assert_eq!(
        (&result["failed"], &result["pruned"], &result["output"]),
        (&json!([]), &json!([]), &json!("out"))
    );
    // A split that fails is in the result.
    project.write("data/c.jsonl.zst", "not zstandard");
    let ran = project.tokenize("--json --quiet").with_code(3);
    let result: Value = serde_json::from_str(&ran.stdout).expect("JSON");
    assert_eq!(result["failed"][0]["split"], "c");
}

#[test]
fn quiet_says_nothing() {
    let project = two_files();
    let ran = project.tokenize("--quiet").with_code(0);
    assert_eq!((ran.stdout.as_str(), ran.stderr.as_str()), ("", ""));
    let ran = project.run("-q quickstart").with_code(0);
    assert_eq!((ran.stdout.as_str(), ran.stderr.as_str()), ("", ""));
}

#[test]
fn literal_special_tokens_are_ids_or_text_or_refused() {
    let text = "{\"text\":\"a<|endoftext|>b\"}\n{\"text\":\"c\"}\n";
    let counts = |how: &str| {
        let project = Project::with(&[("data/a.jsonl", text)]);
        let ran = project.tokenize(&format!("--special-tokens-in-text {how}")).with_code(0);
        let split = project.json("out/manifest.json")["splits"]["a"].clone();
        let said = ran.stderr.contains("1 special token in texts became ids");
        (
            split["samples"].clone(),
            split["tokens"].clone(),
            split["ledger"]["literal_special_tokens"].clone(),
            said,
        )
    };
    // a, the token, b and EOS; c and EOS.
    assert_eq!(counts("encode"), (json!(2), json!(6), json!(1), true));
    // The token's text is seven tokens of the vocabulary.
    assert_eq!(counts("split"), (json!(2), json!(12), json!(0), false));
    assert_eq!(counts("reject"), (json!(1), json!(2), json!(0), false));
}

#[test]
fn no_eos_puts_none() {
    let project = two_files();
    project.tokenize("--no-eos").with_code(0);
    let manifest = project.json("out/manifest.json");
    assert_eq!(manifest["splits"]["a"]["tokens"], 2);
    assert_eq!(manifest["tokenizer_identity"]["ids_after"], json!([]));
}

/// A plan is made without the lock. What another run finishes in between must not be undone.
#[test]
fn a_plan_that_is_out_of_date_is_refused() {
    let project = Project::with(&[("one/a.jsonl", ONE), ("two/b.jsonl", TWO)]);
    let options = |input: &str| Options {
        input: project.path(input),
        output: project.path("out"),
        recursive: false,
        split_names: SplitNames::Stem,
        shard_size_gb: 2.0,
        bytes: manifest::ShardOptions {
            max_seq_length: 16,
            shard_bytes: 2_000_000_000,
            stride_bytes: manifest::ShardOptions::stride_of(2_000_000_000, Compression::Snappy),
            packing: manifest::Packing::Concat,
            compression: Compression::Snappy,
            text_field: "text".into(),
            other_text_fields: Vec::new(),
            max_document_bytes: 1 << 20,
            chat: None,
            held_out: None,
        },
        finished: FinishedSplits::Keep,
        rehash: false,
        prune: false,
        strict: false,
        threads: 1,
        task_bytes: TASK_BYTES,
    };
    let tokenizer_options =
        TokenizerOptions { add_bos: true, add_eos: true, ..TokenizerOptions::NOTHING_ADDED };
    let files = embedded("gpt2").expect("it is embedded");
    let tokenizer = Arc::new(Tokenizer::load(&files, &tokenizer_options, None).expect("it loads"));
    let plan_of = |input: &str| plan(&options(input), tokenizer.identity()).expect("a plan");
    let (first, second) = (plan_of("one"), plan_of("two"));
    let run =
        |plan| mashbill_tokenize::run(plan, &tokenizer, "still-house", &AtomicBool::new(false), &mut |_| {});
    run(first).expect("nobody else is there");
    assert!(matches!(run(second), Err(Error::OutputChanged { .. })));
    run(plan_of("two")).expect("it knows of the first now");
    assert_eq!(project.json("out/manifest.json")["files_processed"], 2);
}
