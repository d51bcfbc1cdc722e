//! What a run would do, without doing it.
//!
//! "Done" is said of a split only where content, options and tokenizer are the same.
//! Nothing that is finished is replaced unless that is asked for.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use mashbill_format::find::is_our_own;
use mashbill_format::held_out::DatasetPart;
use mashbill_format::layout::{self, Output, is_split_file};
use mashbill_format::manifest::Manifest;
use mashbill_format::task::{GroupIds, RunPlan, TaskRecord};
use mashbill_store::checksum::Checksum;

use crate::context::parts_of;
use crate::disk::check_space;
use crate::error::{Error, Result};
use crate::folder::{Folder, difference, missing};
use crate::input::{Inputs, discover};
use crate::license::licenses_of;
pub use crate::options::{FinishedSplits, Options};
use crate::read::{InputCutting, Reader};
use crate::split_input::SplitInput;
use crate::split_plan::touched;
pub use crate::split_plan::{GroupPlan, SplitPlan, Why};
pub use crate::task::TASK_BYTES;
use mashbill_tokenizer::{self as tokenizer, Engine};

/// What a run would do.
#[derive(Debug)]
pub struct Plan {
    /// The options it was made for.
    pub options: Options,
    /// The splits to make, or to compare with their inputs, by name.
    pub splits: Vec<SplitPlan>,
    /// Splits that are finished and stay, by name.
    pub kept: Vec<String>,
    /// Finished splits whose input is gone.
    pub vanished: Vec<String>,
    /// Files with data of a kind that is not read, by their paths from the input folder on.
    pub left_out: Vec<String>,
    /// Files that seem to be no data, by their paths from the input folder on.
    pub others: Vec<String>,
    /// Files that should be read and cannot, and why.
    pub refused: Vec<(String, Error)>,
    /// Folders with input that are not entered, by their paths from the input folder on.
    pub not_entered: Vec<String>,
    /// What files have in common that are parts of one dataset and become splits of their own.
    pub apart: Vec<String>,
    /// Whether documents were held out, and none are now: what was held out is removed.
    pub nothing_held_out: bool,
    /// The output folder, and that of what is held out, if anything is.
    pub(crate) folders: Vec<Folder>,
}

/// Looks at input and output and says what a run with `tokenizer` would do. Of the inputs no more is read than their
/// beginnings, and the footers of Parquet files.
///
/// # Errors
/// Those of [`discover`]; [`Error::SplitDiffers`], [`Error::OthersDiffer`], [`Error::ForeignFiles`],
/// [`Error::NotHeldOut`], [`Error::TooLittleSpace`]; errors of reading.
pub fn plan(options: &Options, tokenizer: &tokenizer::Identity) -> Result<Plan> {
    let Inputs { inputs, left_out, others, refused, not_entered, apart } =
        discover(&options.input, &options.output, options.recursive, options.split_names)?;
    let output = Output::new(&options.output);
    let mut folders = Vec::new();
    for &part in parts_of(&options.bytes) {
        folders.push(Folder::look(part, &output, options, tokenizer)?);
    }
    let nothing_held_out = options.bytes.held_out.is_none() && was_held_out(&output.validation())?;
    let under_way = UnderWay::read(&output.state(), &folders[0].manifest)?;
    let planner = Planner { options, under_way, folders };
    let plan = planner.plan(inputs)?;
    let plan = Plan {
        left_out,
        others,
        not_entered,
        apart,
        nothing_held_out,
        refused: refused.into_iter().chain(plan.refused).collect(),
        ..plan
    };
    check_space(&plan.splits, &plan.options.output)?;
    Ok(plan)
}

/// Whether in the folder `validation` is what an earlier run held out. Nothing else that is there may be removed.
///
/// # Errors
/// [`Error::NotHeldOut`].
pub(crate) fn was_held_out(validation: &Output) -> Result<bool> {
    if !validation.manifest().exists() && !validation.state().root().exists() {
        return Ok(false);
    }
    let manifest = Manifest::read(&validation.manifest()).ok().flatten();
    let held_out = manifest.and_then(|manifest| manifest.options.held_out);
    match held_out.map(|held_out| held_out.part) {
        Some(DatasetPart::Validation) => Ok(true),
        _ => Err(Error::NotHeldOut { path: validation.root().to_owned() }),
    }
}

