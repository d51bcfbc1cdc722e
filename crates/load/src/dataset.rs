//! A tokenized folder as rows by number.
//!
//! The chosen splits stand in the order of their names, their shards in the order of the manifest, and every
//! row has a number from 0. Opening reads the manifest and looks whether each shard is there with its size: no
//! shard is opened before a row of it is wanted, so a hundred take no longer than one.

use std::collections::BTreeSet;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use mashbill_format::held_out::DatasetPart;
use mashbill_format::layout::{Output, TABLES_FOLDER, VALIDATION_FOLDER};
use mashbill_format::loss_spans::Loss;
use mashbill_format::manifest::{self, Labels, Manifest, SourceFile};
use mashbill_format::shard::RowLayout;
use mashbill_parquet::file::Tail;
use mashbill_store::checksum::{Checksum, Hasher};

use crate::error::{Error, Result};
use crate::table::DatasetTable;

/// The rows of the chosen splits.
#[derive(Debug)]
pub struct Dataset {
    /// The folder with the manifest.
    pub folder: PathBuf,
    /// Tokens in a row, padding included.
    pub row_length: usize,
    /// One more than the largest id.
    pub vocabulary_size: u32,
    /// The id that fills padding.
    pub pad_id: u32,
    /// How rows stand in the shards.
    pub layout: RowLayout,
    /// On which tokens there is a loss.
    pub loss: Loss,
    /// The chosen splits that have rows, by name.
    pub splits: Vec<DatasetSplit>,
    /// All their shards in order.
    pub shards: Vec<DatasetShard>,
    /// Rows in all splits.
    pub rows: u64,
    /// What the rows are made of: the same identity, the same rows under the same numbers.
    pub identity: Checksum,
}

/// One split of a dataset.
#[derive(Debug)]
pub struct DatasetSplit {
    /// Its name.
    pub name: String,
    /// The folder that its input file lies in, if it is below the input.
    pub category: Option<String>,
    /// The input file, relative to the folder that was tokenized.
    pub input: String,
    /// The number of its first row.
    pub first_row: u64,
    /// Its rows.
    pub rows: u64,
    /// The indices of its shards.
    pub shards: Range<usize>,
}

/// One shard of a dataset that has rows.
#[derive(Debug)]
pub struct DatasetShard {
    /// The index of its split.
    pub split: usize,
    /// The group of files that it is cut from, where the split is many files.
    pub group: Option<usize>,
    /// Its stretch of the input: byte offsets in the decoded file, or rows of a Parquet file; of many files, in the group's
    /// one after another.
    pub input: Range<u64>,
    /// Where the split is many files, those that the stretch has records of.
    pub sources: Vec<SourceFile>,
    /// Where it is.
    pub path: PathBuf,
    /// The number of its first row.
    pub first_row: u64,
    /// Its rows.
    pub rows: u64,
    /// Its size in bytes.
    pub bytes: u64,
    /// Its checksum.
    pub checksum: Checksum,
    /// What stands behind its row groups.
    pub tail: Tail,
    /// Its document table.
    pub table: DatasetTable,
}

impl DatasetShard {
    /// The key of a document counted from the beginning of the input, by the one that is counted from where the shard's
    /// stretch begins; none where the stretch does not hold it.
    pub(crate) fn key(&self, doc_id: i64) -> Option<i64> {
        let key = u64::try_from(doc_id).ok()?.checked_add(self.input.start)?;
        i64::try_from(key).ok().filter(|_| key < self.input.end)
    }
}

