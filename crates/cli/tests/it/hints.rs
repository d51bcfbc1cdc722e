//! What hints say can be typed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use crate::project::{Project, files_below};

const COMMANDS: [&str; 6] = ["download", "tokenize", "verify", "inspect", "report", "doctor"];

/// The flags in a text: `--skip-existing`.
fn flags(text: &str) -> BTreeSet<String> {
    let after = text.split("--").skip(1);
    let names = after.map(|rest| rest.split(|c: char| !(c.is_ascii_lowercase() || c == '-')).next());
    let names = names.map(|name| name.unwrap_or_default().trim_end_matches('-'));
    names.filter(|name| !name.is_empty()).map(|name| format!("--{name}")).collect()
}

/// The flags of each command, by its help.
fn known() -> BTreeMap<&'static str, BTreeSet<String>> {
    let project = Project::new();
    COMMANDS.map(|name| (name, flags(&project.run(&format!("{name} --help")).with_code(0).stdout))).into()
}

/// Lines of code in which hints stand, with their file.
fn lines() -> Vec<(PathBuf, String)> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let files = files_below(&source).into_iter().filter(|(name, _)| name.ends_with(".rs"));
    let all = files.flat_map(|(name, _)| {
        let text = fs::read_to_string(source.join(&name)).expect("sources are UTF-8");
        // A text that goes on in the next line of the source is one.
        let text = text.replace("\\\n", "");
        let lines: Vec<_> = text.lines().map(|line| (PathBuf::from(&name), line.trim().to_owned())).collect();
        lines
    });
    all.filter(|(_, line)| !line.starts_with("//")).collect()
}

#[test]
fn every_flag_that_a_hint_names_is_one_of_the_command_it_is_for() {
    let known = known();
    let mut wrong = Vec::new();
    let mut seen = 0;
    for (file, line) in lines() {
        // What stands between back quotes and begins with the command's name is to be typed as it is.
        for typed in line.split('`').skip(1).step_by(2) {
            let Some(rest) = typed.strip_prefix("mashbill ") else { continue };
            let command = rest.split_whitespace().next().unwrap_or_default();
            let Some(of_command) = known.get(command) else { continue };
            let strange: Vec<_> = flags(rest).difference(of_command).cloned().collect();
            seen += 1;
            if !strange.is_empty() {
                wrong.push(format!("{}: `{typed}` has {strange:?}", file.display()));
            }
        }
        if file.starts_with("hints") || file == Path::new("hints.rs") {
            let strange =
                flags(&line).into_iter().filter(|flag| !known.values().any(|all| all.contains(flag)));
            wrong.extend(strange.map(|flag| format!("{}: {flag} in {line}", file.display())));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(seen > 10, "{seen}");
}

#[test]
fn a_record_without_a_text_is_not_looked_for_again() {
    let project = Project::with(&[("data/a.jsonl", "{\"content\":\"hello\"}\n")]);
    for command in ["inspect data", "inspect data --random", "inspect data/a.jsonl --random"] {
        let ran = project.run(command).with_code(2);
        assert!(ran.stderr.contains("hint: `mashbill verify data"), "{ran}");
        assert!(!ran.stderr.contains("--random"), "{ran}");
    }
    project.run("verify data").with_code(4);
}

#[test]
fn a_damaged_manifest_names_a_way_that_works() {
    let project = Project::with(&[("data/a.jsonl", "{\"text\":\"hello\"}\n")]);
    project.tokenize("").with_code(0);
    project.write("out/manifest.json", "{}");
    for (command, code) in [("report out", 2), ("inspect out", 2), ("verify out", 4)] {
        let ran = project.run(command).with_code(code);
        assert!(
            ran.stderr.contains("hint: `mv out/manifest.json out/manifest.json.bad`, then run the"),
            "{ran}"
        );
        assert!(ran.stderr.contains("`mashbill tokenize` command that made it with `--force`"), "{ran}");
    }
    fs::rename(project.path("out/manifest.json"), project.path("moved")).expect("it is there");
    project.tokenize("--force").with_code(0);
    project.run("verify out").with_code(0);
}

#[test]
fn what_many_splits_need_is_said_once() {
    let project = Project::new();
    for index in 0..8 {
        project.write(&format!("data/s{index}.jsonl"), "{\"text\":\"hello\"}\n");
    }
    project.tokenize("").with_code(0);
    for index in 0..8 {
        fs::remove_file(project.path(&format!("out/s{index}/shard_0000.parquet"))).expect("it is there");
    }
    let ran = project.run("verify out").with_code(4);
    assert_eq!(ran.stderr.matches("hint: ").count(), 1, "{ran}");
    assert!(ran.stderr.contains("; the same for s1, s2, s3, s4, s5 and 2 more"), "{ran}");
}

#[test]
fn training_has_help_where_there_is_nobody_to_train() {
    let project = Project::new();
    for command in ["train --help", "train -h"] {
        let mut command = project.command(command);
        let ran = project.finish(command.env("PATH", project.path(""))).with_code(0);
        assert!(
            ran.stdout.contains("--config") && ran.stdout.contains("pip install './python[train]'"),
            "{ran}"
        );
    }
}

#[test]
fn a_split_that_is_not_there_names_those_that_are() {
    let project = Project::with(&[("data/a.jsonl", "{\"text\":\"hello\"}\n")]);
    project.tokenize("").with_code(0);
    let ran = project.run("inspect out --split b").with_code(2);
    assert!(ran.stderr.contains("there is no split `b` in `out`; there is a\nhint: "), "{ran}");
    let ran = project.run("inspect out --doc nothing --batch-size 1").with_code(2);
    assert!(ran.stderr.contains("hint: `mashbill inspect out --step 0` lists"), "{ran}");
}

#[test]
fn a_setting_that_makes_no_sense_is_named_with_what_to_do() {
    let project = Project::with(&[("data/a.jsonl", "{\"text\":\"hello\"}\n")]);
    for arguments in
        ["tokenize --input data --tokenizer org/name", "download --output downloaded --dataset org/name"]
    {
        let mut command = project.command(arguments);
        let ran = project.finish(command.env("HF_ENDPOINT", "nonsense")).with_code(2);
        assert!(ran.stderr.contains("hint: correct HF_ENDPOINT, or unset it"), "{ran}");
    }
}
