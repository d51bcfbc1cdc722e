//! Where a run is: all that a checkpoint has to hold of the data.
//!
//! A few numbers, whatever the size of the dataset: rows taken of each source, and the step. A state belongs to
//! what was delivered, never to what was fetched ahead.

use mashbill_store::checksum::Checksum;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A state takes about 20 bytes a source and some hundred: a larger one is none.
const STATE_BYTES_MAX: usize = 1 << 20;

/// The place before the next batch. It is the same on every rank.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LoaderState {
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
    #[serde(with = "compact")]
    #[schemars(with = "String")]
    pub taken: Vec<u64>,
    /// How far each source is behind its target, in units of 2^-32 of a row; empty without a mixture.
    #[serde(default, skip_serializing_if = "Vec::is_empty", with = "compact")]
    #[schemars(with = "String")]
    pub lag: Vec<i64>,
    /// From where the schedule is counted.
    pub anchor: Anchor,
}

/// From where a schedule is counted: the beginning, or where the batch size or the weights were changed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Anchor {
    /// The step.
    pub step: u64,
    /// Rows taken of each source.
    #[serde(with = "compact")]
    #[schemars(with = "String")]
    pub taken: Vec<u64>,
    /// How far each source was behind its target, in units of 2^-32 of a row; less than one row.
    #[serde(default, skip_serializing_if = "Vec::is_empty", with = "compact")]
    #[schemars(with = "String")]
    pub lag: Vec<i64>,
}

/// A text is no state of a loader.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct NoState(pub String);

impl LoaderState {
    /// The state as JSON, on one line.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("a state has string keys and integers")
    }

    /// Reads what [`LoaderState::to_json`] wrote.
    ///
    /// # Errors
    /// [`NoState`], which says why.
    pub fn from_json(text: &str) -> Result<Self, NoState> {
        if text.len() > STATE_BYTES_MAX {
            return Err(NoState(format!("it has {} bytes, and no state has a megabyte", text.len())));
        }
        serde_json::from_str(text).map_err(|error| NoState(error.to_string()))
    }
}

/// Lists of numbers as text of 64 digits: five bits each, a sixth says that more follow. So a state stays under 1 KB with as many
/// sources as the curriculum has datasets. Plain lists are read, too.
mod compact {
    use serde::{Deserialize, Deserializer, Serializer};

    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

    /// A number of one of the lists.
    pub(super) trait Number: Copy {
        fn to_bits(self) -> u64;
        fn from_bits(bits: u64) -> Self;
    }

    impl Number for u64 {
        fn to_bits(self) -> u64 {
            self
        }

        fn from_bits(bits: u64) -> Self {
            bits
        }
    }

    impl Number for i64 {
        /// The sign stands last, so that numbers near 0 are short.
        fn to_bits(self) -> u64 {
            (self << 1 ^ self >> 63) as u64
        }

        fn from_bits(bits: u64) -> Self {
            (bits >> 1) as Self ^ -((bits & 1) as Self)
        }
    }

    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written<N> {
        Text(String),
        List(Vec<N>),
    }

    pub(super) fn serialize<N: Number, S: Serializer>(
        numbers: &[N],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let mut text = String::new();
        for number in numbers {
            let mut bits = number.to_bits();
            while bits >= 32 {
                text.push(char::from(DIGITS[(bits % 32 + 32) as usize]));
                bits /= 32;
            }
            text.push(char::from(DIGITS[bits as usize]));
        }
        serializer.serialize_str(&text)
    }

    pub(super) fn deserialize<'de, N: Number + Deserialize<'de>, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<N>, D::Error> {
        match Written::deserialize(deserializer)? {
            Written::List(numbers) => Ok(numbers),
            Written::Text(text) => parse(&text)
                .ok_or_else(|| serde::de::Error::custom(format!("`{text}` is not a list of numbers"))),
        }
    }

    fn parse<N: Number>(text: &str) -> Option<Vec<N>> {
        let (mut numbers, mut bits, mut shift) = (Vec::new(), 0, 0);
        for digit in text.bytes() {
            let value = DIGITS.iter().position(|&known| known == digit)? as u64;
            let part = value % 32;
            // What does not fit into 64 bits is no number of ours.
            if shift > 60 || (shift == 60 && part >= 16) {
                return None;
            }
            bits |= part << shift;
            shift += 5;
            if value < 32 {
                numbers.push(N::from_bits(bits));
                (bits, shift) = (0, 0);
            }
        }
        (shift == 0).then_some(numbers)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::{Deserialize, Serialize};

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Lists {
        #[serde(with = "super::compact")]
        counts: Vec<u64>,
        #[serde(with = "super::compact")]
        lags: Vec<i64>,
    }

    proptest! {
        #[test]
        fn lists_come_back_from_text_and_from_plain_json(counts in any::<Vec<u64>>(), lags in any::<Vec<i64>>()) {
            let plain = serde_json::json!({ "counts": counts, "lags": lags });
            let lists = Lists { counts, lags };
            let text = serde_json::to_string(&lists).expect("lists are JSON");
            prop_assert_eq!(&serde_json::from_str::<Lists>(&text).expect("as it was written"), &lists);
            prop_assert_eq!(&serde_json::from_value::<Lists>(plain).expect("plain lists are read"), &lists);
        }

        #[test]
        fn any_text_is_a_list_or_an_error(text in "[A-Za-z0-9_ -]{0,40}") {
            drop(serde_json::from_value::<Lists>(serde_json::json!({ "counts": text, "lags": text })));
        }
    }
}
