//! A tokenized folder, checked by all threads.

use std::cell::Cell;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use mashbill_format::error::Result;
use mashbill_format::find::is_unfinished;
use mashbill_format::layout::{MANIFEST, Output};
use mashbill_format::manifest::Manifest;
use mashbill_format::shard::{CountedTokens, GroupCheck, RowForm, ShardRow, WantedRowGroup};

use crate::findings::Findings;
use crate::folder::{self, FolderKind};
use crate::gather::{DocumentSeen, Gather};
use crate::problem::{ProblemKind, ProblemPlace, Remedy};
use crate::progress::{CheckCounters, Event};
use crate::report::Report;
use crate::threads::on_all_threads;
use crate::values::RowGroupCheck;
use crate::work::{CheckJob, CheckShared, CheckWork, RowGroupJob, unreadable};
use crate::{books, card, held_out, outcome, table};

pub(crate) fn verify(
    path: &Path,
    gatherers: Vec<&mut dyn Gather>,
    interrupted: &AtomicBool,
    on_event: &mut dyn FnMut(Event),
) -> Result<Report> {
    let output = Output::new(path);
    let manifest = match Manifest::read(&output.manifest()) {
        Ok(Some(manifest)) => manifest,
        Ok(None) if is_unfinished(path) => {
            let findings = Findings::default();
            folder::unfinished(&findings);
            return Ok(without_manifest(path, findings));
        }
        Ok(None) => return Ok(bad_manifest(path, "it is not there, though splits are")),
        Err(error) if error.is_damage() => return Ok(bad_manifest(path, &error.detail())),
        Err(error) => return Err(error),
    };
    let shared = CheckShared {
        output: &output,
        manifest: &manifest,
        form: row_form(&manifest),
        findings: Findings::default(),
        counters: CheckCounters::default(),
    };
    folder::check_root(&output, &manifest, &shared.findings)?;
    books::check_manifest(&manifest, &shared.findings);
    held_out::check_parts(&output, &manifest, &shared.findings);
    card::check(&output, &manifest, &shared.findings);
    outcome::check(&manifest, &shared.findings);
    // Without rows of a length nothing can be said of them, and that has been told.
    if manifest.options.max_seq_length > 0 && manifest.layout.rows_per_page > 0 {
        check_all(&shared, gatherers, interrupted, on_event);
    }
    Ok(report(path, &manifest, shared, interrupted.load(Ordering::Relaxed)))
}

/// What the manifest says of all rows.
fn row_form(manifest: &Manifest) -> RowForm {
    let tokenizer = &manifest.tokenizer_identity;
    // Nothing is put around what a template makes.
    let is_around = manifest.options.template().is_none();
    let ids = |ids: &[u32]| ids.iter().filter(|_| is_around).map(|&id| id as i32).collect();
    RowForm {
        row_length: manifest.options.max_seq_length,
        layout: manifest.layout,
        vocabulary_size: tokenizer.vocabulary_size as usize,
        compression: manifest.options.compression,
        loss: manifest.loss(),
        pad: tokenizer.pad.id as i32,
        before: ids(&tokenizer.ids_before),
        after: ids(&tokenizer.ids_after),
    }
}

/// Has the folder checked by all threads.
fn check_all(
    shared: &CheckShared<'_>,
    gatherers: Vec<&mut dyn Gather>,
    interrupted: &AtomicBool,
    on_event: &mut dyn FnMut(Event),
) {
    let bytes_total = bytes_of(shared.manifest);
    let work = Mutex::new(CheckWork::new(shared));
    on_all_threads(
        gatherers,
        |gatherer| {
            let mut exact = GroupCheck::new(&shared.form);
            while !interrupted.load(Ordering::Relaxed) {
                let Some(job) = work.lock().unwrap_or_else(PoisonError::into_inner).next() else { break };
                run(job, &mut exact, gatherer, shared);
            }
        },
        || on_event(Event::Progress(shared.counters.now(bytes_total, shared.findings.count()))),
    );
}

fn run(job: CheckJob<'_>, exact: &mut GroupCheck<'_>, gatherer: &mut dyn Gather, shared: &CheckShared<'_>) {
    match job {
        CheckJob::Texts { path, place, split } => {
            let wants_learned = gatherer.wants_learned_tokens();
            let mut each = |row, document: &DocumentSeen<'_>| {
                let content_hash = document.content_hash;
                if shared.control_ids().is_none() {
                    held_out::check_document(
                        shared.manifest,
                        &place,
                        split,
                        row,
                        content_hash,
                        &shared.findings,
                    );
                }
                gatherer.document(split, document);
            };
            if let Err(error) = table::check_texts(&path, shared.form.loss, wants_learned, &mut each) {
                unreadable(&place, split, &error, &shared.findings);
            }
        }
        CheckJob::Group(job) => check_group(&job, exact, gatherer, shared),
    }
}

