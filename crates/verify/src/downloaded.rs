//! Downloaded records, held against what is said of them: `<name>.stats.json` beside them and `curriculum.lock`
//! above their category's folder.
//!
//! Whatever can be counted in the pass over the records is counted again: records, bytes, characters, lengths and
//! the checksum. The rest has to agree with itself, with the file's place and with the lock.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use mashbill_format::dataset_stats::{
    Checkpoint, DatasetStats, LengthBuckets, REJECTED_ROWS_KEPT, RejectedRow, Take,
};
use mashbill_format::error::{Error, Result};
use mashbill_format::layout::{DATASET_STATS_SUFFIX, Data, REJECTS_SUFFIX};
use mashbill_format::lock::{LOCK, Lock, Pin};
use mashbill_format::stats::REJECTS_BYTES_MAX;
use mashbill_records::record::Record;
use mashbill_store::atomic::folder_of;
use mashbill_store::checksum::Checksum;
use mashbill_store::open;

use crate::findings::Findings;
use crate::folder::{entries, name_below};
use crate::problem::{ProblemKind, ProblemPlace, Remedy};

/// What is said of the files of records below a path, by file.
pub(crate) type Claims = BTreeMap<PathBuf, Claim>;

/// What is said of a file of records.
#[derive(Debug)]
pub(crate) struct Claim {
    stats: DatasetStats,
    /// Where that is said.
    place: ProblemPlace,
    remedy: Remedy,
}

/// What is counted of a file of records.
#[derive(Debug, Default)]
pub(crate) struct Counted {
    records: u64,
    text_bytes: u64,
    chars: u64,
    lengths: LengthBuckets,
    /// The first line with a record of another dataset or category.
    stranger: Option<u64>,
}

/// Finds what is said of `files`, which are all that are at or below `root`, and tells where it contradicts itself.
///
/// # Errors
/// [`Error::TooNew`] where a newer mashbill wrote it, [`Io`](mashbill_store::Error::Io) where a folder cannot be read.
pub(crate) fn claims(root: &Path, files: &[PathBuf], findings: &Findings) -> Result<Claims> {
    let folders: BTreeSet<PathBuf> = folders_of(root, files)?;
    let mut locks = Locks::default();
    if root.is_dir() {
        locks.at(root, root, findings)?;
    }
    let mut claims = Claims::new();
    for folder in &folders {
        let data = parent(folder);
        let lock = locks.at(&data, root, findings)?;
        for (name, is_folder) in entries(folder)? {
            let Some(dataset) = name.strip_suffix(DATASET_STATS_SUFFIX).filter(|_| !is_folder) else {
                continue;
            };
            let records = files.iter().find(|file| is_of(file, folder, dataset));
            if !root.is_dir() && records.is_none() {
                continue;
            }
            let place = ProblemPlace::file(name_below(&folder.join(&name), root));
            let records_name = records.map(|records| name_below(records, root)).unwrap_or_default();
            let remedy = Remedy::DownloadAgain { dataset: dataset.into(), records: records_name };
            let pin = lock.and_then(|lock| lock.datasets.get(dataset));
            match DatasetStats::read(&folder.join(&name)) {
                Ok(Some(stats)) => {
                    let claim = Claim { stats, place, remedy };
                    claim.check(folder, dataset, lock.is_some(), pin, findings);
                    match records {
                        Some(records) => drop(claims.insert(records.clone(), claim)),
                        None => claim.no_records(findings),
                    }
                }
                Ok(None) if pin.is_some() => {
                    let detail = "it is cut off, or has other fields than statistics of a download";
                    findings.error(ProblemKind::Stats, place, remedy, detail);
                }
                Ok(None) => {
                    let detail = "it does not hold the statistics of a download: nothing is known about the file beside it";
                    findings.warning(ProblemKind::Stats, place, remedy, detail);
                }
                Err(error @ Error::TooNew { .. }) => return Err(error),
                Err(error) => findings.error(ProblemKind::Unreadable, place, remedy, error.to_string()),
            }
        }
    }
    locks.check_complete(root, files, findings);
    Ok(claims)
}

