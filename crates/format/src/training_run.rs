//! The folder of a training run: what tells one, its checkpoints, the records of its steps.
//!
//! The trainer, which is Python, writes it; whoever reports on a run reads it.

mod metrics;

use std::fs::{self, DirEntry};
use std::path::{Path, PathBuf};

pub use metrics::{Measurement, MetricsRecord, RECORD_BYTES_MAX, StepMetrics, records};

/// The records of a run: what each step and each measurement came to, one a line.
pub const METRICS: &str = "metrics.jsonl";

/// The resolved configuration of a run.
pub const CONFIG: &str = "config.yaml";

/// The largest configuration in bytes.
pub const CONFIG_BYTES_MAX: u64 = 16 << 20;

/// Folders of what the model was after some steps.
const CHECKPOINTS: &str = "checkpoints";

/// Whether the folder is that of a training run.
#[must_use]
pub fn is_run(folder: &Path) -> bool {
    // A pipe in its place is refused when it is read.
    folder.join(METRICS).exists()
}

/// The last checkpoint of the run in `folder`, and the steps that it has behind it.
#[must_use]
pub fn last_checkpoint(folder: &Path) -> Option<(u64, PathBuf)> {
    let entries = fs::read_dir(folder.join(CHECKPOINTS)).ok()?;
    entries.flatten().filter_map(|entry| Some((step_of(&entry)?, entry.path()))).max()
}

/// The step of a checkpoint; none where the entry is something else: a copy, a link, or spelled in another way.
fn step_of(entry: &DirEntry) -> Option<u64> {
    let name = entry.file_name();
    let step = name.to_str()?.strip_prefix("step_")?.parse().ok()?;
    let is_ours = *name == *format!("step_{step:08}") && entry.file_type().ok()?.is_dir();
    is_ours.then_some(step)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_checkpoint_is_a_folder_that_a_run_named() {
        let run = tempfile::tempdir().expect("a folder");
        assert_eq!(last_checkpoint(run.path()), None);
        let checkpoints = run.path().join(CHECKPOINTS);
        let names =
            ["step_00000004", "step_00000005 copy", "step_9", "step_000000009", "step_00000006.damaged"];
        for name in names.into_iter().chain(["step_100000000"]) {
            fs::create_dir_all(checkpoints.join(name)).expect("a folder is made");
        }
        let (file, temporary) = (checkpoints.join("step_900000000"), checkpoints.join("temporary"));
        mashbill_store::atomic::create(&file, &temporary, b"").expect("a file is made");
        assert_eq!(last_checkpoint(run.path()), Some((100_000_000, checkpoints.join("step_100000000"))));
    }
}
