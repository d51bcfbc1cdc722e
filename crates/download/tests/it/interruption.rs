//! A conversion that is stopped at any moment goes on, and ends with the same bytes.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use mashbill_download::Error;
use mashbill_download::convert::Conversion;
use mashbill_format::catalog::CatalogDataset;
use mashbill_format::dataset_stats::Take;
use mashbill_format::layout::Data;

use crate::samples::{convert, making};

/// Rows for each of the formats, a few of them bad.
fn write_files(folder: &Path) -> Vec<&'static str> {
    let row = |n: usize| {
        match n % 97 {
        13 => "{\"instruction\": 5".to_owned(),
        _ => serde_json::json!({"prompt": format!("question {n}\n\"é\""), "response": "word ".repeat(n % 50 + 1)}).to_string(),
    }
    };
    let good = |n: usize| row(if n % 97 == 13 { n + 1 } else { n });
    let rows = |from: usize| (from..from + 3000).map(good).collect::<Vec<_>>();
    fs::write(folder.join("a.json"), format!("[{}]", rows(0).join(",\n "))).expect("written");
    fs::write(folder.join("b.jsonl"), (0..3000).map(row).collect::<Vec<_>>().join("\n")).expect("written");
    let zst = zstd::encode_all(rows(7).join("\n").as_bytes(), 3).expect("compressed");
    fs::write(folder.join("c.jsonl.zst"), zst).expect("written");
    let csv: String = (0..3000).map(|n| format!("\"q, {n}\",answer {n}\n")).collect();
    fs::write(folder.join("d.csv"), format!("prompt,response\n{csv}")).expect("written");
    vec!["a.json", "b.jsonl", "c.jsonl.zst", "d.csv"]
}

fn dataset() -> CatalogDataset {
    CatalogDataset { name: "mixed".into(), ..CatalogDataset::of_repo("org/mixed") }
}

/// Runs until `dies` says so at some call, as a process would that is killed: nothing is saved on the way out.
fn run_until(
    data: &Data,
    dataset: &CatalogDataset,
    folder: &Path,
    files: &[&str],
    dies: &mut dyn FnMut() -> bool,
) -> bool {
    let lived = catch_unwind(AssertUnwindSafe(|| {
        let making = making(dataset, folder, files, Take::ALL);
        let mut conversion =
            Conversion::open(data, dataset, making).expect("it opens").with_checkpoint_bytes(20_000);
        while let Some(file) = conversion.next_file() {
            let path = folder.join(files[file]);
            let result = conversion.file(&path, &AtomicBool::new(false), &mut |_| {
                // A panic leaves buffers unwritten, as a kill does, and what was written stays.
                assert!(!dies(), "killed");
            });
            result.expect("it converts");
        }
        conversion.finish().expect("it finishes");
    }));
    lived.is_ok()
}

#[test]
fn a_killed_conversion_goes_on_with_the_same_bytes() {
    let folder = tempfile::tempdir().expect("a folder");
    let files = write_files(folder.path());
    let dataset = dataset();
    let (expected, _) = convert(&dataset, folder.path(), &files, Take::ALL).expect("it converts");
    // The panics are this test's own.
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    for seed in 0..8_u64 {
        let out = tempfile::tempdir().expect("a folder");
        let data = Data::new(out.path());
        let mut state = seed;
        let mut runs = 0;
        loop {
            // Each run lives for some calls; there are about fifty in all.
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let mut left = (state >> 33) % 23 + 1;
            let mut dies = || {
                left -= 1;
                left == 0
            };
            runs += 1;
            if run_until(&data, &dataset, folder.path(), &files, &mut dies) {
                break;
            }
            assert!(
                !data.records(&dataset.category, &dataset.name).exists(),
                "half of it has the final name"
            );
            assert!(runs < 200, "it makes no progress");
        }
        assert!(runs > 1);
        let found =
            fs::read_to_string(data.records(&dataset.category, &dataset.name)).expect("it is finished");
        assert!(found == expected, "seed {seed} differs after {runs} runs");
    }
    std::panic::set_hook(hook);
}

#[test]
fn an_interrupted_conversion_keeps_everything() {
    let folder = tempfile::tempdir().expect("a folder");
    let files = write_files(folder.path());
    let dataset = dataset();
    let (expected, all) = convert(&dataset, folder.path(), &files, Take::ALL).expect("it converts");
    let out = tempfile::tempdir().expect("a folder");
    let data = Data::new(out.path());
    let mut rows = 0;
    let mut runs = 0;
    loop {
        runs += 1;
        let making = making(&dataset, folder.path(), &files, Take::ALL);
        let mut conversion = Conversion::open(&data, &dataset, making).expect("it opens");
        assert_eq!(conversion.counts().rows_in, rows, "rows were read again");
        let flag = AtomicBool::new(false);
        let mut interrupted = false;
        while let Some(file) = conversion.next_file() {
            let path = folder.path().join(files[file]);
            let result = conversion.file(&path, &flag, &mut |counts| {
                if counts.rows_in >= rows + 1000 {
                    flag.store(true, Ordering::Relaxed);
                }
            });
            match result {
                Ok(()) => {}
                Err(Error::Interrupted) => {
                    interrupted = true;
                    break;
                }
                Err(other) => panic!("{other}"),
            }
        }
        rows = conversion.counts().rows_in;
        if !interrupted {
            let converted = conversion.finish().expect("it finishes");
            assert_eq!((converted.counts, converted.text_len), (all.counts, all.text_len));
            break;
        }
    }
    assert!(runs > 5);
    let found = fs::read_to_string(data.records(&dataset.category, &dataset.name)).expect("it is finished");
    assert!(found == expected);
}