/// The folders in which records or their statistics may lie.
fn folders_of(root: &Path, files: &[PathBuf]) -> Result<BTreeSet<PathBuf>> {
    let mut folders: BTreeSet<PathBuf> = files.iter().map(|file| folder_of(file).to_owned()).collect();
    // Of a category whose records are gone the statistics may be left.
    if root.is_dir() {
        folders.insert(root.to_owned());
        for (name, is_folder) in entries(root)? {
            // A name that is not UTF-8 is that of no category.
            let folder = root.join(&name);
            if is_folder && !name.starts_with('.') && folder.is_dir() {
                folders.insert(folder);
            }
        }
    }
    Ok(folders)
}

/// The locks of the folders of downloaded datasets, by folder.
#[derive(Debug, Default)]
struct Locks(BTreeMap<PathBuf, Option<Lock>>);

impl Locks {
    /// The lock of the datasets in `folder`, where there is one that can be read.
    fn at(&mut self, folder: &Path, root: &Path, findings: &Findings) -> Result<Option<&Lock>> {
        if !self.0.contains_key(folder) {
            let path = folder.join(LOCK);
            let lock = match Lock::read(&path) {
                _ if !path.is_file() => None,
                Ok(lock) => Some(lock),
                Err(error @ Error::TooNew { .. }) => return Err(error),
                Err(error) => {
                    let what = if error.is_damage() { error.detail() } else { error.to_string() };
                    findings.error(
                        ProblemKind::Lock,
                        ProblemPlace::file(name_below(&path, root)),
                        Remedy::RestoreLock,
                        what,
                    );
                    None
                }
            };
            self.0.insert(folder.to_owned(), lock);
        }
        Ok(self.0[folder].as_ref())
    }

    /// Whether each dataset is there that a lock at or below `root` names.
    fn check_complete(&self, root: &Path, files: &[PathBuf], findings: &Findings) {
        for (folder, lock) in self.0.iter().filter(|(folder, _)| folder.starts_with(root)) {
            let data = Data::new(folder);
            for dataset in lock.iter().flat_map(|lock| lock.datasets.keys()) {
                let is_here = |file: &&PathBuf| {
                    let category = folder_of(file);
                    parent(category) == *folder && is_of(file, category, dataset)
                };
                let records = files.iter().find(is_here);
                let remedy = |records: String| Remedy::DownloadAgain { dataset: dataset.clone(), records };
                if data.checkpoint(dataset).is_file() {
                    let place = ProblemPlace::file(name_below(&data.making(dataset), root));
                    let (detail, remedy) = unfinished(&data, dataset);
                    findings.warning(ProblemKind::Unfinished, place, remedy, detail);
                } else if let Some(records) = records {
                    let stats = records.with_file_name(format!("{dataset}{DATASET_STATS_SUFFIX}"));
                    if !stats.is_file() {
                        let place = ProblemPlace::file(name_below(&stats, root));
                        let detail = "it is not there, so nothing says what the records beside it should be";
                        findings.error(
                            ProblemKind::Missing,
                            place,
                            remedy(name_below(records, root)),
                            detail,
                        );
                    }
                } else if !has_stats(folder, dataset) {
                    let place = ProblemPlace::file(name_below(&folder.join(LOCK), root));
                    let detail = format!("it names {dataset}, but there are no records of it");
                    findings.error(ProblemKind::Missing, place, remedy(String::new()), detail);
                }
            }
        }
    }
}

/// What has become of a download that has not ended, and what to do.
fn unfinished(data: &Data, dataset: &str) -> (String, Remedy) {
    let checkpoint = Checkpoint::read(&data.checkpoint(dataset)).ok().flatten();
    let dataset = dataset.to_owned();
    if checkpoint.is_some_and(|checkpoint| checkpoint.has_failed()) {
        let detail = format!("none of the rows of {dataset} became a record, so it was not made");
        return (detail, Remedy::Describe { dataset });
    }
    let detail = format!("the download of {dataset} is under way, or was interrupted");
    (detail, Remedy::DownloadAgain { dataset, records: String::new() })
}

/// Whether some category of `folder` has statistics of `dataset`; that its records are gone was told with them.
fn has_stats(folder: &Path, dataset: &str) -> bool {
    let name = format!("{dataset}{DATASET_STATS_SUFFIX}");
    entries(folder)
        .unwrap_or_default()
        .iter()
        .any(|(category, _)| folder.join(category).join(&name).is_file())
}

