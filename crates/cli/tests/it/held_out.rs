//! `tokenize --val-fraction`: the two parts, and what keeps them apart.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use mashbill_format::documents;
use mashbill_format::layout::Output;
use mashbill_format::manifest::{Manifest, split_identity};
use mashbill_store::checksum::Checksum;
use serde_json::{Value, json};

use crate::project::{Project, assert_same_output};

/// Small shards, so that there are some.
const SMALL: &str = "--shard-size 0.00002";

/// Texts of all lengths, some of which stand twice, and lines of every other kind.
fn project() -> Project {
    let text = |number: usize| {
        let words = "and so on ".repeat(number * 7 % 23);
        format!("{{\"id\":\"d{number}\",\"text\":\"Text {number}: {words}\"}}\n")
    };
    let a: String = (0..300).map(text).collect();
    let b: String = (280..420).map(text).collect();
    Project::with(&[
        ("data/a.jsonl", &format!("{a}not json\n\n{{\"text\":null}}\n")),
        ("data/b.jsonl", &format!("\u{feff}[1]\n{b}   \n{{\"text\":\"\"}}\n")),
        ("data/empty.jsonl", ""),
    ])
}

/// The documents of a folder: by split and key, what their texts hash to.
fn documents_of(folder: &Path) -> BTreeMap<(String, i64), Checksum> {
    let output = Output::new(folder);
    let manifest = Manifest::read(&output.manifest()).expect("it is ours").expect("it is there");
    let mut all = BTreeMap::new();
    for (name, split) in &manifest.splits {
        for shard in &split.shard_list {
            let Some(table) = &shard.table else { continue };
            for document in documents::read(&output.tables(name).join(&table.name)).expect("a table") {
                let document = document.expect("a document");
                let key = shard.input.start as i64 + document.doc_id;
                assert!(all.insert((name.clone(), key), document.content_hash).is_none());
            }
        }
    }
    all
}

fn hashes_of(folder: &Path) -> BTreeSet<Checksum> {
    documents_of(folder).into_values().collect()
}

/// A sum over the splits of a manifest.
fn sum(manifest: &Value, field: impl Fn(&Value) -> &Value) -> u64 {
    let splits = manifest["splits"].as_object().expect("splits").values();
    splits.map(|split| field(split).as_u64().unwrap_or(0)).sum()
}

#[test]
fn every_document_is_in_one_part_and_every_line_is_counted_once() {
    let project = project();
    project.tokenize(SMALL).with_code(0);
    fs::rename(project.path("out"), project.path("whole")).expect("it is there");
    project.tokenize(&format!("{SMALL} --val-fraction 0.3")).with_code(0);
    let (train, held_out) =
        (documents_of(&project.path("out")), documents_of(&project.path("out/_validation")));
    let mut both = train.clone();
    both.extend(held_out.clone());
    assert_eq!(both.len(), train.len() + held_out.len(), "none is in both");
    assert_eq!(both, documents_of(&project.path("whole")), "none is in neither");
    // The rule as docs/format.md has it: the first eight bytes of the hash against the fraction.
    let first = |hash: &Checksum| u64::from_be_bytes(hash.to_bytes()[..8].try_into().expect("eight bytes"));
    let limit = (0.3 * 2f64.powi(64)) as u64;
    assert!(train.values().all(|hash| first(hash) >= limit));
    assert!(held_out.values().all(|hash| first(hash) < limit));
    // So equal texts are on one side, in whatever split.
    assert!(hashes_of(&project.path("out")).is_disjoint(&hashes_of(&project.path("out/_validation"))));
    assert!(held_out.keys().any(|(split, _)| split == "a") && held_out.keys().any(|(split, _)| split == "b"));

    let manifests =
        ["whole", "out", "out/_validation"].map(|folder| project.json(&format!("{folder}/manifest.json")));
    let [whole, train, held_out] = &manifests;
    for field in ["samples", "tokens"] {
        let count = |manifest: &Value| sum(manifest, |split| &split[field]);
        assert_eq!(count(whole), count(train) + count(held_out), "{field}");
    }
    for name in ["a", "b", "empty"] {
        let rejected = |manifest: &Value| manifest["splits"][name]["rejected"].clone();
        // Lines that hold no text are refused once, where the most documents are.
        assert_eq!((rejected(train), rejected(held_out)), (rejected(whole), json!({})), "{name}");
        let source = |manifest: &Value| manifest["splits"][name]["source"].clone();
        assert_eq!((source(train), source(held_out)), (source(whole), source(whole)));
        assert!(!project.path(&format!("out/_validation/{name}/{name}_rejects.jsonl")).exists());
        let stats = |folder: &str| project.json(&format!("{folder}/{name}/{name}_stats.json"));
        let (whole, train, held_out) = (stats("whole"), stats("out"), stats("out/_validation"));
        assert_eq!((&train["lines"], &held_out["lines"]), (&whole["lines"], &whole["lines"]));
        assert_eq!(train["blank_lines"], whole["blank_lines"]);
        assert!(whole["other_part"].is_null());
        assert_eq!(
            train["other_part"].as_u64().unwrap_or(0),
            held_out["samples"].as_u64().expect("a number")
        );
    }
    assert_eq!(project.read("out/a/a_rejects.jsonl"), project.read("whole/a/a_rejects.jsonl"));
    assert_eq!(train["options"]["held_out"], json!({"fraction": 0.3, "part": "train"}));
    assert_eq!(held_out["options"]["held_out"], json!({"fraction": 0.3, "part": "validation"}));
    assert!(whole["options"]["held_out"].is_null());
    let ran = project.run("verify out --deep").with_code(0);
    assert!(
        ran.stderr.contains("verified out: ") && ran.stderr.contains("verified out/_validation: "),
        "{ran}"
    );
    project.run("inspect out --random").with_code(0);
    project.run("inspect out/_validation --random").with_code(0);
    project.run("report out").with_code(0);
}

