//! A sample of every dataset, in its upstream format, becomes the expected records.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use mashbill_download::Catalog;
use mashbill_download::convert::{Conversion, Converted};
use mashbill_format::catalog::CatalogDataset;
use mashbill_format::dataset_stats::{DatasetSource, Making, Take};
use mashbill_format::layout::Data;
use mashbill_format::lock::PinnedFile;

/// Converts files that lie in `folder`, to a place of their own.
pub(crate) fn convert(
    dataset: &CatalogDataset,
    folder: &Path,
    files: &[&str],
    take: Take,
) -> Result<(String, Converted), mashbill_download::Error> {
    let out = tempfile::tempdir().expect("a folder");
    let data = Data::new(out.path());
    let mut conversion = Conversion::open(&data, dataset, making(dataset, folder, files, take))?;
    while let Some(file) = conversion.next_file() {
        conversion.file(&folder.join(files[file]), &AtomicBool::new(false), &mut |_| {})?;
    }
    let converted = conversion.finish()?;
    let records = fs::read(data.records(&dataset.category, &dataset.name)).expect("it is finished");
    assert_eq!(records.len() as u64, converted.counts.jsonl_bytes);
    assert_eq!(mashbill_store::checksum::Checksum::of(&records), converted.checksum);
    Ok((String::from_utf8(records).expect("UTF-8"), converted))
}

pub(crate) fn making(dataset: &CatalogDataset, folder: &Path, files: &[&str], take: Take) -> Making {
    let size = |file: &str| fs::metadata(folder.join(file)).expect("it is there").len();
    let files =
        files.iter().map(|&path| PinnedFile { path: path.into(), size: size(path), hash: String::new() });
    let source = DatasetSource { repo: dataset.repo.clone(), commit: "c".into(), files: files.collect() };
    Making { catalog_checksum: dataset.checksum(), source, take }
}

fn samples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/catalog")
}

/// The files of a sample that the dataset's globs choose, by the same rule as a download.
fn chosen(dataset: &CatalogDataset, folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(&next).unwrap_or_else(|error| panic!("{}: {error}", next.display())) {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.push(
                    path.strip_prefix(folder).expect("below").to_str().expect("UTF-8").replace('\\', "/"),
                );
            }
        }
    }
    found.retain(|path| mashbill_download::catalog::takes(dataset, path));
    found.sort();
    found
}

#[test]
fn of_every_dataset_become_the_expected_records() {
    let mut differ = Vec::new();
    for dataset in Catalog::embedded().datasets.iter().filter(|dataset| dataset.refused.is_none()) {
        let folder = samples().join(&dataset.name).join("files");
        let files = chosen(dataset, &folder);
        let files: Vec<&str> = files.iter().map(String::as_str).collect();
        let (records, converted) = convert(dataset, &folder, &files, Take::ALL)
            .unwrap_or_else(|error| panic!("{}: {error}", dataset.name));
        for line in records.lines() {
            let record: serde_json::Value = serde_json::from_str(line).expect("a record is JSON");
            let chars = record["text"].as_str().expect("a text").chars().count();
            assert_eq!(record["metadata"]["num_chars"], chars);
            let said = record["messages"].as_array().map_or(0, Vec::len);
            assert_eq!(record["metadata"]["num_messages"].as_u64().unwrap_or(0), said as u64);
        }
        let rejected: BTreeMap<_, _> = converted.counts.rejected;
        let found = if rejected.is_empty() {
            records
        } else {
            format!("{records}{}\n", serde_json::json!({"rejected": rejected}))
        };
        let expected = samples().join(&dataset.name).join("expected.jsonl");
        if fs::read_to_string(&expected).unwrap_or_default() != found {
            fs::write(&expected, found).expect("it is ours");
            differ.push(dataset.name.clone());
        }
    }
    assert!(
        differ.is_empty(),
        "expected.jsonl was another one, it is now as found: look at the change of {differ:?}"
    );
}
