//! The manifest against itself: every sum that can be made of its numbers, and the identities.

use super::findings::Findings;
use super::problem::{Kind, Place, Remedy};
use crate::checksum::Hasher;
use crate::held_out::HeldOut;
use crate::layout::{DOCUMENTS, MANIFEST, shard_name};
use crate::manifest::{Labels, Manifest, Split, split_identity};
use crate::shard::RowLayout;

/// Checks what the manifest says of the whole folder.
pub(super) fn check_manifest(manifest: &Manifest, findings: &Findings) {
    let wrong = |kind, detail: String| {
        findings.error(kind, Place::file(MANIFEST), Remedy::MakeAllAgain, detail);
    };
    let options = &manifest.options;
    if manifest.max_seq_length != options.max_seq_length {
        let (outer, inner) = (manifest.max_seq_length, options.max_seq_length);
        wrong(Kind::Sums, format!("max_seq_length is {outer}, and {inner} in options"));
    }
    if (manifest.shard_size_gb * 1e9) as u64 != options.shard_bytes {
        let (gb, bytes) = (manifest.shard_size_gb, options.shard_bytes);
        wrong(Kind::Sums, format!("shard_size_gb is {gb}, and shard_bytes {bytes}"));
    }
    if manifest.files_processed != manifest.splits.len() as u64 {
        let (files, splits) = (manifest.files_processed, manifest.splits.len());
        wrong(Kind::Sums, format!("files_processed is {files}, and there are {splits} splits"));
    }
    if manifest.labels != Labels::default() {
        wrong(Kind::Identity, "the label convention is none of this format version".into());
    }
    if manifest.layout.rows_per_group == 0 || manifest.layout.rows_per_page == 0 {
        wrong(Kind::Sums, "the layout has groups or pages without rows".into());
    } else if manifest.layout != RowLayout::of(options.max_seq_length) {
        let RowLayout { rows_per_group, rows_per_page } = manifest.layout;
        wrong(
            Kind::Identity,
            format!(
                "a layout of {rows_per_group} rows a group and {rows_per_page} a page is none of this format version"
            ),
        );
    }
    if let Some(held_out) = options.held_out.filter(|held_out| !HeldOut::is_fraction(held_out.fraction)) {
        wrong(Kind::Sums, format!("a held-out fraction of {}", held_out.fraction));
    }
    let tokenizer = &manifest.tokenizer_identity;
    let around = tokenizer.ids_before.iter().chain(&tokenizer.ids_after).chain([&tokenizer.pad.id]);
    let named = tokenizer.bos.iter().chain(&tokenizer.eos).map(|token| &token.id);
    for id in around.chain(named).filter(|id| **id >= tokenizer.vocabulary_size) {
        let size = tokenizer.vocabulary_size;
        wrong(Kind::Sums, format!("special id {id} is outside the vocabulary of {size}"));
    }
    if tokenizer.sha256.len() != 64 || !tokenizer.sha256.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        wrong(Kind::Identity, "the tokenizer's sha256 is none".into());
    }
}