impl Plan {
    /// About how many seconds `engine` needs for the largest shard: what a kill costs at the most.
    #[must_use]
    pub fn seconds_per_shard(&self, engine: Engine) -> f64 {
        let groups = self.splits.iter().flat_map(|split| &split.groups);
        let largest = groups.map(|group| group.group.expanded_size()).fold(0.0, f64::max);
        let bytes = largest.min(self.options.bytes.stride_bytes as f64);
        bytes / (engine.bytes_per_cpu_second() * self.options.threads as f64)
    }
}

/// What an interrupted run has made.
struct UnderWay {
    plan: Option<RunPlan>,
    /// What shards are of that are made.
    made: BTreeSet<Checksum>,
    /// What this run's groups are called.
    ids: GroupIds,
}

impl UnderWay {
    fn read(state: &layout::StateFolder, manifest: &Manifest) -> Result<Self> {
        let plan = RunPlan::read(state)?;
        let records = TaskRecord::read_all(state)?;
        let kept = plan
            .iter()
            .flat_map(|plan| &plan.splits)
            .flat_map(|split| &split.groups)
            .flat_map(|group| &group.kept);
        let made = records.iter().flat_map(|record| &record.shards).chain(kept).map(|shard| shard.of);
        Ok(Self { made: made.collect(), plan, ids: GroupIds::new(manifest) })
    }

    /// Whether shards of `split` are made.
    fn has(&self, split: &SplitPlan) -> bool {
        if self.plan.is_none() {
            return false;
        }
        let planned = split.planned(|_| Vec::new());
        (0..planned.groups.len()).any(|number| self.made.contains(&self.ids.of(&planned, number)))
    }
}

struct Planner<'a> {
    options: &'a Options,
    under_way: UnderWay,
    folders: Vec<Folder>,
}

