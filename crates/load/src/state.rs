//! Where a run is: all that a checkpoint has to hold of the data.
//!
//! A few numbers, whatever the size of the dataset: rows taken of each source, and the step. A state belongs to
//! what was delivered, never to what was fetched ahead.

use mashbill_format::checksum::Checksum;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::mix::Anchor;

/// The place before the next batch. It is the same on every rank.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// The version of the algorithms that decide on the order.
    pub version: u32,
    /// The identity of the dataset.
    pub dataset: Checksum,
    /// What the sources are and how they are shuffled.
    pub order: Checksum,
    /// What the weights and the global batch size are: where they change, the schedule goes on from here.
    pub schedule: Checksum,
    /// Steps delivered.
    pub step: u64,
    /// Rows taken of each source, over all epochs.
    pub taken: Vec<u64>,
    /// How far each source is behind its target, in units of 2^-32 of a row; empty without a mixture.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) lag: Vec<i64>,
    /// From where the schedule is counted.
    pub(crate) anchor: Anchor,
}

impl State {
    /// The state as JSON, on one line.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("a state has string keys and integers")
    }

    /// Reads what [`State::to_json`] wrote.
    ///
    /// # Errors
    /// [`Error::State`].
    pub fn from_json(text: &str) -> Result<Self> {
        serde_json::from_str(text).map_err(|error| Error::State { what: error.to_string() })
    }
}
