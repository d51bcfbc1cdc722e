//! The result for programs.

use anyhow::Result;
use mashbill_format::manifest::Manifest;
use mashbill_format::stats::Stats;
use mashbill_tokenize::{PartReport, Report};
use serde::Serialize;

use crate::out;
use crate::printer::error_text;

#[derive(Serialize)]
struct Json<'a> {
    #[serde(flatten)]
    train: JsonPart<'a>,
    failed: Vec<Failed<'a>>,
    seconds: f64,
    /// What is held out, if anything is.
    #[serde(skip_serializing_if = "Option::is_none")]
    validation: Option<JsonPart<'a>>,
}

#[derive(Serialize)]
struct JsonPart<'a> {
    output: &'a str,
    manifest: &'a Manifest,
    made: &'a [Stats],
    pruned: &'a [String],
}

#[derive(Serialize)]
struct Failed<'a> {
    split: &'a str,
    error: String,
}

impl<'a> JsonPart<'a> {
    fn of(PartReport { manifest, made }: &'a PartReport, pruned: &'a [String]) -> Self {
        Self { output: &manifest.output_path, manifest, made, pruned }
    }
}

pub(super) fn print(report: &Report) -> Result<()> {
    let failed = report.failed.iter().map(|(split, error)| Failed { split, error: error_text(error) });
    let json = Json {
        train: JsonPart::of(&report.train, &report.pruned),
        failed: failed.collect(),
        seconds: report.seconds,
        validation: report.validation.as_ref().map(|part| JsonPart::of(part, &report.pruned)),
    };
    out::json(&json)
}
