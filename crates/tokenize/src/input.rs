//! Which files there are, and what each is called.
//!
//! A split is a file, named after it. The walk is sorted and takes only names it
//! knows, and never a file of mashbill's own making: a second run must find the same
//! input as the first, wherever the first put its output.

use std::collections::{BTreeMap, HashSet};
use std::fs::{self, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use mashbill_format::layout::{DOCUMENTS, MANIFEST, REJECTS_SUFFIX, STATS_SUFFIX, UNITS_SUFFIX};
use mashbill_format::name;

use crate::error::{Error, Result};

/// An input file and the split it becomes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input {
    /// The split's name.
    pub split: String,
    /// The file.
    pub path: PathBuf,
    /// Its path from the input folder on, with `/` between folders.
    pub relative: String,
    /// What is in it.
    pub kind: Kind,
    /// Size on the disk in bytes.
    pub size: u64,
    /// Modification time in nanoseconds since 1970.
    pub modified_ns: u64,
}

/// The formats that are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// JSON Lines.
    JsonLines,
    /// JSON Lines in gzip.
    JsonLinesGzip,
    /// JSON Lines in Zstandard.
    JsonLinesZstd,
    /// Parquet with a text column.
    Parquet,
}

impl Kind {
    /// The ends of file names, longest first.
    const SUFFIXES: [(&'static str, Self); 4] = [
        (".jsonl.gz", Self::JsonLinesGzip),
        (".jsonl.zst", Self::JsonLinesZstd),
        (".parquet", Self::Parquet),
        (".jsonl", Self::JsonLines),
    ];

    /// The stem and the kind of a file name; none for other files, hidden ones and files of refused lines.
    fn of(name: &str) -> Option<(&str, Self)> {
        if name.starts_with('.') || name.ends_with(REJECTS_SUFFIX) || name.ends_with(UNITS_SUFFIX) {
            return None;
        }
        let found =
            Self::SUFFIXES.iter().find_map(|&(suffix, kind)| Some((name.strip_suffix(suffix)?, kind)));
        found.filter(|(stem, _)| !stem.is_empty())
    }

    /// How many bytes of text a byte of the file stands for, roughly: for estimates before anything is read.
    #[must_use]
    pub const fn expansion(self) -> f64 {
        match self {
            Self::JsonLines => 1.0,
            Self::JsonLinesGzip | Self::Parquet => 3.5,
            Self::JsonLinesZstd => 4.0,
        }
    }
}

/// How splits are named.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SplitNames {
    /// After the file: `code/apps.jsonl` is `apps`.
    #[default]
    Stem,
    /// After the file and the folders it is in: `code/apps.jsonl` is `code__apps`.
    Path,
}

/// Finds the input files at `input`, a file or a folder, sorted by split. `output` is never entered.
///
/// # Errors
/// [`Error::InputMissing`], [`Error::InputUnknown`], [`Error::InputIsOutput`], [`Error::NoInput`],
/// [`Error::SplitTwice`], [`Error::SplitName`], [`Error::Read`].
pub fn discover(input: &Path, output: &Path, recursive: bool, names: SplitNames) -> Result<Vec<Input>> {
    let metadata = match fs::metadata(input) {
        Ok(metadata) => metadata,
        Err(source) if source.kind() == io::ErrorKind::NotFound => {
            return Err(Error::InputMissing { path: input.to_owned() });
        }
        Err(source) => return Err(Error::read(input, source)),
    };
    let mut found = Vec::new();
    if metadata.is_dir() {
        let name = input.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if is_our_own(input, name) {
            return Err(Error::InputIsOutput { path: input.to_owned() });
        }
        let mut walk = Walk { output: fs::canonicalize(output).ok(), seen: HashSet::new(), names, found };
        walk.folder(input, &mut Vec::new(), recursive)?;
        found = walk.found;
        if found.is_empty() {
            let mut deeper = Walk { output: walk.output, seen: HashSet::new(), names, found };
            if !recursive {
                deeper.folder(input, &mut Vec::new(), true)?;
            }
            return Err(Error::NoInput { path: input.to_owned(), deeper: deeper.found.len() });
        }
    } else {
        let name = input.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let Some((stem, kind)) = Kind::of(name) else {
            return Err(Error::InputUnknown { path: input.to_owned() });
        };
        found.push(Input::new(stem.to_owned(), input, name.to_owned(), kind, &metadata));
    }
    one_a_split(found)
}

fn one_a_split(found: Vec<Input>) -> Result<Vec<Input>> {
    let mut by_split: BTreeMap<String, Input> = BTreeMap::new();
    for input in found {
        // What is written into the manifest has to be readable from there.
        let refused = name::check(&input.split).and_then(|()| name::check_path(&input.relative));
        if let Err(why) = refused {
            return Err(Error::SplitName { split: input.split, path: input.path, why });
        }
        if let Some(first) = by_split.get(&input.split) {
            return Err(Error::SplitTwice {
                split: input.split,
                first: first.path.clone(),
                second: input.path,
            });
        }
        by_split.insert(input.split.clone(), input);
    }
    Ok(by_split.into_values().collect())
}

struct Walk {
    output: Option<PathBuf>,
    /// Folders that were entered, so that a circle of links ends.
    seen: HashSet<PathBuf>,
    names: SplitNames,
    found: Vec<Input>,
}

