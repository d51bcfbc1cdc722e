//! The manifest against itself: every sum that can be made of its numbers, and the identities.

use mashbill_format::held_out::HeldOut;
use mashbill_format::layout::{MANIFEST, ShardId};
use mashbill_format::loss_spans::Loss;
use mashbill_format::manifest::{
    InputRange, Labels, Ledger, Manifest, Shard, ShardOptions, Split, source_checksum, split_identity,
};
use mashbill_format::shard::RowLayout;

use crate::findings::Findings;
use crate::problem::{ProblemKind, ProblemPlace, Remedy};

/// Checks what the manifest says of the whole folder.
pub(crate) fn check_manifest(manifest: &Manifest, findings: &Findings) {
    let wrong = |kind, detail: String| {
        findings.error(kind, ProblemPlace::file(MANIFEST), Remedy::MakeAllAgain, detail);
    };
    let options = &manifest.options;
    if manifest.max_seq_length != options.max_seq_length {
        let (outer, inner) = (manifest.max_seq_length, options.max_seq_length);
        wrong(ProblemKind::Sums, format!("max_seq_length is {outer}, and {inner} in options"));
    }
    if (manifest.shard_size_gb * 1e9) as u64 != options.shard_bytes {
        let (gb, bytes) = (manifest.shard_size_gb, options.shard_bytes);
        wrong(ProblemKind::Sums, format!("shard_size_gb is {gb}, and shard_bytes {bytes}"));
    }
    let stride = ShardOptions::stride_of(options.shard_bytes, options.compression);
    if options.stride_bytes != stride {
        let (found, shard) = (options.stride_bytes, options.shard_bytes);
        wrong(
            ProblemKind::Sums,
            format!("stride_bytes is {found}, and {stride} follows from a shard_bytes of {shard}"),
        );
    }
    if manifest.files_processed != manifest.splits.len() as u64 {
        let (files, splits) = (manifest.files_processed, manifest.splits.len());
        wrong(ProblemKind::Sums, format!("files_processed is {files}, and there are {splits} splits"));
    }
    if manifest.labels != Labels::default() {
        wrong(ProblemKind::Identity, "this format version does not have the label convention".into());
    }
    if manifest.layout.rows_per_group == 0 || manifest.layout.rows_per_page == 0 {
        wrong(ProblemKind::Sums, "the layout has groups or pages without rows".into());
    } else if manifest.layout != RowLayout::of(options.max_seq_length) {
        let RowLayout { rows_per_group, rows_per_page } = manifest.layout;
        wrong(
            ProblemKind::Identity,
            format!(
                "a layout of {rows_per_group} rows a group and {rows_per_page} a page is none of this format version"
            ),
        );
    }
    if let Some(held_out) = options.held_out.filter(|held_out| !HeldOut::is_fraction(held_out.fraction)) {
        wrong(ProblemKind::Sums, format!("a held-out fraction of {}", held_out.fraction));
    }
    let tokenizer = &manifest.tokenizer_identity;
    let around = tokenizer.ids_before.iter().chain(&tokenizer.ids_after).chain([&tokenizer.pad.id]);
    let named = tokenizer.bos.iter().chain(&tokenizer.eos).map(|token| &token.id);
    for id in around.chain(named).filter(|id| **id >= tokenizer.vocabulary_size) {
        let size = tokenizer.vocabulary_size;
        wrong(ProblemKind::Sums, format!("special id {id} is outside the vocabulary of {size}"));
    }
    if tokenizer.sha256.len() != 64 || !tokenizer.sha256.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        wrong(ProblemKind::Identity, "the tokenizer's sha256 is not a SHA-256".into());
    }
}

/// Checks what the manifest says of one split.
pub(crate) fn check_split(name: &str, split: &Split, manifest: &Manifest, findings: &Findings) {
    let wrong = |kind, detail: String| {
        let remedy = Remedy::MakeSplitAgain { split: name.to_owned() };
        findings.error(kind, ProblemPlace::file(MANIFEST), remedy, format!("split {name}: {detail}"));
    };
    for (what, left, right) in sums(split, manifest) {
        if left != right {
            wrong(ProblemKind::Sums, format!("{what}: {left} and {right}"));
        }
    }
    if let Some(detail) = tokens_around(split, manifest) {
        wrong(ProblemKind::Sums, detail);
    }
    for (index, (id, shard)) in split.shard_ids().zip(&split.shard_list).enumerate() {
        check_shard(id, shard, manifest.max_seq_length as u64, &wrong);
        let file = shard.sources.first().map_or(&split.source.file, |source| &source.file);
        let name = file.rsplit('/').next().unwrap_or_default();
        let has_rows =
            matches!(mashbill_records::FileKind::of(name), Some((_, mashbill_records::FileKind::Parquet)));
        let InputRange { start, end, bytes, .. } = shard.input;
        // Of Parquet input they are rows, and the bytes those of texts.
        if !has_rows && end.saturating_sub(start) != bytes {
            wrong(ProblemKind::Sums, format!("shard {index}: {bytes} bytes of input from {start} to {end}"));
        }
    }
    check_identity(split, manifest, &wrong);
}

