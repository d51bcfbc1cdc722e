//! What a run would do, without doing it.
//!
//! A dataset that is pinned is planned from the lock and the disk alone. For others the Hub is
//! asked what they are made of, so that a dry run knows the same as a run; nothing is written
//! down before the run.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

use mashbill_format::catalog::{CatalogDataset, Category, Render};
use mashbill_format::dataset_stats::{DatasetSource, DatasetStats, Making, Take};
use mashbill_format::layout::Data;
use mashbill_format::lock::{Lock, Pin, PinnedFile};
use mashbill_format::untaken::{UntakenFiles, WhyUntaken, add_untaken};
use mashbill_hub::{Error as HubError, Hub, Unreachable, free_space, partial};
use serde::Serialize;

use crate::budget::{self, BudgetCategory, Solution, solve};
use crate::catalog::{Catalog, LeftOut, Selected};
use crate::convert::{RESERVE_BYTES, files_done};
use crate::error::{Error, Result};
use crate::estimate::{text_of_file, tokens_of};
use crate::pin::{is_of, pin, remote};
use crate::status::{DatasetState, own_files, state};

/// Files that may lie on the disk before they are converted.
pub(crate) const FILES_AHEAD: usize = 8;

/// What to fetch, and where to.
#[derive(Debug, Clone)]
pub struct Options {
    /// The folder for categories.
    pub output: PathBuf,
    /// The most tokens of all that is taken, what is there included.
    pub budget: Option<Budget>,
    /// The most bytes that are fetched.
    pub max_download: u64,
    /// The most records of each dataset.
    pub max_rows: Option<u64>,
    /// Whether commits are looked up again.
    pub update: bool,
    /// Whether fetched files stay.
    pub keep_raw: bool,
    /// Tokens of datasets that were tokenized.
    pub exact_tokens: BTreeMap<String, u64>,
}

/// How much is taken in all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Budget {
    /// Tokens.
    Tokens(u64),
    /// Bytes of text.
    Bytes(u64),
}

/// What a run would do.
#[derive(Debug, Serialize)]
pub struct Plan {
    /// The datasets that are fetched, in order.
    pub datasets: Vec<DatasetPlan>,
    /// Datasets that are there already.
    pub kept: Vec<String>,
    /// Datasets that are left out for their license.
    pub left_out: Vec<LeftOut>,
    /// Datasets that cannot be had.
    #[serde(serialize_with = "as_text")]
    pub skipped: Vec<(String, Error)>,
    /// Bytes to be fetched.
    pub download_bytes: u64,
    /// Bytes of disk needed at most while it runs, estimated.
    pub disk_bytes: u64,
    /// Requests that were sent to make this plan.
    pub requests_made: u64,
    /// Requests that are still to be sent, to the Hub and to its store, if nothing has to be tried again.
    pub requests: u64,
    /// What the budget came to.
    pub budget: Option<BudgetPlan>,
    #[serde(skip)]
    pub(crate) options: Options,
    /// The lock that the run leaves.
    #[serde(skip)]
    pub(crate) lock: Lock,
    #[serde(skip)]
    pub(crate) lock_is_new: bool,
}

/// A dataset that is fetched.
#[derive(Debug, Clone, Serialize)]
pub struct DatasetPlan {
    /// Its name.
    pub name: String,
    /// Its category.
    pub category: String,
    /// Why.
    pub why: DatasetState,
    /// Its repository.
    pub repo: String,
    /// The commit.
    pub commit: String,
    /// The files that are taken, in order.
    pub files: Vec<PinnedFile>,
    /// The repository's other files.
    pub untaken: Vec<UntakenFiles>,
    /// How much of them.
    pub take: Take,
    /// Bytes to be fetched.
    pub download_bytes: u64,
    /// Tokens that are expected, estimated.
    pub est_tokens: u64,
    /// The license's id.
    pub license: String,
    #[serde(skip)]
    pub(crate) dataset: CatalogDataset,
    #[serde(skip)]
    pub(crate) pin: Pin,
    #[serde(skip)]
    pub(crate) target_percent: f64,
    #[serde(skip)]
    pub(crate) bytes_per_token: f64,
}

