//! What became of the lines, where that is not what was hoped for: a split without a document is no success, and says
//! what its lines have instead of a text, in this run and in every later one.

use std::collections::BTreeMap;
use std::path::PathBuf;

use mashbill_format::figures::{count, counted};
use mashbill_format::layout::{Output, REJECTS_SUFFIX, STATS_SUFFIX};
use mashbill_format::stats::{Stats, read_rejects};
use mashbill_records::record::{FieldCounts, Reason};
use mashbill_tokenize::{CardReport, PartReport, Report};

use super::refused::is_much;
use crate::hints::{hint_for_shape, hint_without_messages, is_read};
use crate::incomplete::{tell_incomplete, tell_incomplete_as};
use crate::printer::Printer;

/// Names of fields that are told.
const NAMES_TOLD: usize = 6;

/// Tells what is no part of the files that were read, what was refused in the splits of one part that were made in this run, and in those of which more than `share`
/// was, whenever they were made; that is a warning.
pub(super) fn refusals(report: &PartReport, output: &Output, share: f64, printer: &Printer) {
    for stats in report.made.iter().filter(|stats| stats.ignored_bytes > 0) {
        let (split, bytes) = (&stats.split, counted(stats.ignored_bytes, "byte"));
        printer.warning(format_args!("{split}: left out {bytes} after the end of the compressed data"));
    }
    for (name, split) in &report.manifest.splits {
        let refused: u64 = split.rejected.values().sum();
        let is_much = is_much(split, share);
        if refused == 0 || !is_much && report.made.iter().all(|stats| stats.split != *name) {
            continue;
        }
        let file = output.split(name).join(format!("{name}{REJECTS_SUFFIX}"));
        let (lines, reasons, file) = (counted(refused, "line"), reasons(&split.rejected), file.display());
        let told = format!("{name}: {lines} refused ({reasons}), see {file}");
        if is_much {
            printer.warning(told)
        } else {
            printer.line(told)
        }
        let made = report.made.iter().find(|stats| stats.split == *name);
        if let Some(stats) = made.filter(|_| split.rejected.contains_key(&Reason::JsonArray)) {
            let path = stats.inputs.first().map_or("", |file| &file.path);
            printer.hint(format_args!(
                "a line that is an array is not a record; if the arrays hold records: jq -c '.[]' {path} > {name}.lines.jsonl"
            ));
        }
    }
}

/// Tells of splits without a document, in this run and in every later one, and what their lines have instead. Gives
/// those whose lines were all refused, or all where there is no document at all: that is no success.
pub(super) fn without_documents<'a>(report: &'a Report, output: &Output, printer: &Printer) -> Vec<&'a str> {
    let (mut all, mut hints) = (0, Vec::new());
    let mut lacking = Vec::new();
    let mut unexplained = None;
    let manifest = &report.train.manifest;
    for (name, split) in &manifest.splits {
        let held_out = report.validation.as_ref().and_then(|part| part.manifest.splits.get(name));
        let parts = || [Some(split), held_out].into_iter().flatten();
        let documents: u64 = parts().map(|split| split.samples).sum();
        let mut rejected: BTreeMap<Reason, u64> = BTreeMap::new();
        for (&reason, count) in parts().flat_map(|split| &split.rejected) {
            *rejected.entry(reason).or_default() += count;
        }
        let refused: u64 = rejected.values().sum();
        all += documents;
        if documents > 0 {
            continue;
        }
        if refused == 0 {
            printer.line(format_args!("{name}: its file has no record"));
            continue;
        }
        lacking.push(name.as_str());
        let stats = Stats::read(&output.split(name).join(format!("{name}{STATS_SUFFIX}"))).ok().flatten();
        let (fields, file) = stats
            .map(|stats| {
                (
                    stats.without_text,
                    stats.inputs.first().map(|file| PathBuf::from(&file.path)).unwrap_or_default(),
                )
            })
            .unwrap_or_default();
        let has_template = manifest.options.template().is_some();
        let first_detail = has_template.then(|| detail_of_first(name, output)).flatten();
        let text_fields = if has_template { Vec::new() } else { manifest.options.text_fields() };
        let told = all_refused(&rejected, &fields, &text_fields, first_detail.as_deref());
        printer.warning(format_args!("{name}: {told}"));
        let hint = if has_template { hint_without_messages } else { hint_for_shape };
        match hint(&fields, refused, &file) {
            Some(hint) if hints.contains(&hint) => {}
            Some(hint) => hints.push(hint),
            // What becomes of a conversation has a command that shows it.
            None if has_template => {}
            None if unexplained.is_none() => {
                unexplained = Some(output.split(name).join(format!("{name}{REJECTS_SUFFIX}")));
            }
            None => {}
        }
    }
    // One such file is enough to see what to do with all of them.
    hints.extend(unexplained.map(|file| format!("head -n 5 {}", file.display())));
    hints.iter().for_each(|hint| printer.hint(hint));
    if all == 0 && !manifest.splits.is_empty() {
        printer.warning("there is no document to train on");
        return manifest.splits.keys().map(String::as_str).collect();
    }
    lacking
}