impl Planner<'_> {
    fn plan(mut self, inputs: Vec<SplitInput>) -> Result<Plan> {
        let differences: Vec<_> = self.folders.iter().map(difference).collect();
        let names: BTreeSet<&str> = inputs.iter().map(|input| input.split.as_str()).collect();
        for (folder, difference) in self.folders.iter_mut().zip(&differences) {
            others(folder, &names, difference.as_deref(), self.options.prune)?;
        }
        let (mut splits, mut kept, mut refused) = (Vec::new(), Vec::new(), Vec::new());
        for input in inputs {
            let mut split = SplitPlan::new(input, self.options.bytes.stride_bytes);
            let looks = self.folders.iter().zip(&differences);
            let states = looks.map(|(folder, difference)| {
                Ok((self.look(folder, &split, difference.as_deref())?, folder.output.root().to_owned()))
            });
            // What needs the most is done to both parts; of equals the first is told.
            let states: Vec<(SplitState, PathBuf)> = states.collect::<Result<_>>()?;
            let state = states.into_iter().rev().max_by(|a, b| a.0.cmp(&b.0));
            let (state, output) = state.expect("there is a folder");
            let why = match state {
                SplitState::Same => {
                    self.keep(&split)?;
                    kept.push(split.name);
                    continue;
                }
                SplitState::Missing => Why::New,
                SplitState::Touched(what) => Why::InputChanged(what),
                SplitState::Different(why) if self.options.finished == FinishedSplits::Keep => {
                    return Err(Error::SplitDiffers { split: split.name, output, why });
                }
                SplitState::Different(why) => Why::Different(why),
                SplitState::Forced => Why::Forced,
            };
            // What is finished has records as long as others of its run could not be made.
            let is_finished = differences.iter().all(Option::is_none) && self.is_made_of(&split)?;
            split.why = if !is_finished && self.under_way.has(&split) { Why::Interrupted } else { why };
            // What cannot be read is named, and stays as it is; the others are made.
            match self.count(&mut split) {
                Ok(()) => splits.push(split),
                Err(error) => {
                    self.folders.iter_mut().for_each(|folder| folder.leave(&split.name));
                    refused.push((split.name, error));
                }
            }
        }
        for folder in &mut self.folders {
            folder.manifest.files_processed = folder.manifest.splits.len() as u64;
        }
        Ok(Plan {
            options: self.options.clone(),
            splits,
            kept,
            vanished: self.folders[0].manifest.vanished.keys().cloned().collect(),
            left_out: Vec::new(),
            others: Vec::new(),
            refused,
            not_entered: Vec::new(),
            apart: Vec::new(),
            nothing_held_out: false,
            folders: self.folders,
        })
    }

    /// Looks how many shards each group of a split has.
    fn count(&self, split: &mut SplitPlan) -> Result<()> {
        for plan in &mut split.groups {
            let reader = Reader::open(&plan.group, InputCutting::of(&self.options.bytes))?;
            (plan.count, plan.large_row_group) = (reader.count(), reader.large_row_group());
        }
        Ok(())
    }

    /// Whether the finished split is made of this very input.
    fn is_made_of(&self, split: &SplitPlan) -> Result<bool> {
        for folder in &self.folders {
            if folder.finished(&split.name).is_none() {
                return Ok(false);
            }
            let stats = folder.stats(&split.name)?;
            if stats.is_none_or(|stats| touched(split, &stats.inputs).is_some()) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Takes a finished split over.
    fn keep(&mut self, plan: &SplitPlan) -> Result<()> {
        for folder in &mut self.folders {
            let mut split = folder.finished(&plan.name).expect("it is finished").clone();
            split.license = licenses_of(plan, &split)?;
            folder.manifest.splits.insert(plan.name.clone(), split);
        }
        Ok(())
    }

    fn look(&self, folder: &Folder, plan: &SplitPlan, difference: Option<&str>) -> Result<SplitState> {
        let Some(split) = folder.finished(&plan.name) else { return self.look_at_folder(folder, plan) };
        if self.options.finished == FinishedSplits::RedoAll {
            return Ok(SplitState::Forced);
        }
        if let Some(why) = difference {
            // A split without a document is no work that could be lost.
            let is_empty = split.samples == 0;
            return Ok(if is_empty { SplitState::Forced } else { SplitState::Different(why.to_owned()) });
        }
        let Some(stats) = folder.stats(&plan.name)? else {
            return Ok(SplitState::Different("its files are not all there".into()));
        };
        let place = folder.output.split(&plan.name);
        if let Some(file) = missing(&place, split) {
            return Ok(SplitState::Different(format!("`{file}` is missing or has another size")));
        }
        Ok(match touched(plan, &stats.inputs) {
            Some(what) => SplitState::Touched(what),
            None if self.options.rehash => SplitState::Touched("it is read again, as `--rehash` asks".into()),
            None => SplitState::Same,
        })
    }

    /// Judges a split that is not in the manifest by the folder that has its name.
    fn look_at_folder(&self, folder: &Folder, plan: &SplitPlan) -> Result<SplitState> {
        let path = folder.output.split(&plan.name);
        let Ok(entries) = fs::read_dir(&path) else { return Ok(SplitState::Missing) };
        // A split appears whole: other tools call shards the same, and have no statistics beside them.
        let is_ours = is_our_own(&path, &plan.name);
        let mut files = 0;
        for entry in entries {
            let entry = entry.map_err(|source| Error::read(&path, source))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if !is_ours || !is_split_file(&plan.name, &name) {
                return Err(Error::ForeignFiles { path, file: name });
            }
            files += 1;
        }
        Ok(match self.options.finished {
            _ if files == 0 || self.under_way.has(plan) => SplitState::Missing,
            FinishedSplits::RedoAll => SplitState::Forced,
            _ => SplitState::Different("it is not in the manifest".into()),
        })
    }
}

/// What is found of a split, from what needs the least to what needs the most.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum SplitState {
    Same,
    /// It is finished, and its input has another size or time.
    Touched(String),
    Missing,
    Different(String),
    Forced,
}

/// Takes over the finished splits that are not of this input: they stay, or their input is gone.
fn others(folder: &mut Folder, names: &BTreeSet<&str>, difference: Option<&str>, prune: bool) -> Result<()> {
    let Some(found) = folder.found.clone() else { return Ok(()) };
    for (name, split) in found.splits.into_iter().chain(found.vanished) {
        if names.contains(name.as_str()) {
            continue;
        }
        let stats = folder.stats(&name)?;
        let gone = stats.is_none_or(|stats| stats.inputs.iter().all(|file| !Path::new(&file.path).exists()));
        if let (Some(why), false) = (difference, gone && prune) {
            return Err(Error::OthersDiffer { split: name, gone, why: why.to_owned() });
        }
        let place = if gone { &mut folder.manifest.vanished } else { &mut folder.manifest.splits };
        place.insert(name, split);
    }
    Ok(())
}
