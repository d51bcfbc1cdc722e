//! What a run would do, without doing it.
//!
//! "Done" is said of a split only where content, options and tokenizer are the same.
//! Nothing that is finished is replaced unless that is asked for.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use mashbill_format::checksum::Checksum;
use mashbill_format::held_out::{HeldOut, Part};
use mashbill_format::layout::{self, MANIFEST, Output, STATS_SUFFIX, TABLES_FOLDER, is_split_file};
use mashbill_format::manifest::{self, FORMAT_VERSION, Manifest, SpecialToken, TokenizerIdentity};
use mashbill_format::records::{changed_ns, is_our_own, is_output};
use mashbill_format::shard::RowLayout;
use mashbill_format::stats::{InputFile, Stats};
use mashbill_format::task::{PlannedSplit, RunPlan, ShardRecord, TaskRecord};

use crate::context::parts_of;
use crate::disk::check_space;
use crate::error::{Error, Result};
use crate::input::{Input, Inputs, SplitNames, discover};
use crate::license::license_of;
use crate::read::{Cutting, Reader};
pub use crate::task::TASK_BYTES;
use crate::tokenizer::{self, SpecialTokensInText};

/// What is to be tokenized, and how.
#[derive(Debug, Clone)]
pub struct Options {
    /// A file or a folder.
    pub input: PathBuf,
    /// The folder for manifest and splits.
    pub output: PathBuf,
    /// Whether folders below the input folder are entered.
    pub recursive: bool,
    /// How splits are named.
    pub split_names: SplitNames,
    /// The size that finished shards are to have on average, in 10^9 bytes, more than 0.
    pub shard_size_gb: f64,
    /// What the bytes of the shards depend on. Where it says that documents are held out, both parts are made: the one
    /// to train on in `output`, the other in `_validation` below it.
    pub bytes: manifest::Options,
    /// What becomes of finished splits.
    pub finished: Finished,
    /// Whether inputs are read again although size and modification time are unchanged.
    pub rehash: bool,
    /// Whether splits whose input is gone are removed.
    pub prune: bool,
    /// Whether the first bad line ends the run.
    pub strict: bool,
    /// Threads that compute, 1 or more.
    pub threads: usize,
    /// Bytes of input that small shards which are recorded together have: [`TASK_BYTES`] but in tests. No byte of the
    /// output depends on it.
    pub task_bytes: u64,
}

/// What becomes of splits that are finished already.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Finished {
    /// Identical ones are kept, a different one is refused.
    #[default]
    Keep,
    /// Identical ones are kept, different ones are made again.
    RedoDifferent,
    /// All are made again.
    RedoAll,
}

/// What a run would do.
#[derive(Debug)]
pub struct Plan {
    /// The options it was made for.
    pub options: Options,
    /// The splits that are to be made, or compared with their inputs, by name.
    pub splits: Vec<SplitPlan>,
    /// Splits that are finished and stay, by name.
    pub kept: Vec<String>,
    /// Finished splits whose input is gone.
    pub vanished: Vec<String>,
    /// Files with data of a kind that is not read, by their paths from the input folder on.
    pub left_out: Vec<String>,
    /// Files that should be read and cannot, and why.
    pub refused: Vec<(String, Error)>,
    /// Folders with input that are not entered, by their paths from the input folder on.
    pub not_entered: Vec<String>,
    /// Whether documents were held out, and none are now: what was held out is removed.
    pub nothing_held_out: bool,
    /// The output folder, and that of what is held out, if anything is.
    pub(crate) folders: Vec<Folder>,
}

/// An output folder: of all documents, or of one of the parts that they are divided into.
#[derive(Debug)]
pub(crate) struct Folder {
    pub(crate) part: Part,
    pub(crate) output: Output,
    /// The manifest as it was found.
    pub(crate) found: Option<Manifest>,
    /// The manifest as it was written last.
    pub(crate) written: Option<Manifest>,
    /// The manifest that the run begins with, what stays, and to which it adds.
    pub(crate) manifest: Manifest,
}

