//! `metrics.jsonl`: what each step of a run, and each measurement, came to.
//!
//! The type says what the trainer writes (`schemas/metrics.schema.json` is made from it, and the trainer's tests hold its records
//! to that). A reader takes more: keys that it does not know, and runs that are older than some of the keys.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use mashbill_store::open;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::METRICS;
use crate::error::{Error, Result};

/// Bytes of a line, at the most: a hundred thousand splits take a tenth of it.
pub const RECORD_BYTES_MAX: u64 = 64 << 20;

/// Spellings of numbers that are not finite, as Python's `json` has them by default.
const NOT_FINITE: [&str; 3] = [": NaN", ": -Infinity", ": Infinity"];

/// A line of `metrics.jsonl`. A value that is not there, or not finite, is null.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum MetricsRecord {
    /// What a step came to.
    Step(StepMetrics),
    /// What was measured after a step.
    Measurement(Measurement),
}

/// What a step came to.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct StepMetrics {
    /// The step, from 0.
    pub step: u64,
    /// The mean over the tokens that bear loss; null where none does.
    #[serde(deserialize_with = "Option::deserialize")]
    pub loss: Option<f64>,
    /// The learning rate with which the weights were changed.
    pub learning_rate: Option<f64>,
    /// The norm of the gradient, before it was clipped.
    pub gradient_norm: Option<f64>,
    /// Real tokens seen since the run began.
    pub tokens: Option<u64>,
    // Of a line over many splits this is the most, so it is read only where it is asked for.
    /// The same by split.
    #[schemars(with = "Option<BTreeMap<String, u64>>")]
    tokens_by_split: Option<Box<RawValue>>,
    /// Real tokens a second of this step.
    pub tokens_per_second: Option<f64>,
    /// The share of the step that was spent waiting for its batch, 0 to 1.
    pub loader_wait: Option<f64>,
    /// With a teacher: the part of the loss that is the cross-entropy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cross_entropy: Option<f64>,
    /// With a teacher: the divergence from it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub divergence: Option<f64>,
}

/// What was measured on data that training does not see.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Measurement {
    /// The step after which it was measured.
    pub step: u64,
    /// The loss by split; null where no token of a split bears loss.
    pub validation: BTreeMap<String, Option<f64>>,
}

impl StepMetrics {
    /// Real tokens seen since the run began, by split; nothing where the record does not say it.
    #[must_use]
    pub fn tokens_by_split(&self) -> BTreeMap<String, u64> {
        let text = self.tokens_by_split.as_ref().map(|tokens| tokens.get());
        text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
    }
}

impl MetricsRecord {
    fn of(line: &str) -> Option<Self> {
        let step = serde_json::from_str(line).ok().map(Self::Step);
        step.or_else(|| serde_json::from_str(line).ok().map(Self::Measurement))
    }
}

/// Hands the lines of the run in `folder` that are not blank to `take`, one after another: their records, and nothing for a
/// line that is none. One line is in memory at a time.
///
/// # Errors
/// Where the file cannot be read.
pub fn records(folder: &Path, mut take: impl FnMut(Option<MetricsRecord>)) -> Result<()> {
    let path = folder.join(METRICS);
    let failed = |error| Error::io("read", &path, error);
    let mut lines = BufReader::with_capacity(1 << 20, open::open(&path).map_err(failed)?);
    let mut bytes = Vec::new();
    while next_line(&mut lines, &mut bytes).map_err(failed)? {
        let line = str::from_utf8(&bytes).unwrap_or("not UTF-8");
        if line.trim().is_empty() {
            continue;
        }
        match MetricsRecord::of(line) {
            Some(record) => take(Some(record)),
            None => take(MetricsRecord::of(&without_infinities(line))),
        }
    }
    Ok(())
}

/// The line with null for numbers that are not finite, which some runs wrote in a way that is no JSON.
fn without_infinities(line: &str) -> String {
    NOT_FINITE.iter().fold(line.to_owned(), |line, word| line.replace(word, ": null"))
}

/// Takes up the next line; whether there was one. Of a line that is too long for a record the beginning stands for all.
fn next_line(lines: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<bool> {
    line.clear();
    let read = lines.by_ref().take(RECORD_BYTES_MAX).read_until(b'\n', line)?;
    if read as u64 == RECORD_BYTES_MAX && !line.ends_with(b"\n") {
        lines.skip_until(b'\n')?;
    }
    Ok(read > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_taken_up_one_by_one() {
        let text = b"{\"step\": 0}\n\xff\n{\"step\": 1";
        let (mut lines, mut line, mut found) = (&text[..], Vec::new(), Vec::new());
        while next_line(&mut lines, &mut line).expect("a slice is read") {
            found.push(line.clone());
        }
        assert_eq!(found, text.split_inclusive(|&byte| byte == b'\n').collect::<Vec<_>>());
    }

    /// What is in each of the lines, as it is written again.
    fn read(lines: &[&[u8]]) -> Vec<Option<String>> {
        let folder = tempfile::tempdir().expect("a folder");
        let temporary = folder.path().join("temporary");
        mashbill_store::atomic::replace(&folder.path().join(METRICS), &temporary, &lines.join(&b'\n'))
            .expect("a file");
        let mut found = Vec::new();
        let take = |record: Option<MetricsRecord>| {
            found.push(record.map(|record| serde_json::to_string(&record).expect("it is JSON")));
        };
        records(folder.path(), take).expect("it is there");
        found
    }

    #[test]
    fn each_line_is_a_step_a_measurement_or_nothing() {
        let step = r#"{"step":3,"loss":2.5,"learning_rate":0.001,"gradient_norm":1.5,"tokens":70,"tokens_by_split":{"a":30,"b":40},"tokens_per_second":9.5,"loader_wait":0.25}"#;
        let distilled = step.replace(r#":0.25}"#, r#":0.25,"cross_entropy":1.0,"divergence":0.5}"#);
        let measured = r#"{"step":3,"validation":{"a":1.5,"b":null}}"#;
        for line in [step, &distilled, measured] {
            assert_eq!(read(&[line.as_bytes()]), [Some(line.to_owned())]);
        }
        let others: [&[u8]; 5] =
            [b"{\"step\":3}", b"[]", b"\xff", b"{\"step\": 2, \"lo", b"{\"step\":-1,\"loss\":1.0}"];
        assert_eq!(read(&others), vec![None; others.len()]);
        assert_eq!(read(&[b"", b"  \r"]), []);
    }

    #[test]
    fn numbers_that_are_not_finite_are_null_and_keys_may_be_missing_or_more() {
        let spelled = [
            br#"{"step": 1, "loss": NaN, "gradient_norm": -Infinity, "tokens_by_split": {"a": 6}}"#
                .as_slice(),
            br#"{"step": 1, "validation": {"a": Infinity, "b": 1.5}, "of_another": 1}"#,
        ];
        let [step, measured] = &read(&spelled)[..] else { panic!("two lines") };
        let (step, measured) =
            (step.as_deref().expect("a step"), measured.as_deref().expect("a measurement"));
        assert!(
            step.starts_with(r#"{"step":1,"loss":null,"learning_rate":null,"gradient_norm":null"#),
            "{step}"
        );
        assert!(step.contains(r#""tokens_by_split":{"a": 6}"#), "{step}");
        assert_eq!(measured, r#"{"step":1,"validation":{"a":null,"b":1.5}}"#);
    }
}
