//! The front matter: YAML as the Hub and `datasets` read it.
//!
//! The form is the Hub's: <https://huggingface.co/docs/hub/datasets-manual-configuration>.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use saphyr_parser::{Event, Parser};

use super::config::{DEFAULT, pattern};
use super::escape::quoted;
use super::parts::Parts;
use crate::loss_spans::{COLUMN, Loss};
use crate::manifest::{License, Manifest, Split};

/// Bytes that a document's piece takes in the columns of lists: a length, a key and an offset.
const PIECE_BYTES: u64 = 4 + 8 + 4;

/// Bytes that a position takes in the three columns of rows.
const POSITION_BYTES: u64 = 3 * 4;

/// The columns of a shard, each with the type of its lists; without `loss_spans`.
const COLUMNS: [(&str, &str); 6] = [
    ("input_ids", "int32"),
    ("attention_mask", "int32"),
    ("labels", "int32"),
    ("seq_lens", "int32"),
    ("doc_ids", "int64"),
    ("doc_offsets", "int32"),
];

/// What the Hub takes for a license. Another one is `other` to it.
const LICENSES: &[&str] = &[
    "afl-3.0",
    "agpl-3.0",
    "apache-2.0",
    "artistic-2.0",
    "bigcode-openrail-m",
    "bigscience-bloom-rail-1.0",
    "bigscience-openrail-m",
    "bsd",
    "bsd-2-clause",
    "bsd-3-clause",
    "bsd-3-clause-clear",
    "bsl-1.0",
    "c-uda",
    "cc",
    "cc-by-2.0",
    "cc-by-2.5",
    "cc-by-3.0",
    "cc-by-4.0",
    "cc-by-nc-2.0",
    "cc-by-nc-3.0",
    "cc-by-nc-4.0",
    "cc-by-nc-nd-3.0",
    "cc-by-nc-nd-4.0",
    "cc-by-nc-sa-2.0",
    "cc-by-nc-sa-3.0",
    "cc-by-nc-sa-4.0",
    "cc-by-nd-4.0",
    "cc-by-sa-3.0",
    "cc-by-sa-4.0",
    "cc0-1.0",
    "cdla-permissive-1.0",
    "cdla-permissive-2.0",
    "cdla-sharing-1.0",
    "ecl-2.0",
    "epl-1.0",
    "epl-2.0",
    "etalab-2.0",
    "eupl-1.1",
    "gemma",
    "gfdl",
    "gpl",
    "gpl-2.0",
    "gpl-3.0",
    "isc",
    "lgpl",
    "lgpl-2.1",
    "lgpl-3.0",
    "llama2",
    "llama3",
    "llama3.1",
    "llama3.2",
    "llama3.3",
    "mit",
    "mpl-2.0",
    "ms-pl",
    "ncsa",
    "odbl",
    "odc-by",
    "ofl-1.1",
    "openrail",
    "osl-3.0",
    "other",
    "pddl",
    "postgresql",
    "unknown",
    "unlicense",
    "wtfpl",
    "zlib",
];

/// The Hub's words for numbers of rows, each with the number below which it holds.
const SIZES: [(u64, &str); 10] = [
    (1_000, "n<1K"),
    (10_000, "1K<n<10K"),
    (100_000, "10K<n<100K"),
    (1_000_000, "100K<n<1M"),
    (10_000_000, "1M<n<10M"),
    (100_000_000, "10M<n<100M"),
    (1_000_000_000, "100M<n<1B"),
    (10_000_000_000, "1B<n<10B"),
    (100_000_000_000, "10B<n<100B"),
    (1_000_000_000_000, "100B<n<1T"),
];

