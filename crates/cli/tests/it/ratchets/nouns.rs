//! Types that several crates, or files of one, define under one name.

use std::collections::{BTreeMap, BTreeSet};

use super::scan::{Source, words};

/// Where a type is defined: its crate, and the file.
type Place<'a> = (&'a str, &'a str);

/// The types that `source` makes for other files, `pub` or `pub(…)`. What a file keeps to itself may have a short name.
fn shared_types(source: &Source) -> BTreeSet<String> {
    let code = source.without_tests();
    let (mut found, mut is_shared, mut before) = (BTreeSet::new(), false, "");
    let mut last_end = 0;
    for (at, word) in words(&code) {
        // Between `pub` and the name of its item there are only blanks, parentheses and a path.
        is_shared &= !code[last_end..at].contains([';', '{', '}', ',', '=', '<']);
        if is_shared && matches!(before, "struct" | "enum" | "union" | "trait" | "type") {
            found.insert(word.to_owned());
            is_shared = false;
        }
        is_shared |= word == "pub";
        (before, last_end) = (word, at + word.len());
    }
    found
}

/// Names with more than one meaning that `roles` does not allow, and what of it is not so any more.
///
/// A role is what each stage has in the same sense: one a crate, whose name says whose it is.
pub(super) fn ambiguous(sources: &[Source], roles: &[(&str, &str)]) -> Vec<String> {
    let mut names: BTreeMap<String, Vec<Place<'_>>> = BTreeMap::new();
    for source in sources {
        // Other programs, as benches and fuzz targets are, have names of their own.
        let Some((of, _)) = source.path.split_once("src/") else { continue };
        if of.starts_with("crates/") || of == "python/" {
            for name in shared_types(source) {
                names.entry(name).or_default().push((of, &source.path));
            }
        }
    }
    let mut broken = Vec::new();
    for (name, places) in &names {
        let crates: BTreeSet<&str> = places.iter().map(|(of, _)| *of).collect();
        let is_role = roles.iter().any(|(role, _)| role == name);
        let allowed = if is_role { crates.len() } else { 1 };
        if places.len() > allowed {
            let files: Vec<&str> = places.iter().map(|(_, file)| *file).collect();
            broken.push(format!("`{name}` has several meanings: {}", files.join(", ")));
        }
    }
    let is_stale = |role: &&(&str, &str)| names.get(role.0).is_none_or(|places| places.len() < 2);
    broken.extend(
        roles
            .iter()
            .filter(is_stale)
            .map(|(role, _)| format!("`{role}` has one meaning: take it off the list")),
    );
    broken
}

#[test]
fn each_name_with_two_meanings_is_found() {
    let found = |files: &[(&str, &str)], roles: &[(&str, &str)]| {
        let sources: Vec<Source> = files.iter().map(|(path, text)| Source::new(path, text)).collect();
        ambiguous(&sources, roles).len()
    };
    let (a, b, other) = ("crates/a/src/lib.rs", "crates/a/src/b.rs", "crates/c/src/lib.rs");
    let noun = "pub struct Noun;";
    for second in [
        "pub enum Noun { One }",
        "pub(crate) trait Noun {}",
        "pub(super) type Noun = u8;",
        "pub(in crate::b) struct Noun<'a>(&'a u8);",
        "mod inside { pub\n struct Noun; }",
    ] {
        assert_eq!(found(&[(a, noun), (b, second)], &[]), 1, "{second}");
        assert_eq!(found(&[(a, noun), (other, second)], &[]), 1, "{second}");
    }
    // What one file alone sees, what is no type's name, tests, comments, and other programs.
    for second in [
        "struct Noun;",
        "pub fn noun() { struct Noun; }",
        "pub use a::Noun; enum Noun {}",
        "pub struct Other { pub noun: Noun }",
        "#[cfg(test)]\nmod tests { pub struct Noun; }",
        "// pub struct Noun;",
    ] {
        assert_eq!(found(&[(a, noun), (b, second)], &[]), 0, "{second}");
    }
    assert_eq!(found(&[(a, noun), ("crates/a/tests/it/b.rs", noun), ("benches/src/b.rs", noun)], &[]), 0);
    // A role is once a crate; one that only one crate has is none.
    let role = [("Noun", "why")];
    assert_eq!(found(&[(a, noun), (other, noun)], &role), 0);
    assert_eq!(found(&[(a, noun), (b, noun), (other, noun)], &role), 1);
    assert_eq!(found(&[(a, noun)], &role), 1);
}
