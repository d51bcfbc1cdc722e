//! Whether a manifest's numbers are of a size that anything can be done with.
//!
//! Whether they are right is for `mashbill_verify` to find out, which tells all that is wrong. Here they are only kept from
//! taking a reader's memory and from wrapping: behind this check every sum over the splits, and rows × row length, fits
//! into 64 bits.

use std::collections::BTreeSet;

use super::{
    COUNT_MAX, InputRange, MAX_SEQ_LENGTH_MAX, MAX_SEQ_LENGTH_MIN, Manifest, POSITIONS_PER_GROUP_MAX, Shard,
    ShardFile, Split, VOCABULARY_MAX,
};

/// A count that grows, with what it is of.
struct Total {
    what: &'static str,
    sum: u64,
}

impl Total {
    const fn of(what: &'static str) -> Self {
        Self { what, sum: 0 }
    }

    fn add(&mut self, count: u64) -> Result<(), String> {
        self.sum = self.sum.saturating_add(count);
        if self.sum <= COUNT_MAX {
            return Ok(());
        }
        Err(format!("its {} are more than {COUNT_MAX} in all", self.what))
    }
}

/// Checks a manifest's numbers.
///
/// # Errors
/// The first that is out of range, as a fragment.
pub(super) fn check(manifest: &Manifest) -> Result<(), String> {
    for length in [manifest.max_seq_length, manifest.options.max_seq_length] {
        if !(MAX_SEQ_LENGTH_MIN..=MAX_SEQ_LENGTH_MAX).contains(&length) {
            return Err(format!(
                "a max_seq_length of {length}, where {MAX_SEQ_LENGTH_MIN} to {MAX_SEQ_LENGTH_MAX} are possible"
            ));
        }
    }
    let size = manifest.tokenizer_identity.vocabulary_size;
    if !(1..=VOCABULARY_MAX).contains(&size) {
        return Err(format!("a vocabulary_size of {size}, where 1 to {VOCABULARY_MAX} are possible"));
    }
    if !(manifest.shard_size_gb.is_finite() && manifest.shard_size_gb > 0.0) {
        return Err(format!("a shard_size_gb of {}", manifest.shard_size_gb));
    }
    let (group, page) = (manifest.layout.rows_per_group, manifest.layout.rows_per_page);
    let positions = group.max(page).saturating_mul(manifest.max_seq_length);
    if group == 0 || page == 0 || positions > POSITIONS_PER_GROUP_MAX {
        return Err(format!(
            "a layout of {group} rows a group and {page} a page, where a group has at most {POSITIONS_PER_GROUP_MAX} \
             positions"
        ));
    }
    let splits = || manifest.splits.iter().chain(&manifest.vanished);
    let length = manifest.max_seq_length.max(manifest.options.max_seq_length) as u64;
    check_totals(splits().map(|(_, split)| split), length)?;
    for (name, split) in splits() {
        split.check().map_err(|what| format!("split {name:?}: {what}"))?;
    }
    Ok(())
}

/// Checks that no sum over splits is too large.
fn check_totals<'a>(splits: impl Iterator<Item = &'a Split>, length: u64) -> Result<(), String> {
    let mut positions = Total::of("rows × max_seq_length");
    let mut documents = Total::of("documents");
    let mut tokens = Total::of("tokens");
    let mut bytes = Total::of("bytes");
    let mut refused = Total::of("refused lines");
    for split in splits {
        let of_shards =
            |value: &dyn Fn(&Shard) -> u64| split.shard_list.iter().map(value).fold(0, u64::saturating_add);
        let of_files =
            |value: fn(&ShardFile) -> u64| split.shard_files().map(value).fold(0, u64::saturating_add);
        // The same is said in several places; each of them is somebody's summand.
        let rows = split.sequences.max(of_files(|file| file.rows));
        positions.add(rows.saturating_mul(length))?;
        let in_tables = split.tables().map(|table| table.rows).fold(0, u64::saturating_add);
        documents.add(split.samples.max(in_tables).max(of_shards(&|shard| shard.documents)))?;
        let ledger = &split.ledger;
        let in_ledger =
            ledger.text_tokens.saturating_add(ledger.special_tokens).saturating_add(ledger.padding);
        let in_shards = of_shards(&|shard| shard.tokens.saturating_add(shard.padding));
        let most_tokens = [
            split.tokens,
            in_ledger,
            ledger.literal_special_tokens,
            ledger.template_tokens,
            ledger.learned_tokens,
        ];
        tokens.add(most_tokens.iter().fold(in_shards, |a, &b| a.max(b)))?;
        let in_files = of_files(|file| file.bytes);
        bytes.add(split.tables().map(|table| table.bytes).fold(in_files, u64::saturating_add))?;
        let last_key = split.shard_list.iter().map(|shard| shard.input.start.max(shard.input.end)).max();
        bytes
            .add(split.source.bytes.max(of_shards(&|shard| shard.input.bytes)).max(last_key.unwrap_or(0)))?;
        refused.add(split.rejected.values().copied().fold(0, u64::saturating_add))?;
    }
    Ok(())
}

impl Split {
    /// Checks what a split alone says.
    ///
    /// # Errors
    /// What is wrong, as a fragment.
    pub(crate) fn check(&self) -> Result<(), String> {
        check_totals([self].into_iter(), 1)?;
        let mut end = 0;
        let mut group = self.shard_list.first().and_then(|shard| shard.group);
        let mut names = BTreeSet::new();
        for (index, shard) in self.shard_list.iter().enumerate() {
            let InputRange { start, end: next, .. } = shard.input;
            if shard.group != group {
                if shard.group <= group || group.is_none() {
                    return Err(format!("shard {index} is of another group than its place says"));
                }
                (group, end) = (shard.group, 0);
            }
            if start != end || next < start {
                return Err(format!("shard {index} covers {start} to {next} of the input, after {end}"));
            }
            let is_without = shard.sources.is_empty();
            let is_sorted = shard.sources.is_sorted_by_key(|source| source.start);
            let is_behind = shard.sources.last().is_some_and(|last| last.start > next);
            if shard.group.map_or(!is_without, |_| is_without && shard.documents > 0)
                || !is_sorted
                || is_behind
            {
                return Err(format!("shard {index} names the wrong files"));
            }
            end = next;
            if shard.file.is_none() && (shard.documents > 0 || shard.tokens > 0) {
                return Err(format!("shard {index} has documents in no file"));
            }
            if shard.file.is_some() != shard.table.is_some() {
                return Err(format!("shard {index} has either rows or a document table, not both"));
            }
            if shard.file.as_ref().is_some_and(|file| !names.insert(&file.name)) {
                return Err(format!("shard {index} shares a file with another one"));
            }
        }
        if self.shard_list.is_empty() && (self.sequences > 0 || self.samples > 0) {
            return Err("it has rows or documents and no shards".into());
        }
        Ok(())
    }
}
