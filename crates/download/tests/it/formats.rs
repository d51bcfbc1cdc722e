//! Rows of one shape in every format, and files that are not what they should be.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::Path;

use mashbill_download::Error;
use mashbill_format::catalog::CatalogDataset;
use mashbill_format::dataset_stats::Take;

use crate::samples::convert;

fn dataset() -> CatalogDataset {
    CatalogDataset { name: "d".into(), ..CatalogDataset::of_repo("org/d") }
}

fn texts(records: &str) -> Vec<String> {
    let text = |line| {
        serde_json::from_str::<serde_json::Value>(line).expect("JSON")["text"]
            .as_str()
            .expect("text")
            .to_owned()
    };
    records.lines().map(text).collect()
}

fn check(
    folder: &Path,
    file: &str,
    content: impl AsRef<[u8]>,
    key: Option<&str>,
) -> Result<Vec<String>, Error> {
    fs::write(folder.join(file), content).expect("written");
    let dataset = CatalogDataset { rows_key: key.map(str::to_owned), ..dataset() };
    Ok(texts(&convert(&dataset, folder, &[file], Take::ALL)?.0))
}

#[test]
fn every_format_gives_the_same_rows() {
    let folder = tempfile::tempdir().expect("a folder");
    let lines = "{\"text\": \"one\"}\n{\"text\": \"two, \\\"2\\\"\"}";
    let expected = ["one", "two, \"2\""];
    let gzip = {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(lines.as_bytes()).expect("compressed");
        encoder.finish().expect("compressed")
    };
    let array = format!("[\n  {}\n]\n", lines.replace('\n', ",\n  "));
    let check = |file: &str, content: &[u8], key| {
        let found =
            check(folder.path(), file, content, key).unwrap_or_else(|error| panic!("{file}: {error}"));
        assert_eq!(found, expected, "{file}");
    };
    check("a.jsonl", lines.as_bytes(), None);
    check("lines.json", lines.as_bytes(), None);
    check("a.jsonl.gz", &gzip, None);
    check("a.jsonl.zst", &zstd::encode_all(lines.as_bytes(), 1).expect("compressed"), None);
    check("array.json", array.as_bytes(), None);
    check(
        "under.json",
        format!("{{\"version\": [1], \"data\": {array}, \"n\": 2}}").as_bytes(),
        Some("data"),
    );
    check("a.csv", b"id,text\n1,one\n2,\"two, \"\"2\"\"\"\n", None);
}

#[test]
fn types_may_drift_and_bad_rows_are_counted() {
    let folder = tempfile::tempdir().expect("a folder");
    let rows = [
        r#"{"question": "q1", "answer": "a"}"#,
        r#"{"question": "q2", "answer": 5}"#,
        r#"{"question": "q3", "answer": ["x", "y"]}"#,
        r#"{"question": "q4", "answer": []}"#,
        r#"{"question": "q5"}"#,
        r#"{"text": "  "}"#,
        r#"{"text": "\ud83d"}"#,
        "[1]",
        "{",
    ];
    fs::write(folder.path().join("a.jsonl"), rows.join("\n")).expect("written");
    let (records, converted) =
        convert(&dataset(), folder.path(), &["a.jsonl"], Take::ALL).expect("some rows are good");
    assert_eq!(
        texts(&records),
        ["Question: q1\nAnswer: a", "Question: q2\nAnswer: 5", "Question: q3\nAnswer: x"]
    );
    let expected = [
        ("empty_text", 1),
        ("invalid_json", 2),
        ("no_answer", 1),
        ("no_usual_columns", 1),
        ("not_an_object", 1),
    ];
    let expected: BTreeMap<String, u64> = expected.map(|(reason, rows)| (reason.to_owned(), rows)).into();
    assert_eq!((converted.counts.rejected, converted.counts.rows_in), (expected, 9));
}