/// What a budget came to.
#[derive(Debug, Clone, Serialize)]
pub struct BudgetPlan {
    /// What was asked for.
    pub budget: Budget,
    /// The same in tokens, estimated.
    pub budget_tokens: u64,
    /// Tokens of the categories, what is there included.
    pub categories: Vec<CategoryBudget>,
    /// The category that keeps the total below the budget.
    pub binding: Option<String>,
    /// Categories without data, whose shares the others have.
    pub empty: Vec<String>,
}

/// What a category has of a budget.
#[derive(Debug, Clone, Serialize)]
pub struct CategoryBudget {
    /// Its name.
    pub name: String,
    /// The share that it is to have, in percent.
    pub target_percent: f64,
    /// Tokens.
    pub tokens: u64,
    /// Tokens of its datasets.
    pub datasets: BTreeMap<String, u64>,
}

fn as_text<S: serde::Serializer>(
    skipped: &[(String, Error)],
    serializer: S,
) -> std::result::Result<S::Ok, S::Error> {
    serializer.collect_map(skipped.iter().map(|(name, error)| (name, error.to_string())))
}

/// A dataset with what it is made of.
struct Candidate<'a> {
    dataset: &'a CatalogDataset,
    category: &'a Category,
    pin: Pin,
    state: DatasetState,
    stats: Option<DatasetStats>,
}

/// Looks at the lock, the disk and, for what is not pinned, the Hub, and says what a run would do.
///
/// # Errors
/// Those of reading; those of the Hub that concern more than
/// one dataset. What concerns one is in [`Plan::skipped`].
pub fn plan(catalog: &Catalog, selected: Selected, options: Options, hub: &Hub<'_>) -> Result<Plan> {
    let data = Data::new(&options.output);
    let mut lock = Lock::read(&data.pins())?;
    let mut lock_is_new = false;
    let mut skipped = Vec::new();
    let mut candidates = Vec::new();
    for dataset in &selected.datasets {
        let pin = match pin_of(dataset, &lock, options.update, hub) {
            Ok(pin) => pin,
            Err(error) if is_of_one_dataset(&error) => {
                skipped.push((dataset.name.clone(), error));
                continue;
            }
            Err(error) => return Err(error),
        };
        if lock.datasets.get(&dataset.name) != Some(&pin) {
            lock_is_new = true;
            lock.datasets.insert(dataset.name.clone(), pin.clone());
        }
        let (state, stats) = state(dataset, &data, Some(&pin))?;
        if state == DatasetState::Foreign {
            let path = data.records(&dataset.category, &dataset.name);
            skipped.push((dataset.name.clone(), Error::NotOurs { path }));
            continue;
        }
        let category = catalog.category(&dataset.category)?;
        candidates.push(Candidate { dataset, category, pin, state, stats });
    }
    let budget = match options.budget {
        Some(budget) => Some(solve_budget(catalog, &candidates, budget, &data, &options)?),
        None => None,
    };
    let mut plan = Plan {
        datasets: Vec::new(),
        kept: Vec::new(),
        left_out: selected.left_out,
        skipped,
        download_bytes: 0,
        disk_bytes: 0,
        requests_made: hub.requests_sent(),
        requests: 0,
        budget: None,
        options,
        lock,
        lock_is_new,
    };
    for (index, candidate) in candidates.iter().enumerate() {
        let target = budget.as_ref().map(|(_, targets)| targets[index]);
        plan.add(candidate, target, &data, hub)?;
    }
    plan.budget = budget.map(|(budget, _)| budget);
    Ok(plan)
}

/// What a dataset is made of: as the lock says, or else the Hub.
fn pin_of(dataset: &CatalogDataset, lock: &Lock, update: bool, hub: &Hub<'_>) -> Result<Pin> {
    match lock.datasets.get(&dataset.name).filter(|pin| is_of(pin, dataset) && !update) {
        Some(pin) => {
            // It may be a stranger's.
            pin.files.iter().try_for_each(|file| remote(pin, file).map(drop))?;
            Ok(pin.clone())
        }
        None => pin(hub, dataset),
    }
}

