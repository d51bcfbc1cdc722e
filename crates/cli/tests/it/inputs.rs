//! What is read as input, alike in every command: endings, containers, encodings, names.

use std::fs;
use std::io::Write;

use serde_json::Value;

use crate::project::{Project, Ran};

const RECORD: &str = "{\"text\":\"hello world\"}\n";
const OTHER: &str = "{\"text\":\"good morning\"}\n";

/// [`RECORD`] in xz.
const XZ: &[u8] =
    b"\xFD7zXZ\0\0\x01i\x22\xDE6\x02\0!\x01\x16\0\0\0t/\xE5\xA3\x01\0\x16{\"text\":\"hello world\"}\n\0\0\
\x82kU\xBB\0\x01+\x17\x85\xCD%\xD5\x90B\x99\r\x01\0\0\0\0\x01YZ";

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).expect("memory");
    encoder.finish().expect("memory")
}

fn bzip2(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
    encoder.write_all(bytes).expect("memory");
    encoder.finish().expect("memory")
}

pub(crate) fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 1).expect("memory")
}

fn utf16(text: &str, big: bool) -> Vec<u8> {
    let bytes = |unit: u16| if big { unit.to_be_bytes() } else { unit.to_le_bytes() };
    text.encode_utf16().flat_map(bytes).collect()
}

/// How many documents each split of `out` has.
fn samples(project: &Project) -> Vec<(String, u64)> {
    let manifest = project.json("out/manifest.json");
    let splits = manifest["splits"].as_object().expect("splits");
    splits.iter().map(|(name, split)| (name.clone(), split["samples"].as_u64().expect("a number"))).collect()
}

fn records(project: &Project, path: &str) -> u64 {
    let ran = project.run(&format!("verify {path} --json"));
    let report: Value = serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {ran}"));
    report["folders"][0]["documents"].as_u64().expect("a number")
}

fn has(ran: &Ran, text: &str) {
    assert!(ran.stderr.contains(text), "no {text:?} in\n{ran}");
}

/// Files by their names and contents, each with what is expected of it.
type Files<'a, T> = Vec<(&'a str, Vec<u8>, T)>;

/// A project with one good file beside the one that is tried.
fn beside_a_good_one(name: &str, content: &[u8]) -> Project {
    let project = Project::with(&[("data/good.jsonl", RECORD)]);
    project.write(&format!("data/{name}"), content);
    project
}

/// The files beside a good one, each with a number before its name, so that they are splits of their own.
fn numbered<T>(files: &Files<'_, T>) -> (Project, Vec<String>) {
    let project = Project::with(&[("data/good.jsonl", RECORD)]);
    let name = |(number, (name, content, _)): (usize, &(&str, Vec<u8>, T))| {
        let name = format!("{number:02}{name}");
        project.write(&format!("data/{name}"), content);
        name
    };
    let names = files.iter().enumerate().map(name).collect();
    (project, names)
}

/// Every command reads each of the files whole, which have so many records.
fn are_read(files: &Files<'_, u64>) {
    let (project, names) = numbered(files);
    project.tokenize("").with_code(0);
    let found = samples(&project);
    project.run("verify out --deep").with_code(0);
    project.run("report data -o page.html").with_code(0);
    for ((name, (_, _, count)), (split, samples)) in names.iter().zip(files).zip(found) {
        assert!(name.starts_with(&split));
        assert_eq!(samples, *count, "{name}");
        assert_eq!(records(&project, &format!("data/{name}")), *count, "{name}");
        project.run(&format!("inspect data/{name} --row {}", count - 1)).with_code(0);
        project.run(&format!("inspect data/{name} --row {count}")).with_code(2);
    }
}

