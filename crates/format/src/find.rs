//! Which files hold records, at or below a path: the same ones for every command.
//!
//! The walk is sorted. What mashbill made itself is never input: a second run must find the same files as the first,
//! wherever the first put its output. What could be data and is not read is named; a file that cannot be is refused
//! by itself. Nothing is opened but what can be read by offset: a pipe would wait for somebody to write to it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ffi::OsStr;
use std::fs::{self, Metadata};
use std::io;
use std::path::{Path, PathBuf};

use mashbill_records::{
    FileKind, ReadError, changed_ns, describes_data, escaped, is_about_data, is_unread_data, not_regular,
    stamp,
};
use serde::de::IgnoredAny;

use crate::dataset_stats::DatasetStats;
use crate::error::Error;
use crate::layout::{DATASET_STATS_SUFFIX, Output, REJECTS_SUFFIX, STATS_SUFFIX};
use crate::lock::LOCK;
use crate::manifest::{MANIFEST_BYTES_MAX, read_whole};
use crate::stats::{STATS_BYTES_MAX, Stats};

/// A file with records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordFile {
    /// The file.
    pub path: PathBuf,
    /// The folders between the root of the search and the file.
    pub folders: Vec<String>,
    /// Its name without the ending.
    pub stem: String,
    /// What is in it, by the name.
    pub kind: FileKind,
    /// Size on the disk in bytes.
    pub size: u64,
    /// Modification time in nanoseconds since 1970.
    pub modified_ns: u64,
    /// When it last changed, in nanoseconds since 1970; 0 if unknown.
    pub changed_ns: u64,
}

impl RecordFile {
    fn new(path: PathBuf, folders: &[String], stem: &str, kind: FileKind, metadata: &Metadata) -> Self {
        let (size, modified_ns) = stamp(metadata);
        let (folders, stem, changed_ns) = (folders.to_vec(), stem.to_owned(), changed_ns(metadata));
        Self { path, folders, stem, kind, size, modified_ns, changed_ns }
    }

    /// Its path from the root of the search on, with `/` between folders.
    #[must_use]
    pub fn relative(&self) -> String {
        let name = self.path.file_name().and_then(OsStr::to_str).unwrap_or_default();
        self.folders.iter().map(String::as_str).chain([name]).collect::<Vec<_>>().join("/")
    }
}

/// A file, or folder, that cannot be read although its name says that it should.
#[derive(Debug)]
pub struct RefusedFile {
    /// Its path from the root of the search on, for people.
    pub relative: String,
    /// Why.
    pub why: ReadError,
}

/// What a search found.
#[derive(Debug, Default)]
pub struct FoundFiles {
    /// Files with records, sorted by path.
    pub files: Vec<RecordFile>,
    /// Files with data of a kind that is not read, by their paths from the root on.
    pub left_out: Vec<String>,
    /// Files that seem to be no data, but for those for people, by their paths from the root on.
    pub others: Vec<String>,
    /// What should be read and cannot.
    pub refused: Vec<RefusedFile>,
    /// Folders with such files that are not entered, by their paths from the root on.
    pub not_entered: Vec<String>,
}

/// Where is looked for files.
#[derive(Debug, Clone, Copy)]
pub struct Search<'a> {
    /// Whether folders below the root are entered.
    pub recursive: bool,
    /// A folder that is never entered.
    pub output: Option<&'a Path>,
}

/// The files with records at or below `root`. A file that is named by hand is taken whatever it is called, as long as
/// its ending is one that is read; else nothing is found.
///
/// # Errors
/// [`ReadError`] of `root` itself.
pub fn find(root: &Path, search: Search<'_>) -> Result<FoundFiles, ReadError> {
    let metadata = fs::metadata(root)?;
    if metadata.is_dir() {
        let output = search.output.and_then(|output| fs::canonicalize(output).ok());
        let mut walk = Walk { output, seen: HashSet::new(), found: FoundFiles::default() };
        walk.folder(root, &mut Vec::new(), search.recursive)?;
        return Ok(walk.found);
    }
    not_regular(&metadata)?;
    let name = root.file_name().and_then(OsStr::to_str).ok_or(ReadError::NameNotUtf8)?;
    let file = |(stem, kind)| RecordFile::new(root.to_owned(), &[], stem, kind, &metadata);
    Ok(FoundFiles { files: FileKind::of(name).map(file).into_iter().collect(), ..FoundFiles::default() })
}

