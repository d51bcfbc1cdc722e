//! Whether a folder holds what its files say it holds.
//!
//! One function a check, one noun a file. A check never stops at the first thing it finds and never repairs: it
//! gives [`Problem`]s that say where, what, how bad, and what to do. A tokenized folder is read once from the
//! first byte to the last. Because its bytes are promised, most of it is checked by making the bytes again from
//! the document table and comparing; only a row group that differs is decoded value by value, which is ten times
//! slower and names the row. Memory holds one row group a thread.

mod problem;
mod report;
mod findings;
mod gather;
mod progress;
mod threads;
mod folder;
mod books;
mod beside;
mod held_out;
mod card;
mod outcome;
mod table;
mod expectation;
mod values;
mod links;
mod work;
mod tokenized;
mod raw;
mod downloaded;

use std::path::Path;
use std::sync::atomic::AtomicBool;

use mashbill_format::error::Result;

pub use folder::{FolderKind, folder_kind, name_below, records_below};
pub use gather::{DocumentSeen, Gather};
pub use problem::{Problem, ProblemKind, ProblemPlace, Remedy, Severity};
pub use progress::{Event, Progress};
pub use report::{Options, Report};

/// Checks the folder at `path`, or the file of records, as what it is; none where it is neither. `interrupted`
/// ends it early.
///
/// # Errors
/// [`Io`](mashbill_store::Error::Io) where the folder itself cannot be read,
/// [`Error::TooNew`](mashbill_format::Error::TooNew) where a newer mashbill made it. What is wrong with the files is no
/// error but a [`Problem`].
pub fn verify(
    path: &Path,
    options: Options,
    interrupted: &AtomicBool,
    on_event: &mut dyn FnMut(Event),
) -> Result<Option<Report>> {
    gathering(path, &["text"], &mut vec![(); options.threads.max(1)], interrupted, on_event)
}

/// Checks as [`verify`] does, on a thread for each of `gatherers`, which see what is read. The text of a record
/// is in the first of `text_fields`, one or more, that it has.
///
/// # Errors
/// Those of [`verify`].
pub fn gathering<G: Gather>(
    path: &Path,
    text_fields: &[&str],
    gatherers: &mut [G],
    interrupted: &AtomicBool,
    on_event: &mut dyn FnMut(Event),
) -> Result<Option<Report>> {
    let gatherers = gatherers.iter_mut().map(|gatherer| gatherer as &mut dyn Gather).collect();
    let Some(kind) = folder_kind(path)? else { return Ok(None) };
    match kind {
        FolderKind::Tokenized => tokenized::verify(path, gatherers, interrupted, on_event),
        FolderKind::Raw => raw::verify(path, text_fields, gatherers, interrupted, on_event),
    }
    .map(Some)
}