/// Tells at the end which splits were not made, or have no document.
pub(super) fn incomplete(report: &Report, lacking: &[&str], printer: &Printer) {
    let splits = &report.train.manifest.splits;
    let failed: Vec<_> = report.failed.iter().map(|(split, _)| split.as_str()).collect();
    let all = splits.len() + failed.iter().filter(|name| !splits.contains_key(**name)).count();
    if !lacking.is_empty() {
        let has = if lacking.len() == 1 { "has" } else { "have" };
        tell_incomplete_as("split", &format!("{has} no document"), lacking, all, printer);
    }
    if failed.is_empty() {
        let flags = match report.train.manifest.options.template() {
            Some(_) => "the flags for chats",
            None => "`--text-field`",
        };
        printer.hint(format_args!("correct the input or {flags}, then run the same command again"));
    } else {
        tell_incomplete("split", "made", &failed, all, printer);
    }
}

/// Why all lines of a split were refused, of which a text was wanted in one of these fields, or messages where there is none.
/// `detail` is that of the first, where it is to be told.
fn all_refused(
    rejected: &BTreeMap<Reason, u64>,
    fields: &FieldCounts,
    text_fields: &[&str],
    detail: Option<&str>,
) -> String {
    let is_about_text =
        |reason: &Reason| matches!(reason, Reason::NoText | Reason::TextNotString | Reason::NoMessages);
    let about_text = rejected.iter().filter(|(reason, _)| is_about_text(reason));
    let without: u64 = about_text.map(|(_, count)| count).sum();
    let lines = counted(rejected.values().sum(), "line");
    if without == 0 {
        let all = if rejected.values().sum::<u64>() == 1 {
            "the only line was".to_owned()
        } else {
            format!("all {lines} were")
        };
        let detail = detail.map_or_else(String::new, |detail| format!(": {detail}"));
        return format!("{all} refused ({}){detail}", reasons(rejected));
    }
    let quoted = |names: &[&str], between: &str| {
        names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(between)
    };
    let verb = if without == 1 { "has" } else { "have" };
    let wanted = if text_fields.is_empty() { "messages".to_owned() } else { quoted(text_fields, " or ") };
    let mut told = format!("{} of {lines} {verb} no {wanted}", count(without));
    // Messages that are there and were not read are null.
    let is_own = |name: &&str| text_fields.contains(name) || text_fields.is_empty() && is_read(&[name]);
    let (own, others): (Vec<_>, Vec<_>) = fields.names(usize::MAX).into_iter().partition(is_own);
    if text_fields.is_empty() && !own.is_empty() {
        told.push_str(&format!("; {} is null", quoted(&own, " and ")));
    }
    if !others.is_empty() {
        told.push_str(&format!("; they have {}", quoted(&others[..others.len().min(NAMES_TOLD)], ", ")));
    } else if !own.is_empty() && !text_fields.is_empty() {
        told.push_str(&format!("; the value of {} is null or not a string", quoted(&own, " and ")));
    }
    told
}

/// Why the first refused line of a split was refused.
fn detail_of_first(split: &str, output: &Output) -> Option<String> {
    let path = output.split(split).join(format!("{split}{REJECTS_SUFFIX}"));
    Some(read_rejects(&path).ok()?.into_iter().next()?.reject.detail)
}

fn reasons(rejected: &BTreeMap<Reason, u64>) -> String {
    let each = rejected.iter().map(|(reason, n)| format!("{} {n}", reason.name()));
    each.collect::<Vec<_>>().join(", ")
}

/// Tells what the dataset card lacks: for what stands in its place, for keys of the user's, for names that cannot be loaded.
pub(super) fn card(report: &CardReport, output: &Output, printer: &Printer) {
    let readme = output.readme();
    if let Some(unfit) = &report.unfit {
        printer.warning(format_args!("no dataset card was written: {}: {unfit}", readme.display()));
        let other = output.root().join("NOTES.md");
        printer.hint(format_args!(
            "mv {} {} and run the same command again; you can then copy its text into the new one, outside the lines with `mashbill:`",
            readme.display(),
            other.display()
        ));
    }
    if !report.theirs.is_empty() {
        let (readme, keys) = (readme.display(), report.theirs.join(", "));
        printer.line(format_args!("{readme} keeps its own values instead of mashbill's: {keys}"));
    }
    if !report.unloadable.is_empty() {
        let names: Vec<_> =
            report.unloadable.iter().take(NAMES_TOLD).map(|name| format!("`{name}`")).collect();
        let more = report.unloadable.len() - names.len();
        let more = if more > 0 { format!(" and {} more", count(more as u64)) } else { String::new() };
        printer.warning(format_args!(
            "`datasets` cannot load splits with two colons in their names, so the dataset card leaves them out: {}{more}",
            names.join(", ")
        ));
        printer.hint("mashbill.Dataset loads them; for `datasets`, rename their input files");
    }
}