#[test]
fn the_same_texts_are_held_out_whatever_else_changes() {
    let project = project();
    let mut before: BTreeSet<Checksum> = BTreeSet::new();
    for (fraction, others) in [
        (0.1, vec!["--max-seq-length 16 --tokenizer gpt2"]),
        (
            0.3,
            vec![
                "--max-seq-length 16 --tokenizer gpt2",
                "--max-seq-length 64 --tokenizer gpt2 --shard-size 0.000005 --threads 3",
                "--max-seq-length 16 --tokenizer cl100k_base --no-eos",
            ],
        ),
    ] {
        let mut found: Vec<BTreeSet<Checksum>> = Vec::new();
        for other in others {
            drop(fs::remove_dir_all(project.path("out")));
            let ran =
                project.run(&format!("tokenize --input data --output out --val-fraction {fraction} {other}"));
            ran.with_code(0);
            found.push(hashes_of(&project.path("out/_validation")));
        }
        assert!(found.iter().all(|hashes| *hashes == found[0]), "{fraction}");
        assert!(before.is_subset(&found[0]) && before.len() < found[0].len(), "{fraction}");
        before.clone_from(&found[0]);
    }
    // The same texts in another order, in another file.
    let all = project.read("data/a.jsonl") + project.read("data/b.jsonl").trim_start_matches('\u{feff}');
    let mut lines: Vec<&str> = all.lines().collect();
    lines.reverse();
    project.write("turned/c.jsonl", lines.join("\n"));
    project
        .run("tokenize --input turned --output turned_out --val-fraction 0.3 --tokenizer gpt2")
        .with_code(0);
    assert_eq!(hashes_of(&project.path("turned_out/_validation")), before);
}

#[test]
fn the_number_of_threads_changes_no_byte_of_either_part() {
    let project = project();
    for threads in [1, 2, 7] {
        let arguments =
            "tokenize --input data --tokenizer gpt2 --max-seq-length 16 --val-fraction 0.2 --quiet";
        project.run(&format!("{arguments} {SMALL} --threads {threads} --output out{threads}")).with_code(0);
        assert_same_output(&project.path("out1"), &project.path(&format!("out{threads}")));
    }
}