/// Pairs of numbers that are the same in every good manifest.
fn sums(split: &Split, manifest: &Manifest) -> Vec<(&'static str, u64, u64)> {
    let ledger = &split.ledger;
    let shards = |value: fn(&Shard) -> u64| split.shard_list.iter().map(value).fold(0, u64::saturating_add);
    let shard_rows = split.shard_files().map(|file| file.rows).fold(0, u64::saturating_add);
    let length = manifest.max_seq_length as u64;
    vec![
        ("shards and the shards with a file", split.shards, split.shard_files().count() as u64),
        ("sequences and the shards' rows", split.sequences, shard_rows),
        ("samples and the shards' documents", split.samples, shards(|shard| shard.documents)),
        ("tokens and the shards' tokens", split.tokens, shards(|shard| shard.tokens)),
        ("padding and the shards' padding", ledger.padding, shards(|shard| shard.padding)),
        (
            "source.bytes and the shards' bytes of input",
            split.source.bytes,
            shards(|shard| shard.input.bytes),
        ),
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

/// Checks what the manifest says of one stretch of the input. That the stretches follow one another is known.
fn check_shard(id: ShardId, shard: &Shard, length: u64, wrong: &dyn Fn(ProblemKind, String)) {
    let wrong = |detail: String| wrong(ProblemKind::Sums, format!("shard {id}: {detail}"));
    let (rows, name) = shard.file.as_ref().map_or((0, None), |file| (file.rows, Some(&file.name)));
    let (in_table, table) = shard.table.as_ref().map_or((0, None), |table| (table.rows, Some(&table.name)));
    let positions = shard.tokens.saturating_add(shard.padding);
    let pairs = [
        ("rows × max_seq_length and tokens + padding", rows.saturating_mul(length), positions),
        ("documents and the document table's rows", shard.documents, in_table),
    ];
    for (what, left, right) in pairs {
        if left != right {
            wrong(format!("{what}: {left} and {right}"));
        }
    }
    if shard.padding >= length {
        wrong(format!("padding of {} fills a row", shard.padding));
    }
    if shard.documents > shard.tokens || (shard.documents == 0) != (rows == 0) {
        wrong(format!("{} documents of {} tokens in {rows} rows", shard.documents, shard.tokens));
    }
    for (what, found, should) in [("rows", name, id.file_name()), ("documents", table, id.table_name())] {
        if let Some(found) = found.filter(|&found| *found != should) {
            wrong(format!("the file of its {what} is called {found}, not {should}"));
        }
    }
}

/// Each document got what is put around documents, unless its text spells it; then that is a literal token.
fn tokens_around(split: &Split, manifest: &Manifest) -> Option<String> {
    let tokenizer = &manifest.tokenizer_identity;
    let each = (tokenizer.ids_before.len() + tokenizer.ids_after.len()) as u64;
    let most = split.samples.saturating_mul(each);
    let special = split.ledger.special_tokens;
    let spelled = split.ledger.literal_special_tokens;
    let template = manifest.options.template();
    let is_mixed = manifest.options.chat.as_ref().is_some_and(|chat| chat.mixed);
    // Nothing is put around what a template makes.
    let most = if template.is_some() && !is_mixed { 0 } else { most };
    let least = if template.is_some() { 0 } else { most.saturating_sub(spelled.saturating_mul(each)) };
    if special > most || special < least {
        return Some(format!(
            "{special} special_tokens around {} documents, which get {each} each and spell {spelled}",
            split.samples
        ));
    }
    let Ledger { text_tokens, template_tokens, learned_tokens, .. } = split.ledger;
    if spelled.saturating_add(template_tokens) > text_tokens {
        return Some(format!(
            "{spelled} literal_special_tokens and {template_tokens} template_tokens among {text_tokens} text_tokens"
        ));
    }
    let has_spans = manifest.loss() == Loss::Spans;
    if learned_tokens > split.tokens || (learned_tokens > 0) != (has_spans && split.tokens > 0) {
        return Some(format!("{learned_tokens} learned_tokens among {} tokens", split.tokens));
    }
    (template.is_none() && template_tokens > 0)
        .then(|| format!("{template_tokens} template_tokens, and no template"))
}

fn check_identity(split: &Split, manifest: &Manifest, wrong: &dyn Fn(ProblemKind, String)) {
    if source_checksum(split.shard_list.iter().map(|shard| &shard.input)) != split.source.checksum {
        wrong(
            ProblemKind::Identity,
            "the checksums of the shards' stretches do not give the source's".into(),
        );
    }
    let identity = split_identity(manifest.run_identity(), split.source.checksum);
    if identity != split.identity {
        wrong(
            ProblemKind::Identity,
            format!(
                "options, tokenizer and source give the identity {identity}, not {}: one of them was changed",
                split.identity
            ),
        );
    }
}
