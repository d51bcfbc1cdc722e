//! What decides on the rows of each step.

use mashbill_format::recipe::{LastBatch, Shuffle};
use mashbill_store::checksum::Checksum;

use crate::error::{Error, Result};
use crate::mix::Mixture;

/// Rows that a run may take, and that a step of a stage or a run may lie away from its beginning: whatever is computed of
/// such numbers fits into 64 bits.
pub(crate) const ROWS_MAX: u64 = 1 << 56;

/// What decides on the rows of each step.
#[derive(Debug, Clone)]
pub struct StreamOptions {
    /// Rows a rank takes a step; 1 or more.
    pub batch_size: usize,
    /// Ranks; 1 or more.
    pub world_size: usize,
    /// This rank, from 0.
    pub rank: usize,
    /// What the order depends on, besides the rows.
    pub seed: u64,
    /// How rows are shuffled.
    pub shuffle: Shuffle,
    /// What becomes of an epoch's last rows. With a mixture every source has its own epochs, which always wrap.
    pub last_batch: LastBatch,
    /// Weights; none: all rows once an epoch.
    pub mixture: Option<Mixture>,
    /// Steps after which the stream ends; none: never.
    pub steps: Option<u64>,
    /// Only every `n`th step, `(i, n, s)`: those that come `i`, `i + n`, … steps after step `s`. For `n` worker processes that
    /// take turns.
    pub lane: Option<(u64, u64, u64)>,
}

impl StreamOptions {
    /// Whether they make sense.
    ///
    /// # Errors
    /// [`Error::Option`], and those of [`Mixture::check`].
    pub(crate) fn check(&self) -> Result<()> {
        let wrong = |what: String| Err(Error::Option { what });
        if self.batch_size == 0 || self.world_size == 0 {
            return wrong("the batch size and the world size are 1 or more".into());
        }
        if self.rank >= self.world_size {
            return wrong(format!(
                "rank {} is not one of {} ranks, counted from 0",
                self.rank, self.world_size
            ));
        }
        let Some(global_batch) = self.batch_size.checked_mul(self.world_size).filter(|rows| *rows <= 1 << 32)
        else {
            return wrong("a step takes more than 2^32 rows".into());
        };
        let stages = self.mixture.iter().flat_map(|mixture| &mixture.stages);
        let steps = stages.map(|stage| stage.from_step).chain(self.steps);
        if let Some(step) = steps.into_iter().find(|step| *step > ROWS_MAX / global_batch as u64) {
            return wrong(format!("step {step} is too far away"));
        }
        self.mixture.as_ref().map_or(Ok(()), Mixture::check)
    }

    /// What says, with the state, how many rows each step took.
    pub(crate) fn schedule_identity(&self) -> Checksum {
        let stages = self.mixture.as_ref().map(|mixture| &mixture.stages);
        let global_batch = self.batch_size * self.world_size;
        let last_batch = self.last_batch as u8;
        let plain = serde_json::to_vec(&(stages, global_batch, last_batch)).expect("weights are finite");
        Checksum::of(&plain)
    }
}
