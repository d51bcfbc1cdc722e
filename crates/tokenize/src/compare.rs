//! A finished split beside an input that is another one: shards whose stretch of the input is the same stay.
//!
//! A stretch's checksum says what it holds, wherever it stands now: the keys in a shard are counted from where its stretch
//! begins, so its bytes are those that a new run would make.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};

use mashbill_format::held_out::DatasetPart;
use mashbill_format::layout::{Output, REJECTS_SUFFIX, STATS_SUFFIX, ShardId, StateFolder, TABLES_FOLDER};
use mashbill_format::manifest::{InputRange, Shard, ShardOptions, SourceFile, Split};
use mashbill_format::stats::{RejectedLine, Stats, read_rejects};
use mashbill_format::task::{MadePart, Reject, ShardRecord};
use mashbill_store::atomic::{self, SyncBatch};
use mashbill_store::checksum::{Checksum, Hasher};

use crate::error::{Error, Result};
use crate::files::{has_size, paths};
use crate::folder::Folder;
use crate::read::{InputCutting, Reader, Stretch};
use crate::split_plan::SplitPlan;

/// A stretch of the input as it is now.
struct SeenStretch {
    id: ShardId,
    /// The place of its group in the split.
    group: usize,
    sources: Vec<SourceFile>,
    input: InputRange,
    last: bool,
    ignored_bytes: u64,
}

/// A finished split, in one of the parts that documents are divided into.
pub(crate) struct FinishedPart {
    pub(crate) part: DatasetPart,
    output: Output,
    pub(crate) split: Split,
    pub(crate) stats: Stats,
    rejects: Vec<RejectedLine>,
}

/// What a comparison found.
pub(crate) enum Comparison {
    /// The input is the same: nothing has to be made.
    Same(Vec<FinishedPart>),
    /// These shards stay, by group, of all that there are.
    Changed { kept: Vec<Vec<ShardRecord>>, all: Vec<ShardId> },
}

/// Compares the finished split of `plan`, in each of `folders`, with its input. The files of shards that stay get their
/// second names in the run's `state`; their records say that they are of the `ids` of their groups.
///
/// # Errors
/// Errors of reading and writing, [`Error::Interrupted`].
pub(crate) fn compare(
    plan: &SplitPlan,
    options: &ShardOptions,
    folders: &[Folder],
    (state, ids): (&StateFolder, Vec<Checksum>),
    interrupted: &AtomicBool,
) -> Result<Comparison> {
    let split = &plan.name;
    let seen = look(plan, options, interrupted)?;
    let all = || seen.iter().map(|seen| seen.id).collect();
    let none = || vec![Vec::new(); ids.len()];
    let mut parts = Vec::new();
    for folder in folders {
        match FinishedPart::read(folder, split)? {
            Some(part) => parts.push(part),
            None => return Ok(Comparison::Changed { kept: none(), all: all() }),
        }
    }
    if parts.iter().all(|part| part.is_of(&seen)) {
        return Ok(Comparison::Same(parts));
    }
    let first = &parts[0];
    if parts.iter().any(|part| !part.stretches().eq(first.stretches())) {
        return Ok(Comparison::Changed { kept: none(), all: all() });
    }
    for part in &parts {
        atomic::remove_folder(&state.made(part.part, split))?;
    }
    let known: HashMap<(Checksum, u64), usize> =
        first.stretches().enumerate().map(|(old, range)| ((range.checksum, range.bytes), old)).collect();
    let mut batch = SyncBatch::default();
    let (all, mut kept) = (all(), none());
    for SeenStretch { id, group, sources, input, last, ignored_bytes } in seen {
        let Some(&old) = known.get(&(input.checksum, input.bytes)) else { continue };
        let each = parts.iter().map(|part| part.keep(old, id, state, split, &mut batch));
        let Some(made) = each.collect::<Result<Option<Vec<_>>>>()? else { continue };
        let engine = first.stats.engine.clone();
        let of = ids[group];
        kept[group].push(ShardRecord { of, id, last, input, sources, ignored_bytes, engine, parts: made });
    }
    batch.sync()?;
    Ok(Comparison::Changed { kept, all })
}

