//! Files that are cut as one stream, so that many small ones become few shards.

use mashbill_records::{Container, FileKind};
use mashbill_store::checksum::Checksum;

use crate::split_input::Input;

/// A file larger than this part of a stride is a group of its own, whose shards are those of the file.
const ALONE_FROM: u64 = 16;

/// Smaller files are gathered into groups of at most this part of a stride.
const GATHERED_TO: u64 = 4;

/// Files that are cut as one stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// The files in order; one, or small ones.
    pub files: Vec<Input>,
}

impl Group {
    /// Bytes of its files on the disk.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.files.iter().map(|file| file.size).sum()
    }

    /// Bytes of its files on the disk, as far as they are expected when they are decoded.
    pub(crate) fn expanded_size(&self) -> f64 {
        self.files.iter().map(|file| file.size as f64 * file.kind.expansion()).sum()
    }

    /// Whether many files, none of which is packed, are less than a stride together.
    pub(crate) fn is_one_shard(&self) -> bool {
        let is_plain = |file: &Input| file.kind == FileKind::Json(Container::Plain);
        self.files.len() > 1 && self.files.iter().all(is_plain)
    }
}

/// Gathers the files of a split, in order, into groups, for shards of a `stride`.
///
/// Of the files with which the next group could begin, the one begins it whose path has the greatest hash: so a file that is
/// added or has grown moves the borders of few groups.
pub(crate) fn groups(files: Vec<Input>, stride: u64) -> Vec<Group> {
    let is_small = |file: &Input| file.size <= stride / ALONE_FROM;
    let mut groups = Vec::new();
    let mut rest = &files[..];
    while let Some(first) = rest.first() {
        let is_alike = |file: &&Input| is_small(file) && is_rows(file) == is_rows(first);
        let alike = if is_small(first) { rest.iter().take_while(is_alike).count() } else { 1 };
        let (group, behind) = rest.split_at(first_group(&rest[..alike], stride / GATHERED_TO));
        groups.push(Group { files: group.to_vec() });
        rest = behind;
    }
    groups
}

/// Rows and lines are counted in other ways, so they are never cut as one.
fn is_rows(file: &Input) -> bool {
    file.kind == FileKind::Parquet
}

/// How many of `files` are the first group, of at most `bytes` bytes.
fn first_group(files: &[Input], bytes: u64) -> usize {
    let mut size = 0;
    let mut half = None;
    for (place, file) in files.iter().enumerate() {
        if place > 0 && size + file.size > bytes {
            let candidates = half.unwrap_or(place)..=place;
            // The first of equals.
            return candidates.rev().max_by_key(|&next| hash(&files[next].relative)).unwrap_or(place);
        }
        size += file.size;
        if half.is_none() && size >= bytes / 2 {
            half = Some(place + 1);
        }
    }
    files.len()
}

fn hash(path: &str) -> u64 {
    Checksum::of(path.as_bytes()).low64()
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn files(sizes: impl IntoIterator<Item = u64>) -> Vec<Input> {
        let each = sizes.into_iter().enumerate().map(|(number, size)| {
            let relative = format!("part-{number:05}.jsonl");
            let kind = FileKind::Json(Container::Plain);
            Input { path: PathBuf::from(&relative), relative, kind, size, modified_ns: 0, changed_ns: 0 }
        });
        each.collect()
    }

    #[test]
    fn large_files_stand_alone_and_small_ones_are_gathered() {
        let sizes = [10, 20, 900, 10, 10, 1_000, 0];
        let found: Vec<Vec<u64>> = groups(files(sizes), 10_000)
            .iter()
            .map(|group| group.files.iter().map(|file| file.size).collect())
            .collect();
        assert_eq!(found, [vec![10, 20], vec![900], vec![10, 10], vec![1_000], vec![0]]);
    }

    #[test]
    fn groups_of_small_files_are_an_eighth_to_a_quarter_of_a_stride() {
        let all = files((0..5_000).map(|number| 1 + number * 7 % 100));
        let groups = groups(all.clone(), 10_000);
        let joined: Vec<Input> = groups.iter().flat_map(|group| group.files.clone()).collect();
        assert_eq!(joined, all);
        for group in &groups[..groups.len() - 1] {
            assert!((1_250..=2_500).contains(&group.size()), "{}", group.size());
        }
    }

    #[test]
    fn a_file_that_is_gone_moves_few_borders() {
        let all = files((0..5_000).map(|number| 1 + number * 7 % 100));
        let before = groups(all.clone(), 10_000);
        let mut most = 0;
        for gone in (0..5_000).step_by(97) {
            let mut left = all.clone();
            left.remove(gone);
            let after = groups(left, 10_000);
            most = most.max(after.iter().filter(|group| !before.contains(group)).count());
        }
        assert!(most <= 12, "{most} of {} groups are other ones", before.len());
    }
}
