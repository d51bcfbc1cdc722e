//! What a run did.

use std::time::Instant;

use mashbill_format::manifest::Manifest;
use mashbill_format::stats::Stats;

use crate::card::CardReport;
use crate::error::Error;
use crate::folder::Folder;

/// What a run did.
#[derive(Debug)]
pub struct Report {
    /// The output folder: of all documents, or of those to train on.
    pub train: PartReport,
    /// The folder of the documents that are held out, if any are.
    pub validation: Option<PartReport>,
    /// Splits that could not be made, and why.
    pub failed: Vec<(String, Error)>,
    /// Splits whose input is gone and that were removed.
    pub pruned: Vec<String>,
    /// What became of the dataset card.
    pub card: CardReport,
    /// Seconds from the first byte to the last manifest.
    pub seconds: f64,
}

/// What a run did in one folder.
#[derive(Debug)]
pub struct PartReport {
    /// The manifest as it is now.
    pub manifest: Manifest,
    /// Statistics of the splits that were made, in the order of their completion.
    pub made: Vec<Stats>,
}

impl Report {
    pub(crate) fn new(
        folders: Vec<Folder>,
        made: Vec<Vec<Stats>>,
        failed: Vec<(String, Error)>,
        started: Instant,
    ) -> Self {
        let folders = folders.into_iter().zip(made);
        let mut parts = folders.map(|(folder, made)| PartReport { manifest: folder.manifest, made });
        Self {
            train: parts.next().expect("there is a folder"),
            validation: parts.next(),
            failed,
            pruned: Vec::new(),
            card: CardReport::default(),
            seconds: started.elapsed().as_secs_f64(),
        }
    }
}
