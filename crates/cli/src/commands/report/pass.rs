//! The one pass that a report makes over a folder: `verify` reads it, and who reports looks on.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::Result;
use mashbill_verify::{Gather, Report};

use crate::commands::verify::check;
use crate::printer::Printer;

/// The one pass over a folder.
pub(super) struct Pass<'a> {
    pub(super) threads: usize,
    pub(super) text_fields: Vec<&'a str>,
    pub(super) interrupted: Arc<AtomicBool>,
    pub(super) printer: &'a Printer,
}

impl Pass<'_> {
    /// Verifies the folder on a thread for each of `gatherers`, which see what is read.
    pub(super) fn verify<G: Gather>(&self, path: &Path, gatherers: &mut [G]) -> Result<Option<Report>> {
        check(path, &self.text_fields, gatherers, &self.interrupted, self.printer)
    }
}
