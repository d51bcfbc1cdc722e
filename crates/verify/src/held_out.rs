//! Whether the two parts of a folder with documents held out are each other's rest: nothing in both, nothing in neither.
//!
//! That each part has only its own documents follows from the texts' checksums in its document tables; that none is
//! missing from the counts of lines, which both parts keep. Both cost nothing beside the shards.

use mashbill_format::held_out::DatasetPart;
use mashbill_format::layout::{MANIFEST, Output, STATS_SUFFIX, VALIDATION_FOLDER};
use mashbill_format::manifest::{InputRange, Manifest, Split};
use mashbill_format::stats::Stats;
use mashbill_store::checksum::Checksum;

use crate::findings::Findings;
use crate::problem::{ProblemKind, ProblemPlace, Remedy};

/// Checks that a document in row `row` of a document table is of the part that the manifest's folder has.
pub(crate) fn check_document(
    manifest: &Manifest,
    table: &ProblemPlace,
    split: &str,
    row: u64,
    content_hash: Checksum,
    findings: &Findings,
) {
    let Some(here) = manifest.options.held_out.filter(|here| !here.has(content_hash)) else { return };
    let place = ProblemPlace { row: Some(row), ..table.clone() };
    let (part, other) = (here.part.name(), here.other().part.name());
    let remedy = Remedy::MakeSplitAgain { split: split.to_owned() };
    findings.error(
        ProblemKind::HeldOut,
        place,
        remedy,
        format!("its text belongs to the {other} part, and this is the {part} part"),
    );
}

/// Compares the folder of `manifest`, where documents are held out of it, with the folder that has them. What is wrong
/// within that one is told where it is checked itself.
pub(crate) fn check_parts(output: &Output, manifest: &Manifest, findings: &Findings) {
    let Some(held_out) = manifest.options.held_out.filter(|here| here.part == DatasetPart::Train) else {
        return;
    };
    let place = || ProblemPlace::file(format!("{VALIDATION_FOLDER}/{MANIFEST}"));
    let wrong = |remedy, detail: String| findings.error(ProblemKind::HeldOut, place(), remedy, detail);
    let validation = output.validation();
    let other = match Manifest::read(&validation.manifest()) {
        Ok(Some(other)) => other,
        Ok(None) => {
            return wrong(
                Remedy::RunAgain,
                "it is not there: the documents held out are in neither part".into(),
            );
        }
        Err(error) => return wrong(Remedy::RunAgain, error.to_string()),
    };
    let mut mirrored = manifest.clone();
    mirrored.options.held_out = Some(held_out.other());
    if mirrored.run_identity() != other.run_identity() {
        let detail = "it was made with other options or another tokenizer than the part to train on";
        return wrong(Remedy::MakeAllAgain, detail.into());
    }
    for (name, split) in &manifest.splits {
        let Some(part) = other.splits.get(name) else {
            wrong(
                Remedy::RunAgain,
                format!("the split {name} is missing: its documents held out are in neither part"),
            );
            continue;
        };
        if part.source.checksum != split.source.checksum {
            let remedy = Remedy::MakeSplitAgain { split: format!("{VALIDATION_FOLDER}/{name}") };
            wrong(remedy, format!("the split {name} was made of another input than the part to train on"));
            continue;
        }
        if !stretches(part).eq(stretches(split)) {
            let remedy = Remedy::MakeSplitAgain { split: format!("{VALIDATION_FOLDER}/{name}") };
            wrong(remedy, format!("the split {name} cuts its input differently from the part to train on"));
            continue;
        }
        if let Some(detail) = lines_in_parts(output, &validation, name) {
            wrong(Remedy::MakeSplitAgain { split: name.clone() }, format!("the split {name}: {detail}"));
        }
    }
    for name in other.splits.keys().filter(|&name| !manifest.splits.contains_key(name)) {
        let detail = format!("the split {name} is not in the part to train on");
        findings.warning(ProblemKind::HeldOut, place(), Remedy::RunAgain, detail);
    }
}

/// The stretches that a split's input is cut into.
fn stretches(split: &Split) -> impl Iterator<Item = &InputRange> {
    split.shard_list.iter().map(|shard| &shard.input)
}

/// What is wrong with the counts of lines of a split's two parts, if anything is.
fn lines_in_parts(output: &Output, validation: &Output, split: &str) -> Option<String> {
    let stats = |output: &Output| {
        Stats::read(&output.split(split).join(format!("{split}{STATS_SUFFIX}"))).ok().flatten()
    };
    // Statistics that cannot be read are told where their split is checked.
    let (train, held_out) = (stats(output)?, stats(validation)?);
    let of_both = train.shards.iter().zip(&held_out.shards);
    of_both.enumerate().find_map(|(index, (train, held_out))| {
        if train.lines != held_out.lines {
            let (first, second) = (train.lines, held_out.lines);
            return Some(format!(
                "its parts have {first} and {second} lines of the same stretch, shard {index}"
            ));
        }
        let (first, second) = (train.other_part, held_out.other_part);
        (first.saturating_add(second) != train.lines).then(|| {
            format!(
                "its parts leave {first} and {second} lines to each other, of {} of shard {index}",
                train.lines
            )
        })
    })
}
