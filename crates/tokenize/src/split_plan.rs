//! A split that is to be made: its files, in groups, and what is different about them since it was made.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::Path;

use mashbill_format::stats::InputFile;
use mashbill_format::task::{PlannedGroup, PlannedSplit, RunPlan, ShardRecord};
use mashbill_records::FileKind;

use crate::error::{Error, Result};
use crate::group::{Group, groups};
use crate::split_input::{Input, SplitInput};

/// A split to make.
#[derive(Debug, Clone)]
pub struct SplitPlan {
    /// Its name.
    pub name: String,
    /// What its files are called, relative to the input folder: the file, or what many have in common.
    pub source: String,
    /// Its files in order, in the groups that are cut as one stream each.
    pub groups: Vec<GroupPlan>,
    /// Why it is made.
    pub why: Why,
}

/// Files of a split that are cut as one stream.
#[derive(Debug, Clone)]
pub struct GroupPlan {
    /// The files.
    pub group: Group,
    /// How many shards they have; none where only reading to the end will tell.
    pub(crate) count: Option<u64>,
    /// Bytes of texts in a row group that is larger than a shard should be, so that its shard is larger, too.
    pub large_row_group: Option<u64>,
}

/// Why a split is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Why {
    /// It is not there.
    New,
    /// A run that was interrupted is gone on with.
    Interrupted,
    /// It is there, and its input may have changed: this is what is different about the file. Shards whose stretch of
    /// the input is the same stay.
    InputChanged(String),
    /// It is there, but different.
    Different(String),
    /// It is there, and was asked for again.
    Forced,
}

impl SplitPlan {
    /// What a split would be made of, for shards of a `stride`; nothing is opened.
    pub(crate) fn new(input: SplitInput, stride: u64) -> Self {
        let groups = groups(input.files, stride).into_iter().map(|group| GroupPlan {
            group,
            count: None,
            large_row_group: None,
        });
        Self { name: input.split, source: input.source, groups: groups.collect(), why: Why::New }
    }

    /// Its files in order.
    pub(crate) fn files(&self) -> impl Iterator<Item = &Input> {
        self.groups.iter().flat_map(|group| &group.group.files)
    }

    /// Its files as statistics have them: with paths that are found from everywhere.
    pub(crate) fn found_files(&self) -> Vec<InputFile> {
        self.files().map(|file| input_file(file, absolute(&file.path))).collect()
    }

    /// Whether it is many files.
    #[must_use]
    pub fn is_many(&self) -> bool {
        self.files().nth(1).is_some()
    }

    /// Bytes of its files on the disk.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.groups.iter().map(|group| group.group.size()).sum()
    }

    /// How many shards it has; none where only reading to the end will tell.
    pub(crate) fn count(&self) -> Option<u64> {
        self.groups.iter().map(|group| group.count).sum()
    }

    /// The split as the plan on the disk has it; `kept` gives the shards of each group that are made already.
    pub(crate) fn planned(&self, mut kept: impl FnMut(usize) -> Vec<ShardRecord>) -> PlannedSplit {
        let groups = self.groups.iter().enumerate().map(|(number, plan)| {
            let files = plan.group.files.iter();
            PlannedGroup {
                inputs: files.map(|file| input_file(file, file.relative.clone())).collect(),
                shards: plan.count,
                kept: kept(number),
            }
        });
        PlannedSplit { split: self.name.clone(), source: self.source.clone(), groups: groups.collect() }
    }

    /// The splits of a plan on the disk, whose inputs are at or below `input`.
    ///
    /// # Errors
    /// [`Error::PlanDamaged`].
    pub(crate) fn all_of(plan: &RunPlan, input: &Path) -> Result<Vec<Self>> {
        plan.splits.iter().map(|split| Self::of(split, input)).collect()
    }

    fn of(split: &PlannedSplit, input: &Path) -> Result<Self> {
        let groups = split.groups.iter().map(|group| {
            let files = group.inputs.iter().map(|file| {
                let name = file.path.rsplit('/').next().unwrap_or_default();
                let Some((_, kind)) = FileKind::of(name) else {
                    return Err(Error::PlanDamaged { input: file.path.clone() });
                };
                let path = if input.is_file() { input.to_owned() } else { input.join(&file.path) };
                let InputFile { path: relative, size, modified_ns, changed_ns } = file.clone();
                Ok(Input { path, relative, kind, size, modified_ns, changed_ns })
            });
            Ok(GroupPlan {
                group: Group { files: files.collect::<Result<_>>()? },
                count: group.shards,
                large_row_group: None,
            })
        });
        let (name, source) = (split.split.clone(), split.source.clone());
        Ok(Self { name, source, groups: groups.collect::<Result<_>>()?, why: Why::New })
    }
}

fn input_file(file: &Input, path: String) -> InputFile {
    InputFile { path, size: file.size, modified_ns: file.modified_ns, changed_ns: file.changed_ns }
}

/// What is different about a split's files since it was made; none where nothing is.
pub(crate) fn touched(split: &SplitPlan, was: &[InputFile]) -> Option<String> {
    let now = split.found_files();
    let [one] = was else { return touched_among(&now, was) };
    let [file] = &now[..] else { return touched_among(&now, was) };
    if file.path != one.path {
        return Some(format!("it was made of `{}`", one.path));
    }
    changed_since(file, one).map(|what| format!("its input {what}"))
}

/// The first difference between the files of a split and what they were.
fn touched_among(now: &[InputFile], was: &[InputFile]) -> Option<String> {
    let by_path: HashMap<&str, &InputFile> = was.iter().map(|file| (file.path.as_str(), file)).collect();
    let there: HashSet<&str> = now.iter().map(|file| file.path.as_str()).collect();
    let gone = was.iter().find(|file| !there.contains(file.path.as_str()));
    let different = now.iter().find_map(|file| match by_path.get(file.path.as_str()) {
        None => Some(format!("its file `{}` is new", file.path)),
        Some(was) => changed_since(file, was).map(|what| format!("its file `{}` {what}", file.path)),
    });
    let gone = gone.map(|file| format!("its file `{}` is gone", file.path));
    let moved = || now.iter().map(|file| &file.path).ne(was.iter().map(|file| &file.path));
    different.or(gone).or_else(|| moved().then(|| "its files come in another order".to_owned()))
}

fn changed_since(file: &InputFile, was: &InputFile) -> Option<String> {
    if file.size != was.size {
        return Some(format!("had {} bytes and has {}", was.size, file.size));
    }
    let is_same = (file.modified_ns, file.changed_ns) == (was.modified_ns, was.changed_ns);
    (!is_same).then(|| "was written again".to_owned())
}

/// The path as it can be found again from another folder.
pub(crate) fn absolute(path: &Path) -> String {
    fs::canonicalize(path).unwrap_or_else(|_| path.to_owned()).display().to_string()
}