impl Dataset {
    /// Opens the folder `folder`: all its splits, or those named.
    ///
    /// # Errors
    /// [`Error::NoManifest`], [`Error::UnknownSplit`], [`Error::NoRows`], [`Error::IgnoreIndex`], and [`Error::File`]
    /// where the manifest is damaged, of another format, or has labels of another kind. Shards are not looked at: that
    /// is [`Dataset::check_shards`].
    pub fn open(folder: &Path, splits: Option<&[String]>) -> Result<Self> {
        let output = Output::new(folder);
        let manifest = Manifest::read(&output.manifest())?
            .ok_or_else(|| Error::NoManifest { folder: folder.to_owned() })?;
        // Their conventions are what this crate knows, or the manifest could not be read.
        if manifest.labels != Labels::default() {
            return Err(Error::IgnoreIndex { found: manifest.labels.ignore_index });
        }
        let mut dataset = Self {
            folder: folder.to_owned(),
            row_length: manifest.max_seq_length,
            vocabulary_size: manifest.tokenizer_identity.vocabulary_size,
            pad_id: manifest.tokenizer_identity.pad.id,
            layout: manifest.layout,
            loss: manifest.loss(),
            splits: Vec::new(),
            shards: Vec::new(),
            rows: 0,
            identity: Checksum(0),
        };
        let mut identity = Hasher::new();
        for name in chosen(&manifest, splits)? {
            let split = &manifest.splits[&name];
            if split.sequences == 0 {
                continue;
            }
            identity.update(name.as_bytes());
            identity.update(&split.identity.to_bytes());
            dataset.add(name, split, &output);
        }
        dataset.identity = identity.finish();
        if dataset.rows == 0 || dataset.row_length == 0 {
            return Err(Error::NoRows);
        }
        Ok(dataset)
    }

    /// Opens what `mashbill tokenize --val-fraction` held out of the folder `folder`: all its splits, or those named.
    ///
    /// # Errors
    /// [`Error::NoValidation`] where nothing was held out, or the two parts are not each other's; those of
    /// [`Dataset::open`].
    pub fn open_validation(folder: &Path, splits: Option<&[String]>) -> Result<Self> {
        let none = |why: String| Err(Error::NoValidation { folder: folder.to_owned(), why });
        let output = Output::new(folder);
        let manifest = Manifest::read(&output.manifest())?
            .ok_or_else(|| Error::NoManifest { folder: folder.to_owned() })?;
        let train = match manifest.options.held_out {
            Some(held_out) if held_out.part == DatasetPart::Train => held_out,
            Some(_) => return none("it is the validation part itself".into()),
            None => {
                return none(
                    "nothing was held out of it; `mashbill tokenize --val-fraction 0.01` does".into(),
                );
            }
        };
        let validation = output.validation();
        match Manifest::read(&validation.manifest())?.map(|other| other.options.held_out) {
            Some(other) if other == Some(train.other()) => {
                let opened = Self::open(validation.root(), splits);
                if matches!(opened, Err(Error::NoRows)) {
                    let fraction = train.fraction;
                    return none(format!(
                        "no document of its splits is among the {fraction} of all texts that are held out; give a \
                         larger `--val-fraction`"
                    ));
                }
                opened
            }
            Some(_) => none(format!("`{VALIDATION_FOLDER}` in it was held out of something else")),
            None => none(format!(
                "`{VALIDATION_FOLDER}` in it has no manifest.json: copy it, too, or give the `mashbill tokenize` \
                 command again"
            )),
        }
    }

    fn add(&mut self, name: String, split: &manifest::Split, output: &Output) {
        // A folder that was moved or copied is read where it is, never where it was.
        let beside = output.split(&name);
        let folder = if beside.is_dir() { beside } else { PathBuf::from(&split.path) };
        let (first_row, first_shard) = (self.rows, self.shards.len());
        for shard in &split.shard_list {
            // Where no document was kept there is neither.
            let (Some(file), Some(table)) = (&shard.file, &shard.table) else { continue };
            self.shards.push(DatasetShard {
                split: self.splits.len(),
                group: shard.group,
                input: shard.input.start..shard.input.end,
                sources: shard.sources.clone(),
                path: folder.join(&file.name),
                first_row: self.rows,
                rows: file.rows,
                bytes: file.bytes,
                checksum: file.checksum,
                tail: file.tail,
                table: DatasetTable::new(folder.join(TABLES_FOLDER).join(&table.name), table.checksum),
            });
            self.rows += file.rows;
        }
        self.splits.push(DatasetSplit {
            name,
            category: split.source.category().map(str::to_owned),
            input: split.source.file.clone(),
            first_row,
            rows: self.rows - first_row,
            shards: first_shard..self.shards.len(),
        });
    }

