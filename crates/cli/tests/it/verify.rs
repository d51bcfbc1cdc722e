//! `mashbill verify` as its users meet it.

use std::fs;

use serde_json::Value;

use crate::project::Project;

const TWO: &str = "{\"text\":\"hello\"}\n{\"text\":\"good morning\"}\n";

fn tokenized() -> Project {
    let project = Project::with(&[("data/a.jsonl", TWO)]);
    project.tokenize("").with_code(0);
    project
}

#[test]
fn a_good_folder_is_said_to_be_good() {
    let ran = tokenized().run("verify out").with_code(0);
    assert!(ran.stderr.starts_with("verified out: 2 documents, 1 row, 5 tokens, "), "{ran}");
    assert_eq!(ran.stdout, "");
}

#[test]
fn pages_of_a_group_whose_indices_grow_are_good() {
    // Words by their numbers, `w0` first for long: an index takes one byte in the first pages, then two, then three.
    const WORDS: usize = 70_000;
    let vocab: serde_json::Map<String, serde_json::Value> =
        (0..WORDS).map(|word| (format!("w{word}"), word.into())).collect();
    let tokenizer = serde_json::json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "normalizer": null,
        "pre_tokenizer": { "type": "WhitespaceSplit" }, "post_processor": null, "decoder": null,
        "model": { "type": "WordLevel", "vocab": vocab, "unk_token": "w0" },
    });
    let line = |words: &mut dyn Iterator<Item = usize>| {
        let text: Vec<_> = words.map(|word| format!("w{word}")).collect();
        format!("{{\"text\": \"{}\"}}\n", text.join(" "))
    };
    let few = line(&mut (0..200_000).map(|at| at % 3));
    let some = line(&mut (0..200_000).map(|at| at % 300));
    let all = line(&mut (0..WORDS));
    for texts in [[&few, &some, &all].as_slice(), &[&some, &all], &[&few, &all], &[&all], &[&some, &few]] {
        let lines: String = texts.iter().map(|text| text.as_str()).collect();
        let project = Project::with(&[("data/a.jsonl", &lines), ("words.json", &tokenizer.to_string())]);
        let tokenize =
            "tokenize --input data --output out --tokenizer words.json --eos-token w1 --max-seq-length 2048";
        project.run(tokenize).with_code(0);
        let verified = project.run("verify out").with_code(0);
        assert!(!verified.stderr.contains("warning"), "{verified}");
    }
}

#[test]
fn a_damaged_shard_is_found_and_mended() {
    let project = tokenized();
    let mut bytes = fs::read(project.path("out/a/shard_0000.parquet")).expect("it is there");
    bytes[300] ^= 1;
    project.write("out/a/shard_0000.parquet", bytes);
    let ran = project.run("verify out").with_code(4);
    assert!(
        ran.stderr
            .contains("error: a/shard_0000.parquet: its bytes are not those that were written (checksum)"),
        "{ran}"
    );
    assert!(
        ran.stderr.contains("hint: copy out/a again from a good copy, or make it again: remove it and"),
        "{ran}"
    );
    // What the hint says works.
    fs::remove_dir_all(project.path("out/a")).expect("it is there");
    project.tokenize("--skip-existing").with_code(0);
    project.run("verify out --quiet").with_code(0);
}

#[test]
fn json_is_the_only_thing_on_stdout() {
    let project = tokenized();
    project.write("out/a/notes.txt", "x");
    let ran = project.run("verify out --json").with_code(4);
    let result: Value = serde_json::from_str(&ran.stdout).expect("JSON");
    assert_eq!(result["good"], false);
    let folder = &result["folders"][0];
    assert_eq!((&folder["kind"], &folder["errors"]), (&"tokenized".into(), &1.into()));
    let problem = &folder["problems"][0];
    assert_eq!(problem["kind"], "stray");
    assert_eq!(problem["place"]["file"], "a/notes.txt");
    assert_eq!(folder["hints"][0], "if you do not need it: mv out/a/notes.txt somewhere else");
}