impl Walk {
    fn folder(&mut self, folder: &Path, above: &mut Vec<String>, recursive: bool) -> Result<()> {
        let canonical = fs::canonicalize(folder).map_err(|source| Error::read(folder, source))?;
        if self.output.as_ref() == Some(&canonical) || !self.seen.insert(canonical) {
            return Ok(());
        }
        let entries = fs::read_dir(folder).map_err(|source| Error::read(folder, source))?;
        let mut paths = Vec::new();
        for entry in entries {
            paths.push(entry.map_err(|source| Error::read(folder, source))?.path());
        }
        paths.sort();
        for path in paths {
            let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
                return Err(Error::InputUnknown { path });
            };
            // A link that leads nowhere is data that is missing: reading it fails, and says so.
            let Ok(metadata) = fs::metadata(&path).or_else(|_| fs::symlink_metadata(&path)) else { continue };
            if metadata.is_dir() {
                if recursive && !name.starts_with('.') && !is_our_own(&path, name) {
                    above.push(name.to_owned());
                    self.folder(&path, above, recursive)?;
                    above.pop();
                }
            } else if let Some((stem, kind)) = Kind::of(name) {
                let relative = above.iter().map(String::as_str).chain([name]).collect::<Vec<_>>().join("/");
                let split = match self.names {
                    SplitNames::Stem => stem.to_owned(),
                    SplitNames::Path => {
                        above.iter().map(String::as_str).chain([stem]).collect::<Vec<_>>().join("__")
                    }
                };
                self.found.push(Input::new(split, &path, relative, kind, &metadata));
            }
        }
        Ok(())
    }
}

/// Whether a folder is an output folder or a finished split.
fn is_our_own(folder: &Path, name: &str) -> bool {
    let split = folder.join(DOCUMENTS).exists() && folder.join(format!("{name}{STATS_SUFFIX}")).exists();
    split || folder.join(MANIFEST).exists()
}

impl Input {
    fn new(split: String, path: &Path, relative: String, kind: Kind, metadata: &Metadata) -> Self {
        let (size, modified_ns) = stamp(metadata);
        Self { split, path: path.to_owned(), relative, kind, size, modified_ns }
    }

    /// The file's name without its ending.
    pub(crate) fn stem(&self) -> Option<&str> {
        Kind::of(self.path.file_name()?.to_str()?).map(|(stem, _)| stem)
    }
}

/// A file's size in bytes and modification time in nanoseconds since 1970: where both are unchanged,
/// so is the file.
pub(crate) fn stamp(metadata: &Metadata) -> (u64, u64) {
    let modified = metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    (metadata.len(), modified.map_or(0, |since| u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(files: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a folder");
        for file in files {
            let path = folder.path().join(file);
            fs::create_dir_all(path.parent().expect("it has one")).expect("a folder");
            fs::write(path, "{}\n").expect("a file");
        }
        folder
    }

    fn splits(root: &Path, recursive: bool, names: SplitNames) -> Result<Vec<String>> {
        let found = discover(root, &root.join("out"), recursive, names)?;
        Ok(found.into_iter().map(|input| format!("{}={}", input.split, input.relative)).collect())
    }

    #[test]
    fn a_split_is_a_file_and_our_own_files_are_none() {
        let tree = tree(&[
            "b.jsonl",
            "a.jsonl.gz",
            "c.parquet",
            "notes.txt",
            ".hidden.jsonl",
            "b_rejects.jsonl",
            "code/d.jsonl.zst",
            "made/manifest.json",
            "made/b/shard_0000.parquet",
            "copied/shard_0000.parquet",
            "copied/documents.parquet",
            "copied/copied_stats.json",
            "b_units.jsonl.zst",
            "out/b/shard_0000.parquet",
            "code/.x/e.jsonl",
        ]);
        assert_eq!(
            splits(tree.path(), false, SplitNames::Stem).expect("there is input"),
            ["a=a.jsonl.gz", "b=b.jsonl", "c=c.parquet"]
        );
        assert_eq!(
            splits(tree.path(), true, SplitNames::Path).expect("there is input"),
            ["a=a.jsonl.gz", "b=b.jsonl", "c=c.parquet", "code__d=code/d.jsonl.zst"]
        );
    }

    #[test]
    fn refusals_say_what_would_help() {
        let twice = tree(&["chat/a.jsonl", "code/a.jsonl"]);
        match splits(twice.path(), true, SplitNames::Stem) {
            Err(Error::SplitTwice { split, first, second }) => {
                assert_eq!(split, "a");
                assert!(first.ends_with("chat/a.jsonl") && second.ends_with("code/a.jsonl"));
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(
            splits(twice.path(), true, SplitNames::Path).expect("the names differ"),
            ["chat__a=chat/a.jsonl", "code__a=code/a.jsonl"]
        );
        assert!(matches!(
            splits(twice.path(), false, SplitNames::Stem),
            Err(Error::NoInput { deeper: 2, .. })
        ));
        assert!(matches!(
            splits(&twice.path().join("x"), false, SplitNames::Stem),
            Err(Error::InputMissing { .. })
        ));
        let text = tree(&["a.txt"]);
        assert!(matches!(
            splits(&text.path().join("a.txt"), false, SplitNames::Stem),
            Err(Error::InputUnknown { .. })
        ));
        let made = tree(&["manifest.json", "a.jsonl"]);
        assert!(matches!(splits(made.path(), false, SplitNames::Stem), Err(Error::InputIsOutput { .. })));
    }
}