/// Every command refuses each of the files by its name, says what it is, and goes on with the others.
fn are_named(files: &Files<'_, &str>) {
    let (project, names) = numbered(files);
    let tokenized = project.tokenize("").with_code(3);
    assert_eq!(samples(&project), [("good".to_owned(), 1)]);
    let verified = project.run("verify data").with_code(4);
    let inspected = project.run("inspect data").with_code(3);
    assert!(inspected.stdout.contains("hello world"), "{inspected}");
    assert_eq!(records(&project, "data"), 1);
    project.run("report data -o page.html").with_code(4);
    let page = project.read("page.html");
    for (name, (_, _, what)) in names.iter().zip(files) {
        let says = |ran: &Ran, start: &str| {
            let mut lines = ran.stderr.lines();
            assert!(lines.any(|line| line.contains(start) && line.contains(what)), "{start} {what}: {ran}");
        };
        says(&tokenized, &format!("was not made: cannot read `data/{name}`: "));
        says(&verified, &format!("error: {name}: "));
        says(&inspected, &format!("{name} is not read: "));
        assert!(page.contains(name), "{name}");
    }
}

#[test]
fn every_ending_of_json_is_read_in_any_case() {
    let project = Project::new();
    project.write("data/UPPER.JSONL", RECORD);
    project.write("data/lines.json", RECORD);
    project.write("data/other.ndjson", RECORD);
    project.write("data/read.jsonl", RECORD);
    project.write("data/bz.jsonl.bz2", bzip2(RECORD.as_bytes()));
    project.write("data/xz.jsonl.xz", XZ);
    project.write("data/z.jsonl.zstd", zstd(RECORD.as_bytes()));
    project.write("data/zs.NDJSON.Zst", zstd(RECORD.as_bytes()));
    project.write("data/zipped.json.GZ", gzip(RECORD.as_bytes()));
    project.tokenize("").with_code(0);
    let found = samples(&project);
    let names: Vec<_> = found.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["UPPER", "bz", "lines", "other", "read", "xz", "z", "zipped", "zs"]);
    assert!(found.iter().all(|(_, samples)| *samples == 1), "{found:?}");
    assert_eq!(records(&project, "data"), 9);
    project.run("verify out --deep").with_code(0);
    for name in ["UPPER.JSONL", "lines.json", "bz.jsonl.bz2", "xz.jsonl.xz", "z.jsonl.zstd", "zipped.json.GZ"]
    {
        let ran = project.run(&format!("inspect data/{name}")).with_code(0);
        assert!(ran.stdout.contains("hello world"), "{ran}");
        let ran = project.run(&format!("inspect data --split {}", name.split('.').next().expect("a stem")));
        assert!(ran.with_code(0).stdout.contains(name));
    }
    project.run("tokenize --input data/zipped.json.GZ --tokenizer gpt2 --max-seq-length 16").with_code(0);
    assert!(project.path("data/zipped_preprocessed/manifest.json").exists());
}

#[test]
fn data_of_kinds_that_are_not_read_are_named_by_every_command() {
    let project = Project::with(&[("data/a.jsonl", RECORD), ("data/README.md", "# Data\n")]);
    for name in ["b.csv", "c.TSV", "d.arrow", "e.txt", "f.zip", "g.tar.gz", "h.jsonl.lz4"] {
        project.write(&format!("data/{name}"), "x");
    }
    let ran = project.tokenize("").with_code(0);
    has(
        &ran,
        "warning: left out: 7 files of unsupported kinds: b.csv, c.TSV, d.arrow, e.txt, f.zip, g.tar.gz",
    );
    // Of CSV the standard library makes records.
    has(&ran, "hint: if it has a column `text`: python3 -c ");
    has(&project.run("inspect data").with_code(0), "b.csv, c.TSV");
    has(
        &project.run("verify data").with_code(0),
        "warning: b.csv: it, c.TSV, d.arrow, e.txt, f.zip, g.tar.gz and 1 more",
    );
    project.run("report data -o page.html").with_code(0);
    assert!(project.read("page.html").contains("it, c.TSV, d.arrow"));
    fs::remove_file(project.path("data/a.jsonl")).expect("it was there");
    has(&project.tokenize("--skip-existing").with_code(2), "only `b.csv` and 6 more");
    has(
        &project.run("tokenize --input data/b.csv --tokenizer gpt2").with_code(2),
        "`data/b.csv` is a file of a kind that is not read",
    );
    has(&project.run("verify data/b.csv").with_code(2), "data/b.csv");
}