struct Walk {
    output: Option<PathBuf>,
    /// Folders that were entered, so that a circle of links ends.
    seen: HashSet<PathBuf>,
    found: FoundFiles,
}

impl Walk {
    fn folder(&mut self, folder: &Path, above: &mut Vec<String>, recursive: bool) -> io::Result<()> {
        let canonical = fs::canonicalize(folder)?;
        if self.output.as_ref() == Some(&canonical) || !self.seen.insert(canonical) {
            return Ok(());
        }
        let mut paths = fs::read_dir(folder)?
            .map(|entry| entry.map(|entry| entry.path()))
            .collect::<io::Result<Vec<_>>>()?;
        paths.sort();
        let mut own = OwnFiles { folder, known: HashMap::new() };
        for path in paths {
            // A link that leads nowhere is data that is missing: reading it fails, and says so.
            let Ok(metadata) = fs::metadata(&path).or_else(|_| fs::symlink_metadata(&path)) else { continue };
            let Some(os_name) = path.file_name() else { continue };
            if os_name.as_encoded_bytes().starts_with(b".") {
                continue;
            }
            let Some(name) = os_name.to_str() else {
                let lossy = os_name.to_string_lossy();
                if if metadata.is_dir() { recursive } else { FileKind::of(&lossy).is_some() } {
                    self.refuse(above, os_name, ReadError::NameNotUtf8);
                }
                continue;
            };
            if metadata.is_dir() {
                if is_our_own(&path, name) {
                    continue;
                }
                if !recursive {
                    self.pass_by(&path, name);
                } else {
                    above.push(name.to_owned());
                    let walked = self.folder(&path, above, recursive);
                    above.pop();
                    if let Err(error) = walked {
                        self.refuse(above, os_name, error.into());
                    }
                }
            } else if !own.has(name) {
                self.file(&path, above, name, &metadata);
            }
        }
        Ok(())
    }

    /// Notes a folder that is not entered if it has what would be read.
    fn pass_by(&mut self, folder: &Path, name: &str) {
        let mut below =
            Self { output: self.output.clone(), seen: self.seen.clone(), found: FoundFiles::default() };
        // What cannot be entered is no loss to who does not ask for it.
        if below.folder(folder, &mut Vec::new(), true).is_ok() && !below.found.files.is_empty() {
            self.found.not_entered.push(name.to_owned());
        }
    }

    fn file(&mut self, path: &Path, above: &[String], name: &str, metadata: &Metadata) {
        match FileKind::of(name) {
            Some((stem, kind)) if !describes_data(name) => {
                // A link that leads nowhere is no file, but reading it says so.
                match not_regular(metadata).err().filter(|_| !metadata.is_symlink()) {
                    Some(why) => self.refuse(above, OsStr::new(name), why),
                    None => {
                        self.found.files.push(RecordFile::new(path.to_owned(), above, stem, kind, metadata));
                    }
                }
            }
            _ if is_unread_data(name) => self.found.left_out.push(below(above, name)),
            _ if is_about_data(name) || name == LOCK => {}
            _ => self.found.others.push(below(above, name)),
        }
    }

    fn refuse(&mut self, above: &[String], name: &OsStr, why: ReadError) {
        self.found.refused.push(RefusedFile { relative: below(above, &escaped(name)), why });
    }
}

fn below(above: &[String], name: &str) -> String {
    above.iter().map(String::as_str).chain([name]).collect::<Vec<_>>().join("/")
}

