//! What a run would do, without doing it.
//!
//! "Done" is said of a split only where content, options and tokenizer are the same.
//! Nothing that is finished is replaced unless that is asked for.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::path::{Path, PathBuf};

use mashbill_format::checksum::{Checksum, Hasher};
use mashbill_format::held_out::HeldOut;
use mashbill_format::journal::{self, Journal};
use mashbill_format::layout::{MANIFEST, Output, STATS_SUFFIX, is_split_file};
use mashbill_format::manifest::{self, FORMAT_VERSION, Manifest, SpecialToken, TokenizerIdentity};
use mashbill_format::records::{changed_ns, is_our_own, is_output, line_bytes_max};
use mashbill_format::stats::{InputFile, Stats};

use crate::disk::check_space;
use crate::error::{Error, Result};
use crate::input::{Input, Inputs, SplitNames, discover};
use crate::license::license_of;
use crate::read::{Blocks, Cutting};
use crate::tokenizer::{self, SpecialTokensInText};

/// Why a split is made again whose content alone is another.
const INPUT_CHANGED: &str = "its input has changed";

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
    /// The largest size of a finished shard in 10^9 bytes, more than 0.
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
    /// The splits that are to be made, by name.
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
    /// The same for the documents that are held out, if any.
    pub validation: Option<Box<Self>>,
    /// Whether documents were held out, and none are now: what was held out is removed.
    pub nothing_held_out: bool,
    /// The manifest as it was found.
    pub(crate) found: Option<Manifest>,
    /// The manifest that the run begins with: what stays.
    pub(crate) manifest: Manifest,
    /// Statistics whose input was read again and found to be the same.
    pub(crate) confirmed: Vec<(Input, Stats)>,
}

/// A split that is to be made.
#[derive(Debug, Clone)]
pub struct SplitPlan {
    /// Its input.
    pub input: Input,
    /// Why it is made.
    pub why: Why,
    /// Whether it is there, made in the same way of other input: part of it may be kept.
    pub(crate) input_changed: bool,
    pub(crate) journal: journal::Plan,
}

/// Why a split is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Why {
    /// It is not there.
    New,
    /// A run that was interrupted is gone on with.
    Interrupted,
    /// It is there, but different.
    Different(String),
    /// It is there, and was asked for again.
    Forced,
}

/// Looks at input and output and says what a run with `tokenizer` would do.
///
/// # Errors
/// Those of [`discover`]; [`Error::SplitDiffers`], [`Error::OthersDiffer`], [`Error::ForeignFiles`],
/// [`Error::TooLittleSpace`]; errors of reading.
pub fn plan(options: &Options, tokenizer: &tokenizer::Identity) -> Result<Plan> {
    let Inputs { inputs, left_out, refused, not_entered } =
        discover(&options.input, &options.output, options.recursive, options.split_names)?;
    let mut checksums = Checksums::new();
    let mut plan = plan_part(options, inputs.clone(), tokenizer, &mut checksums)?;
    (plan.left_out, plan.not_entered) = (left_out, not_entered);
    plan.refused.splice(..0, refused);
    let validation = Output::new(&options.output).validation();
    match options.bytes.held_out {
        Some(held_out) => {
            let mut options = options.clone();
            options.output = validation.root().to_owned();
            options.bytes.held_out = Some(held_out.other());
            plan.validation = Some(Box::new(plan_part(&options, inputs, tokenizer, &mut checksums)?));
        }
        None => plan.nothing_held_out = validation.manifest().exists() || validation.state().exists(),
    }
    check_space(&plan)?;
    Ok(plan)
}

/// The checksums of inputs that had to be read: both parts have the same.
type Checksums = HashMap<PathBuf, Checksum>;