/// The keys of the front matter, each with its lines. `listed` are the splits that have rows and can be loaded, `names`
/// the names of their configurations, and `manifest` is the one of the part to train on.
pub(super) fn entries(
    parts: &[Parts<'_>],
    listed: &[&Parts<'_>],
    names: &BTreeMap<&str, String>,
    manifest: &Manifest,
) -> Vec<(&'static str, String)> {
    let mut entries = Vec::new();
    if let Some(license) = license(parts) {
        entries.push(("license", license));
    }
    entries.push(("task_categories", "task_categories:\n- text-generation\n".to_owned()));
    entries.push(("tags", "tags:\n- mashbill\n- tokenized\n".to_owned()));
    let rows = listed
        .iter()
        .map(|parts| parts.train.sequences + parts.validation.map_or(0, |validation| validation.sequences));
    let rows: u64 = rows.sum();
    let size = SIZES.iter().find(|(below, _)| rows < *below).map_or("n>1T", |(_, size)| size);
    entries.push(("size_categories", format!("size_categories:\n- {size}\n")));
    if !listed.is_empty() {
        entries.push(("configs", configs(listed, names)));
        entries.push(("dataset_info", dataset_info(listed, names, manifest)));
    }
    entries
}

/// The licenses of the splits, where one is known of any.
fn license(parts: &[Parts<'_>]) -> Option<String> {
    let of = |license: &License| match LICENSES.iter().find(|id| **id == license.id) {
        Some(id) => *id,
        None if license.id == "not stated" => "unknown",
        None => "other",
    };
    let mut ids: BTreeSet<_> = parts.iter().flat_map(|parts| &parts.train.license).map(of).collect();
    if ids.is_empty() {
        return None;
    }
    if parts.iter().any(|parts| parts.train.license.is_empty()) {
        ids.insert("unknown");
    }
    let lines: String = ids.iter().map(|id| format!("- {id}\n")).collect();
    Some(format!("license:\n{lines}"))
}

fn configs(listed: &[&Parts<'_>], names: &BTreeMap<&str, String>) -> String {
    let mut lines = "configs:\n".to_owned();
    config(&mut lines, DEFAULT, listed);
    listed.iter().for_each(|parts| config(&mut lines, &names[parts.name], &[parts]));
    lines
}

/// The two parts in which a reader finds rows: their names, their folders, and each split's share.
type PartOf = (&'static str, &'static str, fn(&Parts<'_>) -> u64);

const TRAIN: PartOf = ("train", "", |parts| parts.train.sequences);
const VALIDATION: PartOf =
    ("validation", "_validation/", |parts| parts.validation.map_or(0, |split| split.sequences));

fn config(lines: &mut String, name: &str, parts: &[&Parts<'_>]) {
    push(lines, format_args!("- config_name: {}", quoted(name)));
    if name == DEFAULT {
        push(lines, format_args!("  default: true"));
    }
    push(lines, format_args!("  data_files:"));
    for (part, folder, rows) in [TRAIN, VALIDATION] {
        // A pattern that finds no file is an error to readers.
        let mut with_rows = parts.iter().filter(|parts| rows(parts) > 0).peekable();
        if with_rows.peek().is_none() {
            continue;
        }
        push(lines, format_args!("  - split: {part}\n    path:"));
        for parts in with_rows {
            push(lines, format_args!("    - {}", quoted(&pattern(folder, parts.name))));
        }
    }
}

fn dataset_info(listed: &[&Parts<'_>], names: &BTreeMap<&str, String>, manifest: &Manifest) -> String {
    let mut lines = "dataset_info:\n".to_owned();
    info(&mut lines, DEFAULT, listed, manifest);
    // Each has the same columns, so two thousand splits need not repeat them: readers take them from the files.
    listed.iter().for_each(|parts| info(&mut lines, &names[parts.name], &[parts], manifest));
    lines
}

fn info(lines: &mut String, name: &str, parts: &[&Parts<'_>], manifest: &Manifest) {
    push(lines, format_args!("- config_name: {}", quoted(name)));
    if name == DEFAULT {
        push(lines, format_args!("  features:"));
        let spans = match manifest.loss() {
            Loss::All => None,
            Loss::Spans => Some((COLUMN, "int32")),
        };
        for (column, kind) in COLUMNS.into_iter().chain(spans) {
            push(lines, format_args!("  - name: {column}\n    list: {kind}"));
        }
    }
    push(lines, format_args!("  splits:"));
    for (part, _, rows) in [TRAIN, VALIDATION] {
        let of_part = |parts: &Parts<'_>| match part {
            "train" => Some(parts.train.samples),
            _ => parts.validation.map(|split| split.samples),
        };
        let examples: u64 = parts.iter().map(|parts| rows(parts)).sum();
        let documents: u64 = parts.iter().filter_map(|parts| of_part(parts)).sum();
        if examples > 0 {
            let bytes = examples * manifest.max_seq_length as u64 * POSITION_BYTES + documents * PIECE_BYTES;
            push(
                lines,
                format_args!("  - name: {part}\n    num_bytes: {bytes}\n    num_examples: {examples}"),
            );
        }
    }
    let files = parts.iter().flat_map(|parts| [Some(parts.train), parts.validation]).flatten();
    let bytes: u64 = files.flat_map(Split::shard_files).map(|file| file.bytes).sum();
    push(lines, format_args!("  download_size: {bytes}"));
}

fn push(lines: &mut String, line: std::fmt::Arguments<'_>) {
    writeln!(lines, "{line}").expect("a text takes what is written");
}

/// The keys of a front matter, in order; none where it is no mapping.
pub(super) fn keys(yaml: &str) -> Option<Vec<String>> {
    let (mut keys, mut depth, mut is_key, mut documents) = (Vec::new(), 0_usize, true, 0);
    for event in Parser::new_from_str(yaml) {
        let (event, _) = event.ok()?;
        match event {
            Event::DocumentStart(_) => documents += 1,
            Event::Scalar(text, ..) if depth == 1 && is_key => {
                keys.push(text.into_owned());
                is_key = false;
                continue;
            }
            // A document that is one value, or a key that is no text.
            Event::Scalar(text, ..) if depth == 0 && !text.is_empty() => return None,
            Event::Alias(_) | Event::MappingStart(..) | Event::SequenceStart(..) if depth == 1 && is_key => {
                return None;
            }
            Event::SequenceStart(..) if depth == 0 => return None,
            _ => {}
        }
        match event {
            Event::MappingStart(..) | Event::SequenceStart(..) => depth += 1,
            Event::MappingEnd | Event::SequenceEnd => depth = depth.checked_sub(1)?,
            Event::Scalar(..) | Event::Alias(_) => {}
            _ => continue,
        }
        // A value of the mapping has ended, or the mapping begins.
        is_key = depth == 1;
    }
    (documents <= 1).then_some(keys)
}