#[test]
fn the_usual_columns_are_known() {
    let folder = tempfile::tempdir().expect("a folder");
    let rows = [
        r#"{"messages": [{"role": "user", "content": "hi"}]}"#,
        r#"{"conversations": [{"from": "human", "value": "hi"}], "system": "be kind"}"#,
        r#"{"prompt": "p", "response": "r"}"#,
        r#"{"prompt": "p", "completion": "r"}"#,
        r#"{"instruction": "i", "input": "n", "output": "o"}"#,
        r#"{"instruction": "i", "response": "o"}"#,
        r#"{"question": "q", "answers": {"text": ["a"]}}"#,
        r#"{"problem": "p", "solution": "s"}"#,
        r#"{"query": "q", "response": "r"}"#,
        r#"{"content": "c"}"#,
    ];
    let found = check(folder.path(), "a.jsonl", rows.join("\n"), None).expect("usual columns");
    let expected = [
        "User: hi",
        "System: be kind\n\nUser: hi",
        "User: p\n\nAssistant: r",
        "User: p\n\nAssistant: r",
        "User: i\n\nn\n\nAssistant: o",
        "User: i\n\nAssistant: o",
        "Question: q\nAnswer: a",
        "User: p\n\nAssistant: s",
        "User: q\n\nAssistant: r",
        "c",
    ];
    assert_eq!(found, expected);
}

#[test]
fn a_file_that_is_no_dataset_says_why() {
    let folder = tempfile::tempdir().expect("a folder");
    let fails = |file: &str, content: &[u8], key| match check(folder.path(), file, content, key) {
        Ok(found) => panic!("{file}: {found:?}"),
        Err(error) => error.to_string(),
    };
    assert_eq!(
        fails("a.json", b"[{\"text\": \"a\"}, ", None),
        "`a.json` cannot be converted: a row expected at byte 16"
    );
    assert_eq!(
        fails("b.json", b"[{\"text\": \"a\"} {}]", None),
        "`b.json` cannot be converted: `,` or `]` expected between rows at byte 15"
    );
    assert_eq!(
        fails("c.json", b"{\"data\": []}", Some("rows")),
        "`c.json` cannot be converted: the key of the rows is not there at byte 11"
    );
    assert!(fails("d.parquet", b"PAR1 not really", None).starts_with("`d.parquet` cannot be converted: "));
    assert!(
        fails("e.jsonl.gz", b"\x1f\x8b\x08 not really", None)
            .starts_with("`e.jsonl.gz` cannot be converted: ")
    );
    assert_eq!(fails("f.txt", b"text", None), "`f.txt` of `d` has a name that does not show its format");
    assert_eq!(
        fails("g.jsonl", b"{\"a\": 1}\n{\"b\": 2}", None),
        "none of 2 rows became a record: its columns are a, b, and none of them is recognized"
    );
}

#[test]
fn a_larger_sample_holds_the_smaller_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let rows: String = (0..5000).map(|n| format!("{{\"text\": \"row {n}\"}}\n")).collect();
    fs::write(folder.path().join("a.jsonl"), rows).expect("written");
    let sample = |rows_per_million, max_rows| {
        let take = Take { rows_per_million, max_rows, max_bytes: None };
        texts(&convert(&dataset(), folder.path(), &["a.jsonl"], take).expect("rows").0)
    };
    let (small, large, all) = (sample(100_000, None), sample(300_000, None), sample(1_000_000, None));
    assert!(
        (400..600).contains(&small.len()) && (1300..1700).contains(&large.len()),
        "{} {}",
        small.len(),
        large.len()
    );
    assert!(small.iter().all(|row| large.contains(row)));
    assert_eq!(all.len(), 5000);
    assert_eq!(sample(300_000, Some(10)), large[..10]);
    let take = Take { max_bytes: Some(500), ..Take::ALL };
    let (records, _) = convert(&dataset(), folder.path(), &["a.jsonl"], take).expect("rows");
    assert!(records.len() <= 500 && records.len() > 400, "{}", records.len());
}