/// Whether an error concerns only one dataset, so that the run continues with the others.
pub(crate) fn is_of_one_dataset(error: &Error) -> bool {
    match error {
        Error::Hub(error) => matches!(
            error,
            HubError::Gated { .. }
                | HubError::RepoNotFound { .. }
                | HubError::RevisionNotFound { .. }
                | HubError::EntryNotFound { .. }
                | HubError::Disabled { .. }
                | HubError::InvalidRepoId { .. }
                | HubError::InvalidRevision { .. }
                | HubError::Checksum { .. }
                | HubError::Changed { .. }
                | HubError::Listing { .. }
                | HubError::Status { status: 400..=499, .. }
                | HubError::Unreachable { source: Unreachable::Slow, .. }
        ),
        Error::NoFiles { .. }
        | Error::SeveralConfigs { .. }
        | Error::CardTooLong { .. }
        | Error::Pin { .. }
        | Error::Unfetchable { .. }
        | Error::UnknownFormat { .. }
        | Error::BrokenFile { .. }
        | Error::NoRecords { .. } => true,
        _ => false,
    }
}

impl Plan {
    /// Whether a run may fetch so much, and whether the disk can hold it.
    ///
    /// # Errors
    /// [`Error::TooMuch`], [`Error::TooLittleSpace`].
    pub fn check(&self) -> Result<()> {
        let root = &self.options.output;
        if self.download_bytes > self.options.max_download {
            return Err(Error::TooMuch { needed: self.download_bytes, limit: self.options.max_download });
        }
        let needed = self.disk_bytes.saturating_add(RESERVE_BYTES);
        match free_space(root) {
            Some(free) if !self.datasets.is_empty() && free < needed => {
                Err(Error::TooLittleSpace { path: root.clone(), needed, free })
            }
            _ => Ok(()),
        }
    }

    /// Adds what has to be done for a dataset, of which `target` tokens are wanted where there is a budget.
    fn add(
        &mut self,
        candidate: &Candidate<'_>,
        target: Option<u64>,
        data: &Data,
        hub: &Hub<'_>,
    ) -> Result<()> {
        let Candidate { dataset, category, pin, state, stats } = candidate;
        let (files, mut take) = match target {
            Some(target) => part_of(candidate, target),
            None => (capped(dataset, pin), Take::ALL),
        };
        take.max_rows = self.options.max_rows;
        let enough = stats.as_ref().is_some_and(|stats| is_enough(stats, &files, &take, target, category));
        if files.is_empty() || (*state == DatasetState::Complete && enough) {
            self.kept.extend((*state == DatasetState::Complete).then(|| dataset.name.clone()));
            return Ok(());
        }
        let source = DatasetSource { repo: dataset.repo.clone(), commit: pin.commit.clone(), files };
        let making = Making { catalog_checksum: dataset.checksum(), source, take };
        let download_bytes = self.add_missing(&making, candidate, data, hub)?;
        let files = making.source.files;
        let untaken = untaken(pin, files.len());
        let why = match state {
            DatasetState::Complete => DatasetState::Outdated("another part of it is wanted".into()),
            state => state.clone(),
        };
        let text_bytes = files.iter().map(|file| text_of_file(dataset, file) as f64).sum::<f64>()
            * f64::from(take.rows_per_million)
            / 1e6;
        let records = (text_bytes * records_per_text(dataset)) as u64;
        self.disk_bytes = self.disk_bytes.saturating_add(records).saturating_add(self.raw_bytes(&files));
        self.datasets.push(DatasetPlan {
            name: dataset.name.clone(),
            category: dataset.category.clone(),
            why,
            repo: dataset.repo.clone(),
            commit: pin.commit.clone(),
            files,
            untaken,
            take,
            download_bytes,
            est_tokens: tokens_of(text_bytes as u64, category),
            license: pin.license.clone(),
            dataset: (*dataset).clone(),
            pin: pin.clone(),
            target_percent: category.target_percent,
            bytes_per_token: category.bytes_per_token,
        });
        Ok(())
    }