#[test]
fn files_that_seem_to_be_no_data_are_named_without_a_warning() {
    let others = [("data/y.weird", "x"), ("data/noext", "x"), ("data/README.md", "x"), ("data/.hidden", "x")];
    let project = Project::with(&others);
    let ran = project.tokenize("").with_code(2);
    has(
        &ran,
        "error: no input files found in `data`, only `noext` and 1 more of kinds that are not read\nhint: ",
    );
    project.write("data/a.jsonl", RECORD);
    let ran = project.tokenize("").with_code(0);
    has(&ran, "not read: 2 files that seem to be no data: noext, y.weird\n");
    assert!(!ran.stderr.contains("warning"), "{ran}");
}

#[test]
fn what_a_hint_makes_of_csv_is_read() {
    use std::process::Command;
    let project = Project::with(&[("a.csv", "text,id\n\"one, \"\"two\"\"\",1\nthree,2\n")]);
    let ran = project.run("tokenize --input a.csv --tokenizer gpt2").with_code(2);
    let typed = ran.stderr.split("`text`: ").nth(1).expect("a command").trim();
    match Command::new("sh").args(["-c", typed]).current_dir(project.path("")).status() {
        Ok(status) if status.code() == Some(127) => return println!("skipped: there is no python3"),
        made => assert!(made.is_ok_and(|made| made.success()), "{typed}"),
    }
    project.run("tokenize --input a.jsonl --tokenizer gpt2 --max-seq-length 16").with_code(0);
    assert_eq!(project.json("a_preprocessed/manifest.json")["splits"]["a"]["samples"], 2);
}

#[test]
fn what_describes_data_is_not_taken_for_data() {
    let project = Project::with(&[
        ("data/a.jsonl", RECORD),
        ("data/dataset_infos.json", "{\n  \"default\": {}\n}\n"),
        ("data/state.json", "{\"_data_files\": []}"),
    ]);
    has(&project.tokenize("").with_code(0), "2 files of unsupported kinds: dataset_infos.json, state.json");
    project.run("verify data").with_code(0);
    // By its own name it is taken, and refused for what it holds.
    let ran = project.run("tokenize --input data/dataset_infos.json --tokenizer gpt2 --max-seq-length 16");
    has(&ran.with_code(3), "an object over many lines");
}

#[test]
fn files_called_like_ours_are_data_unless_they_lie_beside_what_made_them() {
    let project = Project::with(&[
        ("data/accepted.jsonl", RECORD),
        ("data/math_rejects.jsonl", RECORD),
        ("data/accepted_rejects.jsonl", RECORD),
        ("data/math_stats.json", RECORD),
    ]);
    project.write("data/business_units.jsonl.zst", zstd(RECORD.as_bytes()));
    project.tokenize("").with_code(0);
    let names: Vec<_> = samples(&project).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["accepted", "accepted_rejects", "business_units", "math_rejects", "math_stats"]);
    assert_eq!(records(&project, "data"), 5);
    project.run("tokenize --input data/math_rejects.jsonl --tokenizer gpt2 --max-seq-length 16").with_code(0);
    // A split's own, even where somebody took its folder apart.
    project.write("data/bad.jsonl", format!("{RECORD}nothing\n"));
    project.tokenize("").with_code(0);
    fs::create_dir(project.path("apart")).expect("a folder");
    for name in ["bad_stats.json", "bad_rejects.jsonl"] {
        fs::copy(project.path(&format!("out/bad/{name}")), project.path(&format!("apart/{name}")))
            .expect("a copy");
    }
    project.write("apart/bad.jsonl", RECORD);
    assert_eq!(records(&project, "apart"), 1);
    let ran = project
        .run("tokenize --input apart --output other --tokenizer gpt2 --max-seq-length 16")
        .with_code(0);
    has(&ran, "1 split with 1 row");
}

