//! Small files that become large, and rows that take more memory than they have bytes.

use std::fs;
use std::io::Write;
use std::path::Path;

use mashbill_download::Error;
use mashbill_format::catalog::CatalogDataset;
use mashbill_format::dataset_stats::Take;

use crate::samples::convert;

/// The most memory that a conversion may take, in kB: the longest row a few times, and what the tests hold themselves.
const MEMORY_MAX_KB: u64 = 700_000;

const GOOD: &str = "{\"text\": \"good\"}\n";

fn dataset() -> CatalogDataset {
    CatalogDataset { name: "d".into(), ..CatalogDataset::of_repo("org/d") }
}

/// Writes a file in Zstandard: `before`, a piece again and again, `after`.
fn bomb(folder: &Path, name: &str, before: &str, piece: &str, times: usize, after: &str) {
    let file = fs::File::create(folder.join(name)).expect("a file");
    let mut encoder = zstd::Encoder::new(file, 1).expect("an encoder");
    encoder.write_all(before.as_bytes()).expect("written");
    for _ in 0..times {
        encoder.write_all(piece.as_bytes()).expect("written");
    }
    encoder.write_all(after.as_bytes()).expect("written");
    encoder.finish().expect("written");
}

fn peak_memory_kb() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak =
        status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse().ok());
    peak.unwrap_or(0)
}

#[test]
fn good_rows_survive_bad_ones_in_little_memory() {
    let folder = tempfile::tempdir().expect("a folder");
    let megabyte = "a".repeat(1 << 20);
    let long = if std::env::var_os("MASHBILL_LONG").is_some() { 3000 } else { 200 };
    let files = ["long.jsonl.zst", "deep.jsonl.zst", "many.jsonl.zst", "role.jsonl.zst", "array.json.zst"];
    bomb(
        folder.path(),
        files[0],
        &format!("{GOOD}{{\"text\": \""),
        &megabyte,
        long,
        &format!("\"}}\n{GOOD}"),
    );
    bomb(folder.path(), files[1], &format!("{GOOD}{{\"text\": "), "[", 10 << 20, &format!("\n{GOOD}"));
    bomb(folder.path(), files[2], &format!("{GOOD}{{\"text\": ["), "1,", 20 << 20, &format!("1]}}\n{GOOD}"));
    let turn = "{\"messages\": [{\"content\": \"\", \"role\": \"";
    bomb(folder.path(), files[3], &format!("{GOOD}{turn}"), &megabyte, 40, &format!("\"}}]}}\n{GOOD}"));
    bomb(
        folder.path(),
        files[4],
        "[{\"text\": \"good\"}, {\"text\": \"",
        &megabyte,
        100,
        "\"}, {\"text\": \"good\"}]",
    );
    let (records, converted) =
        convert(&dataset(), folder.path(), &files, Take::ALL).expect("some rows are good");
    assert_eq!(records.lines().count(), 10);
    let rejected: Vec<(&str, u64)> =
        converted.counts.rejected.iter().map(|(reason, rows)| (reason.as_str(), *rows)).collect();
    assert_eq!(rejected, [("empty_text", 1), ("invalid_json", 2), ("too_long", 2)]);
    let peak = peak_memory_kb();
    assert!(peak < MEMORY_MAX_KB, "{peak} kB");
}

#[test]
fn a_file_without_an_end_of_a_row_is_refused_by_its_name() {
    let folder = tempfile::tempdir().expect("a folder");
    let megabyte = "a,\n".repeat((1 << 20) / 3);
    bomb(folder.path(), "quote.csv.zst", "text\ngood\n\"", &megabyte, 100, "");
    bomb(folder.path(), "commas.csv.zst", "text\ngood\n", ",", 10 << 20, "\n");
    for (file, why) in [("quote.csv.zst", "is a quote not closed?"), ("commas.csv.zst", "too many values")] {
        match convert(&dataset(), folder.path(), &[file], Take::ALL) {
            Err(error @ Error::BrokenFile { .. }) => {
                let said = error.to_string();
                assert!(said.contains(file) && said.contains(why), "{said}");
            }
            other => panic!("{file}: {other:?}"),
        }
    }
    let peak = peak_memory_kb();
    assert!(peak < MEMORY_MAX_KB, "{peak} kB");
}
