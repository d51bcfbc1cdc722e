//! What is there, without asking anybody.
//!
//! A dataset is there where its statistics say so and agree with the catalogue, the lock and the
//! size of its file. A file that merely lies there is a user's own and counts for its category.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use mashbill_format::catalog::{CatalogDataset, Category, LicenseKind, SchemaStanding};
use mashbill_format::dataset_stats::{Checkpoint, DatasetStats};
use mashbill_format::layout::{Data, REJECTS_SUFFIX};
use mashbill_format::lock::{Lock, Pin};
use serde::Serialize;

use crate::catalog::Catalog;
use crate::error::{Error, Result};
use crate::estimate::{text_of_records, tokens_of};

/// What a folder holds of a catalogue.
#[derive(Debug, Clone, Serialize)]
pub struct Status {
    /// The categories, in order.
    pub categories: Vec<CategoryStatus>,
    /// Tokens in all.
    pub tokens: u64,
}

/// What there is of a category.
#[derive(Debug, Clone, Serialize)]
pub struct CategoryStatus {
    /// Its name.
    pub name: String,
    /// The share of all tokens that it is to have, in percent.
    pub target_percent: f64,
    /// The share that it has.
    pub percent: f64,
    /// Its tokens.
    pub tokens: u64,
    /// The datasets that are on, or there.
    pub datasets: Vec<DatasetStatus>,
    /// The names of those that are taken only where somebody names them, and are not there.
    #[serde(skip)]
    pub by_name: Vec<String>,
    /// Files of records that no dataset of the catalogue is.
    pub own: Vec<OwnFile>,
}

/// What there is of a dataset.
#[derive(Debug, Clone, Serialize)]
pub struct DatasetStatus {
    /// Its name.
    pub name: String,
    /// Whether it is there.
    pub state: DatasetState,
    /// Records.
    pub rows: u64,
    /// Bytes of the file of records.
    pub bytes: u64,
    /// Tokens.
    pub tokens: u64,
    /// Whether the tokens were counted, and not estimated from the bytes.
    pub tokens_are_exact: bool,
    /// Rows that are to be expected, where that is known.
    pub expected_rows: Option<u64>,
    /// Bytes that are to be fetched for all of it, where that is known.
    pub expected_download_bytes: Option<u64>,
    /// The license's id.
    pub license: String,
    /// The license's kind.
    pub license_kind: LicenseKind,
    /// Whether access has to be asked for.
    pub gated: bool,
    /// How sure it is what its rows look like.
    pub schema: SchemaStanding,
}

/// Whether a dataset is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "is", content = "why")]
pub enum DatasetState {
    /// Complete, and as catalogue and lock have it.
    Complete,
    /// Complete once, but not what catalogue and lock speak of now.
    Outdated(String),
    /// Begun.
    Partial,
    /// Not there.
    Missing,
    /// Not there, and a file has its name that no download made: a user's own, which is left alone.
    Foreign,
}

/// A file of records that no dataset of the catalogue is.
#[derive(Debug, Clone, Serialize)]
pub struct OwnFile {
    /// Its name.
    pub name: String,
    /// The repository that it was downloaded from, where its statistics say so.
    pub repo: Option<String>,
    /// Its size in bytes.
    pub bytes: u64,
    /// Tokens.
    pub tokens: u64,
    /// Whether the tokens were counted, and not estimated from the bytes.
    pub tokens_are_exact: bool,
}

/// Looks at what the folder of `data` holds. `exact` has the tokens of datasets that were tokenized.
///
/// # Errors
/// [`Error::Format`] where statistics were written by a newer mashbill, [`Error::Read`].
pub fn status(catalog: &Catalog, data: &Data, lock: &Lock, exact: &BTreeMap<String, u64>) -> Result<Status> {
    let mut categories = Vec::new();
    for category in &catalog.curriculum.category {
        let of_it = catalog.datasets.iter().filter(|dataset| dataset.category == category.name);
        let (mut datasets, mut by_name) = (Vec::new(), Vec::new());
        let mut known = BTreeSet::new();
        for dataset in of_it {
            let found = dataset_status(dataset, category, data, lock.datasets.get(&dataset.name), exact)?;
            if found.state != DatasetState::Foreign {
                known.insert(dataset.name.as_str());
            }
            if dataset.refused.is_some() {
                continue;
            }
            if dataset.on || found.state != DatasetState::Missing {
                datasets.push(found);
            } else {
                by_name.push(found.name);
            }
        }
        let own = own_files(data, &known, category, exact)?;
        let tokens = datasets.iter().map(|dataset| dataset.tokens).sum::<u64>()
            + own.iter().map(|file| file.tokens).sum::<u64>();
        categories.push(CategoryStatus {
            name: category.name.clone(),
            target_percent: category.target_percent,
            percent: 0.0,
            tokens,
            datasets,
            by_name,
            own,
        });
    }
    let tokens = categories.iter().map(|category| category.tokens).sum();
    for category in &mut categories {
        category.percent =
            if tokens == 0 { 0.0 } else { (category.tokens as f64 / tokens as f64 * 1000.0).round() / 10.0 };
    }
    Ok(Status { categories, tokens })
}

