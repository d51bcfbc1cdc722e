//! `verify` of JSON Lines: a table of injuries, and data that have none.

use std::sync::atomic::AtomicBool;

use mashbill_verify::{Options, ProblemKind, Report, Severity, verify};

use crate::inputs::{gzip, zstd};
use crate::project::Project;

/// What a file is, and what has to be found at which line.
const INJURIES: &[(&str, &[u8], ProblemKind, u64)] = &[
    ("the last line is cut off", b"{\"text\":\"a\"}\n{\"text\":\"b", ProblemKind::Line, 2),
    ("a line is no JSON", b"{\"text\":\"a\"}\nnot json\n", ProblemKind::Line, 2),
    ("a line is a list", b"{\"text\":\"b\"}\n[{\"text\":\"a\"}]\n", ProblemKind::Line, 2),
    ("a line is a number", b"\n\n7\n", ProblemKind::Line, 3),
    ("there is no text", b"{\"id\":\"a\"}\n", ProblemKind::Line, 1),
    ("the text is a number", b"{\"text\":7}\n", ProblemKind::Line, 1),
    ("the text is half a character", b"{\"text\":\"\\ud800\"}\n", ProblemKind::Line, 1),
    ("a line is not UTF-8", b"{\"text\":\"\xff\"}\n", ProblemKind::Line, 1),
    (
        "a record stands twice",
        b"{\"id\":\"a\",\"text\":\"x\"}\n{\"text\":\"y\"}\n{\"id\":\"a\",\"text\":\"x\"}\n",
        ProblemKind::Duplicate,
        3,
    ),
    (
        "an id stands twice",
        b"{\"id\":\"a\",\"text\":\"x\"}\n{\"id\":\"a\",\"text\":\"y\"}\n",
        ProblemKind::Duplicate,
        2,
    ),
];

fn report(project: &Project, name: &str) -> Report {
    verify(&project.path(name), Options { threads: 2 }, &AtomicBool::new(false), &mut |_| {})
        .expect("it can be read")
        .expect("it is a folder of records")
}

#[test]
fn each_injury_is_found_at_its_line() {
    for (name, bytes, kind, line) in INJURIES {
        let project = Project::new();
        project.write("data/talk/a.jsonl", bytes);
        project.write("data/b.jsonl", "{\"text\":\"good\"}\n");
        let found = report(&project, "data");
        let problem = found.problems.first().unwrap_or_else(|| panic!("{name}: nothing was found"));
        assert_eq!((problem.kind, problem.place.line), (*kind, Some(*line)), "{name}: {problem:?}");
        assert_eq!(problem.place.file, "talk/a.jsonl", "{name}");
        assert_eq!(found.problems.len(), 1, "{name}");
    }
}

/// What is said makes a record, too; what is wrong with it is told at its line.
#[test]
fn a_conversation_is_a_record() {
    let said = r#"{"id":"a","messages":[{"role":"user","content":"x"},{"role":"assistant","content":"y"}]}"#;
    let project =
        Project::with(&[("data/a.jsonl", &format!("{said}\n{}\n", said.replace("\"a\",", "\"b\",")))]);
    let found = report(&project, "data");
    assert_eq!((found.problems.len(), found.documents), (0, 2), "{found:?}");
    for (line, reason) in [
        (said, "the record of line 1 appears here again"),
        (&said.replace("\"y\"", "\"z\""), "it has the id of line 1 and another text"),
        (&said.replace("{\"role\":\"user\"", "{\"weight\":2,\"role\":\"user\""), "bad_weight"),
        (&said.replace("{\"role\":\"user\"", "{\"rolle\":\"user\""), "bad_conversation"),
        (&said.replace("\"messages\":", "\"messages\":null,\"messages\":"), "field_twice"),
        (r#"{"id":"c","messages":null}"#, "no_text"),
    ] {
        let project = Project::with(&[("data/a.jsonl", &format!("{said}\n{line}\n"))]);
        let problem = &report(&project, "data").problems[0];
        assert_eq!(problem.place.line, Some(2), "{line}: {problem:?}");
        assert!(problem.detail.contains(reason), "{line}: {problem:?}");
    }
}

#[test]
fn another_text_under_the_same_id_is_a_warning() {
    let project = Project::new();
    project.write("data/a.jsonl", "{\"id\":\"a\",\"text\":\"x\"}\n{\"id\":\"a\",\"text\":\"y\"}\n");
    let found = report(&project, "data");
    assert!(found.is_good());
    assert_eq!(found.problems[0].severity, Severity::Warning);
}

#[test]
fn clean_records_have_no_problem() {
    let many: String =
        (0..40_000).map(|n| format!("{{\"id\":{n},\"text\":\"{}\"}}\n", "word ".repeat(n % 30))).collect();
    let project = Project::new();
    project.write("data/empty.jsonl", "");
    project.write(
        "data/odd.jsonl",
        "\u{feff}{\"text\":\"a\"}\r\n\r\n{\"text\":\"\",\"id\":null}\n{\"text\":\"no end\"}",
    );
    project.write("data/many.jsonl", &many);
    project.write("data/talk/packed.jsonl.zst", zstd(many.as_bytes()));
    project.write("data/talk/packed.jsonl.gz", gzip(many.as_bytes()));
    project.write("data/.mashbill/half.jsonl", "{\"te");
    let found = report(&project, "data");
    let told: Vec<_> = found.problems.iter().map(|found| (found.kind, found.place.file.as_str())).collect();
    assert_eq!((found.errors, told), (0, vec![(ProblemKind::Empty, "empty.jsonl")]));
    assert_eq!((found.files, found.documents, found.rows), (5, 120_003, 120_004));
    assert_eq!(report(&project, "data/many.jsonl").documents, 40_000);
}

#[test]
fn a_file_that_cannot_be_decompressed_is_found() {
    let project = Project::new();
    let mut packed = zstd("{\"text\":\"x\"}\n".repeat(1000).as_bytes());
    packed.truncate(packed.len() / 2);
    project.write("data/a.jsonl.zst", packed);
    assert_eq!(report(&project, "data").problems[0].kind, ProblemKind::Unreadable);
}

#[test]
fn the_command_says_where() {
    let project = Project::with(&[("data/a.jsonl", "{\"text\":\"x\"}\n{\"text\":7}\n")]);
    let ran = project.run("verify data").with_code(4);
    assert!(
        ran.stderr.contains("error: a.jsonl, line 2: `text` is a number, not a string (text_not_string)\n"),
        "{ran}"
    );
    assert!(ran.stderr.contains("data has 1 error (1 file, 2 lines, 1 record, "), "{ran}");
}

#[test]
fn a_file_of_the_working_folder_needs_no_folder_in_its_name() {
    let line = "{\"text\":\"a\"}\n";
    let project = Project::with(&[("a.jsonl", line), ("b.jsonl", "broken\n")]);
    project.run("verify a.jsonl").with_code(0);
    project.run("report a.jsonl --output page.html").with_code(0);
    project.run("inspect a.jsonl").with_code(0);
    let ran = project.run("verify b.jsonl").with_code(4);
    assert!(ran.stderr.contains("b.jsonl, line 1: a value expected at byte 0"), "{ran}");
}
