//! Folders that are not whole yet, or not any more: what each command says of them leads on.

use std::fs;

use crate::project::{Project, Ran};

const RECORD: &str = "{\"text\":\"hello world\"}\n";

fn tokenized() -> Project {
    let project = Project::with(&[("data/a.jsonl", RECORD)]);
    project.tokenize("").with_code(0);
    project
}

/// What a run leaves that has not finished its first split: its state, with the name of its process.
fn under_way() -> Project {
    let project = Project::with(&[("data/a.jsonl", RECORD)]);
    project.write("out/.mashbill/lock", "4242 still-house\n");
    project
}

#[test]
fn a_first_run_that_is_under_way_is_nothing_to_force() {
    let project = under_way();
    check!(project.run("verify out"), @r"
    exit: 3
    --- stderr
    warning: .mashbill: a run is under way, or was interrupted: what it makes is not in the manifest yet (unfinished)
    hint: if process [PID] on [HOST] is still running, wait for it; else rerun the `mashbill tokenize` command that made it: it resumes
    out: nothing is finished yet, so nothing was checked
    ");
    for command in ["inspect", "report"] {
        let ran = project.run(&format!("{command} out")).with_code(2);
        let said = "error: `out` has no manifest.json yet: a run is under way, or was interrupted\nhint: if process 4242";
        assert!(ran.stderr.contains(said), "{ran}");
    }
    let ran = project.run("inspect out --step 0 --batch-size 1").with_code(2);
    assert!(ran.stderr.contains("it has no manifest.json\nhint: if process 4242 on still-house"), "{ran}");
    assert!(!project.path("report.html").exists());
    let good = |ran: &Ran| ran.stdout.contains("\"good\": true");
    assert!(!good(&project.run("verify out --json").with_code(3)));
    project.tokenize("").with_code(0);
    assert!(good(&project.run("verify out --json").with_code(0)));
}

#[test]
fn splits_whose_manifest_is_lost_are_told_from_nothing() {
    let project = tokenized();
    fs::remove_file(project.path("out/manifest.json")).expect("it was there");
    let ran = project.run("verify out").with_code(4);
    let said = "error: manifest.json: it is not there, though splits are (manifest)\n\
                hint: run the `mashbill tokenize` command that made it with `--force`; or copy the folder again from a good \
                copy\nout has 1 error (";
    assert!(ran.stderr.starts_with(said), "{ran}");
    for command in ["inspect", "report"] {
        let ran = project.run(&format!("{command} out")).with_code(2);
        let said = "error: `out` has no manifest.json, though it has splits\nhint: run the `mashbill tokenize` command";
        assert!(ran.stderr.contains(said), "{ran}");
    }
    project.tokenize("--force").with_code(0);
    project.run("verify out").with_code(0);
}

#[test]
fn a_manifest_that_is_cut_off_is_moved_away_and_made_again() {
    let project = tokenized();
    let manifest = project.read("out/manifest.json");
    let line = manifest[..manifest.len() / 2].lines().count();
    project.write("out/manifest.json", &manifest[..manifest.len() / 2]);
    let said = format!(
        "is damaged: it is cut off at line {line}\nhint: `mv out/manifest.json out/manifest.json.bad`, then run"
    );
    let ran = project.tokenize("--force").with_code(2);
    assert!(ran.stderr.contains(&said), "{ran}");
    let ran = project.run("verify out").with_code(4);
    assert!(ran.stderr.contains(&format!("manifest.json: it is cut off at line {line} (manifest)")), "{ran}");
    fs::rename(project.path("out/manifest.json"), project.path("out/manifest.json.bad")).expect("as it says");
    project.tokenize("--force").with_code(0);
    project.run("verify out").with_code(0);
}

#[test]
fn a_part_of_an_output_folder_leads_to_the_whole() {
    let project = tokenized();
    for part in ["out/a", "out/a/shard_0000.parquet", "out/a/_documents/shard_0000.documents"] {
        for (command, hint) in [
            ("inspect", "`mashbill inspect out --split a` looks at it"),
            ("verify", "give the whole folder: `mashbill verify out`"),
            ("report", "give the whole folder: `mashbill report out`"),
        ] {
            let ran = project.run(&format!("{command} {part}")).with_code(2);
            assert_eq!(ran.stderr, format!("error: `{part}` is a part of `out`\nhint: {hint}\n"));
        }
    }
    project.run("inspect out --split a").with_code(0);
}

#[test]
fn of_several_paths_each_is_looked_at_before_the_first_is_read() {
    let project = tokenized();
    fs::create_dir(project.path("empty")).expect("a folder");
    let ran = project.run("verify out data empty").with_code(2);
    assert!(ran.stderr.starts_with("error: `empty` holds nothing to verify"), "{ran}");
    let ran = project.run("verify out nope empty").with_code(2);
    assert!(ran.stderr.starts_with("error: `nope` does not exist\nhint: check the path"), "{ran}");
    let ran = project.run("verify out --deep --source nope").with_code(2);
    assert!(ran.stderr.starts_with("error: `nope` does not exist\nhint: check the path"), "{ran}");
}

#[test]
fn a_page_that_cannot_be_written_is_refused_before_anything_is_read() {
    let project = tokenized();
    let before = project.files(".");
    check!(project.run("report out -o data"), @r"
    exit: 2
    --- stderr
    error: cannot write the page to `data`: it is a folder
    hint: give a file: `-o data/report.html`
    ");
    check!(project.run("report out -o pages/r.html"), @r"
    exit: 2
    --- stderr
    error: cannot write `pages/r.html`: the folder `pages` does not exist
    hint: mkdir -p pages
    ");
    assert!(project.files(".") == before, "nothing was left behind");
}

#[test]
fn a_file_that_is_not_there_is_told_from_records_without_a_text() {
    let project = Project::with(&[("data/a.jsonl", RECORD), ("data/b/c.jsonl", RECORD)]);
    check!(project.run("inspect data --split zz"), @r"
    exit: 2
    --- stderr
    error: there is no file `zz` in `data`; there are a.jsonl, b/c.jsonl
    hint: name one of them with `--split`, or none to look at all
    ");
    project.run("inspect data --split c").with_code(0);
}

#[test]
fn hints_stand_under_what_they_mend() {
    let project = Project::with(&[("data/a.jsonl", "nope\n"), ("data/b.csv", ""), ("data/c.jsonl", "")]);
    let ran = project.run("verify data").with_code(4);
    let begun = [
        "error: a.jsonl, line 1: ",
        "hint: correct or remove the line",
        "warning: b.csv: ",
        "hint: supported are",
        "warning: c.jsonl: ",
        "hint: if you do not need it",
        "data has 1 error (",
    ];
    let lines: Vec<&str> = ran.stderr.lines().collect();
    assert_eq!(lines.len(), begun.len(), "{ran}");
    assert!(lines.iter().zip(begun).all(|(line, begin)| line.starts_with(begin)), "{ran}");
}

#[test]
fn what_is_cut_off_of_many_errors_is_counted_as_errors() {
    let project = Project::with(&[("data/a.jsonl", &"nope\n".repeat(12))]);
    let ran = project.run("verify data").with_code(4);
    assert!(ran.stderr.contains("\nerror: and 7 more errors of the same kinds\n"), "{ran}");
    assert!(!ran.stderr.contains("warning"), "{ran}");
}
