//! The page's data, as its script reads them, and the page.
//!
//! Every list is bounded, so the page's size does not depend on the dataset's.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use mashbill_format::figures::count;
use mashbill_verify::{Report, Severity};
use serde::Serialize;

/// Names in a list; the others are summed up as one.
const NAMES_MAX: usize = 60;

/// Points of the time line.
const RUNS_MAX: usize = 500;

/// Problems that are spelled out.
const PROBLEMS_MAX: usize = 40;

/// What the page of a dataset shows.
#[derive(Debug, Serialize)]
pub struct DatasetPage {
    pub(crate) kind: &'static str,
    pub(crate) title: String,
    pub(crate) subtitle: String,
    /// What `verify` says, which stands on top.
    pub verify: VerifyVerdict,
    /// Names and values, numbers or text.
    pub(crate) facts: Vec<(&'static str, serde_json::Value)>,
    /// What `amount` counts in the three lists below.
    pub(crate) amount: &'static str,
    pub(crate) categories: Vec<Amount>,
    pub(crate) datasets: Vec<Amount>,
    pub(crate) sources: Vec<Amount>,
    /// Buckets with their names, ascending.
    pub(crate) lengths: Vec<(String, u64)>,
    pub(crate) lengths_by: Vec<Length>,
    pub(crate) pieces: Vec<(String, u64)>,
    /// Positions without a token, of all positions.
    pub(crate) padding: Vec<PartOfWhole>,
    /// Tokens on which there is a loss, of all tokens: by split, and by source.
    pub(crate) learned: Vec<PartOfWhole>,
    pub(crate) learned_by_source: Vec<PartOfWhole>,
    /// Values that were changed on the way to the normal form of conversations.
    pub(crate) changes: Vec<Amount>,
    /// Messages by who speaks, and conversations by the number of their messages.
    pub(crate) roles: Vec<Amount>,
    pub(crate) turns: Vec<(String, u64)>,
    pub(crate) density: Vec<NamedValue>,
    pub(crate) scripts: Vec<Share>,
    pub(crate) rejects: Vec<Amount>,
    /// Rows that a download refused.
    pub(crate) fetched_rejects: Vec<Amount>,
    pub(crate) duplicates: Option<RepeatedTexts>,
    pub(crate) vocabulary: Option<VocabularyUse>,
    pub(crate) timeline: Vec<Run>,
    /// What `speed` of the time line is.
    pub(crate) speed: &'static str,
    pub(crate) samples: Vec<PageSample>,
}

/// What `verify` says.
#[derive(Debug, Serialize)]
pub struct VerifyVerdict {
    /// Problems that are errors.
    pub errors: u64,
    /// Problems that are none.
    pub warnings: u64,
    /// Whether it ended before everything was looked at: then the page says nothing.
    #[serde(skip)]
    pub interrupted: bool,
    problems: Vec<Told>,
}

#[derive(Debug, Serialize)]
struct Told {
    severity: Severity,
    #[serde(rename = "where")]
    place: String,
    detail: String,
}

/// How much there is of something, and how many percent there should be.
#[derive(Debug, Serialize)]
pub(crate) struct Amount {
    pub(crate) name: String,
    pub(crate) amount: u64,
    pub(crate) target: Option<f64>,
}

/// A part of something that has a whole of its own.
#[derive(Debug, Serialize)]
pub(crate) struct PartOfWhole {
    pub(crate) name: String,
    pub(crate) part: u64,
    pub(crate) whole: u64,
}

/// How long the documents of a dataset are.
#[derive(Debug, Serialize)]
pub(crate) struct Length {
    pub(crate) name: String,
    pub(crate) documents: u64,
    pub(crate) mean: f64,
    pub(crate) longest: u64,
}

/// Texts that stand in an earlier document, too.
#[derive(Debug, Serialize)]
pub(crate) struct RepeatedTexts {
    pub(crate) documents: u64,
    pub(crate) copies: u64,
    /// Whether that is extrapolated.
    pub(crate) is_about: bool,
    pub(crate) by: Vec<PartOfWhole>,
}

#[derive(Debug, Serialize)]
pub(crate) struct NamedValue {
    pub(crate) name: String,
    pub(crate) value: f64,
}

#[derive(Debug, Serialize)]
pub(crate) struct Share {
    pub(crate) name: &'static str,
    /// In percent.
    pub(crate) share: f64,
}

#[derive(Debug, Serialize)]
pub(crate) struct VocabularyUse {
    pub(crate) size: u64,
    pub(crate) used: u64,
    pub(crate) tokens: u64,
    /// Ranks, from 1, and how often the token of that rank stands in the rows.
    pub(crate) ranks: Vec<(u64, u64)>,
    pub(crate) top: Vec<CountedToken>,
}

#[derive(Debug, Serialize)]
pub(crate) struct CountedToken {
    pub(crate) id: u32,
    pub(crate) text: Option<String>,
    pub(crate) count: u64,
}

/// The run that completed a split or a download.
#[derive(Debug, Serialize)]
pub(crate) struct Run {
    pub(crate) name: String,
    /// Seconds since 1970.
    pub(crate) completed: u64,
    pub(crate) seconds: f64,
    pub(crate) speed: f64,
}

/// A row or a record to look at.
#[derive(Debug, Serialize)]
pub(crate) struct PageSample {
    pub(crate) name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) text: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) pieces: Option<Vec<SamplePiece>>,
    /// Whether it is written down which tokens of a row are learned.
    pub(crate) spans: bool,
    /// Documents of the row that are not shown.
    pub(crate) more: usize,
    pub(crate) padding: usize,
}

