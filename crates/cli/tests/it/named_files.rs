//! What the documents for contributors name is there.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The paths of all files of the crates and of what tests and describes them, from the root on.
fn files() -> BTreeSet<String> {
    let mut files = BTreeSet::new();
    let mut folders: Vec<PathBuf> =
        ["crates", "python", "tests", "docs", "fuzz"].map(|name| root().join(name)).into();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder of the workspace") {
            let path = entry.expect("an entry").path();
            if path.is_dir() && !path.ends_with("target") {
                folders.push(path);
            } else {
                let name = path.strip_prefix(root()).expect("it is below").display().to_string();
                files.insert(name.replace('\\', "/"));
            }
        }
    }
    files
}

/// What stands between backticks, line by line.
fn spans(text: &str) -> impl Iterator<Item = &str> {
    text.lines().flat_map(|line| line.split('`').skip(1).step_by(2))
}

/// Files that a text names, by their ends, and modules as `crate::module` that are not in `files`, or do not have what is
/// named behind them: `says` tells whether a file has a word.
fn missing(text: &str, files: &BTreeSet<String>, says: &dyn Fn(&str, &str) -> bool) -> Vec<String> {
    let ends = |end: &str| files.iter().any(|file| *file == end || file.ends_with(&format!("/{end}")));
    let is_file = |span: &&str| {
        let name = span.trim_end_matches(|c: char| c.is_ascii_digit() || c == ':');
        [".rs", ".py", ".md"].iter().any(|ending| name.ends_with(ending)) && !name.contains([' ', '*', '<'])
    };
    let crates: BTreeSet<&str> =
        files.iter().filter_map(|file| file.strip_prefix("crates/")?.split('/').next()).collect();
    let is_module = |span: &str| {
        let Some((name, rest)) = span.split_once("::") else { return true };
        let (module, item) = rest.split_once("::").unwrap_or((rest, ""));
        // `it` is the tests of the command; functions and types of other crates are not looked for.
        let folder = match name {
            "it" => "crates/cli/tests/it".to_owned(),
            name if crates.contains(name) => format!("crates/{name}/src"),
            _ => return true,
        };
        let is_name = module.chars().all(|c| c.is_ascii_lowercase() || c == '_');
        let file = format!("{folder}/{module}.rs");
        !is_name || (files.contains(&file) && says(&file, item.trim_end_matches("()")))
    };
    let mut missing: Vec<_> =
        spans(text).filter(is_file).filter(|span| !ends(span)).map(str::to_owned).collect();
    missing.extend(spans(text).filter(|span| !is_module(span)).map(str::to_owned));
    missing
}

#[test]
fn files_and_modules_that_contributors_are_led_to_are_there() {
    let files = files();
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    let says = |file: &str, item: &str| {
        let text = fs::read_to_string(root().join(file)).expect("it is there");
        item.split("::").all(|name| name.is_empty() || text.split(|c| !is_part(c)).any(|word| word == name))
    };
    for name in ["ARCHITECTURE.md", "CONTRIBUTING.md"] {
        let text = fs::read_to_string(root().join(name)).expect("it is there");
        assert!(text.contains("`store::atomic`") || text.contains("`format/src/shard.rs`"), "{name}");
        assert_eq!(missing(&text, &files, &says), Vec::<String>::new(), "{name}");
    }
}

#[test]
fn what_is_not_there_is_found() {
    let files = ["crates/a/src/b.rs", "crates/cli/tests/it/c.rs", "docs/d.md"].map(str::to_owned).into();
    let of = |text: &str| missing(text, &files, &|_, item| item != "Gone");
    assert!(
        of("`b.rs`, `src/b.rs`, `a::b`, `a::b::Type`, `a::Type`, `it::c`, `docs/d.md`, `other::x`")
            .is_empty()
    );
    assert_eq!(of("`a::b::Gone`"), ["a::b::Gone"]);
    assert_eq!(of("`e.rs` and `a::e`, `it::e` or `d/e.md`"), ["e.rs", "d/e.md", "a::e", "it::e"]);
    assert_eq!(of("`rc/b.rs`"), ["rc/b.rs"]);
}
