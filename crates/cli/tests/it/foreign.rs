//! Files of others in the way: manifests and shards that are not ours, folders that are something else.

use std::fs;
use std::time::SystemTime;

use crate::project::Project;

const ROW: &str = "{\"text\": \"one\"}\n";
const OTHER_ROW: &str = "{\"text\": \"two\"}\n";

/// Manifests of crawlers, of browsers' extensions, of other trainers.
const MANIFESTS: [&str; 4] =
    [r#"{"files": ["a.jsonl"], "source": "scans"}"#, "{}", r#"[{"shard": "a.tar"}]"#, r#"{"version": 2}"#];

#[test]
fn a_manifest_of_somebody_elses_hides_no_data() {
    for manifest in MANIFESTS {
        let project = Project::with(&[
            ("data/books/a.jsonl", ROW),
            ("data/books/manifest.json", manifest),
            ("data/b.jsonl", ROW),
        ]);
        let ran =
            project.run("tokenize --input data --recursive --output out --tokenizer gpt2 --max-seq-length 8");
        assert!(ran.code == Some(0) && ran.stderr.contains("2 splits with 2 rows"), "{manifest}: {ran}");
        let ran =
            project.run("tokenize --input data/books --output books --tokenizer gpt2 --max-seq-length 8");
        assert!(ran.code == Some(0) && ran.stderr.contains("1 split with 1 row"), "{manifest}: {ran}");
        let verified = project.run("verify data/books").with_code(0);
        assert!(verified.stderr.contains("1 file, 1 line, 1 record"), "{manifest}: {verified}");
        let inspected = project.run("inspect data/books").with_code(0);
        assert!(inspected.stdout.contains("one"), "{manifest}: {inspected}");
        project.run("report data/books --output page.html").with_code(0);
        // Nothing is written beside it, whatever is forced.
        for flags in ["", " --force", " --skip-existing"] {
            let into = format!(
                "tokenize --input data/b.jsonl --output data/books --tokenizer gpt2 --max-seq-length 8{flags}"
            );
            let ran = project.run(&into).with_code(2);
            assert!(
                ran.stderr.contains("`data/books` holds `manifest.json`, which is not mashbill's"),
                "{ran}"
            );
        }
        assert_eq!(project.read("data/books/manifest.json"), manifest);
    }
    // One that was ours and is damaged still says that the folder is an output.
    let project = Project::with(&[("data/a.jsonl", ROW)]);
    project.tokenize("").with_code(0);
    let whole = project.read("out/manifest.json");
    for damaged in ["", "{", &whole[..whole.len() / 2], &whole.replace("\"splits\"", "\"spilts\"")] {
        project.write("out/manifest.json", damaged);
        let ran = project.run("verify out").with_code(4);
        assert!(ran.stderr.contains("manifest.json"), "{damaged:.40}: {ran}");
    }
}

#[test]
fn shards_of_another_tool_stay_whatever_is_asked_for() {
    for files in [&["shard_0000.parquet"][..], &["shard_0000.parquet", "documents.parquet"]] {
        let project = Project::with(&[("data/train.jsonl", ROW)]);
        files.iter().for_each(|file| project.write(&format!("out/train/{file}"), "precious"));
        for flags in ["", "--skip-existing", "--force", "--skip-existing --prune"] {
            let ran = project.tokenize(flags).with_code(2);
            assert!(
                ran.stderr.contains("`out/train` holds `") && ran.stderr.contains("which is not mashbill's"),
                "{ran}"
            );
        }
        files.iter().for_each(|file| assert_eq!(project.read(&format!("out/train/{file}")), "precious"));
    }
    // A split of ours whose manifest is gone is still ours.
    let project = Project::with(&[("data/train.jsonl", ROW)]);
    project.tokenize("").with_code(0);
    fs::remove_file(project.path("out/manifest.json")).expect("it is there");
    project.tokenize("--skip-existing").with_code(0);
}

/// A finished split that was copied away from its manifest is no input.
#[test]
fn a_split_without_its_manifest_is_still_no_input() {
    let project = Project::with(&[("data/a.jsonl", ROW)]);
    project.tokenize("").with_code(0);
    fs::rename(project.path("out/a"), project.path("data/a")).expect("a folder");
    let ran =
        project.run("tokenize --input data --recursive --output other --tokenizer gpt2 --max-seq-length 8");
    assert!(ran.code == Some(0) && ran.stderr.contains("1 split with 1 row"), "{ran}");
}

#[test]
fn folders_that_are_not_entered_are_named_if_they_hold_input() {
    let project = Project::with(&[
        ("data/a.jsonl", ROW),
        ("data/more/deep/b.jsonl", ROW),
        ("data/logs/run.txt", "x"),
        ("data/.cache/c.jsonl", ROW),
    ]);
    let ran = project.tokenize("").with_code(0);
    assert!(ran.stderr.contains("warning: left out: 1 folder with input is not entered: more\n"), "{ran}");
    assert!(ran.stderr.contains("hint: `--recursive` enters folders"), "{ran}");
    // What was made here is no input, nor is the folder that it is made in.
    project.run("tokenize --input data --output data/out --tokenizer gpt2 --max-seq-length 8").with_code(0);
    let again = project.tokenize("").with_code(0);
    assert!(again.stderr.contains("1 folder with input is not entered: more\n"), "{again}");
}

#[test]
fn content_that_comes_with_the_old_size_and_time_is_seen() {
    let project = Project::with(&[("data/a.jsonl", ROW)]);
    let set_time = |path| {
        let file = fs::File::options().write(true).open(path).expect("a file");
        file.set_modified(SystemTime::UNIX_EPOCH).expect("its time can be set");
    };
    set_time(project.path("data/a.jsonl"));
    project.tokenize("").with_code(0);
    project.write("new.jsonl", OTHER_ROW);
    set_time(project.path("new.jsonl"));
    fs::rename(project.path("new.jsonl"), project.path("data/a.jsonl")).expect("a rename");
    let ran = project.tokenize("").with_code(2);
    assert!(ran.stderr.contains("its input has changed"), "{ran}");
    project.tokenize("--skip-existing").with_code(0);
    let kept = project.tokenize("").with_code(0);
    assert!(kept.stderr.contains("1 finished split unchanged"), "{kept}");
}

#[test]
fn an_output_that_is_the_input_and_a_part_that_is_not_the_whole_are_told() {
    let project =
        Project::with(&[("data/a.jsonl", ROW), ("run/metrics.jsonl", "{}\n"), ("run/config.yaml", "")]);
    let ran =
        project.run("tokenize --input data --output data/. --tokenizer gpt2 --max-seq-length 8").with_code(2);
    assert!(ran.stderr.contains("`data` is both the input and the output"), "{ran}");
    project.tokenize("").with_code(0);
    for (command, path, hint) in [
        ("verify", "out/a", "`mashbill verify out`"),
        ("verify", "out/a/shard_0000.parquet", "`mashbill verify out`"),
        ("verify", "run", "`mashbill report run` shows it"),
        ("inspect", "out/a", "`mashbill inspect out --split a` looks at"),
    ] {
        let ran = project.run(&format!("{command} {path}")).with_code(2);
        assert!(ran.stderr.contains(hint), "{path}: {ran}");
    }
}

#[test]
fn a_license_that_no_dataset_has_is_told() {
    let project = Project::new();
    let ran = project.run("download --status-only --license-allow opne,mit").with_code(0);
    assert!(
        ran.stderr.contains("warning: no dataset has the license `opne` given with --license-allow"),
        "{ran}"
    );
    assert!(!ran.stderr.contains("`mit`"), "{ran}");
    project.run("download --status-only --max-rows 0").with_code(2);
}

#[test]
fn a_tokenizer_that_git_lfs_did_not_fetch_is_named() {
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 5\n";
    let project = Project::with(&[("data/a.jsonl", ROW), ("tok/tokenizer.json", pointer)]);
    let ran =
        project.run("tokenize --input data --output out --tokenizer tok --max-seq-length 8").with_code(2);
    assert!(ran.stderr.contains("`tok/tokenizer.json` is a Git LFS pointer"), "{ran}");
    assert!(ran.stderr.contains("hint: git lfs pull"), "{ran}");
}