/// A split that is to be made.
#[derive(Debug, Clone)]
pub struct SplitPlan {
    /// Its input.
    pub input: Input,
    /// Why it is made.
    pub why: Why,
    /// When its input last changed, in nanoseconds since 1970; 0 where nobody knows.
    pub(crate) changed_ns: u64,
    /// How many shards it has; none where only reading to the end will tell.
    pub(crate) count: Option<u64>,
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

/// Looks at input and output and says what a run with `tokenizer` would do. Of the inputs no more is read than their
/// beginnings, and the footers of Parquet files.
///
/// # Errors
/// Those of [`discover`]; [`Error::SplitDiffers`], [`Error::OthersDiffer`], [`Error::ForeignFiles`],
/// [`Error::TooLittleSpace`]; errors of reading.
pub fn plan(options: &Options, tokenizer: &tokenizer::Identity) -> Result<Plan> {
    let Inputs { inputs, left_out, refused, not_entered } =
        discover(&options.input, &options.output, options.recursive, options.split_names)?;
    let output = Output::new(&options.output);
    let mut folders = Vec::new();
    for &part in parts_of(&options.bytes) {
        folders.push(Folder::look(part, &output, options, tokenizer)?);
    }
    let validation = output.validation();
    let nothing_held_out = options.bytes.held_out.is_none()
        && (validation.manifest().exists() || validation.state().root().exists());
    let under_way = UnderWay::read(&output.state(), &folders[0].manifest)?;
    let planner = Planner { options, under_way, folders };
    let plan = planner.plan(inputs)?;
    let plan = Plan {
        left_out,
        not_entered,
        nothing_held_out,
        refused: refused.into_iter().chain(plan.refused).collect(),
        ..plan
    };
    check_space(&plan)?;
    Ok(plan)
}

impl Folder {
    /// Looks at the folder of `part`, of which `output` is the one to train on.
    fn look(part: Part, output: &Output, options: &Options, tokenizer: &tokenizer::Identity) -> Result<Self> {
        let output = match part {
            Part::Train => output.clone(),
            Part::Validation => output.validation(),
        };
        let path = output.manifest();
        if path.exists() && !is_output(output.root()) {
            let file = MANIFEST.to_owned();
            return Err(Error::ForeignFiles { path: output.root().to_owned(), file });
        }
        let found = Manifest::read(&path)?;
        let mut bytes = options.bytes.clone();
        bytes.held_out = bytes.held_out.map(|held_out| HeldOut { part, ..held_out });
        let manifest = Manifest {
            format_version: FORMAT_VERSION,
            requires: Vec::new(),
            tokenizer: tokenizer.name.clone(),
            max_seq_length: bytes.max_seq_length,
            shard_size_gb: options.shard_size_gb,
            input_path: options.input.display().to_string(),
            output_path: output.root().display().to_string(),
            files_processed: 0,
            layout: RowLayout::of(bytes.max_seq_length),
            options: bytes,
            tokenizer_identity: tokenizer_identity(tokenizer),
            labels: manifest::Labels::default(),
            splits: BTreeMap::new(),
            vanished: BTreeMap::new(),
        };
        Ok(Self { part, output, written: found.clone(), found, manifest })
    }

    /// A finished split, as the manifest that was found has it.
    pub(crate) fn finished(&self, split: &str) -> Option<&manifest::Split> {
        let found = self.found.as_ref()?;
        found.splits.get(split).or_else(|| found.vanished.get(split))
    }

    /// Leaves a finished split where the manifest has it.
    pub(crate) fn leave(&mut self, name: &str) {
        let Some(found) = &self.found else { return };
        if let Some(split) = found.splits.get(name) {
            self.manifest.splits.insert(name.to_owned(), split.clone());
        } else if let Some(split) = found.vanished.get(name) {
            self.manifest.vanished.insert(name.to_owned(), split.clone());
        }
    }

    fn stats(&self, split: &str) -> Result<Option<Stats>> {
        Ok(Stats::read(&self.output.split(split).join(format!("{split}{STATS_SUFFIX}")))?)
    }
}

/// What an interrupted run has made.
struct UnderWay {
    plan: Option<RunPlan>,
    /// What shards are of that are made.
    made: BTreeSet<Checksum>,
    manifest: Manifest,
}

impl UnderWay {
    fn read(state: &layout::State, manifest: &Manifest) -> Result<Self> {
        let plan = RunPlan::read(state)?;
        let records = TaskRecord::read_all(state)?;
        let kept = plan.iter().flat_map(|plan| &plan.splits).flat_map(|split| &split.kept);
        let made = records.iter().flat_map(|record| &record.shards).chain(kept).map(|shard| shard.of);
        Ok(Self {
            made: made.collect(),
            plan,
            manifest: Manifest { splits: BTreeMap::new(), vanished: BTreeMap::new(), ..manifest.clone() },
        })
    }

