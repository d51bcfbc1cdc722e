//! What may only get better: sizes, what is forbidden, which files of a crate need one another, and what names mean.
//!
//! All Rust sources of the workspace are looked at. Tests are held to the same sizes, but counted apart, so that neither hides
//! the other; they alone may `unwrap`, and circles are not looked for in them.

mod circles;
mod nouns;
mod scan;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use circles::{Need, in_circles, needs};
use nouns::ambiguous;
use scan::{Function, Source, functions};

/// Lines of the largest file.
const FILE_LINES_MAX: usize = 650;
/// Lines that 99 of 100 functions have at most, from `fn` to the closing brace.
const FUNCTION_LINES_P99: usize = 55;
/// Lines of the longest function.
const FUNCTION_LINES_MAX: usize = 110;

/// Needs that close a circle within a crate, each with the reason why it may. Without them there is none.
const BACKWARD: &[(&str, &str, &str)] = &[
    // An error names what it is about, and who reads such a name fails with that error.
    ("hub/src/repo", "hub/src/error", "a name that is none is an error, which speaks of repositories"),
    (
        "hub/src/token",
        "hub/src/error",
        "a token that is none is an error, which says where the token was from",
    ),
    // Names of files and what they may not be called stand with what they name.
    (
        "format/src/layout",
        "format/src/lock",
        "the list of our own names has the lock's, which stands with the lock",
    ),
    (
        "format/src/layout",
        "format/src/name",
        "the longest name of a split leaves room for what is put behind it",
    ),
    (
        "format/src/manifest/bounds",
        "format/src/manifest",
        "the bounds are the manifest's own: one type in two files",
    ),
    ("format/src/stats", "format/src/task", "a split's statistics add up what its tasks recorded"),
    // One reader in several files: the parent chooses, the children have the ways.
    ("format/src/documents/read", "format/src/documents", "the reader gives the writer's rows"),
    (
        "records/src/record/unescaped",
        "records/src/record/cursor",
        "the cursor marks a stretch, which is unescaped",
    ),
    ("records/src/plain", "records/src/blocks", "one of the two ways to the blocks of a file"),
    ("records/src/streamed", "records/src/blocks", "one of the two ways to the blocks of a file"),
    ("verify/src/folder", "verify/src/findings", "what a folder is may itself be a finding"),
    // A template's value is one type, whose parts are in files of their own and have values in turn.
    ("jinja/src/value", "jinja/src/dict", "a dict is a value, and has values"),
    ("jinja/src/value", "jinja/src/frame", "a macro is a value, and keeps the variables around it"),
    ("jinja/src/value", "jinja/src/iterate", "an iterator is a value, and gives values"),
];

/// Names of what each stage has in the same sense, with that sense: the crate's name says whose it is. Any other type that more
/// than one file sees has a name of its own in the workspace.
const ROLES: &[(&str, &str)] = &[
    ("Options", "what the caller decides"),
    ("Plan", "what a run would do"),
    ("Event", "what happens while it is under way"),
    ("Progress", "how far it is"),
    ("Report", "what a finished run tells"),
    ("Audit", "what came of making a finished folder again, or of a part of it"),
    ("Error", "why it failed"),
    ("Result", "what comes back, or that error"),
];

/// What is too long.
fn sizes(sources: &[Source]) -> Vec<String> {
    let mut broken = Vec::new();
    for source in sources.iter().filter(|source| source.lines > FILE_LINES_MAX) {
        broken.push(format!("{}: {} lines, above {FILE_LINES_MAX}", source.path, source.lines));
    }
    let mut code: Vec<Function> = Vec::new();
    let mut tests = Vec::new();
    for source in sources {
        let outside = functions(source, &source.without_tests());
        tests.extend(
            functions(source, &source.code).into_iter().filter(|function| !outside.contains(function)),
        );
        code.extend(outside);
    }
    broken.extend(long_functions("functions", code));
    broken.extend(long_functions("functions of tests", tests));
    broken
}

fn long_functions(of: &str, mut functions: Vec<Function>) -> Vec<String> {
    let all = functions.len();
    functions.retain(|function| function.lines > FUNCTION_LINES_P99);
    functions.sort_by_key(|function| std::cmp::Reverse(function.lines));
    let named = |function: &Function| format!("{}: {} lines", function.name, function.lines);
    if functions.len() * 100 > all {
        let count = functions.len();
        let above = format!("{count} of {all} {of} are above {FUNCTION_LINES_P99} lines");
        return std::iter::once(above).chain(functions.iter().map(named)).collect();
    }
    functions.iter().filter(|function| function.lines > FUNCTION_LINES_MAX).map(named).collect()
}

