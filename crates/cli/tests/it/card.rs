//! The dataset card in an output folder: when it is written, and what of the user's stays.

use std::fs;

use mashbill_format::card::{BODY_MARKS, FRONT_MARKS};

use crate::project::Project;

const ROW: &str = "{\"text\": \"one two three four five six seven\"}\n";

fn project() -> Project {
    Project::with(&[("data/a.jsonl", ROW), ("data/b.jsonl", ROW)])
}

#[test]
fn a_card_is_written_with_the_manifest_and_put_right_by_the_next_run() {
    let project = project();
    project.tokenize("").with_code(0);
    let card = project.read("out/README.md");
    for part in
        ["config_name: \"default\"", "\"a/shard_*.parquet\"", "\"b/shard_*.parquet\"", "gpt2", "| a |"]
    {
        assert!(card.contains(part), "{part}: {card}");
    }
    let folder = fs::canonicalize(project.path("")).expect("it is there").display().to_string();
    assert!(!card.contains(&folder), "{card}");
    let verified = project.run("verify out").with_code(0);
    assert!(!verified.stderr.contains("README.md"), "{verified}");
    // As a kill between the manifest and the card leaves it, as somebody spoils it, and without it.
    let without_b = Project::with(&[("data/a.jsonl", ROW)]);
    without_b.tokenize("").with_code(0);
    for stale in [Some(without_b.read("out/README.md")), Some(card.replace("rows", "lines")), None] {
        match &stale {
            Some(stale) => project.write("out/README.md", stale),
            None => fs::remove_file(project.path("out/README.md")).expect("it is there"),
        }
        let verified = project.run("verify out").with_code(0);
        assert!(verified.stderr.contains("README.md"), "{verified}");
        assert!(verified.stderr.contains("it rewrites only the card"), "{verified}");
        let ran = project.tokenize("").with_code(0);
        assert!(ran.stderr.contains("2 finished splits unchanged"), "{ran}");
        assert_eq!(project.read("out/README.md"), card);
    }
    // Where it says what it should, it is not touched.
    let modified = || fs::metadata(project.path("out/README.md")).and_then(|m| m.modified()).expect("a time");
    let before = modified();
    project.tokenize("").with_code(0);
    assert_eq!(modified(), before);
}

#[test]
fn the_card_speaks_of_what_counts_and_is_held_out() {
    let project = project();
    project.tokenize("--val-fraction 0.999").with_code(0);
    let card = project.read("out/README.md");
    assert!(card.contains("\"_validation/a/shard_*.parquet\"") && !card.contains("split: train"), "{card}");
    assert!(!project.path("out/_validation/README.md").exists());
    let verified = project.run("verify out").with_code(0);
    assert!(!verified.stderr.contains("README.md"), "{verified}");
    project.tokenize("--skip-existing").with_code(0);
    let card = project.read("out/README.md");
    assert!(card.contains("\"a/shard_*.parquet\"") && !card.contains("_validation"), "{card}");
    fs::remove_file(project.path("data/b.jsonl")).expect("it is there");
    for flags in ["", "--prune"] {
        project.tokenize(flags).with_code(0);
        let card = project.read("out/README.md");
        assert!(card.contains("\"a/shard_*.parquet\"") && !card.contains("\"b/"), "{flags}: {card}");
        let verified = project.run("verify out").with_code(0);
        assert!(!verified.stderr.contains("README.md"), "{verified}");
    }
}

#[test]
fn what_the_user_wrote_stays() {
    let project = project();
    project.write("out/README.md", "---\r\nlicense: mit\r\nconfigs: []\r\n---\r\n# Mine\r\nno end");
    let ran = project.tokenize("").with_code(0);
    assert!(ran.stderr.contains("out/README.md keeps its own values"), "{ran}");
    assert!(ran.stderr.contains("configs, dataset_info"), "{ran}");
    let card = project.read("out/README.md");
    assert!(card.starts_with("---\r\nlicense: mit\r\nconfigs: []\r\n# mashbill: begin\r\n"), "{card}");
    assert!(card.contains("---\r\n# Mine\r\nno end\r\n\r\n<!-- mashbill: begin -->\r\n"), "{card}");
    assert_eq!(card.matches("configs:").count(), 1, "{card}");
    project.write("data/c.jsonl", ROW);
    project.tokenize("").with_code(0);
    let card = project.read("out/README.md");
    assert!(card.starts_with("---\r\nlicense: mit\r\nconfigs: []\r\n") && card.contains("| c |"), "{card}");
    for mark in FRONT_MARKS.into_iter().chain(BODY_MARKS) {
        assert_eq!(card.matches(mark).count(), 1, "{card}");
    }
}

#[test]
fn what_stands_in_its_place_is_never_lost() {
    for (contents, why) in [
        (&b"\xff\xfe"[..], "it is not UTF-8"),
        (b"---\n[a]\n---\n", "its front matter is not a YAML mapping"),
        (b"<!-- mashbill: begin -->\n", "once each, in this order"),
    ] {
        let project = project();
        project.write("out/README.md", contents);
        let ran = project.tokenize("").with_code(0);
        assert!(ran.stderr.contains("warning: no dataset card was written: out/README.md: "), "{ran}");
        assert!(
            ran.stderr.contains(why) && ran.stderr.contains("hint: mv out/README.md out/NOTES.md"),
            "{ran}"
        );
        assert_eq!(fs::read(project.path("out/README.md")).expect("it is there"), contents);
        let verified = project.run("verify out").with_code(0);
        assert!(verified.stderr.contains("README.md"), "{verified}");
    }
    let project = project();
    fs::create_dir_all(project.path("out/README.md")).expect("a folder");
    let ran = project.tokenize("").with_code(0);
    assert!(ran.stderr.contains("it is a folder"), "{ran}");
    let large = project.path("out/README.md");
    fs::remove_dir(&large).expect("it is empty");
    let file = fs::File::create(&large).expect("a file");
    file.set_len(mashbill_format::card::CARD_BYTES_MAX + 1).expect("a sparse file");
    let ran = project.tokenize("").with_code(0);
    assert!(ran.stderr.contains("it is larger than"), "{ran}");
}

#[cfg(unix)]
#[test]
fn a_link_is_not_followed() {
    let project = project();
    project.write("mine.md", "# Mine\n");
    fs::create_dir_all(project.path("out")).expect("a folder");
    std::os::unix::fs::symlink(project.path("mine.md"), project.path("out/README.md")).expect("a link");
    let ran = project.tokenize("").with_code(0);
    assert!(ran.stderr.contains("it is a link"), "{ran}");
    assert_eq!(project.read("mine.md"), "# Mine\n");
    assert!(fs::symlink_metadata(project.path("out/README.md")).expect("it is there").is_symlink());
}

#[cfg(unix)]
#[test]
fn a_split_that_datasets_cannot_load_is_named() {
    let project = Project::with(&[("data/a::b.jsonl", ROW), ("data/x*y.jsonl", ROW)]);
    let ran = project.tokenize("").with_code(0);
    assert!(ran.stderr.contains("the dataset card leaves them out: `a::b`"), "{ran}");
    let card = project.read("out/README.md");
    assert!(card.contains("\"x[*]y/shard_*.parquet\"") && !card.contains("a[:]"), "{card}");
}