    /// Whether shards of `input` are made.
    fn has(&self, input: &Input) -> bool {
        if self.plan.is_none() {
            return false;
        }
        let split = planned(input, changed(input), Vec::new());
        let plan =
            RunPlan { format_version: FORMAT_VERSION, manifest: self.manifest.clone(), splits: Vec::new() };
        self.made.contains(&plan.split_id(&split))
    }
}

/// A split as the plan on the disk has it.
pub(crate) fn planned(input: &Input, changed_ns: u64, kept: Vec<ShardRecord>) -> PlannedSplit {
    PlannedSplit {
        split: input.split.clone(),
        input: InputFile {
            path: input.relative.clone(),
            size: input.size,
            modified_ns: input.modified_ns,
            changed_ns,
        },
        kept,
    }
}

struct Planner<'a> {
    options: &'a Options,
    under_way: UnderWay,
    folders: Vec<Folder>,
}

impl Planner<'_> {
    fn plan(mut self, inputs: Vec<Input>) -> Result<Plan> {
        let differences: Vec<_> = self.folders.iter().map(difference).collect();
        let names: BTreeSet<&str> = inputs.iter().map(|input| input.split.as_str()).collect();
        for (folder, difference) in self.folders.iter_mut().zip(&differences) {
            others(folder, &names, difference.as_deref(), self.options.prune)?;
        }
        let (mut splits, mut kept, mut refused) = (Vec::new(), Vec::new(), Vec::new());
        for input in inputs {
            let looks = self.folders.iter().zip(&differences);
            let states = looks.map(|(folder, difference)| {
                Ok((self.look(folder, &input, difference.as_deref())?, folder.output.root().to_owned()))
            });
            // What needs the most is done to both parts; of equals the first is told.
            let states: Vec<(State, PathBuf)> = states.collect::<Result<_>>()?;
            let state = states.into_iter().rev().max_by(|a, b| a.0.cmp(&b.0));
            let (state, output) = state.expect("there is a folder");
            let why = match state {
                State::Same => {
                    self.keep(&input)?;
                    kept.push(input.split);
                    continue;
                }
                State::Missing => Why::New,
                State::Touched(what) => Why::InputChanged(what),
                State::Different(why) if self.options.finished == Finished::Keep => {
                    return Err(Error::SplitDiffers { split: input.split, output, why });
                }
                State::Different(why) => Why::Different(why),
                State::Forced => Why::Forced,
            };
            // What is finished has records as long as others of its run could not be made.
            let is_finished = differences.iter().all(Option::is_none) && self.is_made_of(&input)?;
            let why = if !is_finished && self.under_way.has(&input) { Why::Interrupted } else { why };
            // What cannot be read is named, and stays as it is; the others are made.
            match Reader::open(&input, Cutting::of(&self.options.bytes)).map(|reader| reader.count()) {
                Ok(count) => splits.push(SplitPlan { why, changed_ns: changed(&input), count, input }),
                Err(error) => {
                    self.folders.iter_mut().for_each(|folder| folder.leave(&input.split));
                    refused.push((input.split, error));
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
            refused,
            not_entered: Vec::new(),
            nothing_held_out: false,
            folders: self.folders,
        })
    }

    /// Whether the finished split is made of this very input.
    fn is_made_of(&self, input: &Input) -> Result<bool> {
        for folder in &self.folders {
            let stats = folder.finished(&input.split).and(folder.stats(&input.split)?);
            if stats.is_none_or(|stats| touched(input, &stats.input).is_some()) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Takes a finished split over.
    fn keep(&mut self, input: &Input) -> Result<()> {
        for folder in &mut self.folders {
            let mut split = folder.finished(&input.split).expect("it is finished").clone();
            split.license = license_of(input, &split.source)?;
            folder.manifest.splits.insert(input.split.clone(), split);
        }
        Ok(())
    }

    fn look(&self, folder: &Folder, input: &Input, difference: Option<&str>) -> Result<State> {
        let Some(split) = folder.finished(&input.split) else { return self.look_at_folder(folder, input) };
        if self.options.finished == Finished::RedoAll {
            return Ok(State::Forced);
        }
        if let Some(why) = difference {
            // A split without a document is no work that could be lost.
            let is_empty = split.samples == 0;
            return Ok(if is_empty { State::Forced } else { State::Different(why.to_owned()) });
        }
        let Some(stats) = folder.stats(&input.split)? else {
            return Ok(State::Different("its files are not all there".into()));
        };
        let place = folder.output.split(&input.split);
        if let Some(file) = missing(&place, split) {
            return Ok(State::Different(format!("`{file}` is missing or has another size")));
        }
        Ok(match touched(input, &stats.input) {
            Some(what) => State::Touched(what),
            None if self.options.rehash => State::Touched("it is read again, as `--rehash` asks".into()),
            None => State::Same,
        })
    }

    /// Judges a split that is not in the manifest by the folder that has its name.
    fn look_at_folder(&self, folder: &Folder, input: &Input) -> Result<State> {
        let path = folder.output.split(&input.split);
        let Ok(entries) = fs::read_dir(&path) else { return Ok(State::Missing) };
        // A split appears whole: other tools call shards the same, and have no statistics beside them.
        let is_ours = is_our_own(&path, &input.split);
        let mut files = 0;
        for entry in entries {
            let entry = entry.map_err(|source| Error::read(&path, source))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if !is_ours || !is_split_file(&input.split, &name) {
                return Err(Error::ForeignFiles { path, file: name });
            }
            files += 1;
        }
        Ok(match self.options.finished {
            _ if files == 0 || self.under_way.has(input) => State::Missing,
            Finished::RedoAll => State::Forced,
            _ => State::Different("it is not in the manifest".into()),
        })
    }
}

/// What is found of a split, from what needs the least to what needs the most.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum State {
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
        let gone = stats.is_none_or(|stats| !Path::new(&stats.input.path).exists());
        if let (Some(why), false) = (difference, gone && prune) {
            return Err(Error::OthersDiffer { split: name, gone, why: why.to_owned() });
        }
        let place = if gone { &mut folder.manifest.vanished } else { &mut folder.manifest.splits };
        place.insert(name, split);
    }
    Ok(())
}