/// Reads the input and tells its stretches.
fn look(plan: &SplitPlan, options: &ShardOptions, interrupted: &AtomicBool) -> Result<Vec<SeenStretch>> {
    let mut all = Vec::new();
    for (number, group) in plan.groups.iter().enumerate() {
        let files = &group.group;
        let mut reader = Reader::open(files, InputCutting::of(options))?;
        for index in 0.. {
            reader.begin(index)?;
            let (mut hasher, mut bytes, mut lines) = (Hasher::new(), 0, 0);
            let mut sources: Vec<SourceFile> = Vec::new();
            while let Some(block) = reader.next()? {
                if interrupted.load(Ordering::Relaxed) {
                    return Err(Error::Interrupted);
                }
                hasher.update(&block.checksum(files)?.to_bytes());
                bytes += block.bytes;
                if plan.is_many() {
                    let file = &block.input(files).relative;
                    if sources.last().is_none_or(|last| last.file != *file) {
                        sources.push(SourceFile { file: file.clone(), start: block.file_start, line: lines });
                    }
                    lines += block.lines(files)?;
                }
            }
            let Stretch { start, end, last, ignored_bytes } = reader.end();
            let id = ShardId { group: plan.is_many().then_some(number), index: index as usize };
            let input = InputRange { start, end, bytes, checksum: hasher.finish() };
            all.push(SeenStretch { id, group: number, sources, input, last, ignored_bytes });
            if last {
                break;
            }
        }
    }
    Ok(all)
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

    /// Whether it is cut as the input is, and from the same files.
    fn is_of(&self, seen: &[SeenStretch]) -> bool {
        let is = |(shard, seen): (&Shard, &SeenStretch)| {
            shard.input == seen.input && shard.group == seen.id.group && shard.sources == seen.sources
        };
        self.split.shard_list.len() == seen.len() && self.split.shard_list.iter().zip(seen).all(is)
    }

    fn stretches(&self) -> impl Iterator<Item = &InputRange> {
        self.split.shard_list.iter().map(|shard| &shard.input)
    }

    /// Keeps its shard `old` as the shard `id` of the new run; none where its files are not what the manifest says.
    fn keep(
        &self,
        old: usize,
        id: ShardId,
        state: &StateFolder,
        split: &str,
        batch: &mut SyncBatch,
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
        if !has_size(&from[0], file.bytes) || !has_size(&from[1], table.bytes) {
            return Ok(None);
        }
        let made = state.made(part, split);
        atomic::create_folder(&made.join(TABLES_FOLDER))?;
        for (from, to) in from.iter().zip(paths(&made, id)) {
            batch.link(from, &to)?;
        }
        let (mut file, mut table) = (file.clone(), table.clone());
        (file.name, table.name) = (id.file_name(), id.table_name());
        Ok(Some(MadePart { part, file: Some(file), table: Some(table), counts, rejects }))
    }

    /// The refused lines of shard `old` that are known, counted from its beginning.
    fn rejects_of(&self, old: usize) -> Vec<Reject> {
        let shard = &self.split.shard_list[old];
        let range = &shard.input;
        let earlier = self.split.shard_list[..old].iter().zip(&self.stats.shards);
        let before: u64 =
            earlier.filter(|(earlier, _)| earlier.group == shard.group).map(|(_, counts)| counts.lines).sum();
        let relative = self.rejects.iter().filter_map(|RejectedLine { file, reject }| {
            let (start, line) = match &shard.sources[..] {
                [] if shard.group.is_some() => return None,
                [] => (0, reject.line.checked_sub(before)?),
                sources => {
                    let source = sources.iter().find(|source| source.file == *file)?;
                    let begins_here = source.start >= range.start;
                    let line = if begins_here {
                        reject.line + source.line
                    } else {
                        reject.line.checked_sub(before)?
                    };
                    (source.start, line)
                }
            };
            let key = reject.key.checked_add(start).filter(|key| (range.start..range.end).contains(key))?;
            Some(Reject { line, key: key - range.start, ..reject.clone() })
        });
        relative.collect()
    }
}
