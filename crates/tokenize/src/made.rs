//! Shards that are made: what their records say, as far as their files are there.

use std::collections::HashMap;

use mashbill_format::layout::StateFolder;
use mashbill_format::task::{RunPlan, ShardRecord, TaskRecord};
use mashbill_store::checksum::Checksum;

use crate::error::Result;
use crate::files::{has_size, paths};
use crate::folder::Folder;

/// All shards that an earlier plan has kept or whose tasks are recorded, by what they are of.
///
/// # Errors
/// Errors of reading.
pub(crate) fn recorded(state: &StateFolder) -> Result<HashMap<Checksum, Vec<ShardRecord>>> {
    let groups =
        RunPlan::read(state)?.into_iter().flat_map(|plan| plan.splits).flat_map(|split| split.groups);
    let kept = groups.flat_map(|group| group.kept);
    let recorded = TaskRecord::read_all(state)?.into_iter().flat_map(|record| record.shards);
    let mut by_id: HashMap<_, Vec<ShardRecord>> = HashMap::new();
    for record in kept.chain(recorded) {
        by_id.entry(record.of).or_default().push(record);
    }
    Ok(by_id)
}

/// Whether `records`, each of another shard of a group, are of all its shards.
pub(crate) fn are_all<'a>(records: impl IntoIterator<Item = &'a ShardRecord>) -> bool {
    let (mut count, mut last) = (0, None);
    for record in records {
        count += 1;
        last = last.or(record.last.then_some(record.id.index));
    }
    last.is_some_and(|last| last + 1 == count)
}

/// The shards of a group of `split` among `records` that are whole in all `folders`, in order and each once.
pub(crate) fn whole(
    mut records: Vec<ShardRecord>,
    folders: &[Folder],
    state: &StateFolder,
    split: &str,
) -> Vec<ShardRecord> {
    records.sort_by_key(|record| record.id);
    records.dedup_by_key(|record| record.id);
    records.retain(|record| folders.iter().all(|folder| is_whole(record, folder, state, split)));
    records
}

/// Whether the files of a shard are what its record says; after a crash of the whole machine they may not be.
fn is_whole(record: &ShardRecord, folder: &Folder, state: &StateFolder, split: &str) -> bool {
    let Some(part) = record.parts.iter().find(|part| part.part == folder.part) else { return false };
    let (Some(file), Some(table)) = (&part.file, &part.table) else { return true };
    // A run that was killed while it gave splits their places may have moved it.
    [state.made(folder.part, split), folder.output.split(split)].iter().any(|place| {
        let paths = paths(place, record.id);
        has_size(&paths[0], file.bytes) && has_size(&paths[1], table.bytes)
    })
}

/// Whether a run that was killed has given a split its place, with the shards of these groups: all of them, and in nobody's
/// way.
pub(crate) fn is_published(
    groups: &[Vec<ShardRecord>],
    folder: &Folder,
    state: &StateFolder,
    split: &str,
) -> bool {
    let mut parts = groups.iter().flatten().flat_map(|record| &record.parts);
    groups.iter().all(are_all)
        && parts.any(|part| part.part == folder.part && part.file.is_some())
        && !state.made(folder.part, split).exists()
}