fn check_group(
    job: &RowGroupJob<'_>,
    exact: &mut GroupCheck<'_>,
    gatherer: &mut dyn Gather,
    shared: &CheckShared<'_>,
) {
    let RowGroupJob { shard, index, first_row, rows, bytes, expected } = job;
    let group = RowGroupCheck {
        split: shard.split,
        place: shard.place.clone(),
        index: *index,
        first_row: *first_row,
        shard_row: shard.first_row,
        shard_start: shard.start,
        rows: *rows,
        form: &shared.form,
        findings: &shared.findings,
        is_wrong: Cell::new(false),
    };
    let wanted = WantedRowGroup {
        tokens: match (gatherer.wants_tokens(), shared.control_ids()) {
            (true, _) => CountedTokens::All,
            (false, Some(control)) => CountedTokens::Some(control),
            (false, None) => CountedTokens::None,
        },
        rows: (0..*rows).filter(|&row| gatherer.wants_row(shard.split, group.row_in_split(row))).collect(),
    };
    let exactly = match (bytes, expected) {
        (Some(bytes), Some(expected)) => exact.check(bytes, expected, &wanted),
        _ => None,
    };
    let (meta, ends) = match (exactly, expected) {
        (Some((meta, ends)), Some(expected)) => {
            if gatherer.wants_tokens() {
                gatherer.tokens(group.split, &mut exact.token_counts());
            }
            if let Some(control) = shared.control_ids() {
                let is_control =
                    |id: i32| u32::try_from(id).is_ok_and(|id| control.binary_search(&id).is_ok());
                let counts = exact.token_counts().filter(|(id, _)| is_control(*id)).map(|(_, count)| count);
                CheckCounters::add(&shard.control_tokens, counts.sum());
            }
            gatherer.pieces(group.split, &expected.pieces_in_row);
            exact.wanted_rows(expected, &ends, &wanted, |row, content| {
                let pieces = &group.in_split(content.pieces);
                gatherer.row(group.split, group.row_in_split(row), ShardRow { pieces, ..content });
            });
            (Some(meta), Some(ends))
        }
        _ => (None, group.check(&shard.path, expected.as_ref(), &wanted, gatherer)),
    };
    if let (Some(ends), Some(expected)) = (ends, expected) {
        shard.links.check(&group, expected, &ends);
    }
    CheckCounters::add(&shared.counters.rows, *rows as u64);
    shard.set_group(*index, meta, shared);
}

fn bytes_of(manifest: &Manifest) -> u64 {
    let each = manifest.splits.values().flat_map(|split| {
        let shards = split.shard_files().map(|file| file.bytes);
        shards.chain(split.tables().map(|table| table.bytes))
    });
    each.fold(0, u64::saturating_add)
}

fn report(path: &Path, manifest: &Manifest, shared: CheckShared<'_>, interrupted: bool) -> Report {
    let count = |value: fn(&mashbill_format::manifest::Split) -> u64| {
        manifest.splits.values().map(value).fold(0, u64::saturating_add)
    };
    let CheckShared { counters, findings, .. } = shared;
    let summary = findings.into_summary();
    Report {
        path: path.to_owned(),
        kind: FolderKind::Tokenized,
        files: counters.files.into_inner() + 1,
        bytes: counters.bytes.into_inner(),
        rows: counters.rows.into_inner(),
        documents: count(|split| split.samples),
        tokens: count(|split| split.tokens),
        problems: summary.problems,
        errors: summary.errors,
        warnings: summary.warnings,
        interrupted,
    }
}

/// The report on a folder whose manifest is lost or damaged.
fn bad_manifest(path: &Path, detail: &str) -> Report {
    let findings = Findings::default();
    findings.error(ProblemKind::Manifest, ProblemPlace::file(MANIFEST), Remedy::MakeAllAgain, detail);
    without_manifest(path, findings)
}

/// The report on a folder of which no more can be said than `findings`, since no manifest says what should be there.
fn without_manifest(path: &Path, findings: Findings) -> Report {
    let summary = findings.into_summary();
    Report {
        path: path.to_owned(),
        kind: FolderKind::Tokenized,
        files: 0,
        bytes: 0,
        rows: 0,
        documents: 0,
        tokens: 0,
        problems: summary.problems,
        errors: summary.errors,
        warnings: summary.warnings,
        interrupted: false,
    }
}