    /// Looks whether every shard is there with the size that the manifest knows.
    ///
    /// # Errors
    /// [`Error::Shard`] for the first that is not.
    pub fn check_shards(&self) -> Result<()> {
        for shard in &self.shards {
            let wrong = |what: String| {
                let split = self.splits[shard.split].name.clone();
                Err(Error::Shard { split, path: shard.path.clone(), what })
            };
            match fs::metadata(&shard.path) {
                Ok(found) if found.len() == shard.bytes => {}
                Ok(found) => {
                    return wrong(format!(
                        "has {} bytes where the manifest says {}",
                        found.len(),
                        shard.bytes
                    ));
                }
                Err(error) => return wrong(format!("cannot be opened: {error}")),
            }
        }
        Ok(())
    }

    /// The index of the shard that holds a row.
    #[must_use]
    pub fn shard_of(&self, row: u64) -> usize {
        self.shards.partition_point(|shard| shard.first_row <= row) - 1
    }

    /// The index of the split that holds a row.
    #[must_use]
    pub fn split_of(&self, row: u64) -> usize {
        self.splits.partition_point(|split| split.first_row <= row) - 1
    }

    /// The index of a split.
    ///
    /// # Errors
    /// [`Error::UnknownSplit`].
    pub fn split(&self, name: &str) -> Result<usize> {
        self.splits.iter().position(|split| split.name == name).ok_or_else(|| Error::UnknownSplit {
            split: name.to_owned(),
            available: self.splits.iter().map(|split| split.name.clone()).collect(),
        })
    }

    /// The first rows of the splits' parts that belong to `name`: a split's name, or a category's.
    pub(crate) fn source(&self, name: &str) -> Result<Vec<usize>> {
        let exact = self.splits.iter().position(|split| split.name == name);
        if let Some(split) = exact {
            return Ok(vec![split]);
        }
        let of_category = |split: &&usize| self.splits[**split].category.as_deref() == Some(name);
        let all: Vec<usize> = (0..self.splits.len()).collect();
        let found: Vec<usize> = all.iter().filter(of_category).copied().collect();
        if !found.is_empty() {
            return Ok(found);
        }
        let names = self.splits.iter().map(|split| split.name.clone());
        let categories = self.splits.iter().filter_map(|split| split.category.clone());
        let available = names.chain(categories).collect::<BTreeSet<_>>().into_iter().collect();
        Err(Error::UnknownSource { name: name.to_owned(), available })
    }
}

/// What is wrong with a file, behind its name.
pub(crate) fn what(error: &mashbill_format::Error) -> String {
    use mashbill_format::Error::Store;
    use mashbill_store::Error::Io;
    match error {
        Store(Io { action: "open", source, .. }) => format!("cannot be opened: {source}"),
        Store(Io { source, .. }) => format!("cannot be read: {source}"),
        error if error.is_damage() => format!("is damaged: {}", error.detail()),
        other => format!("cannot be read: {other}"),
    }
}

/// The names of the splits to read, sorted.
fn chosen(manifest: &Manifest, splits: Option<&[String]>) -> Result<BTreeSet<String>> {
    let Some(splits) = splits else {
        return Ok(manifest.splits.keys().cloned().collect());
    };
    if let Some(split) = splits.iter().find(|&split| !manifest.splits.contains_key(split)) {
        let available = manifest.splits.keys().cloned().collect();
        return Err(Error::UnknownSplit { split: split.clone(), available });
    }
    Ok(splits.iter().cloned().collect())
}
