//! An output folder, as a run finds it and leaves it.

use std::collections::BTreeMap;
use std::path::Path;

use mashbill_format::find::is_output;
use mashbill_format::held_out::{DatasetPart, HeldOut};
use mashbill_format::layout::{MANIFEST, Output, STATS_SUFFIX, TABLES_FOLDER};
use mashbill_format::manifest::{self, FORMAT_VERSION, Manifest};
use mashbill_format::shard::RowLayout;
use mashbill_format::stats::Stats;
use mashbill_format::task::RunPlan;
use mashbill_tokenizer as tokenizer;

use crate::error::{Error, Result};
use crate::files::has_size;
use crate::options::Options;
use crate::place::Place;
use crate::split_plan::{SplitPlan, touched};

/// An output folder: of all documents, or of one of the parts that they are divided into.
#[derive(Debug)]
pub(crate) struct Folder {
    pub(crate) part: DatasetPart,
    pub(crate) output: Output,
    /// The manifest as it was found.
    pub(crate) found: Option<Manifest>,
    /// The manifest as it was written last.
    pub(crate) written: Option<Manifest>,
    /// The manifest that the run begins with, what stays, and to which it adds.
    pub(crate) manifest: Manifest,
}

impl Folder {
    /// Looks at the folder of `part`, of which `output` is the one to train on.
    pub(crate) fn look(
        part: DatasetPart,
        output: &Output,
        options: &Options,
        tokenizer: &tokenizer::Identity,
    ) -> Result<Self> {
        let output = match part {
            DatasetPart::Train => output.clone(),
            DatasetPart::Validation => output.validation(),
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
            requires: bytes.requires(),
            tokenizer: tokenizer.name.clone(),
            max_seq_length: bytes.max_seq_length,
            shard_size_gb: options.shard_size_gb,
            input_path: options.input.display().to_string(),
            output_path: output.root().display().to_string(),
            files_processed: 0,
            layout: RowLayout::of(bytes.max_seq_length),
            options: bytes,
            tokenizer_identity: tokenizer.in_manifest(),
            labels: manifest::Labels::default(),
            splits: BTreeMap::new(),
            vanished: BTreeMap::new(),
        };
        Ok(Self { part, output, written: found.clone(), found, manifest })
    }

    /// The folder of `part` at the end of a run whose plan was written down, whose input is at or below `input`: what stands
    /// in its manifest stays, but for what is replaced.
    ///
    /// # Errors
    /// [`Error::OutputChanged`], errors of reading.
    pub(crate) fn of_plan(part: DatasetPart, place: Place<'_>, plan: &RunPlan) -> Result<Self> {
        let output = Output::new(place.output);
        let output = if part == DatasetPart::Train { output } else { output.validation() };
        let found = Manifest::read(&output.manifest())?;
        let mut manifest = plan.manifest.clone();
        manifest.options.held_out = manifest.options.held_out.map(|held_out| HeldOut { part, ..held_out });
        manifest.output_path = output.root().display().to_string();
        let mut folder = Self { part, output, written: found.clone(), found, manifest };
        let Some(found) = &folder.found else { return Ok(folder) };
        if folder.is_made_alike() {
            folder.manifest.splits = found.splits.clone();
            folder.manifest.vanished = found.vanished.clone();
        } else {
            let planned = |name: &String| plan.splits.iter().any(|split| split.split == *name);
            if !found.splits.keys().chain(found.vanished.keys()).all(planned) {
                return Err(Error::OutputChanged { path: place.output.to_owned() });
            }
        }
        Ok(folder)
    }

    /// Whether what is finished was made in the same way.
    pub(crate) fn is_made_alike(&self) -> bool {
        difference(self).is_none()
    }

    /// Whether a split is finished in this very way and made of this very input.
    pub(crate) fn has(&self, split: &SplitPlan) -> Result<bool> {
        let Some(entry) = self.finished(&split.name).filter(|_| self.is_made_alike()) else {
            return Ok(false);
        };
        let stats = self.stats(&split.name)?;
        let is_of_input = stats.is_some_and(|stats| touched(split, &stats.inputs).is_none());
        Ok(is_of_input && missing(&self.output.split(&split.name), entry).is_none())
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

    pub(crate) fn stats(&self, split: &str) -> Result<Option<Stats>> {
        Ok(Stats::read(&self.output.split(split).join(format!("{split}{STATS_SUFFIX}")))?)
    }
}

/// A file of a finished split that is missing or has another size.
pub(crate) fn missing(place: &Path, split: &manifest::Split) -> Option<String> {
    let shards = split.shard_files().map(|file| (file.name.clone(), file.bytes));
    let tables = split.tables().map(|table| (format!("{TABLES_FOLDER}/{}", table.name), table.bytes));
    shards.chain(tables).find(|(name, bytes)| !has_size(&place.join(name), *bytes)).map(|(name, _)| name)
}

/// What differs between how the splits of a folder were made and how they would be, for people.
pub(crate) fn difference(folder: &Folder) -> Option<String> {
    folder.found.as_ref().and_then(|found| folder.manifest.difference(found))
}
