//! Which documents are held out of training, to validate on.
//!
//! The text alone decides, by its checksum: so the choice is the same for every row length, tokenizer, file, order and
//! number of threads, equal texts are never on both sides, and a larger fraction holds out the same documents and
//! more. What is held out is a tokenized folder of its own, `_validation` beside the splits; the two folders' splits
//! are the parts of the same inputs.

use mashbill_store::checksum::Checksum;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The part of the documents that a folder has, where some are held out.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct HeldOut {
    /// The share of all texts that is held out, more than 0 and less than 1.
    pub fraction: f64,
    /// Which of the two parts is here.
    pub part: DatasetPart,
}

/// One of the two parts that documents are divided into.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DatasetPart {
    /// What is trained on; lines that hold no text are counted here.
    Train,
    /// What is held out.
    Validation,
}

impl DatasetPart {
    /// The name in JSON and in output.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Validation => "validation",
        }
    }
}

impl HeldOut {
    /// Whether `fraction` is one: more than 0, so that something may be held out, and less than 1, so that something
    /// is left.
    #[must_use]
    pub fn is_fraction(fraction: f64) -> bool {
        0.0 < fraction && fraction < 1.0
    }

    /// The other part of the same documents.
    #[must_use]
    pub const fn other(self) -> Self {
        let part = match self.part {
            DatasetPart::Train => DatasetPart::Validation,
            DatasetPart::Validation => DatasetPart::Train,
        };
        Self { part, ..self }
    }

    /// The part of a text with the checksum `content_hash`: it is held out if the checksum's first eight bytes, as a
    /// number of 64 bits, are less than fraction × 2^64.
    #[must_use]
    pub fn part_of(self, content_hash: Checksum) -> DatasetPart {
        // Exact: a power of two changes no digit of the fraction, and what lies below it is rounded up.
        let limit = (self.fraction * 2f64.powi(64)).ceil() as u64;
        if content_hash.high64() < limit { DatasetPart::Validation } else { DatasetPart::Train }
    }

    /// Whether this part has the text with the checksum `content_hash`.
    #[must_use]
    pub fn has(self, content_hash: Checksum) -> bool {
        self.part_of(content_hash) == self.part
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn part_of(fraction: f64, text: &str) -> DatasetPart {
        HeldOut { fraction, part: DatasetPart::Train }.part_of(Checksum::of(text.as_bytes()))
    }

    proptest! {
        #[test]
        fn a_larger_fraction_holds_out_the_same_and_more(text: String, a in 0.0..1.0, b in 0.0..1.0) {
            let (less, more) = if a < b { (a, b) } else { (b, a) };
            if part_of(less, &text) == DatasetPart::Validation {
                prop_assert_eq!(part_of(more, &text), DatasetPart::Validation);
            }
        }

        /// The rule as the format's documentation has it, in whole numbers.
        #[test]
        fn the_choice_is_the_first_eight_bytes_against_the_fraction(hash: u128, numerator in 1..1u64 << 53) {
            let fraction = numerator as f64 / 2f64.powi(53);
            let first = u64::from_be_bytes(Checksum(hash).to_bytes()[..8].try_into().expect("eight bytes"));
            let is_held_out = u128::from(first) < u128::from(numerator) << 11;
            let train = HeldOut { fraction, part: DatasetPart::Train };
            prop_assert_eq!(train.has(Checksum(hash)), !is_held_out);
            prop_assert_eq!(train.other().has(Checksum(hash)), is_held_out);
        }
    }

    #[test]
    fn the_smallest_and_the_largest_fraction_hold_something_out_and_leave_something() {
        let part =
            |fraction, hash: u128| HeldOut { fraction, part: DatasetPart::Train }.part_of(Checksum(hash));
        assert_eq!(part(f64::MIN_POSITIVE, 0), DatasetPart::Validation);
        assert_eq!(part(f64::MIN_POSITIVE, 1 << 64), DatasetPart::Train);
        assert_eq!(part(1.0 - f64::EPSILON / 2.0, u128::MAX), DatasetPart::Train);
        for not in [0.0, -0.1, 1.0, 1.5, f64::NAN, f64::INFINITY] {
            assert!(!HeldOut::is_fraction(not), "{not}");
        }
    }

    /// Texts that differ in one letter, as those of a data set do, are divided as chance would: within five standard
    /// deviations, and the hundred slices are even (chi-square with 99 degrees of freedom, p > 1e-6).
    #[test]
    fn the_share_that_is_held_out_is_the_fraction() {
        const TEXTS: u64 = 200_000;
        let mut slices = [0u64; 100];
        for text in 0..TEXTS {
            let hash = Checksum::of(format!("Question {text}: what is it?").as_bytes());
            slices[(hash.high64() as f64 / 2f64.powi(64) * 100.0) as usize] += 1;
        }
        let expected = TEXTS as f64 / 100.0;
        let chi_square: f64 = slices.iter().map(|&n| (n as f64 - expected).powi(2) / expected).sum();
        assert!((40.0..185.0).contains(&chi_square), "{chi_square}");
        for fraction in [0.001, 0.01, 0.1, 0.5, 0.9] {
            let held_out = (0..TEXTS)
                .filter(|text| part_of(fraction, &format!("{{\"id\":{text}}}")) == DatasetPart::Validation)
                .count() as f64;
            let (mean, deviation) =
                (TEXTS as f64 * fraction, (TEXTS as f64 * fraction * (1.0 - fraction)).sqrt());
            assert!((held_out - mean).abs() < 5.0 * deviation, "{fraction}: {held_out} of {TEXTS}");
        }
    }
}
