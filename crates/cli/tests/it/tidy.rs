//! Habits that a machine can hold.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Files that git keeps, or would; none where this is no checkout.
fn kept_files() -> Option<Vec<PathBuf>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut git = Command::new("git");
    git.args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]).current_dir(&root);
    let Some(output) = git.output().ok().filter(|output| output.status.success()) else {
        println!("skipped: this is not a checkout of git");
        return None;
    };
    let names = String::from_utf8(output.stdout).expect("names are UTF-8");
    let files = names.split_terminator('\0').map(|name| root.join(name));
    Some(files.filter(|file| file.is_file()).collect())
}

/// The complaints of `check` about each Rust file.
fn complaints(check: impl Fn(&str) -> Vec<String>) -> Vec<String> {
    let files = kept_files().unwrap_or_default().into_iter();
    let sources = files.filter(|path| path.extension().is_some_and(|extension| extension == "rs"));
    sources
        .flat_map(|path| {
            let text = fs::read_to_string(&path).expect("sources are UTF-8");
            let complaints = check(&text);
            complaints.into_iter().map(move |complaint| format!("{}: {complaint}", path.display()))
        })
        .collect()
}

#[test]
fn every_module_says_why_it_exists() {
    let found = complaints(|text| {
        // A fuzz target opens with the attribute that takes its main function away.
        let text = text.trim_start_matches("#![no_main]\n");
        if text.starts_with("//! ") { Vec::new() } else { vec!["it does not begin with `//! `".into()] }
    });
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn what_is_printed_goes_through_two_doors() {
    // Clippy refuses the ways around them wherever nobody expects it to.
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let files = crate::project::files_below(&source);
    let doors: Vec<&str> = files
        .iter()
        .filter(|(name, bytes)| {
            let text = String::from_utf8_lossy(bytes);
            let prints = ["std::io::std", "anstream::std", "println!", "print!(", "clippy::print_std"];
            name.ends_with(".rs") && prints.iter().any(|print| text.contains(print))
        })
        .map(|(name, _)| name.as_str())
        .collect();
    assert_eq!(doors, ["out.rs", "printer.rs"]);
}

#[test]
fn no_file_is_large() {
    let files = kept_files().unwrap_or_default();
    let large: Vec<_> = files
        .into_iter()
        .filter(|path| fs::metadata(path).is_ok_and(|metadata| metadata.len() > 1_000_000))
        .collect();
    assert!(large.is_empty(), "over a megabyte: {large:?}");
}