#[derive(Debug, Serialize)]
pub(crate) struct SamplePiece {
    pub(crate) title: String,
    /// Text, id, label, whether it is learned.
    pub(crate) tokens: Vec<(Option<String>, i32, i32, bool)>,
    /// Tokens that are not shown.
    pub(crate) hidden: usize,
}

impl DatasetPage {
    /// The page as one file.
    #[must_use]
    pub fn html(&self) -> String {
        html(self)
    }
}

impl VerifyVerdict {
    pub(crate) fn of(report: &Report) -> Self {
        let told = report.problems.iter().take(PROBLEMS_MAX).map(|problem| Told {
            severity: problem.severity,
            place: problem.place.to_string(),
            detail: problem.detail.clone(),
        });
        Self {
            errors: report.errors,
            warnings: report.warnings,
            interrupted: report.interrupted,
            problems: told.collect(),
        }
    }
}

impl RepeatedTexts {
    /// The number of copies for people.
    pub(crate) fn label(&self) -> String {
        format!("{}{}", if self.is_about { "about " } else { "" }, count(self.copies))
    }
}

/// The page that shows `data` as one file.
pub(crate) fn html(data: &impl Serialize) -> String {
    // In a script element only `<` could end the data.
    let data = serde_json::to_string(data).expect("a page has texts and numbers").replace('<', "\\u003c");
    let parts = [
        ("uplot_css", include_str!("../assets/uPlot.min.css")),
        ("css", include_str!("../assets/report.css")),
        ("data", &data),
        ("uplot_js", include_str!("../assets/uPlot.iife.min.js")),
        ("js", include_str!("../assets/report.js")),
    ];
    let mut rest = include_str!("../assets/report.html");
    let mut html = String::with_capacity(data.len() + (1 << 17));
    // One part after another, in their order: what a part holds is never looked at.
    for (name, part) in parts {
        let (before, after) =
            rest.split_once(&format!("{{{{{name}}}}}")).expect("the template has each part");
        html.push_str(before);
        html.push_str(part);
        rest = after;
    }
    html.push_str(rest);
    html
}

/// Amounts, largest first; the smallest of many become one. `targets` has the percent that some are to have.
pub(crate) fn amounts(
    amounts: impl IntoIterator<Item = (String, u64)>,
    targets: &HashMap<String, f64>,
) -> Vec<Amount> {
    let of = |(name, amount): (String, u64)| Amount { target: targets.get(&name).copied(), name, amount };
    let mut list: Vec<_> = amounts.into_iter().map(of).collect();
    list.sort_by(|a, b| b.amount.cmp(&a.amount).then_with(|| a.name.cmp(&b.name)));
    if list.len() > NAMES_MAX {
        let others = list.split_off(NAMES_MAX - 1);
        let name = format!("{} others", others.len());
        list.push(Amount { name, amount: others.iter().map(|other| other.amount).sum(), target: None });
    }
    list
}