/// A file of a finished split that is missing or has another size.
fn missing(place: &Path, split: &manifest::Split) -> Option<String> {
    let is = |path: &Path, bytes: u64| fs::metadata(path).is_ok_and(|metadata| metadata.len() == bytes);
    let shards = split.shard_files().map(|file| (file.name.clone(), file.bytes));
    let tables = split.tables().map(|table| (format!("{TABLES_FOLDER}/{}", table.name), table.bytes));
    shards.chain(tables).find(|(name, bytes)| !is(&place.join(name), *bytes)).map(|(name, _)| name)
}

/// What is different about an input file since its split was made; none where nothing is.
fn touched(input: &Input, was: &InputFile) -> Option<String> {
    if absolute(&input.path) != was.path {
        return Some(format!("it was made of `{}`", was.path));
    }
    if input.size != was.size {
        return Some(format!("its input had {} bytes and has {}", was.size, input.size));
    }
    let is_same = (input.modified_ns, changed(input)) == (was.modified_ns, was.changed_ns);
    (!is_same).then(|| "its input was written again".to_owned())
}

/// The path as it can be found again from another folder.
pub(crate) fn absolute(path: &Path) -> String {
    fs::canonicalize(path).unwrap_or_else(|_| path.to_owned()).display().to_string()
}

/// When the input last changed; 0 where nobody knows.
fn changed(input: &Input) -> u64 {
    fs::metadata(&input.path).map_or(0, |metadata| changed_ns(&metadata))
}

fn tokenizer_identity(identity: &tokenizer::Identity) -> TokenizerIdentity {
    let special = |token: &tokenizer::SpecialToken| SpecialToken { id: token.id, token: token.token.clone() };
    let cleared = [
        (identity.truncation_cleared, "truncation"),
        (identity.padding_cleared, "padding"),
        (identity.dropout_cleared, "dropout"),
    ];
    TokenizerIdentity {
        sha256: identity.sha256.clone(),
        vocabulary_size: identity.vocabulary_size,
        bos: identity.bos.as_ref().map(special),
        eos: identity.eos.as_ref().map(special),
        pad: special(&identity.pad),
        ids_before: identity.ids_before.clone(),
        ids_after: identity.ids_after.clone(),
        special_tokens_in_text: match identity.special_tokens_in_text {
            SpecialTokensInText::Encode => "encode",
            SpecialTokensInText::Split => "split",
            SpecialTokensInText::Reject => "reject",
        }
        .into(),
        cleared: cleared.iter().filter(|(is, _)| *is).map(|(_, name)| (*name).to_owned()).collect(),
    }
}

/// What differs between how the splits of a folder were made and how they would be, for people.
fn difference(folder: &Folder) -> Option<String> {
    folder.found.as_ref().and_then(|found| folder.manifest.difference(found))
}