/// Plans one of the two parts, or all documents where none are held out.
fn plan_part(
    options: &Options,
    inputs: Vec<Input>,
    tokenizer: &tokenizer::Identity,
    checksums: &mut Checksums,
) -> Result<Plan> {
    let output = Output::new(&options.output);
    let fresh = Manifest {
        format_version: FORMAT_VERSION,
        tokenizer: tokenizer.name.clone(),
        max_seq_length: options.bytes.max_seq_length,
        shard_size_gb: options.shard_size_gb,
        input_path: options.input.display().to_string(),
        output_path: options.output.display().to_string(),
        files_processed: 0,
        options: options.bytes.clone(),
        tokenizer_identity: tokenizer_identity(tokenizer),
        labels: manifest::Labels::default(),
        layout: mashbill_format::shard::RowLayout::of(options.bytes.max_seq_length),
        splits: BTreeMap::new(),
        vanished: BTreeMap::new(),
    };
    let identity = fresh.run_identity();
    let mut planner = Planner { options, output, identity, manifest: fresh, old: None, checksums };
    let manifest = planner.output.manifest();
    if manifest.exists() && !is_output(&options.output) {
        let file = MANIFEST.to_owned();
        return Err(Error::ForeignFiles { path: options.output.clone(), file });
    }
    planner.old = Manifest::read(&manifest)?;
    planner.plan(inputs)
}

struct Planner<'a> {
    options: &'a Options,
    output: Output,
    /// The identity of options and tokenizer.
    identity: Checksum,
    manifest: Manifest,
    old: Option<Manifest>,
    checksums: &'a mut Checksums,
}