/// Values, largest first; the middle of many is left out.
pub(crate) fn values(values: impl IntoIterator<Item = (String, f64)>) -> Vec<NamedValue> {
    let mut list: Vec<_> = values.into_iter().map(|(name, value)| NamedValue { name, value }).collect();
    list.sort_by(|a, b| b.value.total_cmp(&a.value).then_with(|| a.name.cmp(&b.name)));
    without_middle(&mut list);
    list
}

/// Parts of wholes of their own, the largest share first; the smallest of many become one.
pub(crate) fn parts(parts: impl IntoIterator<Item = PartOfWhole>) -> Vec<PartOfWhole> {
    let mut list: Vec<_> = parts.into_iter().filter(|part| part.whole > 0).collect();
    let share = |part: &PartOfWhole| part.part as f64 / part.whole as f64;
    list.sort_by(|a, b| share(b).total_cmp(&share(a)).then_with(|| a.name.cmp(&b.name)));
    if list.len() > NAMES_MAX {
        let others = list.split_off(NAMES_MAX - 1);
        let sum = |value: fn(&PartOfWhole) -> u64| others.iter().map(value).sum();
        list.push(PartOfWhole {
            name: format!("{} others", others.len()),
            part: sum(|other| other.part),
            whole: sum(|other| other.whole),
        });
    }
    list
}

/// What of `datasets`, names and their documents, stands again.
pub(crate) fn duplicates(
    found: &crate::duplicates::Duplicates,
    datasets: impl IntoIterator<Item = (String, u64)>,
    documents: u64,
) -> RepeatedTexts {
    let by = datasets.into_iter().zip(&found.by_dataset);
    let by = by.map(|((name, whole), &part)| PartOfWhole { name, part, whole });
    RepeatedTexts {
        documents,
        copies: found.by_dataset.iter().sum(),
        is_about: found.is_about,
        by: parts(by.filter(|part| part.part > 0)),
    }
}

/// Datasets by the length of their documents, longest first; of many the middle is left out.
pub(crate) fn longest_first(lengths: impl IntoIterator<Item = Length>) -> Vec<Length> {
    let mut list: Vec<_> = lengths.into_iter().collect();
    list.sort_by(|a, b| b.mean.total_cmp(&a.mean).then_with(|| a.name.cmp(&b.name)));
    without_middle(&mut list);
    list
}

/// Leaves out the middle of a long list.
fn without_middle<T>(list: &mut Vec<T>) {
    if list.len() > NAMES_MAX {
        list.drain(NAMES_MAX / 2..list.len() - NAMES_MAX / 2);
    }
}

/// Runs in the order of their completion; of many every so many.
pub(crate) fn runs(runs: impl IntoIterator<Item = Run>) -> Vec<Run> {
    let mut runs: Vec<_> = runs.into_iter().collect();
    runs.sort_by(|a, b| (a.completed, &a.name).cmp(&(b.completed, &b.name)));
    let step = runs.len().div_ceil(RUNS_MAX).max(1);
    runs.into_iter().step_by(step).collect()
}

/// Buckets of powers of two with the names that people read, none left out between the first and the last.
pub(crate) fn buckets(below: &BTreeMap<u64, u64>) -> Vec<(String, u64)> {
    let (Some(&first), Some(&last)) = (below.keys().next(), below.keys().next_back()) else {
        return Vec::new();
    };
    let powers = std::iter::successors(Some(first.max(1)), |power| power.checked_mul(2));
    powers
        .take_while(|&power| power <= last)
        .map(|power| (name(power), below.get(&power).copied().unwrap_or(0)))
        .collect()
}

/// A power of two as people write it.
fn name(power: u64) -> String {
    match power {
        0..1024 => power.to_string(),
        1024..0x10_0000 => format!("{}k", power >> 10),
        0x10_0000..0x4000_0000 => format!("{}M", power >> 20),
        _ => format!("{}G", power >> 30),
    }
}

/// The beginning of a text for the page, cut between characters.
pub(crate) fn beginning(text: &str, bytes: usize) -> String {
    match text.char_indices().find(|(at, _)| *at >= bytes) {
        Some((at, _)) => format!("{} …", &text[..at]),
        None => text.to_owned(),
    }
}

/// What a folder is called.
pub(crate) fn title(path: &Path) -> String {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
    name.unwrap_or_else(|| path.display().to_string())
}