impl Claim {
    /// Checks what needs no pass over the records.
    fn check(&self, folder: &Path, name: &str, is_locked: bool, pin: Option<&Pin>, findings: &Findings) {
        let stats = &self.stats;
        let counts = &stats.counts;
        let accounted = [counts.rows_out, counts.rows_not_sampled]
            .into_iter()
            .chain(counts.rejected.values().copied())
            .fold(0, u64::saturating_add);
        self.same("rows_in", counts.rows_in, "its other counts add up to", accounted, findings);
        let Take { max_rows, max_bytes, .. } = stats.take;
        for (what, count, most) in
            [("rows_out", counts.rows_out, max_rows), ("jsonl_bytes", counts.jsonl_bytes, max_bytes)]
        {
            if let Some(most) = most.filter(|most| count > *most) {
                self.wrong(format!("{what}: {count} where at most {most} were to be taken"), findings);
            }
        }
        if !stats.complete {
            self.wrong("it says that the records are not complete".into(), findings);
        }
        if stats.dataset != name {
            self.wrong(format!("it is of the dataset {}", stats.dataset), findings);
        }
        let category = fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned());
        if category.file_name().and_then(OsStr::to_str) != Some(&stats.category) {
            self.wrong(format!("it is of the category {}", stats.category), findings);
        }
        self.check_rejects(&folder.join(format!("{name}{REJECTS_SUFFIX}")), findings);
        match pin {
            Some(pin) => self.check_pin(pin, findings),
            None if is_locked => self.against_lock(format!("{LOCK} does not name {name}"), findings),
            None => {}
        }
    }

    /// Compares where the records came from with the lock.
    fn check_pin(&self, pin: &Pin, findings: &Findings) {
        let stats = &self.stats;
        for (what, found, locked) in [
            ("repository", &stats.source.repo, &pin.repo),
            ("commit", &stats.source.commit, &pin.commit),
            ("license", &stats.license, &pin.license),
        ] {
            if found != locked {
                self.against_lock(format!("its {what} is {found}, and {LOCK} has {locked}"), findings);
            }
        }
        if stats.gated != pin.gated {
            self.against_lock(format!("{LOCK} differs on whether it is gated"), findings);
        }
        let files = &stats.source.files;
        if let Some((file, _)) = files.iter().zip(&pin.files).find(|(file, locked)| file != locked) {
            let detail = format!("the size, the hash or the place of {} is different in {LOCK}", file.path);
            self.against_lock(detail, findings);
        } else if files.len() > pin.files.len() {
            let (found, locked) = (files.len(), pin.files.len());
            self.against_lock(format!("it has {found} files, and {LOCK} {locked}"), findings);
        }
    }

    /// Checks the file of refused rows: the first are there, each of a reason that was counted.
    fn check_rejects(&self, path: &Path, findings: &Findings) {
        let file = self.place.file.strip_suffix(DATASET_STATS_SUFFIX).unwrap_or(&self.place.file);
        let place = ProblemPlace::file(format!("{file}{REJECTS_SUFFIX}"));
        let wrong = |place: ProblemPlace, detail: String| {
            findings.error(ProblemKind::Rejects, place, self.remedy.clone(), detail);
        };
        let rejected = &self.stats.counts.rejected;
        let text = match open::read_text(path, REJECTS_BYTES_MAX) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(error) => return wrong(place, error.to_string()),
        };
        let mut found = 0;
        for (number, line) in (1..).zip(text.lines()) {
            match serde_json::from_str::<RejectedRow>(line) {
                Ok(row) if rejected.contains_key(&row.reason) => found += 1,
                Ok(row) => {
                    wrong(place.line(number), format!("no row was refused for {}", row.reason));
                }
                Err(error) => wrong(place.line(number), error.to_string()),
            }
        }
        let all = rejected.values().copied().fold(0, u64::saturating_add);
        let expected = all.min(REJECTED_ROWS_KEPT as u64);
        if found != expected {
            wrong(place, format!("{found} refused rows where {expected} should be"));
        }
    }

    fn no_records(&self, findings: &Findings) {
        let file = self.place.file.strip_suffix(DATASET_STATS_SUFFIX).unwrap_or(&self.place.file);
        let place = ProblemPlace::file(format!("{file}.jsonl"));
        let detail =
            format!("it is not there, but the statistics count {} records", self.stats.counts.rows_out);
        findings.error(ProblemKind::Missing, place, self.remedy.clone(), detail);
    }

    /// Compares the records with what is said of them; `bytes` and `checksum` are those of their file, none where it
    /// was not read whole.
    pub(crate) fn check_records(
        &self,
        place: &ProblemPlace,
        counted: &Counted,
        whole: Option<(u64, Checksum)>,
        findings: &Findings,
    ) {
        let counts = &self.stats.counts;
        if let Some((bytes, checksum)) = whole {
            let error =
                |kind, detail: String| findings.error(kind, place.clone(), self.remedy.clone(), detail);
            if bytes != counts.jsonl_bytes {
                let said = counts.jsonl_bytes;
                error(ProblemKind::Size, format!("it has {bytes} bytes, and the statistics say {said}"));
            }
            if checksum != self.stats.jsonl_checksum {
                error(ProblemKind::Checksum, "its bytes are not those that were written".into());
            }
        }
        let records = "the records have";
        self.same("rows_out", counts.rows_out, records, counted.records, findings);
        self.same("text_bytes", counts.text_bytes, records, counted.text_bytes, findings);
        self.same("chars", counts.chars, records, counted.chars, findings);
        if self.stats.text_len != counted.lengths.summary() {
            self.wrong("text_len is not what the records give".into(), findings);
        }
        if let Some(line) = counted.stranger {
            let detail = format!(
                "its source and category are not {} and {}, as the statistics say",
                self.stats.dataset, self.stats.category
            );
            findings.error(ProblemKind::Stats, place.line(line), self.remedy.clone(), detail);
        }
    }

    /// Whether a record says that it is of another dataset or category.
    pub(crate) fn is_stranger(&self, record: &Record<'_>) -> bool {
        record.source != Some(&self.stats.dataset) || record.category != Some(&self.stats.category)
    }

    fn same(&self, what: &str, said: u64, by: &str, found: u64, findings: &Findings) {
        if said != found {
            self.wrong(format!("the statistics say {what} {said}; {by} {found}"), findings);
        }
    }

    fn wrong(&self, detail: String, findings: &Findings) {
        findings.error(ProblemKind::Stats, self.place.clone(), self.remedy.clone(), detail);
    }

    fn against_lock(&self, detail: String, findings: &Findings) {
        findings.error(ProblemKind::Lock, self.place.clone(), self.remedy.clone(), detail);
    }
}