#[test]
fn a_run_tells_what_is_held_out_and_where() {
    let project = Project::with(&[(
        "data/a.jsonl",
        "{\"text\":\"hello\"}\n{\"text\":\"good morning\"}\n{\"text\":\"good night\"}\n",
    )]);
    check!(project.tokenize("--val-fraction 0.5"), @r#"
    exit: 0
    --- stderr
    held out a: 1 document, 3 tokens, 1 row
    done a: 2 documents, 5 tokens, 1 row
    tokenized 2 documents into 5 tokens in [TIME] ([SPEED])
    1 row, 11 positions of padding (68.75 %), [SIZE] of shards ([RATIO] bytes a token)
    a begins with "hello" "<|endoftext|>"
    1 split with 1 row of 16 tokens in out
    held out: 1 document, 3 tokens, 1 row in out/_validation
    labels are shifted already: labels[i] is the token after input_ids[i]. Hugging Face models shift once more by themselves: give them input_ids as labels, not this column
    manifest: out/manifest.json
    hint: load it with mashbill.Dataset("out") or datasets.load_dataset("out")
    "#);
    check!(project.tokenize("--val-fraction 0.5"), @r#"
    exit: 0
    --- stderr
    1 finished split unchanged, skipped: a
    1 split with 1 row of 16 tokens in out
    held out: 1 document, 3 tokens, 1 row in out/_validation
    manifest: out/manifest.json
    hint: load it with mashbill.Dataset("out") or datasets.load_dataset("out")
    "#);
    let ran = project.tokenize("--val-fraction 0.5 --json --quiet").with_code(0);
    let result: Value = serde_json::from_str(&ran.stdout).expect("JSON");
    assert_eq!(result["manifest"], project.json("out/manifest.json"));
    assert_eq!(result["validation"]["manifest"], project.json("out/_validation/manifest.json"));
    assert_eq!(result["validation"]["output"], "out/_validation");
}

#[test]
fn fractions_that_are_none_are_refused() {
    let project = Project::with(&[("data/a.jsonl", "{\"text\":\"hello\"}\n")]);
    for fraction in ["0", "1", "-0.1", "1.5", "nan", "inf"] {
        let ran = project.tokenize(&format!("--val-fraction {fraction}")).with_code(2);
        assert!(ran.stderr.contains("is not a share: it has to be more than 0 and less than 1"), "{ran}");
        assert!(
            ran.stderr.contains("hint: `--val-fraction 0.01` holds out one document in a hundred"),
            "{ran}"
        );
    }
    project.tokenize("--val-fraction 1%").with_code(2);
}

#[test]
fn a_part_without_documents_is_a_part() {
    let project = Project::with(&[("data/a.jsonl", "{\"text\":\"hello\"}\n"), ("data/b.jsonl", "")]);
    let ran = project.tokenize("--val-fraction 0.0001").with_code(0);
    assert!(ran.stderr.contains("warning: no document is held out"), "{ran}");
    project.run("verify out --deep").with_code(0);
    assert_eq!(project.json("out/_validation/manifest.json")["splits"]["a"]["samples"], 0);
    // And the other way round: nothing is left to train on.
    let ran = project.tokenize("--val-fraction 0.9999 --skip-existing").with_code(0);
    assert!(ran.stderr.contains("held out: 1 document, 2 tokens, 1 row in out/_validation"), "{ran}");
    project.run("verify out --deep").with_code(0);
}

#[test]
fn another_fraction_is_another_option() {
    let project = project();
    project.tokenize("").with_code(0);
    let whole = project.files("out");
    check!(project.tokenize("--val-fraction 0.1"), @r"
    exit: 2
    --- stderr
    error: the finished split `a` in `out` is different: --val-fraction was not given and is 0.1
    hint: `--skip-existing` redoes those that differ, `--force` redoes all, another `--output` keeps both
    ");
    let ran = project.tokenize("--val-fraction 0.1 --skip-existing").with_code(0);
    assert!(ran.stderr.contains("a: redone, because --val-fraction was not given and is 0.1"), "{ran}");
    check!(project.tokenize("--val-fraction 0.2"), @r"
    exit: 2
    --- stderr
    error: the finished split `a` in `out` is different: --val-fraction was 0.1 and is 0.2
    hint: `--skip-existing` redoes those that differ, `--force` redoes all, another `--output` keeps both
    ");
    project.tokenize("--val-fraction 0.2 --skip-existing").with_code(0);
    project.run("verify out --deep --quiet").with_code(0);
    let ran = project.tokenize("--skip-existing").with_code(0);
    assert!(ran.stderr.contains("nothing is held out any more: out/_validation will be removed"), "{ran}");
    assert!(!project.path("out/_validation").exists());
    let files = project.files("out");
    assert_eq!(files.keys().collect::<Vec<_>>(), whole.keys().collect::<Vec<_>>());
    assert_eq!(files["manifest.json"], whole["manifest.json"]);
}

#[test]
fn a_part_that_is_gone_or_damaged_is_made_again() {
    let project = project();
    project.tokenize("--val-fraction 0.2").with_code(0);
    let before = project.files("out");
    fs::remove_dir_all(project.path("out/_validation")).expect("it was there");
    let ran = project.run("verify out").with_code(4);
    assert!(
        ran.stderr
            .contains("_validation/manifest.json: it is not there: the documents held out are in neither"),
        "{ran}"
    );
    project.tokenize("--val-fraction 0.2").with_code(0);
    assert_eq!(
        before["_validation/a/shard_0000.parquet"],
        project.files("out")["_validation/a/shard_0000.parquet"]
    );
    fs::remove_file(project.path("out/_validation/b/shard_0000.parquet")).expect("it was there");
    let ran = project.tokenize("--val-fraction 0.2").with_code(2);
    assert!(ran.stderr.contains("the finished split `b` in `out/_validation` is different"), "{ran}");
    project.tokenize("--val-fraction 0.2 --skip-existing").with_code(0);
    assert_eq!(before["_validation/manifest.json"], project.files("out")["_validation/manifest.json"]);
    project.tokenize("--val-fraction 0.2 --force").with_code(0);
    assert_eq!(before["_validation/manifest.json"], project.files("out")["_validation/manifest.json"]);
}

#[test]
fn an_input_that_grows_or_goes_does_so_in_both_parts() {
    let project = project();
    let arguments = format!("{SMALL} --val-fraction 0.2");
    project.tokenize(&arguments).with_code(0);
    let grown =
        project.read("data/b.jsonl") + "{\"text\":\"one\"}\n{\"text\":\"two\"}\n{\"text\":\"three\"}\n";
    project.write("data/b.jsonl", grown);
    let ran = project.tokenize(&format!("{arguments} --skip-existing")).with_code(0);
    assert!(ran.stderr.contains("\nb: 1 shard compared, to redo: shard 0"), "{ran}");
    fs::remove_file(project.path("data/a.jsonl")).expect("it was there");
    project.tokenize(&format!("{arguments} --prune")).with_code(0);
    assert!(!project.path("out/a").exists() && !project.path("out/_validation/a").exists());
    fs::rename(project.path("out"), project.path("grown")).expect("it is there");
    project.tokenize(&arguments).with_code(0);
    assert_same_output(&project.path("out"), &project.path("grown"));
}

#[test]
fn the_folder_of_what_is_held_out_is_no_split_and_no_input() {
    let project = Project::with(&[("data/_validation.jsonl", "{\"text\":\"hello\"}\n")]);
    check!(project.tokenize(""), @r"
    exit: 2
    --- stderr
    error: `data/_validation.jsonl` cannot become the split `_validation`: it has a meaning of its own in an output folder
    hint: give the file another name
    ");
    let project = self::project();
    project.tokenize("--val-fraction 0.2").with_code(0);
    // Shards are Parquet files with columns of no text; nobody takes them for input.
    let tokenized_again = "tokenize --output again --recursive --tokenizer gpt2 --input";
    let ran = project.run(&format!("{tokenized_again} out")).with_code(2);
    assert!(ran.stderr.contains("`out` is already tokenized"), "{ran}");
    let ran = project.run(&format!("{tokenized_again} out/_validation")).with_code(2);
    assert!(ran.stderr.contains("`out/_validation` is already tokenized"), "{ran}");
    project.write("more/c.jsonl", "{\"text\":\"hello\"}\n");
    fs::rename(project.path("out/_validation"), project.path("more/_validation")).expect("it is there");
    project.run(&format!("{tokenized_again} more")).with_code(0);
    let splits = project.json("again/manifest.json")["splits"].clone();
    assert_eq!(splits.as_object().expect("splits").keys().collect::<Vec<_>>(), ["c"]);
}

#[test]
fn a_dataset_in_the_place_of_what_is_held_out_is_not_removed() {
    let project = self::project();
    let own = "tokenize --tokenizer gpt2 --max-seq-length 16 --input data --output out/_validation";
    project.run(own).with_code(0);
    let before = project.files("out/_validation");
    let ran = project.tokenize("").with_code(2);
    assert!(
        ran.stderr.contains("error: `out/_validation` was not held out of this dataset\nhint: "),
        "{ran}"
    );
    assert_eq!(project.files("out/_validation"), before);
    // Nor what a run of its own has left there.
    fs::remove_file(project.path("out/_validation/manifest.json")).expect("it was there");
    project.write("out/_validation/.mashbill/plan.json", "{}");
    project.tokenize("").with_code(2);
    assert!(project.path("out/_validation/a").exists());
}

#[test]
fn the_first_bad_line_with_strict_is_the_first_of_both_parts() {
    for first in 0..6 {
        let project = Project::with(&[]);
        let line = |number: usize| format!("{{\"text\":\"{first}, {number}: <|endoftext|>\"}}\n");
        project.write("data/a.jsonl", (0..10).map(line).collect::<String>());
        let ran =
            project.tokenize("--strict --val-fraction 0.5 --special-tokens-in-text reject").with_code(2);
        assert!(ran.stderr.contains("error: `data/a.jsonl`, line 1: "), "{ran}");
    }
}

/// Gives a folder's manifest another fraction, with identities to match.
fn relabel(folder: &Path, fraction: f64) {
    let output = Output::new(folder);
    let mut manifest = Manifest::read(&output.manifest()).expect("it is ours").expect("it is there");
    manifest.options.held_out.as_mut().expect("something is held out").fraction = fraction;
    let run = manifest.run_identity();
    for split in manifest.splits.values_mut() {
        split.identity = split_identity(run, split.source.checksum);
    }
    fs::write(output.manifest(), serde_json::to_vec(&manifest).expect("JSON")).expect("it is ours");
}

#[test]
fn a_document_on_the_wrong_side_is_found() {
    let project = project();
    project.tokenize("--val-fraction 0.5").with_code(0);
    for folder in ["out", "out/_validation"] {
        relabel(&project.path(folder), 0.3);
    }
    // The folders are each other's rest, but by another fraction than they say.
    let ran = project.run("verify out").with_code(4);
    let said = "its text belongs to the train part, and this is the validation part (held_out)";
    assert!(
        ran.stderr.contains("error: a/_documents/shard_0000.documents, row ") && ran.stderr.contains(said),
        "{ran}"
    );
    let ran = project.run("verify out --deep").with_code(4);
    assert!(ran.stderr.contains("in its place (source)"), "{ran}");
    for folder in ["out", "out/_validation"] {
        relabel(&project.path(folder), 0.7);
    }
    let ran = project.run("verify out").with_code(4);
    assert!(
        ran.stderr.contains("its text belongs to the validation part, and this is the train part (held_out)"),
        "{ran}"
    );
}

#[test]
fn a_document_in_neither_part_is_found() {
    let project = project();
    project.tokenize("--val-fraction 0.3").with_code(0);
    fs::rename(project.path("out/_validation"), project.path("smaller")).expect("it is there");
    fs::remove_dir_all(project.path("out")).expect("it is there");
    project.tokenize("--val-fraction 0.5").with_code(0);
    fs::remove_dir_all(project.path("out/_validation")).expect("it is there");
    fs::rename(project.path("smaller"), project.path("out/_validation")).expect("it is there");
    let ran = project.run("verify out").with_code(4);
    assert!(ran.stderr.contains("it was made with other options"), "{ran}");
    relabel(&project.path("out/_validation"), 0.5);
    // Every document is where it may be; only the counts tell that some are nowhere.
    let ran = project.run("verify out").with_code(4);
    assert!(
        ran.stderr.contains("the split a: its parts leave ") && ran.stderr.contains("lines to each other"),
        "{ran}"
    );
    let ran = project.run("verify out --deep").with_code(4);
    assert!(ran.stderr.contains("in its place (source)"), "{ran}");
}

#[test]
fn a_part_of_something_else_is_found() {
    let project = project();
    project.tokenize("--val-fraction 0.3").with_code(0);
    fs::rename(project.path("out/_validation"), project.path("held_out")).expect("it is there");
    project.tokenize("--skip-existing").with_code(0);
    fs::rename(project.path("held_out"), project.path("out/_validation")).expect("it is there");
    let ran = project.run("verify out").with_code(4);
    assert!(ran.stderr.contains("error: _validation: the manifest says that nothing is held out"), "{ran}");
    assert!(ran.stderr.contains("hint: if you do not need it: mv out/_validation somewhere else"), "{ran}");
}

/// What is refused for its tokens has a text, and with it a part.
#[test]
fn refusals_of_texts_are_counted_in_their_part() {
    let lines: String = (0..40).map(|n| format!("{{\"text\":\"{n} <|endoftext|>\"}}\n")).collect();
    let project = Project::with(&[("data/a.jsonl", &lines)]);
    project.tokenize("--special-tokens-in-text reject --val-fraction 0.5").with_code(3);
    let refused = |folder: &str| {
        let manifest = project.json(&format!("{folder}/manifest.json"));
        manifest["splits"]["a"]["rejected"]["special_tokens"].as_u64().unwrap_or(0)
    };
    let (train, held_out) = (refused("out"), refused("out/_validation"));
    assert!(train > 0 && held_out > 0 && train + held_out == 40, "{train} {held_out}");
    assert!(project.path("out/_validation/a/a_rejects.jsonl").exists());
    project.run("verify out --deep").with_code(0);
}