/// What nobody may write. `unwrap` is for tests.
fn forbidden(sources: &[Source]) -> Vec<String> {
    let in_code = ["#[allow", "#![allow", "todo!", "unimplemented!", "dbg!", "#[ignore"];
    let in_comments = ["TODO", "FIXME", "XXX:"];
    let mut broken = Vec::new();
    for source in sources {
        let without_tests = source.without_tests();
        let unwraps = find_all(&without_tests, &[".unwrap()"]);
        let words = find_all(&source.code, &in_code).chain(find_all(&source.comments, &in_comments));
        broken.extend(
            unwraps
                .chain(words)
                .map(|(at, word)| format!("{}:{}: `{word}`", source.path, source.line_of(at))),
        );
    }
    broken
}

fn find_all<'a>(text: &'a str, words: &'a [&str]) -> impl Iterator<Item = (usize, &'a str)> {
    words.iter().flat_map(|word| text.match_indices(word))
}

/// Circles that [`BACKWARD`] does not know, and what of it is not so any more.
fn circles(sources: &[Source], backward: &[(&str, &str, &str)]) -> Vec<String> {
    let mut crates: BTreeMap<&str, Vec<&Source>> = BTreeMap::new();
    for source in sources {
        if let Some((name, _)) = source.path.split_once("/src/") {
            crates.entry(name).or_default().push(source);
        }
    }
    let all: BTreeSet<Need> = crates.values().flat_map(|sources| needs(sources)).collect();
    let is_called = |path: &str, name: &str| {
        let path = path.trim_start_matches("crates/");
        path.strip_suffix(".rs") == Some(name)
    };
    let is =
        |(from, to): &Need, entry: &(&str, &str, &str)| is_called(from, entry.0) && is_called(to, entry.1);
    let known = |need: &Need| backward.iter().any(|entry| is(need, entry));
    let others: BTreeSet<Need> = all.iter().filter(|need| !known(need)).cloned().collect();
    let mut broken: Vec<_> =
        in_circles(&others).iter().map(|(from, to)| format!("{from} needs {to}, in a circle")).collect();
    let closing = in_circles(&all);
    let is_stale = |entry: &&(&str, &str, &str)| !closing.iter().any(|need| is(need, entry));
    broken.extend(backward.iter().filter(is_stale).map(|(from, to, _)| {
        format!("{from} does not need {to} any more, or in no circle: take it off the list")
    }));
    broken
}

/// All Rust sources of the workspace.
fn workspace() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut sources = Vec::new();
    let mut folders: Vec<PathBuf> =
        ["crates", "python/src", "benches", "fuzz", "examples"].map(|name| root.join(name)).into();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder of the workspace") {
            let path = entry.expect("an entry").path();
            // What is built is not ours.
            if path.is_dir() && !path.ends_with("target") {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).expect("sources are UTF-8");
                let name =
                    path.strip_prefix(&root).expect("it is below").display().to_string().replace('\\', "/");
                sources.push(Source::new(&name, &text));
            }
        }
    }
    assert!(sources.len() > 300, "only {} sources were found", sources.len());
    sources
}