#[test]
fn utf_16_is_read_where_its_mark_is_there() {
    let lines = "\u{feff}{\"text\":\"Grüße 𝄞\"}\r\n{\"text\":\"日本\"}\r\n\r\n";
    let mut files = Vec::new();
    for big in [false, true] {
        files.push(("windows.jsonl", utf16(lines, big), 2));
        files.push(("windows.jsonl.gz", gzip(&utf16(lines, big)), 2));
        files.push(("windows.json", utf16("\u{feff}[{\"text\":\"a\"},\n{\"text\":\"b\"}]", big), 2));
    }
    files.push(("marked.json", "\u{feff}[{\"text\":\"a\"}]".into(), 1));
    are_read(&files);
    let project = beside_a_good_one("w.jsonl", &utf16(lines, false));
    assert!(project.run("inspect data/w.jsonl").with_code(0).stdout.contains("Grüße 𝄞"));
    // Half a character is refused with its line, and the rest of the file goes on.
    let mut bytes = utf16("\u{feff}{\"text\":\"a\"}\n{\"text\":\"", false);
    bytes.extend([0x00, 0xD8]);
    bytes.extend(utf16("\"}\n{\"text\":\"c\"}\n", false));
    let project = beside_a_good_one("half.jsonl", &bytes);
    has(&project.tokenize("").with_code(0), "half: 1 line refused (invalid_utf8 1)");
    assert_eq!(samples(&project)[1], ("half".to_owned(), 2));
}

#[test]
fn one_array_of_objects_is_read_as_its_records() {
    let alpaca = "[\n    {\n        \"text\": \"a, [b]\",\n        \"n\": [1, {\"x\": \"]\"}]\n    },\n    {\n        \
        \"text\": \"\\\"c\\\\\"\n    }\n]\n";
    are_read(&vec![
        ("alpaca.json", alpaca.into(), 2),
        ("alpaca.jsonl", alpaca.into(), 2),
        ("alpaca.ndjson", alpaca.into(), 2),
        ("minified.json", b"[{\"text\":\"a\"},{\"text\":\"b\"},{\"text\":\"c\"}]".into(), 3),
        ("packed.json.gz", gzip(alpaca.as_bytes()), 2),
    ]);
    let project = beside_a_good_one(
        "bad.json",
        b"[{\"text\":\"a\"},\n{\"text\":7}, 5,\n{\"text\":\"b\nc\"}, {\"text\":\"d\"}]",
    );
    let ran = project.tokenize("").with_code(0);
    has(&ran, "bad: 3 lines refused (invalid_json 1, not_an_object 1, text_not_string 1)");
    let rejects = project.read("out/bad/bad_rejects.jsonl");
    let lines: Vec<Value> = rejects.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let places: Vec<_> = lines.iter().map(|line| (line["line"].as_u64(), line["key"].as_u64())).collect();
    assert_eq!(places, [(Some(2), Some(14)), (Some(3), Some(26)), (Some(4), Some(29))]);
    let mut files = Vec::new();
    for (broken, what) in [
        (&b"[{\"text\":\"a\"} {\"text\":\"b\"}]"[..], "`,` or `]` expected between records at byte 14"),
        (b"[{\"text\":\"a\"},]", "a record expected at byte 14"),
        (b"[{\"text\":\"a\"}, {\"text\":\"b", "the content ends within a record at byte 25"),
        (b"[{\"text\":\"a\"}", "the array has no end"),
    ] {
        files.push(("broken.json", broken.to_vec(), what));
    }
    are_named(&files);
}

