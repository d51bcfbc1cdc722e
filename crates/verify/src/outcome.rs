//! Splits of which little or nothing came: nothing about them is wrong, and hardly anybody wants them so.

use mashbill_format::held_out::DatasetPart;
use mashbill_format::manifest::{Manifest, Split};

use crate::findings::Findings;
use crate::problem::{ProblemKind, ProblemPlace, Remedy};

/// Finds splits without documents, and those of which most lines were refused.
pub(crate) fn check(manifest: &Manifest, findings: &Findings) {
    // The part that is held out is small by intent, and the refused lines are counted in the other one.
    if manifest.options.held_out.is_some_and(|here| here.part == DatasetPart::Validation) {
        return;
    }
    let mut empty = 0;
    for (name, split) in &manifest.splits {
        let found = findings_of(split, manifest.options.held_out.is_some());
        empty += u64::from(split.samples == 0);
        if let Some((kind, detail)) = found {
            let remedy = match kind {
                ProblemKind::Empty => Remedy::FillInput,
                _ => Remedy::CorrectInput { split: name.clone() },
            };
            findings.warning(kind, ProblemPlace::file(name), remedy, detail);
        }
    }
    let splits = manifest.splits.len() as u64;
    if splits > 0 && 2 * empty >= splits {
        let detail = match (empty, splits) {
            (_, 1) => "the only split has no document".to_owned(),
            (1, _) => format!("1 of {splits} splits has no document"),
            _ => format!("{empty} of {splits} splits have no document"),
        };
        findings.warning(
            ProblemKind::Empty,
            ProblemPlace::file(""),
            Remedy::CorrectInput { split: String::new() },
            detail,
        );
    }
}

fn findings_of(split: &Split, may_be_held_out: bool) -> Option<(ProblemKind, String)> {
    let refused = split.rejected.values().fold(0, |sum: u64, &count| sum.saturating_add(count));
    let (lines, documents) = (refused.saturating_add(split.samples), split.samples);
    let reasons = split.rejected.iter().map(|(reason, count)| format!("{} {count}", reason.name()));
    let reasons = reasons.collect::<Vec<_>>().join(", ");
    match (documents, refused) {
        (0, 0) if may_be_held_out => None,
        (0, 0) => Some((ProblemKind::Empty, "it has no document: its file has no record".to_owned())),
        (0, _) => Some((
            ProblemKind::Refused,
            format!("it has no document: all of its {lines} lines were refused ({reasons})"),
        )),
        _ if refused > documents => {
            Some((ProblemKind::Refused, format!("{refused} of its {lines} lines were refused ({reasons})")))
        }
        _ => None,
    }
}