#[test]
fn what_is_no_folder_of_ours_is_refused() {
    let project = Project::with(&[("empty/notes.txt", "x")]);
    check!(project.run("verify empty"), @r"
    exit: 2
    --- stderr
    error: `empty` holds nothing to verify: no manifest.json, no JSON Lines, no Parquet
    hint: give the folder that `mashbill tokenize` wrote (its `--output`), or one with .jsonl files
    ");
    check!(project.run("verify nowhere"), @r"
    exit: 2
    --- stderr
    error: `nowhere` does not exist
    hint: check the path
    ");
}

#[test]
fn a_newer_folder_is_not_judged() {
    let project = tokenized();
    let mut manifest = project.json("out/manifest.json");
    manifest["format_version"] = 99.into();
    project.write("out/manifest.json", manifest.to_string());
    check!(project.run("verify out"), @r"
    exit: 2
    --- stderr
    error: `out/manifest.json` has format_version 99, this mashbill reads 2
    hint: update mashbill
    ");
}

#[test]
fn a_folder_that_needs_what_nobody_knows_is_refused_by_every_command() {
    let project = tokenized();
    let mut manifest = project.json("out/manifest.json");
    manifest["requires"] = serde_json::json!(["best_fit"]);
    project.write("out/manifest.json", manifest.to_string());
    check!(project.run("verify out"), @r#"
    exit: 2
    --- stderr
    error: `out/manifest.json` needs "best_fit", which this mashbill does not know
    hint: update mashbill
    "#);
    let told = project.run("verify out").stderr;
    for other in ["inspect out", "inspect out --step 0 --batch-size 1", "report out"] {
        assert_eq!(project.run(other).with_code(2).stderr, told, "{other}");
    }
}

#[test]
fn an_older_folder_is_refused_and_what_to_type_is_said() {
    let project = tokenized();
    let mut manifest = project.json("out/manifest.json");
    manifest["format_version"] = 1.into();
    project.write("out/manifest.json", manifest.to_string());
    check!(project.run("verify out"), @r"
    exit: 2
    --- stderr
    error: `out/manifest.json` has format_version 1, this mashbill reads 2
    hint: mv out somewhere else, then run the `mashbill tokenize` command that made it: it makes the folder again
    ");
    let told = project.run("verify out").stderr;
    for other in ["inspect out", "inspect out --doc x", "inspect out --step 0 --batch-size 1", "report out"] {
        assert_eq!(project.run(other).with_code(2).stderr, told, "{other}");
    }
    // What the hint says works.
    fs::rename(project.path("out"), project.path("old")).expect("it is there");
    project.tokenize("").with_code(0);
    project.run("verify out").with_code(0);
}

#[test]
fn a_run_that_was_interrupted_is_a_warning() {
    let project = tokenized();
    fs::create_dir(project.path("out/.mashbill")).expect("a folder");
    let ran = project.run("verify out").with_code(0);
    assert!(ran.stderr.contains("warning: .mashbill: a run is under way, or was interrupted"), "{ran}");
}

/// What two parts say of the same stretches has to agree stretch by stretch, not only in sum.
#[test]
fn parts_that_do_not_fit_together_are_found() {
    let lines: String = (0..200).map(|line| format!("{{\"text\":\"line {line}\"}}\n")).collect();
    let tokenized = || {
        let project = Project::with(&[("data/a.jsonl", &lines)]);
        project.tokenize("--val-fraction 0.3 --shard-size 0.000001").with_code(0);
        project.run("verify out").with_code(0);
        project
    };
    let change = |project: &Project, name: &str, change: &dyn Fn(&mut Value)| {
        let mut value = project.json(name);
        change(&mut value);
        project.write(name, value.to_string());
    };
    let add = |value: &mut Value, number: i64| *value = (value.as_i64().expect("a number") + number).into();

    let project = tokenized();
    change(&project, "out/_validation/manifest.json", &|manifest| {
        let shards = &mut manifest["splits"]["a"]["shard_list"];
        for (shard, field, number) in [(0, "end", 1), (0, "bytes", 1), (1, "start", 1), (1, "bytes", -1)] {
            add(&mut shards[shard]["input"][field], number);
        }
    });
    let ran = project.run("verify out").with_code(4);
    let told = "_validation/manifest.json: the split a cuts its input differently from the part to train on (held_out)";
    assert!(ran.stderr.contains(told), "{ran}");

    let project = tokenized();
    change(&project, "out/_validation/a/a_stats.json", &|stats| {
        for (shard, number) in [(0, 1), (1, -1)] {
            add(&mut stats["shards"][shard]["lines"], number);
        }
    });
    let ran = project.run("verify out").with_code(4);
    assert!(ran.stderr.contains("lines of the same stretch, shard 0 (held_out)"), "{ran}");
}