/// Whether a folder is an output folder or a finished split.
#[must_use]
pub fn is_our_own(folder: &Path, name: &str) -> bool {
    is_split(folder, name) || is_output(folder)
}

/// Whether a folder is an output folder: it has a manifest of ours, or one that was ours and is damaged.
///
/// Others call files `manifest.json`, too. Theirs are whole and speak of no `format_version`, and neither a split nor
/// state of ours lies beside them.
#[must_use]
pub fn is_output(folder: &Path) -> bool {
    let output = Output::new(folder);
    let is_others = |json: &[u8]| {
        let is_json = serde_json::from_slice::<IgnoredAny>(json).is_ok();
        let fields = serde_json::from_slice::<BTreeMap<String, IgnoredAny>>(json).unwrap_or_default();
        is_json && !fields.contains_key("format_version")
    };
    let manifest = output.manifest();
    let foreign = || matches!(read_whole(&manifest, MANIFEST_BYTES_MAX), Ok(Some(json)) if is_others(&json));
    manifest.exists() && (output.state().root().exists() || has_splits(folder) || !foreign())
}

/// Whether a folder is a finished split: it appears whole, so its statistics are there.
fn is_split(folder: &Path, name: &str) -> bool {
    is_statistics(&folder.join(format!("{name}{STATS_SUFFIX}")))
}

/// Whether finished splits are in a folder.
#[must_use]
pub fn has_splits(folder: &Path) -> bool {
    let is_one = |entry: fs::DirEntry| is_split(&entry.path(), &entry.file_name().to_string_lossy());
    fs::read_dir(folder).is_ok_and(|entries| entries.flatten().any(is_one))
}

/// Whether the first run that writes to an output folder has not ended: it has state, and nothing that is finished.
#[must_use]
pub fn is_unfinished(folder: &Path) -> bool {
    let output = Output::new(folder);
    output.state().root().is_dir() && !output.manifest().exists() && !has_splits(folder)
}

/// Whether a file holds statistics of a split or of a dataset, as its name says.
fn is_statistics(path: &Path) -> bool {
    // A larger file is somebody's data.
    let small = |metadata: Metadata| metadata.is_file() && metadata.len() <= STATS_BYTES_MAX;
    let is_of_dataset = path.as_os_str().as_encoded_bytes().ends_with(DATASET_STATS_SUFFIX.as_bytes());
    fs::metadata(path).is_ok_and(small)
        && if is_of_dataset {
            matches!(DatasetStats::read(path), Ok(Some(_)) | Err(Error::TooNew { .. } | Error::TooOld { .. }))
        } else {
            matches!(Stats::read(path), Ok(Some(_)) | Err(Error::TooNew { .. } | Error::TooOld { .. }))
        }
}

/// Files of mashbill's own making in a folder: they lie beside what made them.
struct OwnFiles<'a> {
    folder: &'a Path,
    /// Whether statistics of these names are mashbill's.
    known: HashMap<String, bool>,
}

impl OwnFiles<'_> {
    fn has(&mut self, name: &str) -> bool {
        let of_split = |stem: &str| format!("{stem}{STATS_SUFFIX}");
        let of_dataset = |stem: &str| format!("{stem}{DATASET_STATS_SUFFIX}");
        if let Some(stem) = name.strip_suffix(REJECTS_SUFFIX) {
            return self.is_statistics(&of_split(stem)) || self.is_statistics(&of_dataset(stem));
        }
        if let Some(stem) = name.strip_suffix(DATASET_STATS_SUFFIX) {
            let records = self.folder.join(format!("{stem}.jsonl"));
            return records.exists() || self.is_statistics(name);
        }
        name.ends_with(STATS_SUFFIX) && self.is_statistics(name)
    }

    fn is_statistics(&mut self, name: &str) -> bool {
        if let Some(&known) = self.known.get(name) {
            return known;
        }
        let is_ours = is_statistics(&self.folder.join(name));
        self.known.insert(name.to_owned(), is_ours);
        is_ours
    }
}