impl Counted {
    /// Counts a record that stands at a line; `is_stranger` where it is none of the dataset's.
    pub(crate) fn count(&mut self, record: &Record<'_>, line: u64, is_stranger: bool) {
        let chars = record.text.chars().count() as u64;
        self.records += 1;
        self.text_bytes += record.text.len() as u64;
        self.chars += chars;
        self.lengths.count(chars);
        if is_stranger && self.stranger.is_none() {
            self.stranger = Some(line);
        }
    }

    /// Takes in what was counted of other lines of the same file.
    pub(crate) fn add(&mut self, other: Self) {
        self.records += other.records;
        self.text_bytes += other.text_bytes;
        self.chars += other.chars;
        self.lengths.add(&other.lengths);
        self.stranger = [self.stranger, other.stranger].into_iter().flatten().min();
    }
}

/// Whether a file in `folder` is that of the records of `dataset`.
fn is_of(file: &Path, folder: &Path, dataset: &str) -> bool {
    let found = file.file_name().and_then(OsStr::to_str).and_then(mashbill_records::FileKind::of);
    folder_of(file) == folder && found.is_some_and(|(stem, _)| stem == dataset)
}

/// The folder above, also where the path does not name it.
fn parent(folder: &Path) -> PathBuf {
    match folder.parent() {
        Some(parent) if folder.file_name().is_some() => parent.to_owned(),
        _ => folder.join(".."),
    }
}