impl Planner<'_> {
    fn plan(mut self, inputs: Vec<Input>) -> Result<Plan> {
        let difference = self.old.as_ref().and_then(|old| difference(old, &self.manifest));
        let names: BTreeSet<&str> = inputs.iter().map(|input| input.split.as_str()).collect();
        self.others(&names, difference.as_deref())?;
        let mut splits = Vec::new();
        let mut kept = Vec::new();
        let mut confirmed = Vec::new();
        let mut refused = Vec::new();
        for input in inputs {
            let journal = self.journal_plan(&input);
            let why = match self.look(&input, difference.as_deref(), &mut confirmed)? {
                State::Missing => Why::New,
                State::Same(split) => {
                    kept.push(input.split.clone());
                    self.manifest.splits.insert(input.split, *split);
                    continue;
                }
                State::Unreadable(split, error) => {
                    // Others are made; this one stays as it is, and is named.
                    refused.push((input.split.clone(), error));
                    self.leave(input.split, *split);
                    continue;
                }
                State::Different(why) if self.options.finished == Finished::Keep => {
                    let output = self.options.output.clone();
                    return Err(Error::SplitDiffers { split: input.split, output, why });
                }
                State::Different(why) => Why::Different(why),
                State::Forced => Why::Forced,
            };
            let interrupted = Journal::is_under_way(&self.output.staging(&input.split), &journal)?;
            let input_changed = why == Why::Different(INPUT_CHANGED.into());
            let why = if interrupted { Why::Interrupted } else { why };
            splits.push(SplitPlan { why, input_changed, input, journal });
        }
        let vanished = self.manifest.vanished.keys().cloned().collect();
        self.manifest.files_processed = self.manifest.splits.len() as u64;
        let options = self.options.clone();
        Ok(Plan {
            options,
            splits,
            kept,
            vanished,
            left_out: Vec::new(),
            refused,
            not_entered: Vec::new(),
            validation: None,
            nothing_held_out: false,
            found: self.old,
            manifest: self.manifest,
            confirmed,
        })
    }

    /// Leaves a finished split where the manifest has it.
    fn leave(&mut self, name: String, split: manifest::Split) {
        let was_gone = self.old.as_ref().is_some_and(|old| old.vanished.contains_key(&name));
        let place = if was_gone { &mut self.manifest.vanished } else { &mut self.manifest.splits };
        place.insert(name, split);
    }

    /// Takes over the finished splits that are not of this input: they stay, or their input is gone.
    fn others(&mut self, names: &BTreeSet<&str>, difference: Option<&str>) -> Result<()> {
        let Some(old) = &self.old else { return Ok(()) };
        for (name, split) in old.splits.iter().chain(&old.vanished) {
            if names.contains(name.as_str()) {
                continue;
            }
            let stats = Stats::read(&self.stats_path(name))?;
            let gone = stats.is_none_or(|stats| !Path::new(&stats.input.path).exists());
            if gone && self.options.prune {
                self.manifest.vanished.insert(name.clone(), split.clone());
                continue;
            }
            if let Some(why) = difference {
                return Err(Error::OthersDiffer { split: name.clone(), gone, why: why.to_owned() });
            }
            let place = if gone { &mut self.manifest.vanished } else { &mut self.manifest.splits };
            place.insert(name.clone(), split.clone());
        }
        Ok(())
    }

    fn look(
        &mut self,
        input: &Input,
        difference: Option<&str>,
        confirmed: &mut Vec<(Input, Stats)>,
    ) -> Result<State> {
        let listed = self
            .old
            .as_ref()
            .and_then(|old| old.splits.get(&input.split).or_else(|| old.vanished.get(&input.split)))
            .cloned();
        let Some(split) = listed else { return self.look_at_folder(input) };
        if self.options.finished == Finished::RedoAll {
            return Ok(State::Forced);
        }
        if let Some(why) = difference {
            // A split without a document is no work that could be lost.
            let is_empty = split.samples == 0;
            return Ok(if is_empty { State::Forced } else { State::Different(why.to_owned()) });
        }
        let Some(mut stats) = Stats::read(&self.stats_path(&input.split))? else {
            return Ok(State::Different("its files are not all there".into()));
        };
        let path = absolute(&input.path);
        let now =
            InputFile { path, size: input.size, modified_ns: input.modified_ns, changed_ns: changed(input) };
        if self.options.rehash || stats.input != now {
            let checksum = match self.checksum(input) {
                Ok(checksum) => checksum,
                Err(error) => return Ok(State::Unreadable(Box::new(split), error)),
            };
            if manifest::split_identity(self.identity, checksum) != split.identity {
                return Ok(State::Different(INPUT_CHANGED.into()));
            }
            stats.input = now;
            confirmed.push((input.clone(), stats));
        }
        let missing = split.shard_files.iter().chain([&split.documents]).find(|file| {
            let path = self.output.split(&input.split).join(&file.name);
            fs::metadata(path).map_or(true, |metadata| metadata.len() != file.bytes)
        });
        Ok(match missing {
            Some(file) => State::Different(format!("`{}` is missing or has another size", file.name)),
            None => {
                let license = license_of(input, &split.source)?;
                State::Same(Box::new(manifest::Split { license, ..split }))
            }
        })
    }

    /// The checksum of an input, which is read once for both parts.
    fn checksum(&mut self, input: &Input) -> Result<Checksum> {
        if let Some(&known) = self.checksums.get(&input.path) {
            return Ok(known);
        }
        let checksum = checksum(input, &cutting(&self.options.bytes))?;
        self.checksums.insert(input.path.clone(), checksum);
        Ok(checksum)
    }

    /// Judges a split that is not in the manifest by the folder that has its name.
    fn look_at_folder(&self, input: &Input) -> Result<State> {
        let path = self.output.split(&input.split);
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
        let under_way = Journal::is_under_way(&self.output.staging(&input.split), &self.journal_plan(input))?;
        Ok(match self.options.finished {
            _ if files == 0 || under_way => State::Missing,
            Finished::RedoAll => State::Forced,
            _ => State::Different("it is not in the manifest".into()),
        })
    }

    fn journal_plan(&self, input: &Input) -> journal::Plan {
        journal::Plan {
            format_version: FORMAT_VERSION,
            identity: self.identity,
            input: absolute(&input.path),
            size: input.size,
            modified_ns: input.modified_ns,
            changed_ns: changed(input),
        }
    }

    fn stats_path(&self, split: &str) -> PathBuf {
        self.output.split(split).join(format!("{split}{STATS_SUFFIX}"))
    }
}

