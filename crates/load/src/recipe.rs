//! `loader.json`: what a run's batches are made of, so that its steps can be asked about when it is over.
//!
//! The order is arithmetic, so a file of this size answers which documents were in a step. A rank is not part of it: it is about
//! all of them.

use std::path::{Path, PathBuf};

use mashbill_store::open;
use serde::{Deserialize, Serialize};

use crate::dataset::Dataset;
use crate::error::{Error, Result};
use crate::mix::{Mixture, Stage};
use crate::order::Shuffle;
use crate::state::State;
use crate::stream::Stream;
use crate::stream_options::{LastBatch, StreamOptions};

/// The name of the file in the folder of a run.
pub const RECIPE: &str = "loader.json";

/// The largest such file in bytes.
pub(crate) const RECIPE_BYTES_MAX: u64 = 16 << 20;

/// The dataset, the order and the place of a loader.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Recipe {
    /// The tokenized folder.
    pub folder: PathBuf,
    /// The splits that are read; all where there is none.
    pub splits: Option<Vec<String>>,
    /// Rows a rank takes a step.
    pub batch_size: usize,
    /// Ranks.
    pub world_size: usize,
    /// What the order depends on, besides the rows.
    pub seed: u64,
    /// How rows are shuffled.
    pub shuffle: Shuffle,
    /// What becomes of an epoch's last rows.
    pub last: LastBatch,
    /// The weights, stage by stage; none: all rows once an epoch.
    pub stages: Option<Vec<Stage>>,
    /// With weights, how many times a source may be seen.
    pub max_epochs: u64,
    /// How many steps the run has, where that is known.
    pub steps: Option<u64>,
    /// Where the loader was: steps since the last change of batch size or weights before it can be asked about.
    pub state: Option<State>,
}

impl Recipe {
    /// Reads the file at `path`.
    ///
    /// # Errors
    /// [`Error::File`] where it cannot be read, [`Error::Recipe`] where it is something else.
    pub fn read(path: &Path) -> Result<Self> {
        let text = open::read(path, RECIPE_BYTES_MAX)
            .map_err(|error| mashbill_format::Error::io("read", path, error))?;
        serde_json::from_slice(&text)
            .map_err(|error| Error::Recipe { path: path.to_owned(), what: error.to_string() })
    }

    /// The dataset and the stream of all ranks; the stream says that it is rank 0's.
    ///
    /// # Errors
    /// Those of [`Dataset::open`] and [`Stream::new`].
    pub fn open(&self) -> Result<(Dataset, Stream)> {
        let dataset = Dataset::open(&self.folder, self.splits.as_deref())?;
        let mixture = self.stages.clone().map(|stages| Mixture { stages, max_epochs: self.max_epochs });
        let options = StreamOptions {
            batch_size: self.batch_size,
            world_size: self.world_size,
            rank: 0,
            seed: self.seed,
            shuffle: self.shuffle,
            last_batch: self.last,
            mixture,
            steps: self.steps,
            lane: None,
        };
        let stream = Stream::new(&dataset, options, self.state.as_ref())?;
        Ok((dataset, stream))
    }
}