fn none(broken: &[String]) {
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn files_and_functions_stay_short() {
    none(&sizes(&workspace()));
}

#[test]
fn nothing_is_forbidden_or_left_for_later() {
    none(&forbidden(&workspace()));
}

#[test]
fn files_need_one_another_in_no_circle_but_those_that_are_defended() {
    none(&circles(&workspace(), BACKWARD));
}

#[test]
fn a_public_types_name_has_one_meaning() {
    none(&ambiguous(&workspace(), ROLES));
}

/// A function of `lines` lines.
fn function(name: &str, lines: usize) -> String {
    format!("fn {name}() {{\n{}}}\n", "    step();\n".repeat(lines - 2))
}

#[test]
fn each_ratchet_holds() {
    let at = |path: &str, text: &str| vec![Source::new(path, text)];
    let long_file = "// a line\n".repeat(FILE_LINES_MAX);
    none(&sizes(&at("crates/a/src/lib.rs", &long_file)));
    assert_eq!(sizes(&at("crates/a/src/lib.rs", &(long_file + "//\n"))).len(), 1);

    // One function in a hundred may be long, and none very long; tests are counted by themselves.
    let short: String = (0..99).map(|number| function(&format!("short{number}"), 3)).collect();
    let with = |lines: usize| at("crates/a/src/lib.rs", &(short.clone() + &function("long", lines)));
    none(&sizes(&with(FUNCTION_LINES_MAX)));
    assert_eq!(sizes(&with(FUNCTION_LINES_MAX + 1)).len(), 1);
    let two = short.clone()
        + &function("long", FUNCTION_LINES_P99 + 1)
        + &function("longer", FUNCTION_LINES_P99 + 2);
    assert_eq!(sizes(&at("crates/a/src/lib.rs", &two)).len(), 3);
    let tests =
        format!("{short}#[cfg(test)]\nmod tests {{\n{}}}\n", function("long", FUNCTION_LINES_P99 + 1));
    assert_eq!(sizes(&at("crates/a/src/lib.rs", &tests)).len(), 2);
    // Braces in strings and characters are none, and a string of many lines counts as one.
    let odd = format!(
        "fn odd() {{\n    ('}}', \"}} \\\" }}\", r#\"}}\"{}\"#);\n}}\n",
        "\n".repeat(FUNCTION_LINES_MAX)
    );
    let odd = Source::new("crates/a/src/lib.rs", &odd);
    assert_eq!(functions(&odd, &odd.code)[0].lines, 3);
}

#[test]
fn each_forbidden_word_is_found_where_it_counts() {
    let found = |path: &str, text: &str| forbidden(&[Source::new(path, text)]).len();
    for text in
        ["fn a() { b.unwrap() }", "#[allow(dead_code)]", "fn a() { todo!() }", "fn a() { unimplemented!() }"]
    {
        assert_eq!(found("crates/a/src/lib.rs", text), 1, "{text}");
    }
    for text in ["// TODO: later", "/* a /* b */ FIXME */", "//! XXX: odd"] {
        assert_eq!(found("crates/a/src/lib.rs", text), 1, "{text}");
    }
    let tests = "#[cfg(test)]\nmod tests {\n    fn a() { b.unwrap() }\n}\n";
    for text in [tests, "fn a() -> &'static str { \"todo!() .unwrap()\" }", "// `.unwrap()` and todo!"] {
        assert_eq!(found("crates/a/src/lib.rs", text), 0, "{text}");
    }
    assert_eq!(found("crates/a/src/lib.rs", &format!("{tests}fn c() {{ d.unwrap() }}")), 1);
    assert_eq!(found("crates/a/tests/it/b.rs", "fn a() { b.unwrap() }"), 0);
}

#[test]
fn each_circle_is_found() {
    let sources = |files: &[(&str, &str)]| -> Vec<Source> {
        files.iter().map(|(path, text)| Source::new(&format!("crates/x/src/{path}.rs"), text)).collect()
    };
    let found = |files: &[(&str, &str)]| circles(&sources(files), &[]).len();
    let root = ("lib", "mod a;\nmod b;\npub use b::B;");
    // By a path, by `use`, by what a parent hands on, from a parent to its child and back.
    assert_eq!(
        found(&[root, ("a", "use crate::b::B;"), ("b", "pub struct B;\nfn b() { crate::a::c() }")]),
        2
    );
    assert_eq!(found(&[root, ("a", "use crate::{B, c};"), ("b", "use super::a::{self, d as e};")]), 2);
    assert_eq!(found(&[("a", "mod b;\nuse b::B;"), ("a/b", "use super::C;")]), 2);
    assert_eq!(found(&[("a", "mod b;\npub use b::B;\nfn c(_: B) {}"), ("a/b", "use super::C;")]), 2);
    let three = [root, ("a", "use crate::b::B;"), ("b", "use crate::c::C;"), ("c", "use crate::a::A;")];
    assert_eq!(found(&three), 3);
    // What is handed on, other crates, tests, comments and strings close none.
    assert_eq!(found(&[("a", "mod b;\npub use b::B;"), ("a/b", "use super::C;")]), 0);
    assert_eq!(found(&[root, ("a", "use crate::b::B;"), ("b", "use std::a::c;\n// crate::a\n")]), 0);
    assert_eq!(
        found(&[root, ("a", "use crate::b::B;"), ("b", "#[cfg(test)]\nmod tests { use crate::a; }")]),
        0
    );
    assert_eq!(found(&[("a", "mod inside { use super::b; }"), ("b", "use crate::a;")]), 0);
    // One defended need opens the circle; one that is not so any more is told.
    assert_eq!(circles(&sources(&three), &[("x/src/c", "x/src/a", "why")]).len(), 0);
    assert_eq!(circles(&sources(&three[..3]), &[("x/src/c", "x/src/a", "why")]).len(), 1);
}
