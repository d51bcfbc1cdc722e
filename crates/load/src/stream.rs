//! The rows of each step.
//!
//! A step takes the next rows of the global order, and rank `r` of `W` gets those at places `r`, `r + W`, … in it. So
//! the global order is the same for every number of ranks, and what a run is at does not depend on it.

use std::sync::Arc;

use mashbill_format::recipe::{LastBatch, LoaderState, Recipe};

use crate::dataset::Dataset;
use crate::error::Result;
use crate::mix::Mixture;
use crate::schedule::{Schedule, Step, StreamPosition};
use crate::stream_options::StreamOptions;

/// The steps of one rank.
#[derive(Debug, Clone)]
pub struct Stream {
    schedule: Arc<Schedule>,
    cursor: StreamPosition,
}

impl Stream {
    /// The stream over `dataset`, from its beginning or from `state`.
    ///
    /// # Errors
    /// [`crate::Error::Option`], [`crate::Error::TooFewRows`], [`crate::Error::UnknownSource`], [`crate::Error::SplitWeight`], [`crate::Error::Weights`],
    /// [`crate::Error::TooManyEpochs`], and [`crate::Error::State`] where the state is of another dataset, order or set of
    /// sources. Another batch size, world size or other weights are not an error: the stream continues with them.
    pub fn new(dataset: &Dataset, options: StreamOptions, state: Option<&LoaderState>) -> Result<Self> {
        let (schedule, cursor) = Schedule::begin(dataset, options, state)?;
        Ok(Self { schedule: Arc::new(schedule), cursor })
    }

    /// The dataset and the stream of all ranks that a `loader.json` is about; the stream says that it is rank 0's.
    ///
    /// # Errors
    /// Those of [`Dataset::open`] and [`Stream::new`].
    pub fn of_recipe(recipe: &Recipe) -> Result<(Dataset, Self)> {
        let dataset = Dataset::open(&recipe.folder, recipe.splits.as_deref())?;
        let mixture = recipe.stages.clone().map(|stages| Mixture { stages, max_epochs: recipe.max_epochs });
        let options = StreamOptions {
            batch_size: recipe.batch_size,
            world_size: recipe.world_size,
            rank: 0,
            seed: recipe.seed,
            shuffle: recipe.shuffle,
            last_batch: recipe.last,
            mixture,
            steps: recipe.steps,
            lane: None,
        };
        let stream = Self::new(&dataset, options, recipe.state.as_ref())?;
        Ok((dataset, stream))
    }

    /// The next step; none after the last.
    ///
    /// # Errors
    /// [`crate::Error::TooManyEpochs`] where a source would be seen more often than allowed.
    pub fn next_step(&mut self) -> Result<Option<Step>> {
        let ranks = self.schedule.options.rank..self.schedule.options.rank + 1;
        loop {
            if self.schedule.options.steps.is_some_and(|steps| self.cursor.step >= steps) {
                return Ok(None);
            }
            if self.is_own_step() {
                return self.schedule.step(&mut self.cursor, ranks).map(Some);
            }
            // Where somebody else has the epoch's last step, one without rows says that the epoch is over.
            let skipped = self.schedule.step(&mut self.cursor, 0..0)?;
            if skipped.ends_epoch {
                return Ok(Some(skipped));
            }
        }
    }

    /// Whether the next step is one of this stream's lane.
    fn is_own_step(&self) -> bool {
        let step = self.cursor.step;
        self.schedule
            .options
            .lane
            .is_none_or(|(index, count, start)| step >= start && (step - start) % count.max(1) == index)
    }

    /// The state before the next step.
    #[must_use]
    pub fn state(&self) -> LoaderState {
        self.schedule.state(&self.cursor)
    }

    /// The state before step `step`, which is none before the last change of batch size or weights.
    ///
    /// # Errors
    /// As [`Stream::rows_of_step`].
    pub fn state_at(&self, step: u64) -> Result<LoaderState> {
        Ok(self.schedule.state(&self.schedule.seek(step)?))
    }

    /// The rows of all ranks in step `step`, in the global order: the row at place `p` is rank `p % W`'s.
    ///
    /// # Errors
    /// [`crate::Error::Option`] where the step lies before the last change of batch size or weights, and
    /// [`crate::Error::TooManyEpochs`].
    pub fn rows_of_step(&self, step: u64) -> Result<Vec<u64>> {
        let mut cursor = self.schedule.seek(step)?;
        let ranks = 0..self.schedule.options.world_size;
        Ok(self.schedule.step(&mut cursor, ranks)?.rows)
    }

    /// The steps before `until` that a row of the dataset stands in, with its place in the global batch; those
    /// since the last change of batch size or weights.
    ///
    /// # Errors
    /// [`crate::Error::TooManyEpochs`].
    pub fn steps_of_row(&self, row: u64, until: u64) -> Result<Vec<(u64, u64)>> {
        self.schedule.steps_of_row(row, until)
    }

    /// How many times each source will have been seen after `steps` steps, by name.
    #[must_use]
    pub fn epochs_after(&self, steps: u64) -> Vec<(String, f64)> {
        self.schedule.epochs_after(steps)
    }

    /// Steps in an epoch that begins with a full step; none with a mixture or where that differs between epochs.
    #[must_use]
    pub fn steps_per_epoch(&self) -> Option<u64> {
        let rows = self.schedule.sources[0].rows;
        match self.schedule.options.last_batch {
            _ if self.schedule.target.is_some() => None,
            LastBatch::Drop => Some(rows / self.schedule.global_batch()),
            LastBatch::Short => Some(rows.div_ceil(self.schedule.global_batch())),
            LastBatch::Wrap => None,
        }
    }

    /// The options it was made with.
    #[must_use]
    pub fn options(&self) -> &StreamOptions {
        &self.schedule.options
    }
}