    /// Bytes of fetched files that lie beside the records at the same time.
    fn raw_bytes(&self, files: &[PinnedFile]) -> u64 {
        let raw = files.iter().map(|file| file.size);
        if self.options.keep_raw {
            raw.fold(0, u64::saturating_add)
        } else {
            raw.take(FILES_AHEAD).max().unwrap_or(0)
        }
    }

    /// Adds what has to be fetched of a dataset, and returns its bytes.
    fn add_missing(
        &mut self,
        making: &Making,
        Candidate { dataset, pin, .. }: &Candidate<'_>,
        data: &Data,
        hub: &Hub<'_>,
    ) -> Result<u64> {
        let mut bytes: u64 = 0;
        for file in &making.source.files[files_done(data, dataset, making)?..] {
            let destination = data.raw(&dataset.name).join(&file.path);
            let remote = remote(pin, file)?;
            let there = match fs::metadata(&destination) {
                Ok(metadata) => metadata.len().min(file.size),
                Err(_) => partial(&destination, &remote).map_or(0, |partial| partial.done),
            };
            let missing = file.size.saturating_sub(there);
            bytes = bytes.saturating_add(missing);
            self.requests += hub.requests_for(&remote, missing);
        }
        self.download_bytes = self.download_bytes.saturating_add(bytes);
        Ok(bytes)
    }
}

/// The files of a repository that are not among the first `taken` of its pin.
fn untaken(pin: &Pin, taken: usize) -> Vec<UntakenFiles> {
    let mut untaken = pin.untaken.clone();
    for file in pin.files.iter().skip(taken) {
        add_untaken(&mut untaken, WhyUntaken::BeyondLimit, &file.path, file.size);
    }
    untaken
}

impl DatasetPlan {
    /// What decides about every byte of its records.
    pub(crate) fn making(&self) -> Making {
        let source =
            DatasetSource { repo: self.repo.clone(), commit: self.commit.clone(), files: self.files.clone() };
        Making { catalog_checksum: self.dataset.checksum(), source, take: self.take }
    }
}

/// The first files of a pin, as far as the catalogue's limit goes, at least one.
fn capped(dataset: &CatalogDataset, pin: &Pin) -> Vec<PinnedFile> {
    let limit = dataset.max_download_bytes.unwrap_or(u64::MAX);
    let mut bytes = 0;
    let within = |file: &&PinnedFile| {
        let first = bytes == 0;
        bytes = u64::saturating_add(bytes, file.size);
        first || bytes <= limit
    };
    pin.files.iter().take_while(within).cloned().collect()
}

/// The files, and how many of their rows, that give about `target` tokens.
fn part_of(candidate: &Candidate<'_>, target: u64) -> (Vec<PinnedFile>, Take) {
    let mut tokens = 0;
    let enough = |file: &PinnedFile| {
        let before = tokens;
        tokens += tokens_of(text_of_file(candidate.dataset, file), candidate.category);
        before < target
    };
    let files: Vec<_> = capped(candidate.dataset, &candidate.pin).into_iter().take_while(enough).collect();
    let there: u64 =
        files.iter().map(|file| tokens_of(text_of_file(candidate.dataset, file), candidate.category)).sum();
    let rows_per_million =
        if target >= there { 1_000_000 } else { (target as f64 / there as f64 * 1e6).ceil() as u32 };
    (files, Take { rows_per_million, ..Take::ALL })
}

/// Whether what is there is as much as is wanted, or more.
fn is_enough(
    stats: &DatasetStats,
    files: &[PinnedFile],
    take: &Take,
    target: Option<u64>,
    category: &Category,
) -> bool {
    let have = &stats.take;
    let rows = match (have.max_rows, take.max_rows) {
        (None, _) => true,
        (Some(have), Some(wanted)) => have >= wanted,
        (Some(_), None) => false,
    };
    if let Some(target) = target {
        // Estimates are no reason to make a dataset again for a little more.
        let tokens = tokens_of(stats.counts.text_bytes, category);
        let all = stats.source.files.len() >= files.len() && have.rows_per_million >= take.rows_per_million;
        return rows && (all || tokens as f64 >= target as f64 * 0.95);
    }
    rows && stats.source.files.starts_with(files)
        && have.rows_per_million >= take.rows_per_million
        && have.max_bytes.is_none()
}

