//! What is kept of a tokenizer from one start to the next.
//!
//! Two files, found by the hash of the `tokenizer.json`: the verdict on its fast engine,
//! which saves the self-check, and our own engine's tables, which save reading the
//! vocabulary into them. Both can be made again, so a file that is missing, damaged or
//! of another version counts as none, one that can't be written is let go, and the
//! whole folder can be deleted at any time.

use std::path::{Path, PathBuf};

use mashbill_store::{atomic, open};
use mashbill_subword::SubwordEngine;

use super::verdict::Verdict;

/// The largest verdict in bytes.
const VERDICT_BYTES_MAX: u64 = 1 << 20;

/// The largest file of an engine's tables in bytes.
const TABLES_BYTES_MAX: u64 = 1 << 30;

/// The files of one tokenizer in a cache folder, if there is one.
pub(super) struct TokenizerCache<'a> {
    folder: Option<&'a Path>,
    sha256: &'a str,
}

impl<'a> TokenizerCache<'a> {
    pub(super) fn new(folder: Option<&'a Path>, tokenizer_sha256: &'a str) -> Self {
        Self { folder, sha256: tokenizer_sha256 }
    }

    /// The verdict on the tokenizer by the engines and the texts of this version.
    pub(super) fn verdict(&self) -> Option<Verdict> {
        let text = open::read(&self.verdict_path()?, VERDICT_BYTES_MAX).ok()?;
        let verdict: Verdict = serde_json::from_slice(&text).ok()?;
        verdict.holds_for(self.sha256).then_some(verdict)
    }

    pub(super) fn keep_verdict(&self, verdict: &Verdict) {
        let text = serde_json::to_vec(verdict).expect("a verdict is JSON");
        self.keep(self.verdict_path(), &text);
    }

    /// The engine with its tables, where they are there and whole.
    pub(super) fn tables(&self) -> Option<SubwordEngine> {
        let file = open::read(&self.tables_path()?, TABLES_BYTES_MAX).ok()?;
        // A file that was renamed holds another tokenizer's tables.
        let tables = file.strip_prefix(self.sha256.as_bytes())?;
        SubwordEngine::from_bytes(tables).ok()
    }

    pub(super) fn keep_tables(&self, engine: &SubwordEngine) {
        if self.folder.is_some() {
            self.keep(self.tables_path(), &[self.sha256.as_bytes(), &engine.to_bytes()].concat());
        }
    }

    fn verdict_path(&self) -> Option<PathBuf> {
        Some(self.folder?.join("verdicts").join(format!("{}.json", self.sha256)))
    }

    fn tables_path(&self) -> Option<PathBuf> {
        let name = format!("{}.v{}", self.sha256, mashbill_subword::VERSION);
        Some(self.folder?.join("tables").join(name))
    }

    /// Writes a file if that can be done: without it the next start is slower, no more.
    fn keep(&self, path: Option<PathBuf>, bytes: &[u8]) {
        let Some(path) = path else { return };
        let Some(folder) = path.parent() else { return };
        let temporary = folder.join(format!("{}.tmp{}", self.sha256, std::process::id()));
        if atomic::create_folder(folder).is_ok() {
            drop(atomic::replace(&path, &temporary, bytes));
        }
    }
}
