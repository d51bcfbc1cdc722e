//! `loader.json`: what a run's batches are made of, so that its steps can be asked about when it is over.
//!
//! The type says what `DataLoader.recipe()` gives (`schemas/loader.schema.json` is made from it).
//!
//! The order is arithmetic, so a file this small answers which documents were in a step. A rank is not part of it: it is about
//! all of them.

mod state;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use mashbill_store::open;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

pub use state::{Anchor, LoaderState, NoState};

/// The name of the file in the folder of a run.
pub const RECIPE: &str = "loader.json";

/// The largest such file in bytes.
pub const RECIPE_BYTES_MAX: u64 = 16 << 20;

/// The dataset, the order and the place of a loader.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
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
    pub state: Option<LoaderState>,
}

/// How rows are shuffled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Shuffle {
    /// Any row may stand anywhere.
    Full,
    /// Blocks of 2^20 tokens are shuffled, then the rows of 16 blocks among one another: still a permutation of
    /// all rows, and each page is decoded once. For data that is read straight from slow disks.
    Blocks,
    /// Rows stand as in the shards, in every epoch.
    Off,
}

/// What becomes of the rows that fill no step at an epoch's end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LastBatch {
    /// They are left out; every epoch has the same number of steps.
    Drop,
    /// The next epoch's first rows fill the step.
    Wrap,
    /// The step has fewer rows, on some ranks perhaps none.
    Short,
}

/// Weights from a step on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Stage {
    /// The first step with these weights.
    pub from_step: u64,
    /// Weights of splits and categories by name; only their proportions count. Those of other stages that are
    /// not named here have the weight 0.
    pub weights: BTreeMap<String, f64>,
    /// Whether the weights change linearly, from these to the next stage's at its beginning. The last stage's
    /// stay.
    pub ramp: bool,
}

impl Recipe {
    /// Reads the file at `path`.
    ///
    /// # Errors
    /// [`Io`](mashbill_store::Error::Io) where it cannot be read, [`Error::Recipe`] where it is something else.
    pub fn read(path: &Path) -> Result<Self> {
        let text = open::read(path, RECIPE_BYTES_MAX).map_err(|error| Error::io("read", path, error))?;
        serde_json::from_slice(&text)
            .map_err(|error| Error::Recipe { path: path.to_owned(), what: error.to_string() })
    }
}