#[test]
fn other_content_is_recognised_named_and_refused_as_a_whole() {
    let lines = "{\"text\":\"one\"}\n{\"text\":\"two\"}\n";
    let latin = b"{\"text\":\"caf\xE9 cr\xE8me\"}\n{\"text\":\"plain\"}\n";
    let utf32: Vec<u8> = lines.chars().flat_map(|c| u32::from(c).to_le_bytes()).collect();
    let mut marked_utf32 = vec![0xFF, 0xFE, 0, 0];
    marked_utf32.extend(&utf32);
    let mut files = Vec::new();
    for (name, content, what) in [
        ("a.jsonl", &latin[..], "its text is Latin-1 or another encoding of single bytes, not UTF-8"),
        ("a.jsonl", &utf16(lines, false), "its text is UTF-16 without a byte order mark, not UTF-8"),
        ("a.jsonl", &utf16(lines, true), "its text is UTF-16 without a byte order mark, not UTF-8"),
        ("a.jsonl", &utf32, "its text is UTF-32 without a byte order mark, not UTF-8"),
        ("a.jsonl", &marked_utf32, "its text is UTF-32, not UTF-8"),
        (
            "a.jsonl",
            b"{\"text\":\"one\"}\r{\"text\":\"two\"}\r",
            "end with a carriage return and no line feed",
        ),
        ("a.json", b"{\n  \"text\": \"one\"\n}\n", "JSON with an object over many lines"),
        ("a.jsonl", b"{\n  \"text\": \"one\"\n}\n{\n  \"text\": \"two\"\n}\n", "an object over many lines"),
        (
            "a.json",
            b"{\"version\": 1,\n \"data\": [\n{\"text\":\"one\"}\n]}",
            "a list of objects under `data`",
        ),
        ("a.jsonl", b"{\"text\":\"one\"}{\"text\":\"two\"}\n", "several objects a line"),
        (
            "a.jsonl",
            b"{\"text\":\"one\"},\n{\"text\":\"two\"},\n{\"text\":\"three\"}\n",
            "commas between them",
        ),
        ("a.json", b"[\"one\",\n \"two\"]", "a JSON array of strings, not of objects"),
        ("a.jsonl", &gzip(lines.as_bytes()), "it is gzip, but its name says plain text"),
        ("a.jsonl", &zstd(lines.as_bytes()), "it is zstd, but its name says plain text"),
        ("a.jsonl", &bzip2(lines.as_bytes()), "it is bzip2, but its name says plain text"),
        ("a.ndjson", XZ, "it is xz, but its name says plain text"),
        ("a.jsonl", b"PK\x03\x04abc", "it is a zip archive"),
        ("a.jsonl", b"PAR1abcPAR1", "it is Parquet, but its name says plain text"),
        ("a.jsonl.gz", lines.as_bytes(), "it is plain text, but its name says gzip"),
        ("a.jsonl.xz", &gzip(lines.as_bytes()), "it is gzip, but its name says xz"),
        ("a.jsonl.gz", &gzip(&gzip(lines.as_bytes())), "there is gzip in it"),
        (
            "a.jsonl",
            b"version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 5\n",
            "a Git LFS pointer",
        ),
        ("a.jsonl", b"<!DOCTYPE html>\n<html></html>\n", "an HTML page"),
    ] {
        files.push((name, content.to_vec(), what));
    }
    are_named(&files);
}

#[test]
fn a_bad_line_is_no_reason_to_refuse_a_file() {
    let mut files = Vec::new();
    for (content, good) in [
        (&b"{\"text\":\"a\"\n{\"text\":\"b\"}\n"[..], 1),
        (b"{\"text\":\n{\"text\":\"b\"}\n", 1),
        (b"{\"text\":\"a\"}{\"text\":\"b\"}\n{\"text\":\"c\"}\n", 1),
        (b"[{\"text\":\"a\"}]\n{\"text\":\"b\"}\n", 1),
        (b"[1]\n[2]\n{\"text\":\"b\"}\n", 1),
        (b"{\"text\":\"\xFF\"}\n{\"text\":\"b\"}\n", 1),
        (b"{\"text\":\"a\rb\"}\n{\"text\":\"b\"}\n", 1),
        (b"{\"text\":\"a\"}\r\r\n{\"text\":\"b\"}\n", 2),
    ] {
        files.push(("a.jsonl", content.to_vec(), good));
    }
    let (project, _) = numbered(&files);
    project.tokenize("").with_code(0);
    for ((split, samples), (_, content, good)) in samples(&project).iter().zip(&files) {
        assert_eq!(samples, good, "{split}: {}", content.escape_ascii());
    }
}