fn dataset_status(
    dataset: &CatalogDataset,
    category: &Category,
    data: &Data,
    pin: Option<&Pin>,
    exact: &BTreeMap<String, u64>,
) -> Result<DatasetStatus> {
    let (state, stats) = state(dataset, data, pin)?;
    let counts = stats.as_ref().map(|stats| &stats.counts);
    let exact = exact.get(&dataset.name).filter(|_| stats.is_some());
    let estimate = counts.map_or(0, |counts| tokens_of(counts.text_bytes, category));
    Ok(DatasetStatus {
        name: dataset.name.clone(),
        state,
        rows: counts.map_or(0, |counts| counts.rows_out),
        bytes: counts.map_or(0, |counts| counts.jsonl_bytes),
        tokens: exact.copied().unwrap_or(estimate),
        tokens_are_exact: exact.is_some(),
        expected_rows: dataset.expected.rows,
        expected_download_bytes: pin
            .map(|pin| pin.files.iter().map(|file| file.size).sum())
            .or(dataset.expected.download_bytes),
        license: dataset.license.label().to_owned(),
        license_kind: dataset.license.kind,
        gated: dataset.gated,
        schema: dataset.schema,
    })
}

/// Whether a dataset is there, and what its statistics are where its records are whole.
pub(crate) fn state(
    dataset: &CatalogDataset,
    data: &Data,
    pin: Option<&Pin>,
) -> Result<(DatasetState, Option<DatasetStats>)> {
    let (category, name) = (&dataset.category, &dataset.name);
    let begun = Checkpoint::read(&data.checkpoint(name))?.is_some() || has_file(&data.raw(name));
    let nothing = match begun {
        true => DatasetState::Partial,
        // What a run gives its name is either complete or still has its checkpoint.
        false if data.records(category, name).exists() => DatasetState::Foreign,
        false => DatasetState::Missing,
    };
    let Some(stats) = DatasetStats::read(&data.stats(category, name))?.filter(|stats| stats.complete) else {
        return Ok((nothing, None));
    };
    let size = fs::metadata(data.records(category, name)).map(|metadata| metadata.len()).ok();
    if size != Some(stats.counts.jsonl_bytes) {
        return Ok((DatasetState::Outdated("its file was changed".into()), None));
    }
    let why = if stats.catalog_checksum != dataset.checksum() {
        "its catalog entry has changed"
    } else if pin.is_some_and(|pin| pin.commit != stats.source.commit) {
        "another commit is pinned"
    } else if pin.is_some_and(|pin| !pin.files.starts_with(&stats.source.files)) {
        "other files are pinned"
    } else {
        return Ok((DatasetState::Complete, Some(stats)));
    };
    Ok((DatasetState::Outdated(why.into()), Some(stats)))
}

/// Whether a file is in a folder or below it: without one nothing was fetched.
fn has_file(folder: &Path) -> bool {
    let is_one = |entry: fs::DirEntry| !entry.path().is_dir() || has_file(&entry.path());
    fs::read_dir(folder).is_ok_and(|entries| entries.flatten().any(is_one))
}

/// Files of records in a category's folder that no dataset of the catalogue is, sorted by name.
pub(crate) fn own_files(
    data: &Data,
    known: &BTreeSet<&str>,
    category: &Category,
    exact: &BTreeMap<String, u64>,
) -> Result<Vec<OwnFile>> {
    let folder = &data.category(&category.name);
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(Error::read(folder, error)),
    };
    let mut files = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|error| Error::read(folder, error))?;
        let file = entry.file_name().to_string_lossy().into_owned();
        let Some(name) = file.strip_suffix(".jsonl").filter(|name| !known.contains(name)) else { continue };
        if file.starts_with('.') || file.ends_with(REJECTS_SUFFIX) {
            continue;
        }
        let bytes = entry.metadata().map_err(|error| Error::read(folder, error))?.len();
        // A dataset that this catalogue doesn't have counts as it did when it was downloaded.
        let stats = DatasetStats::read(&data.stats(&category.name, name))?;
        let stats = stats.filter(|stats| stats.complete && stats.counts.jsonl_bytes == bytes);
        let text = stats.as_ref().map_or_else(|| text_of_records(bytes), |stats| stats.counts.text_bytes);
        let counted = exact.get(name).copied();
        files.push(OwnFile {
            name: name.to_owned(),
            repo: stats.map(|stats| stats.source.repo),
            bytes,
            tokens: counted.unwrap_or_else(|| tokens_of(text, category)),
            tokens_are_exact: counted.is_some(),
        });
    }
    files.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(files)
}
