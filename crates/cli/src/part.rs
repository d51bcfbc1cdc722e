//! A path within an output folder: only the whole folder says what each of its files has to be.

use std::path::{Path, PathBuf};

use mashbill_format::find::{is_our_own, is_output};
use mashbill_store::atomic::folder_of;

use crate::usage::Usage;

/// How deep a file lies in a split: in the folder of its document tables.
const DEPTH_MAX: usize = 3;

/// A split, and the output folder that it is of.
struct Part {
    output: PathBuf,
    split: String,
}

/// Fails where `path` is a split of an output folder or a file of one; `command` is what cannot take it.
pub(crate) fn check_whole(path: &Path, command: &'static str) -> Result<(), Usage> {
    let found = part_of(path).or_else(|| part_of(&std::path::absolute(path).ok()?));
    let Some(Part { output, split }) = found else { return Ok(()) };
    Err(Usage::IsPart { path: path.to_owned(), output, split, command })
}

fn part_of(path: &Path) -> Option<Part> {
    path.ancestors().take(DEPTH_MAX).find_map(|folder| {
        let split = folder.file_name()?.to_string_lossy().into_owned();
        let is_split = is_our_own(folder, &split) && !is_output(folder);
        is_split.then(|| Part { output: folder_of(folder).to_owned(), split })
    })
}