#[test]
fn containers_are_read_as_the_standard_tools_read_them() {
    let (first, second) = (RECORD.as_bytes(), OTHER.as_bytes());
    let join = |parts: &[&[u8]]| parts.concat();
    let skippable = b"\x50\x2A\x4D\x18\x03\0\0\0abc";
    are_read(&vec![
        ("a.jsonl.gz", join(&[&gzip(first), &gzip(second)]), 2),
        ("a.jsonl.gz", join(&[&gzip(first), &[0; 600]]), 1),
        ("a.jsonl.gz", join(&[&gzip(first), &[0; 600], &gzip(second), &[0; 5]]), 2),
        ("a.jsonl.bz2", join(&[&bzip2(first), &bzip2(second)]), 2),
        ("a.jsonl.xz", join(&[XZ, XZ]), 2),
        ("a.jsonl.xz", join(&[XZ, &[0; 8], XZ]), 2),
        ("a.jsonl.zst", join(&[skippable, &zstd(first), skippable, &zstd(second), skippable]), 2),
    ]);
    for (name, whole) in [("a.jsonl.gz", gzip(first)), ("a.jsonl.bz2", bzip2(first))] {
        let project = beside_a_good_one(name, &join(&[&whole, b"garbage"]));
        has(&project.tokenize("").with_code(0), "a: left out 7 bytes after the end of the compressed data");
        assert_eq!(samples(&project)[0], ("a".to_owned(), 1), "{name}");
        has(&project.run("verify data").with_code(0), "7 bytes after the end");
        has(&project.run("inspect data --find nothing").with_code(2), "7 bytes after the end");
    }
    let mut files = vec![
        ("a.jsonl.xz", join(&[XZ, b"garbage"]), "something that is not xz follows it"),
        ("a.jsonl.xz", join(&[XZ, &[0; 3]]), "not a multiple of 4 bytes"),
        ("a.jsonl.zst", join(&[&zstd(first), b"garbage"]), "not zstd is where a frame should begin"),
    ];
    for (name, whole) in [
        ("a.jsonl.gz", gzip(first)),
        ("a.jsonl.bz2", bzip2(first)),
        ("a.jsonl.xz", XZ.to_vec()),
        ("a.jsonl.zst", zstd(first)),
    ] {
        files.push((name, whole[..whole.len() - 5].to_vec(), ""));
        files.push((name, Vec::new(), "it is empty"));
    }
    are_named(&files);
}

#[test]
fn names_that_could_not_be_given_are_met_before_anything_is_made() {
    let long = "\u{9577}".repeat(81);
    let project = Project::with(&[("data/short.jsonl", RECORD), (&format!("data/{long}.jsonl"), RECORD)]);
    let ran = project.tokenize("").with_code(2);
    has(&ran, "has 243 bytes, but at most 241 are possible");
    has(&ran, "hint: give the file a shorter name");
    assert!(!project.path("out").exists());
    // Of folders and file together, too.
    let folder = "d".repeat(200);
    let project = Project::with(&[(&format!("data/{folder}/{}.jsonl", "f".repeat(60)), RECORD)]);
    has(&project.tokenize("--recursive --split-names path").with_code(2), "has 262 bytes");
    project.tokenize("--recursive").with_code(0);
    let project = Project::with(&[(&format!("data/{}.jsonl", "f".repeat(241)), RECORD)]);
    project.tokenize("").with_code(0);
    project.run("verify out --deep").with_code(0);
    let named = format!("tokenize --input data/{}.jsonl --tokenizer gpt2", "f".repeat(241));
    project.run(&format!("{named} --max-seq-length 16 --output {}", "o".repeat(256))).with_code(2);
    project.write(&format!("data/{}.jsonl", "g".repeat(245)), RECORD);
    let named = format!("tokenize --input data/{}.jsonl --tokenizer gpt2", "g".repeat(245));
    has(&project.run(&named).with_code(2), "has 258 bytes, but at most 255 are possible");
    for (name, taken) in [
        ("manifest.json.jsonl", "a meaning of its own"),
        ("README.md.jsonl", "a meaning of its own"),
        ("_validation.jsonl", "a meaning of its own"),
    ] {
        let project = Project::with(&[("data/a.jsonl", RECORD), (&format!("data/{name}"), RECORD)]);
        has(&project.tokenize("").with_code(2), taken);
        assert!(!project.path("out").exists());
        assert_eq!(records(&project, "data"), 2);
    }
    for name in [".mashbill.jsonl", "...jsonl", "..jsonl"] {
        let project = Project::with(&[(&format!("data/{name}"), RECORD)]);
        let ran = project.run(&format!("tokenize --input data/{name} --output out/deep --tokenizer gpt2"));
        has(&ran.with_code(2), "cannot become the split");
        assert!(!project.path("out").exists());
    }
}

