//! The data of a raw folder's page, from one pass over its lines.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use anyhow::{Context, Result};
use mashbill_format::record::RecordParser;
use mashbill_format::records::Lines;
use mashbill_format::verify::{Kind, Report, json_lines_below};
use serde::Deserialize;
use serde_json::json;

use super::page::{Page, Sample, Verdict, amounts, beginning, buckets};
use super::scripts::Scripts;
use crate::printer::size;

/// Records to look at, in all.
const SAMPLES: usize = 80;

/// Bytes of a record that are shown.
const SAMPLE_BYTES: usize = 4000;

/// Names of categories and sources that are told apart.
const NAMES_MAX: usize = 10_000;

pub(super) fn gather(path: &Path, report: &Report) -> Result<Page> {
    let files = json_lines_below(path)?;
    let mut counts = Counts::default();
    let every = files.len().div_ceil(SAMPLES).max(1);
    for (index, file) in files.iter().enumerate() {
        let wanted = if index % every == 0 { (SAMPLES / files.len().min(SAMPLES)).max(1) } else { 0 };
        let name = file.strip_prefix(path).unwrap_or(file).display().to_string();
        let name = if name.is_empty() { file.display().to_string() } else { name };
        counts.file(file, &name, wanted).with_context(|| format!("read `{}`", file.display()))?;
    }
    let duplicates = report.problems.iter().filter(|problem| problem.kind == Kind::Duplicate).count();
    let none = HashMap::new();
    Ok(Page {
        kind: "raw",
        title: path
            .file_name()
            .map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned()),
        subtitle: format!("JSON Lines, {} files", files.len()),
        verify: Verdict::of(report),
        facts: vec![
            ("Records", json!(report.documents)),
            ("Lines", json!(report.rows)),
            ("Files", json!(files.len())),
            ("Size", json!(size(report.bytes))),
            ("Bytes of text", json!(size(counts.files.values().sum()))),
            ("Places with a record twice", json!(duplicates)),
            ("Refused lines", json!(counts.rejects.values().sum::<u64>())),
        ],
        amount: "Bytes",
        categories: named(counts.categories, &counts.targets),
        datasets: amounts(counts.files, &none),
        sources: named(counts.sources, &none),
        lengths: buckets(&counts.lengths),
        pieces: Vec::new(),
        density: Vec::new(),
        scripts: counts.scripts.shares(),
        rejects: amounts(counts.rejects.into_iter().map(|(reason, count)| (reason.to_owned(), count)), &none),
        vocabulary: None,
        timeline: Vec::new(),
        samples: counts.samples,
    })
}

/// What is counted in the pass.
struct Counts {
    /// Bytes of text by file, category and source.
    files: BTreeMap<String, u64>,
    categories: HashMap<String, u64>,
    sources: HashMap<String, u64>,
    /// Percent that a category is to have.
    targets: HashMap<String, f64>,
    /// Texts by the power of two that their bytes are below.
    lengths: BTreeMap<u64, u64>,
    rejects: BTreeMap<&'static str, u64>,
    scripts: Scripts,
    samples: Vec<Sample>,
}

impl Default for Counts {
    fn default() -> Self {
        Self {
            files: BTreeMap::new(),
            categories: HashMap::new(),
            sources: HashMap::new(),
            targets: HashMap::new(),
            lengths: BTreeMap::new(),
            rejects: BTreeMap::new(),
            scripts: Scripts::new(),
            samples: Vec::new(),
        }
    }
}

impl Counts {
    fn file(&mut self, path: &Path, name: &str, wanted: usize) -> Result<()> {
        if let Some((category, percent)) = target(path) {
            self.targets.insert(category, percent);
        }
        let mut parser = RecordParser::new("text");
        let mut lines = Lines::open(path)?;
        let mut number: u64 = 0;
        let mut samples = Samples { wanted, step: 1, kept: Vec::new() };
        self.files.insert(name.to_owned(), 0);
        while let Some((line, bytes)) = lines.read()? {
            let parsed = std::str::from_utf8(bytes).map_err(|_| "invalid_utf8");
            let parsed = parsed.and_then(|text| parser.parse(text).map_err(|refusal| refusal.reason.name()));
            let record = match parsed {
                Ok(record) => record,
                Err(reason) => {
                    *self.rejects.entry(reason).or_default() += 1;
                    continue;
                }
            };
            let length = record.text.len() as u64;
            *self.files.entry(name.to_owned()).or_default() += length;
            add(&mut self.categories, record.category, length);
            add(&mut self.sources, record.source, length);
            *self.lengths.entry((length + 1).next_power_of_two()).or_default() += 1;
            self.scripts.count(record.text, 1);
            samples.offer(number, || Sample {
                name: format!("{name}, line {line}"),
                text: Some(beginning(record.text, SAMPLE_BYTES)),
                pieces: None,
                padding: 0,
            });
            number += 1;
        }
        self.samples.extend(samples.kept.into_iter().map(|(_, sample)| sample));
        Ok(())
    }
}

/// The category of a downloaded file and the percent it is to have, where statistics beside it say so.
fn target(path: &Path) -> Option<(String, f64)> {
    /// What is read of the statistics.
    #[derive(Deserialize)]
    struct Stats {
        category: String,
        target_percent: f64,
    }
    let name = path.file_name()?.to_str()?.split(".jsonl").next()?;
    let text = std::fs::read(path.with_file_name(format!("{name}.stats.json"))).ok()?;
    let stats: Stats = serde_json::from_slice(&text).ok()?;
    Some((stats.category, stats.target_percent))
}

/// Records of a file whose number is not known beforehand: every so many of them.
struct Samples {
    wanted: usize,
    step: u64,
    kept: Vec<(u64, Sample)>,
}

impl Samples {
    fn offer(&mut self, number: u64, sample: impl FnOnce() -> Sample) {
        if self.wanted == 0 || !number.is_multiple_of(self.step) {
            return;
        }
        self.kept.push((number, sample()));
        // With twice as many as wanted, every second one goes, and from here on half as many come.
        if self.kept.len() >= 2 * self.wanted {
            self.step *= 2;
            self.kept.retain(|(number, _)| number.is_multiple_of(self.step));
        }
    }
}

fn add(counts: &mut HashMap<String, u64>, name: Option<&str>, amount: u64) {
    let name = name.unwrap_or("(none)");
    // Nearly every record has a name that is known, for which nothing is allocated.
    if let Some(sum) = counts.get_mut(name) {
        *sum += amount;
        return;
    }
    let name = if counts.len() < NAMES_MAX { name } else { "(others)" };
    *counts.entry(name.to_owned()).or_default() += amount;
}

/// Amounts by name; none where nothing has a name.
fn named(counts: HashMap<String, u64>, targets: &HashMap<String, f64>) -> Vec<super::page::Amount> {
    if counts.keys().all(|name| name == "(none)") { Vec::new() } else { amounts(counts, targets) }
}
