//! A finished split beside an input that is another one: shards whose stretch of the input is the same stay.
//!
//! A stretch's checksum says what it holds, wherever it stands now: the keys in a shard are counted from where its stretch
//! begins, so its bytes are those that a new run would make.

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use mashbill_format::atomic::{self, Batch};
use mashbill_format::checksum::{Checksum, Hasher};
use mashbill_format::held_out::Part;
use mashbill_format::layout::{
    Output, REJECTS_SUFFIX, STATS_SUFFIX, State, TABLES_FOLDER, shard_name, table_name,
};
use mashbill_format::manifest::{InputRange, Options, Split};
use mashbill_format::stats::{Stats, read_rejects};
use mashbill_format::task::{Counts, MadePart, Reject, ShardRecord};

use crate::error::{Error, Result};
use crate::files::paths;
use crate::input::Input;
use crate::plan::Folder;
use crate::read::{Cutting, Reader, Stretch};

/// A stretch of the input as it is now.
struct Seen {
    input: InputRange,
    last: bool,
    ignored_bytes: u64,
}

/// A finished split, in one of the parts that documents are divided into.
pub(crate) struct FinishedPart {
    pub(crate) part: Part,
    output: Output,
    pub(crate) split: Split,
    pub(crate) stats: Stats,
    rejects: Vec<Reject>,
}

/// What a comparison found.
pub(crate) enum Comparison {
    /// The input is the same: nothing has to be made.
    Same(Vec<FinishedPart>),
    /// These shards stay, of so many.
    Changed { kept: Vec<ShardRecord>, of: usize },
}

/// Compares the finished split of `input`, in each of `folders`, with the input. The files of shards that stay get their
/// second names in the run's `state`; their records say that they are of `id`.
///
/// # Errors
/// Errors of reading and writing, [`Error::Interrupted`].
pub(crate) fn compare(
    input: &Input,
    options: &Options,
    folders: &[Folder],
    (state, id): (&State, Checksum),
    interrupted: &AtomicBool,
) -> Result<Comparison> {
    let seen = look(input, options, interrupted)?;
    let of = seen.len();
    let mut parts = Vec::new();
    for folder in folders {
        match FinishedPart::read(folder, &input.split)? {
            Some(part) => parts.push(part),
            None => return Ok(Comparison::Changed { kept: Vec::new(), of }),
        }
    }
    if parts.iter().all(|part| part.stretches().eq(seen.iter().map(|seen| &seen.input))) {
        return Ok(Comparison::Same(parts));
    }
    let first = &parts[0];
    if parts.iter().any(|part| !part.stretches().eq(first.stretches())) {
        return Ok(Comparison::Changed { kept: Vec::new(), of });
    }
    for part in &parts {
        atomic::remove_folder(&state.made(part.part, &input.split))?;
    }
    let known: HashMap<(Checksum, u64), usize> =
        first.stretches().enumerate().map(|(old, range)| ((range.checksum, range.bytes), old)).collect();
    let mut batch = Batch::default();
    let mut kept = Vec::new();
    for (index, seen) in seen.into_iter().enumerate() {
        let Some(&old) = known.get(&(seen.input.checksum, seen.input.bytes)) else { continue };
        let each = parts.iter().map(|part| part.keep(old, index, state, &input.split, &mut batch));
        let Some(made) = each.collect::<Result<Option<Vec<_>>>>()? else { continue };
        let Seen { input, last, ignored_bytes } = seen;
        let engine = first.stats.engine.clone();
        kept.push(ShardRecord { of: id, index, last, input, ignored_bytes, engine, parts: made });
    }
    batch.sync()?;
    Ok(Comparison::Changed { kept, of })
}

/// Reads the input and tells its stretches.
fn look(input: &Input, options: &Options, interrupted: &AtomicBool) -> Result<Vec<Seen>> {
    let mut reader = Reader::open(input, Cutting::of(options))?;
    let mut all = Vec::new();
    loop {
        reader.begin(all.len() as u64)?;
        let (mut hasher, mut bytes) = (Hasher::new(), 0);
        while let Some(block) = reader.next()? {
            if interrupted.load(Ordering::Relaxed) {
                return Err(Error::Interrupted);
            }
            hasher.update(&block.checksum(input)?.to_bytes());
            bytes += block.bytes;
        }
        let Stretch { start, end, last, ignored_bytes } = reader.end();
        let input = InputRange { start, end, bytes, checksum: hasher.finish() };
        all.push(Seen { input, last, ignored_bytes });
        if last {
            return Ok(all);
        }
    }
}

impl FinishedPart {
    /// The finished split `split` of a folder; none where its statistics are gone or do not go with it.
    fn read(folder: &Folder, split: &str) -> Result<Option<Self>> {
        let Some(entry) = folder.finished(split) else { return Ok(None) };
        let place = folder.output.split(split);
        let Some(stats) = Stats::read(&place.join(format!("{split}{STATS_SUFFIX}")))? else {
            return Ok(None);
        };
        if stats.shards.len() != entry.shard_list.len() {
            return Ok(None);
        }
        let rejects = read_rejects(&place.join(format!("{split}{REJECTS_SUFFIX}")))?;
        let (part, output) = (folder.part, folder.output.clone());
        Ok(Some(Self { part, output, split: entry.clone(), stats, rejects }))
    }

    fn stretches(&self) -> impl Iterator<Item = &InputRange> {
        self.split.shard_list.iter().map(|shard| &shard.input)
    }

    /// Keeps its shard `old` as shard `index` of the new run; none where its files are not what the manifest says.
    fn keep(
        &self,
        old: usize,
        index: usize,
        state: &State,
        split: &str,
        batch: &mut Batch,
    ) -> Result<Option<MadePart>> {
        let shard = &self.split.shard_list[old];
        let counts = self.stats.shards[old].clone();
        let rejects = self.rejects_of(old);
        let part = self.part;
        let (Some(file), Some(table)) = (&shard.file, &shard.table) else {
            return Ok(Some(MadePart { part, file: None, table: None, counts, rejects }));
        };
        let place = self.output.split(split);
        let from = [place.join(&file.name), place.join(TABLES_FOLDER).join(&table.name)];
        let is = |path: &Path, bytes: u64| std::fs::metadata(path).is_ok_and(|found| found.len() == bytes);
        if !is(&from[0], file.bytes) || !is(&from[1], table.bytes) {
            return Ok(None);
        }
        let made = state.made(part, split);
        atomic::create_folder(&made.join(TABLES_FOLDER))?;
        for (from, to) in from.iter().zip(paths(&made, index)) {
            batch.link(from, &to)?;
        }
        let (mut file, mut table) = (file.clone(), table.clone());
        (file.name, table.name) = (shard_name(index), table_name(index));
        Ok(Some(MadePart { part, file: Some(file), table: Some(table), counts, rejects }))
    }

    /// The refused lines of shard `old` that are known, counted from its beginning.
    fn rejects_of(&self, old: usize) -> Vec<Reject> {
        let range = &self.split.shard_list[old].input;
        let before: u64 = self.stats.shards[..old].iter().map(|counts: &Counts| counts.lines).sum();
        let here = self.rejects.iter().filter(|reject| (range.start..range.end).contains(&reject.key));
        let relative = here.filter_map(|reject| {
            let (line, key) = (reject.line.checked_sub(before)?, reject.key - range.start);
            Some(Reject { line, key, ..reject.clone() })
        });
        relative.collect()
    }
}
