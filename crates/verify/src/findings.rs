//! Problems as they come in from all threads: counted all, kept few, told in an order that no thread decides.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use crate::problem::{Problem, ProblemKind, ProblemPlace, Remedy, Severity};
use crate::report::Report;

/// The problems of one check.
#[derive(Debug, Default)]
pub(crate) struct Findings(Mutex<FoundProblems>);

#[derive(Debug, Default)]
struct FoundProblems {
    kept: BTreeMap<(Severity, String, ProblemKind), Vec<Problem>>,
    errors: u64,
    warnings: u64,
}

/// What was found, ready for a report.
pub(crate) struct Summary {
    pub(crate) problems: Vec<Problem>,
    pub(crate) errors: u64,
    pub(crate) warnings: u64,
}

impl Findings {
    /// An error: data are not what they say they are.
    pub(crate) fn error(
        &self,
        kind: ProblemKind,
        place: ProblemPlace,
        remedy: Remedy,
        detail: impl Into<String>,
    ) {
        self.add(Problem { severity: Severity::Error, kind, place, detail: detail.into(), remedy });
    }

    /// A warning.
    pub(crate) fn warning(
        &self,
        kind: ProblemKind,
        place: ProblemPlace,
        remedy: Remedy,
        detail: impl Into<String>,
    ) {
        self.add(Problem { severity: Severity::Warning, kind, place, detail: detail.into(), remedy });
    }

    pub(crate) fn add(&self, problem: Problem) {
        let mut found = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match problem.severity {
            Severity::Error => found.errors += 1,
            Severity::Warning => found.warnings += 1,
        }
        let key = (problem.severity, problem.place.file.clone(), problem.kind);
        let kept = found.kept.entry(key).or_default();
        // Threads come in any order, so the first by place are kept, not the first to come.
        let at =
            kept.partition_point(|other| (&other.place, &other.detail) <= (&problem.place, &problem.detail));
        kept.insert(at, problem);
        kept.truncate(Report::KEPT);
    }

    /// How many there are so far.
    pub(crate) fn count(&self) -> u64 {
        let found = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        found.errors + found.warnings
    }

    /// All of them, worst first, then by place.
    pub(crate) fn into_summary(self) -> Summary {
        let found = self.0.into_inner().unwrap_or_else(PoisonError::into_inner);
        let mut problems: Vec<_> = found.kept.into_values().flatten().collect();
        problems.sort_by(|a, b| (a.severity, &a.place, a.kind).cmp(&(b.severity, &b.place, b.kind)));
        Summary { problems, errors: found.errors, warnings: found.warnings }
    }
}