enum State {
    Missing,
    Same(Box<manifest::Split>),
    Different(String),
    /// It is finished, and its input can't be compared with what it was.
    Unreadable(Box<manifest::Split>, Error),
    Forced,
}

/// The path as it can be found again from another folder.
pub(crate) fn absolute(path: &Path) -> String {
    fs::canonicalize(path).unwrap_or_else(|_| path.to_owned()).display().to_string()
}

/// When the input last changed; 0 where nobody knows.
fn changed(input: &Input) -> u64 {
    fs::metadata(&input.path).map_or(0, |metadata| changed_ns(&metadata))
}

/// How the options cut input.
pub(crate) fn cutting(options: &manifest::Options) -> Cutting<'_> {
    Cutting {
        unit_bytes: options.unit_bytes,
        line_bytes_max: line_bytes_max(options.max_document_bytes),
        document_bytes_max: options.max_document_bytes,
        text_fields: options.text_fields(),
    }
}

/// The checksum of an input file as a run would take it.
///
/// # Errors
/// Errors of reading.
fn checksum(input: &Input, cutting: &Cutting<'_>) -> Result<Checksum> {
    let mut blocks = Blocks::open(input, cutting, 0, 0)?;
    let mut units: Vec<Hasher> = Vec::new();
    while let Some(block) = blocks.next()? {
        let checksum = block.checksum(input)?;
        if units.len() <= block.unit {
            units.push(Hasher::new());
        }
        units[block.unit].update(&checksum.to_bytes());
    }
    let mut hasher = Hasher::new();
    units.iter().for_each(|unit| hasher.update(&unit.finish().to_bytes()));
    Ok(hasher.finish())
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

/// What differs between the options and tokenizers of two manifests, for people.
fn difference(old: &Manifest, new: &Manifest) -> Option<String> {
    let (was, is) = (&old.options, &new.options);
    let mut changes = Vec::new();
    let mut compare = |name: &str, was: String, is: String| {
        if was != is {
            changes.push(format!("{name} was {was} and is {is}"));
        }
    };
    compare("max_seq_length", was.max_seq_length.to_string(), is.max_seq_length.to_string());
    compare("the shard size", was.shard_bytes.to_string(), is.shard_bytes.to_string());
    compare("the compression", was.compression.name().into(), is.compression.name().into());
    compare("the text field", was.text_fields().join(", "), is.text_fields().join(", "));
    compare("the largest document", was.max_document_bytes.to_string(), is.max_document_bytes.to_string());
    compare("the unit size", was.unit_bytes.to_string(), is.unit_bytes.to_string());
    compare("the held-out fraction", fraction_held_out(was.held_out), fraction_held_out(is.held_out));
    let (was, is) = (&old.tokenizer_identity, &new.tokenizer_identity);
    if was.sha256 != is.sha256 {
        compare("the tokenizer", named(old), named(new));
    } else if was != is {
        changes.push("the tokens around documents or the treatment of special tokens differ".into());
    }
    if old.layout != new.layout && changes.is_empty() {
        changes.push("rows stand in other groups".into());
    }
    if old.splits.values().flat_map(|split| &split.shard_files).any(|file| file.tail.is_none()) {
        changes.push("its pages have no checksums yet".into());
    }
    (!changes.is_empty()).then(|| changes.join(", "))
}

fn fraction_held_out(held_out: Option<HeldOut>) -> String {
    held_out.map_or_else(|| "0".into(), |held_out| held_out.fraction.to_string())
}

fn named(manifest: &Manifest) -> String {
    format!("{} ({})", manifest.tokenizer, &manifest.tokenizer_identity.sha256.get(..8).unwrap_or_default())
}
