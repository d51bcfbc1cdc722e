//! The one pass that a report makes over a folder: `verify` reads it, and who reports looks on.

use std::path::Path;
use std::sync::atomic::AtomicBool;

use mashbill_format::catalog::Curriculum;
use mashbill_verify::{Event, Gather, Report};

use crate::error::{Error, Result};

/// How a folder is passed over.
#[derive(Debug, Clone, Copy)]
pub struct Pass<'a> {
    /// Threads that compute; 1 or more.
    pub threads: usize,
    /// The fields that may hold the text of a record; one or more. Of a tokenized folder the manifest knows them.
    pub text_fields: &'a [&'a str],
    /// The shares that its categories are to have, where no download says it.
    pub curriculum: &'a Curriculum,
    /// Set by whoever wants it to end.
    pub interrupted: &'a AtomicBool,
}

impl Pass<'_> {
    /// Verifies the folder on a thread for each of `gatherers`, which see what is read.
    pub(crate) fn verify<G: Gather>(
        &self,
        path: &Path,
        gatherers: &mut [G],
        on_event: &mut dyn FnMut(Event),
    ) -> Result<Report> {
        mashbill_verify::gathering(path, self.text_fields, gatherers, self.interrupted, on_event)?
            .ok_or_else(|| Error::Nothing { path: path.to_owned() })
    }
}
