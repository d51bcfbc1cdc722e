//! Whether the dataset card says what the manifests say.

use mashbill_format::card::{self, Card};
use mashbill_format::held_out::DatasetPart;
use mashbill_format::layout::{Output, README};
use mashbill_format::manifest::Manifest;

use crate::findings::Findings;
use crate::problem::{ProblemKind, ProblemPlace, Remedy};

/// Warns of a card that is not there or says something else than the manifests: the rows are right, but readers that go by
/// the card load others, or none. What the user has in it is passed over.
pub(crate) fn check(output: &Output, manifest: &Manifest, findings: &Findings) {
    let held_out = manifest.options.held_out;
    if held_out.is_some_and(|held_out| held_out.part == DatasetPart::Validation) {
        // The card of the folder above speaks of it.
        return;
    }
    let validation = held_out.and_then(|_| Manifest::read(&output.validation().manifest()).ok().flatten());
    let stale = |remedy, detail: String| {
        findings.warning(ProblemKind::Card, ProblemPlace::file(README), remedy, detail);
    };
    let found = match card::read(output) {
        Ok(Some(found)) => found,
        Ok(None) => {
            let detail = "it is not there: `datasets` and the Hub guess which files are rows to train on";
            return stale(Remedy::WriteCard, detail.into());
        }
        Err(unfit) => {
            return stale(Remedy::MoveAway { file: README.into() }, format!("it is not a card: {unfit}"));
        }
    };
    match Card::of(manifest, validation.as_ref()).merge(Some(&found)) {
        Ok(merged) if merged.text.as_bytes() == found => {}
        Ok(_) => stale(
            Remedy::WriteCard,
            "it does not list the splits as the manifest has them: `datasets` and the Hub read it".into(),
        ),
        Err(unfit) => {
            stale(Remedy::MoveAway { file: README.into() }, format!("it cannot hold a card: {unfit}"))
        }
    }
}