#[cfg(unix)]
#[test]
fn a_name_that_is_not_utf_8_stops_its_file_alone() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let project = Project::with(&[("data/good.jsonl", RECORD), ("data/deep/other.jsonl", OTHER)]);
    fs::write(project.path("data").join(OsStr::from_bytes(b"caf\xE9.jsonl")), RECORD).expect("a file");
    fs::write(project.path("data").join(OsStr::from_bytes(b"\xE9.png")), "x").expect("a file");
    let folder = project.path("data").join(OsStr::from_bytes(b"f\xFF"));
    fs::create_dir(&folder).expect("a folder");
    fs::write(folder.join("a.jsonl"), RECORD).expect("a file");
    let ran = project.tokenize("").with_code(3);
    has(&ran, "caf\\xE9.jsonl was not made: cannot read `data/caf\\xE9.jsonl`: its name is not UTF-8");
    assert!(!ran.stderr.contains("\\xFF") && !ran.stderr.contains(".png"), "{ran}");
    assert_eq!(samples(&project), [("good".to_owned(), 1)]);
    let ran = project.tokenize("--recursive").with_code(3);
    has(&ran, "f\\xFF was not made");
    assert_eq!(samples(&project).len(), 2);
    let ran = project.run("verify data").with_code(4);
    has(&ran, "error: caf\\xE9.jsonl: its name is not UTF-8");
    has(&project.run("inspect data").with_code(3), "caf\\xE9.jsonl is not read: its name is not UTF-8");
    project.run("report data -o page.html").with_code(4);
}

#[cfg(unix)]
#[test]
fn pipes_sockets_and_devices_are_refused_without_being_opened() {
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;
    use std::process::Command;
    let project = Project::with(&[("data/good.jsonl", RECORD)]);
    let pipe = Command::new("mkfifo").arg(project.path("data/pipe.jsonl")).status().expect("mkfifo is there");
    assert!(pipe.success());
    symlink("pipe.jsonl", project.path("data/linked.json")).expect("a link");
    symlink("/dev/zero", project.path("data/zero.jsonl.gz")).expect("a link");
    let _socket = UnixListener::bind(project.path("data/talk.ndjson")).expect("a socket");
    let ran = project.tokenize("").with_code(3);
    for line in [
        "linked.json was not made: cannot read `data/linked.json`: it is a pipe, not a regular file",
        "pipe.jsonl was not made",
        "talk.ndjson was not made: cannot read `data/talk.ndjson`: it is a socket",
        "zero.jsonl.gz was not made: cannot read `data/zero.jsonl.gz`: it is a device",
    ] {
        has(&ran, line);
    }
    assert_eq!(samples(&project), [("good".to_owned(), 1)]);
    let ran = project.run("verify data").with_code(4);
    has(&ran, "error: pipe.jsonl: it is a pipe");
    has(&project.run("inspect data").with_code(3), "zero.jsonl.gz is not read: it is a device");
    project.run("report data -o page.html").with_code(4);
    for name in ["data/pipe.jsonl", "data/linked.json", "/dev/null", "/dev/zero"] {
        let ran = project.run(&format!("tokenize --input {name} --output x --tokenizer gpt2")).with_code(2);
        has(&ran, "not a regular file");
        for command in ["verify", "inspect", "report"] {
            has(&project.run(&format!("{command} {name}")).with_code(2), "not a regular file");
        }
    }
    assert!(!project.path("x").exists());
}