/// Checks what the manifest says of one split.
pub(super) fn check_split(name: &str, split: &Split, manifest: &Manifest, findings: &Findings) {
    let wrong = |kind, detail: String| {
        let remedy = Remedy::MakeSplitAgain { split: name.to_owned() };
        findings.error(kind, Place::file(MANIFEST), remedy, format!("split {name}: {detail}"));
    };
    for (what, left, right) in sums(split, manifest) {
        if left != right {
            wrong(Kind::Sums, format!("{what}: {left} and {right}"));
        }
    }
    let ledger = &split.ledger;
    let length = manifest.max_seq_length as u64;
    if ledger.padding >= length.max(1) {
        wrong(Kind::Sums, format!("padding of {} fills a row", ledger.padding));
    }
    if let Some(detail) = tokens_around(split, manifest) {
        wrong(Kind::Sums, detail);
    }
    if let Some(unit) = split.units.iter().position(|unit| unit.tail_tokens >= length.max(1)) {
        wrong(Kind::Sums, format!("the tail of unit {unit} fills a row"));
    }
    let (mut row, mut key) = (0, 0);
    for (index, unit) in split.units.iter().enumerate() {
        if unit.first_row != row {
            wrong(Kind::Sums, format!("unit {index} begins at row {}, not {row}", unit.first_row));
        }
        if unit.first_key < key || (index == 0 && unit.first_key != 0) {
            wrong(Kind::Sums, format!("unit {index} begins at key {}", unit.first_key));
        }
        (row, key) = (unit.first_row.saturating_add(unit.rows), unit.first_key.saturating_add(1));
    }
    for (index, shard) in split.shard_files.iter().enumerate() {
        if shard.name != shard_name(index) {
            wrong(Kind::Sums, format!("shard {index} is called {}", shard.name));
        }
        if shard.bytes > manifest.options.shard_bytes && shard.rows > manifest.layout.rows_per_group as u64 {
            wrong(Kind::Sums, format!("{} is larger than a shard may be", shard.name));
        }
    }
    if split.documents.name != DOCUMENTS {
        wrong(Kind::Sums, format!("the document table is called {}", split.documents.name));
    }
    check_identity(split, manifest, &wrong);
}

/// Pairs of numbers that are the same in every good manifest.
fn sums(split: &Split, manifest: &Manifest) -> Vec<(&'static str, u64, u64)> {
    let ledger = &split.ledger;
    let units =
        |value: fn(&crate::manifest::Unit) -> u64| split.units.iter().map(value).fold(0, u64::saturating_add);
    let shard_rows = split.shard_files.iter().map(|file| file.rows).fold(0, u64::saturating_add);
    let length = manifest.max_seq_length as u64;
    let in_units =
        units(|unit| unit.rows).saturating_mul(length).saturating_add(units(|unit| unit.tail_tokens));
    vec![
        ("shards and shard_files", split.shards, split.shard_files.len() as u64),
        ("sequences and the shards' rows", split.sequences, shard_rows),
        ("samples and the document table's rows", split.samples, split.documents.rows),
        ("samples and the units' documents", split.samples, units(|unit| unit.documents)),
        ("tokens and the units' tokens", split.tokens, in_units),
        ("source.bytes and the units' bytes", split.source.bytes, units(|unit| unit.bytes)),
        (
            "tokens and text_tokens + special_tokens",
            split.tokens,
            ledger.text_tokens.saturating_add(ledger.special_tokens),
        ),
        (
            "sequences × max_seq_length and tokens + padding",
            split.sequences.saturating_mul(length),
            split.tokens.saturating_add(ledger.padding),
        ),
    ]
}

/// Each document got what is put around documents, unless its text spells it; then that is a literal token.
fn tokens_around(split: &Split, manifest: &Manifest) -> Option<String> {
    let tokenizer = &manifest.tokenizer_identity;
    let each = (tokenizer.ids_before.len() + tokenizer.ids_after.len()) as u64;
    let most = split.samples.saturating_mul(each);
    let special = split.ledger.special_tokens;
    let spelled = split.ledger.literal_special_tokens;
    let least = most.saturating_sub(spelled.saturating_mul(each));
    if special > most || special < least {
        return Some(format!(
            "{special} special_tokens around {} documents, which get {each} each and spell {spelled}",
            split.samples
        ));
    }
    (spelled > split.ledger.text_tokens)
        .then(|| format!("{spelled} literal_special_tokens among {} text_tokens", split.ledger.text_tokens))
}

fn check_identity(split: &Split, manifest: &Manifest, wrong: &dyn Fn(Kind, String)) {
    let mut hasher = Hasher::new();
    split.units.iter().for_each(|unit| hasher.update(&unit.checksum.to_bytes()));
    if hasher.finish() != split.source.checksum {
        wrong(Kind::Identity, "the units' checksums do not give the source's".into());
    }
    let identity = split_identity(manifest.run_identity(), split.source.checksum);
    if identity != split.identity {
        wrong(
            Kind::Identity,
            format!(
                "options, tokenizer and source give the identity {identity}, not {}: one of them was changed",
                split.identity
            ),
        );
    }
}
