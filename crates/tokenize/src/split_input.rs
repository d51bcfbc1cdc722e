//! An input file, and the files that become a split.

use std::path::PathBuf;

use mashbill_format::find::RecordFile;
use mashbill_records::FileKind;

/// An input file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input {
    /// The file.
    pub path: PathBuf,
    /// Its path from the input folder on, with `/` between folders.
    pub relative: String,
    /// What is in it.
    pub kind: FileKind,
    /// Size on the disk in bytes.
    pub size: u64,
    /// Modification time in nanoseconds since 1970.
    pub modified_ns: u64,
    /// When it last changed, in nanoseconds since 1970; 0 if unknown.
    pub changed_ns: u64,
}

/// A split that files become.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SplitInput {
    /// Its name.
    pub split: String,
    /// What its files are called, relative to the input folder: the file, or what many have in common.
    pub source: String,
    /// Its files in order, one or more.
    pub files: Vec<Input>,
}

impl Input {
    /// The file's name without its ending.
    pub(crate) fn stem(&self) -> Option<&str> {
        FileKind::of(self.path.file_name()?.to_str()?).map(|(stem, _)| stem)
    }
}

impl From<RecordFile> for Input {
    fn from(file: RecordFile) -> Self {
        let relative = file.relative();
        let RecordFile { path, kind, size, modified_ns, changed_ns, .. } = file;
        Self { path, relative, kind, size, modified_ns, changed_ns }
    }
}

impl SplitInput {
    /// Bytes of its files on the disk.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.files.iter().map(|file| file.size).sum()
    }
}