/// Runs the command and gives the most memory that it had, in bytes.
#[cfg(target_os = "linux")]
fn peak_memory(project: &Project, arguments: &str) -> Option<(Ran, u64)> {
    use std::process::Command;
    let measure = "import resource, subprocess, sys\n\
        code = subprocess.call(sys.argv[1:])\n\
        print('peak', resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=sys.stderr)\n\
        sys.exit(code)";
    let inner = project.command(arguments);
    let mut command = Command::new("python3");
    if command.arg("--version").output().is_err() {
        println!("skipped: there is no python3 that measures memory");
        return None;
    }
    let mut command = Command::new("python3");
    command.args(["-c", measure]).arg(inner.get_program()).args(inner.get_args());
    command.current_dir(project.path("."));
    for (name, value) in inner.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    let ran = project.finish(&mut command);
    let peak = ran.stderr.lines().find_map(|line| line.strip_prefix("peak ")?.parse::<u64>().ok());
    let peak = peak.unwrap_or_else(|| panic!("no measure: {ran}"));
    Some((ran, peak << 10))
}

/// A line of so many megabytes in zstd, and a good one behind it.
#[cfg(target_os = "linux")]
fn bomb(megabytes: usize) -> Vec<u8> {
    let mut encoder = zstd::Encoder::new(Vec::new(), 1).expect("memory");
    let much = vec![b'a'; 1 << 20];
    encoder.write_all(b"{\"text\":\"").expect("memory");
    (0..megabytes).for_each(|_| encoder.write_all(&much).expect("memory"));
    encoder.write_all(b"\"}\n{\"text\":\"good\"}\n").expect("memory");
    encoder.finish().expect("memory")
}

#[cfg(target_os = "linux")]
#[test]
fn a_bomb_takes_no_more_memory_than_the_longest_line() {
    let project = Project::new();
    project.write("data/bomb.jsonl.zst", bomb(600));
    let fixed = "tokenize --input data --output out --tokenizer gpt2 --max-seq-length 16 --threads 1";
    let Some((ran, peak)) = peak_memory(&project, &format!("{fixed} --max-document 1000000")) else { return };
    has(&ran, "1 line refused (too_large 1)");
    assert_eq!(samples(&project), [("bomb".to_owned(), 1)]);
    assert!(peak < 250 << 20, "{peak} bytes");
    if std::env::var_os("MASHBILL_LONG").is_none() {
        return;
    }
    project.write("data/bomb.jsonl.zst", bomb(10_000));
    for arguments in ["inspect data", "verify data", "report data -o page.html", &format!("{fixed} --force")]
    {
        let (ran, peak) = peak_memory(&project, arguments).expect("it was there");
        println!("{arguments}: {} MB\n{ran}", peak / 1_000_000);
        assert!(peak < 1_750_000_000, "{arguments}: {peak} bytes");
    }
}

#[test]
fn a_long_line_is_the_same_to_every_command() {
    // More than a block, so that it is cut out by itself.
    let long = format!("{{\"text\":\"{}\"}}\n", "word ".repeat(500_000));
    let content = format!("{RECORD}{long}{OTHER}");
    let deep = format!("{{\"x\":{}{},\"text\":\"deep\"}}\n", "[".repeat(200_000), "]".repeat(200_000));
    are_read(&vec![
        ("long.jsonl", content.clone().into(), 3),
        ("long.jsonl.zst", zstd(content.as_bytes()), 3),
        ("deep.json", format!("[{deep}]").into(), 1),
        ("deep.jsonl", deep.into(), 1),
    ]);
}