/// What each of the candidates is to give of a budget, in tokens.
fn solve_budget(
    catalog: &Catalog,
    candidates: &[Candidate<'_>],
    budget: Budget,
    data: &Data,
    options: &Options,
) -> Result<(BudgetPlan, Vec<u64>)> {
    let mut groups = Vec::new();
    let mut members = Vec::new();
    for category in &catalog.curriculum.category {
        let of_it: Vec<usize> =
            (0..candidates.len()).filter(|&index| candidates[index].category.name == category.name).collect();
        let sources = of_it.iter().map(|&index| source_of(&candidates[index], options));
        let known: BTreeSet<&str> =
            candidates.iter().map(|candidate| candidate.dataset.name.as_str()).collect();
        // What else lies in the folder counts, too: a user's own files and datasets that were not asked for.
        let own = own_files(data, &known, category, &options.exact_tokens)?;
        groups.push(BudgetCategory {
            name: category.name.clone(),
            target: category.target_percent,
            own: own.iter().map(|file| file.tokens).sum(),
            sources: sources.collect(),
        });
        members.push(of_it);
    }
    let budget_tokens = match budget {
        Budget::Tokens(tokens) => tokens,
        Budget::Bytes(bytes) => (bytes as f64 / mean_bytes_per_token(catalog, &groups)) as u64,
    };
    let Solution { takes, binding, empty } = solve(&groups, budget_tokens);
    let mut targets = vec![0; candidates.len()];
    let mut categories = Vec::new();
    for (group, (indices, takes)) in groups.iter().zip(members.iter().zip(&takes)) {
        indices.iter().zip(takes).for_each(|(&index, &take)| targets[index] = take);
        let named = indices.iter().map(|&index| candidates[index].dataset.name.clone());
        categories.push(CategoryBudget {
            name: group.name.clone(),
            target_percent: group.target,
            tokens: group.own + takes.iter().sum::<u64>(),
            datasets: named.zip(takes.iter().copied()).collect(),
        });
    }
    let name = |index: usize| groups[index].name.clone();
    let plan = BudgetPlan {
        budget,
        budget_tokens,
        categories,
        binding: binding.map(name),
        empty: empty.into_iter().map(name).collect(),
    };
    Ok((plan, targets))
}

fn source_of(candidate: &Candidate<'_>, options: &Options) -> budget::BudgetDataset {
    let whole = candidate.stats.as_ref().filter(|_| candidate.state == DatasetState::Complete);
    let estimate = whole.map_or(0, |stats| tokens_of(stats.counts.text_bytes, candidate.category));
    let have = match options.exact_tokens.get(&candidate.dataset.name) {
        Some(&exact) if whole.is_some() => exact,
        _ => estimate,
    };
    let text = capped(candidate.dataset, &candidate.pin);
    // There is no more than all of it, whatever its files' sizes promised.
    if whole.is_some_and(|stats| stats.take == Take::ALL && stats.source.files == text) {
        return budget::BudgetDataset { have, available: have };
    }
    let text = text.iter().map(|file| text_of_file(candidate.dataset, file)).fold(0, u64::saturating_add);
    budget::BudgetDataset { have, available: tokens_of(text, candidate.category) }
}

/// Bytes a token over the categories that have data, weighed by their shares.
fn mean_bytes_per_token(catalog: &Catalog, groups: &[BudgetCategory]) -> f64 {
    let with_data = catalog.curriculum.category.iter().zip(groups).filter(|(_, group)| {
        group.own > 0 || group.sources.iter().any(|source| source.available.max(source.have) > 0)
    });
    let (bytes, shares) = with_data.fold((0.0, 0.0), |(bytes, shares), (category, _)| {
        (bytes + category.target_percent * category.bytes_per_token, shares + category.target_percent)
    });
    if shares > 0.0 { bytes / shares } else { 4.0 }
}

/// Bytes of records for a byte of text: what is said stands in the text and in the messages.
const fn records_per_text(dataset: &CatalogDataset) -> f64 {
    if matches!(dataset.render, Render::Text(_)) { 1.2 } else { 2.3 }
}
