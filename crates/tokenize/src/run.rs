//! Doing what was planned, in one process.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use mashbill_format::held_out::DatasetPart;
use mashbill_format::layout::{Output, STATS_SUFFIX, StateFolder, VALIDATION_FOLDER};
use mashbill_format::manifest::{FORMAT_VERSION, Manifest};
use mashbill_format::stats::Stats;
use mashbill_format::task::{GroupIds, RunPlan, ShardRecord};
use mashbill_store::atomic;
use mashbill_store::folder_lock::FolderLock;
use mashbill_store::open;
use mashbill_tokenizer::Tokenizer;

use crate::card::{self, CardReport};
use crate::commit::{Committer, write_manifests};
use crate::compare::{Comparison, FinishedPart, compare};
use crate::error::{Error, Result};
use crate::event::Event;
use crate::folder::Folder;
use crate::license::licenses_of;
use crate::made::{is_published, recorded, whole};
use crate::make::{MakeJob, work_of};
use crate::plan::{FinishedSplits, Plan, SplitPlan, Why, was_held_out};
use crate::report::Report;
use crate::task;

/// Makes the splits of `plan` in one process: what [`begin`], [`crate::make()`] and [`crate::commit()`] make of it. `host` names this machine to
/// others that want the same folder; `interrupted` ends the run early, with everything finished kept.
///
/// A split that fails leaves the others alone: see [`Report::failed`].
///
/// # Errors
/// [`mashbill_store::Error::InUse`], [`Error::OutputChanged`], [`Error::SplitDiffers`], [`Error::Interrupted`], a full
/// disk, [`Error::Strict`], and errors of the output folder.
pub fn run(
    plan: Plan,
    tokenizer: &Arc<Tokenizer>,
    host: &str,
    interrupted: &AtomicBool,
    on_event: &mut dyn FnMut(Event),
) -> Result<Report> {
    let started = Instant::now();
    let Begun { mut plan, known, mut failed, pruned, state, lock } =
        Begun::begin(plan, host, interrupted, on_event)?;
    let (made, card) = if plan.splits.is_empty() {
        let card = write_manifests(&mut plan.folders, &state)?;
        (vec![Vec::new(); plan.folders.len()], card)
    } else {
        make_all(&mut plan, known, tokenizer, interrupted, &mut failed, on_event)?
    };
    failed.sort_by(|a, b| a.0.cmp(&b.0));
    let card = card.map_or_else(|| card::write(&plan.folders, &state), Ok)?;
    if failed.is_empty() {
        // The lock's file goes with the folder, and with it the last trace of the run.
        atomic::remove_folder(state.root())?;
    }
    drop(lock);
    Ok(Report { pruned, card, ..Report::new(plan.folders, made, failed, started) })
}

/// Does what has to be done before tasks are made, and writes down which ones there are, as `plan.json` in the run's state.
/// From then on [`crate::make()`] makes tasks, in any order and in as many processes as there are, and
/// [`crate::commit()`] ends it.
///
/// # Errors
/// Those of [`run`].
pub fn begin(
    plan: Plan,
    host: &str,
    interrupted: &AtomicBool,
    on_event: &mut dyn FnMut(Event),
) -> Result<Planned> {
    let Begun { mut plan, known, failed, pruned, state, lock: _lock } =
        Begun::begin(plan, host, interrupted, on_event)?;
    let run_plan = run_plan(&plan, &known);
    for folder in &mut plan.folders {
        if folder.is_made_alike() {
            // What is made again stays listed until it is replaced.
            plan.splits.iter().for_each(|split| folder.leave(&split.name));
        }
    }
    if plan.folders.iter().all(Folder::is_made_alike) {
        write_manifests(&mut plan.folders, &state)?;
    }
    Ok(Planned { plan: run_plan, failed, pruned })
}

/// A run that has begun.
#[derive(Debug)]
pub struct Planned {
    /// What to make.
    pub plan: RunPlan,
    /// Splits that cannot be made, and why.
    pub failed: Vec<(String, Error)>,
    /// Splits whose input is gone and that were removed.
    pub pruned: Vec<String>,
}

/// Shards that are made already, by split and there by group.
type Known = HashMap<String, Vec<Vec<ShardRecord>>>;

/// A run whose tasks are still to be made, and the right to make them.
struct Begun {
    plan: Plan,
    known: Known,
    failed: Vec<(String, Error)>,
    pruned: Vec<String>,
    state: StateFolder,
    lock: FolderLock,
}

impl Begun {
    fn begin(
        mut plan: Plan,
        host: &str,
        interrupted: &AtomicBool,
        on_event: &mut dyn FnMut(Event),
    ) -> Result<Self> {
        let output = Output::new(&plan.options.output);
        let state = output.state();
        atomic::create_own_folder(state.root())?;
        let lock = FolderLock::take(&state.lock(), host)?;
        // The plan was made without the lock: a run that ended in the meantime must not be undone.
        for folder in &plan.folders {
            if Manifest::read(&folder.output.manifest())? != folder.found {
                return Err(Error::OutputChanged { path: plan.options.output });
            }
            open::check_own_folder(folder.output.root())
                .map_err(|source| mashbill_format::Error::io("use", folder.output.root(), source))?;
        }
        atomic::remove_folder(&state.temporary())?;
        for folder in [state.temporary(), state.tasks()] {
            atomic::create_own_folder(&folder)?;
        }
        if plan.nothing_held_out && was_held_out(&output.validation())? {
            // In one step, so that no half of it is ever taken for a split.
            let gone = state.root().join(VALIDATION_FOLDER);
            atomic::remove_folder(&gone)?;
            atomic::publish(output.validation().root(), &gone)?;
            atomic::remove_folder(&gone)?;
        }
        let pruned = if plan.options.prune { prune(&mut plan.folders, &state)? } else { Vec::new() };
        // A run that was killed may have left it behind its manifests, and what was removed is not to be named.
        card::write(&plan.folders, &state)?;
        let mut failed = std::mem::take(&mut plan.refused);
        let mut known = known(&plan, &state)?;
        let compared = compare_all(&mut plan, &state, &mut known, &mut failed, interrupted, on_event);
        if matches!(compared, Err(Error::SplitDiffers { .. })) && !state.plan().exists() {
            // Nothing is under way, and nothing will be.
            atomic::remove_folder(state.root())?;
        }
        compared?;
        if !plan.splits.is_empty() {
            write_plan(&plan, &state, &known)?;
        }
        Ok(Self { plan, known, failed, pruned, state, lock })
    }
}

fn prune(folders: &mut [Folder], state: &StateFolder) -> Result<Vec<String>> {
    let mut pruned = Vec::new();
    for folder in folders.iter_mut() {
        let vanished = std::mem::take(&mut folder.manifest.vanished);
        // First the manifest lets go of them, then they go: never the other way round.
        let mut without = folder.found.clone().unwrap_or_else(|| folder.manifest.clone());
        without.vanished.clear();
        vanished.keys().for_each(|name| drop(without.splits.remove(name)));
        without.files_processed = without.splits.len() as u64;
        if folder.found.is_some() && !vanished.is_empty() {
            without.write(&folder.output, &state.temporary().join("manifest.json"))?;
            folder.written = Some(without);
        }
        for split in vanished.keys() {
            atomic::remove_folder(&folder.output.split(split))?;
        }
        if folder.part == DatasetPart::Train {
            pruned = vanished.into_keys().collect();
        }
    }
    Ok(pruned)
}

/// The plan as `plan.json` has it.
fn run_plan(plan: &Plan, known: &Known) -> RunPlan {
    let splits = plan.splits.iter().map(|split| {
        let kept = known.get(&split.name);
        split.planned(|number| kept.map_or_else(Vec::new, |groups| groups[number].clone()))
    });
    let mut manifest = plan.folders[0].manifest.clone();
    (manifest.splits, manifest.vanished) = Default::default();
    manifest.files_processed = 0;
    RunPlan {
        format_version: FORMAT_VERSION,
        manifest,
        strict: plan.options.strict,
        task_bytes: plan.options.task_bytes,
        splits: splits.collect(),
    }
}

/// The shards of the plan's splits that an interrupted run has made.
fn known(plan: &Plan, state: &StateFolder) -> Result<Known> {
    let mut recorded = recorded(state)?;
    let now = run_plan(plan, &Known::new());
    let ids = GroupIds::new(&now.manifest);
    let mut known = Known::new();
    for (split, planned) in now.splits.iter().zip(&plan.splits) {
        let groups = (0..split.groups.len()).map(|number| {
            let records = recorded.remove(&ids.of(split, number)).unwrap_or_default();
            let records = if planned.why == Why::Interrupted { records } else { Vec::new() };
            whole(records, &plan.folders, state, &split.split)
        });
        let groups: Vec<_> = groups.collect();
        if groups.iter().all(Vec::is_empty) {
            // What lies there is of another plan.
            for folder in &plan.folders {
                atomic::remove_folder(&state.made(folder.part, &split.split))?;
            }
        } else {
            known.insert(split.split.clone(), groups);
        }
    }
    Ok(known)
}

/// Compares the splits whose inputs may have changed with them; those that are the same need not be made.
fn compare_all(
    plan: &mut Plan,
    state: &StateFolder,
    known: &mut Known,
    failed: &mut Vec<(String, Error)>,
    interrupted: &AtomicBool,
    on_event: &mut dyn FnMut(Event),
) -> Result<()> {
    let header = run_plan(plan, &Known::new());
    let group_ids = GroupIds::new(&header.manifest);
    let mut splits = Vec::new();
    for (planned, split) in header.splits.iter().zip(std::mem::take(&mut plan.splits)) {
        if !matches!(split.why, Why::InputChanged(_)) {
            splits.push(split);
            continue;
        }
        let ids = (0..split.groups.len()).map(|number| group_ids.of(planned, number)).collect();
        let name = split.name.clone();
        match compare(&split, &plan.options.bytes, &plan.folders, (state, ids), interrupted) {
            Ok(Comparison::Same(parts)) => {
                confirm(&split, parts, plan, state)?;
                on_event(Event::Unchanged { split: name });
            }
            Ok(Comparison::Changed { kept, all }) => {
                if plan.options.finished == FinishedSplits::Keep {
                    let (output, why) = (plan.options.output.clone(), "its input has changed".to_owned());
                    return Err(Error::SplitDiffers { split: name, output, why });
                }
                let stays: HashSet<_> = kept.iter().flatten().map(|record| record.id).collect();
                let of = all.len();
                let made = all.into_iter().filter(|id| !stays.contains(id)).collect();
                on_event(Event::Compared { split: name.clone(), made, of });
                known.insert(name, kept);
                splits.push(split);
            }
            Err(error) if error.ends_run() => return Err(error),
            Err(error) => {
                // Others are made; this one stays as it is, and is named.
                plan.folders.iter_mut().for_each(|folder| folder.leave(&name));
                failed.push((name, error));
            }
        }
    }
    plan.splits = splits;
    Ok(())
}

/// Notes that the input of a finished split is what it was, and lists the split.
fn confirm(split: &SplitPlan, parts: Vec<FinishedPart>, plan: &mut Plan, state: &StateFolder) -> Result<()> {
    let name = &split.name;
    for (FinishedPart { split: entry, mut stats, .. }, folder) in parts.into_iter().zip(&mut plan.folders) {
        stats.inputs = split.found_files();
        let path = folder.output.split(name).join(format!("{name}{STATS_SUFFIX}"));
        stats.write(&path, &state.temporary().join("stats.json"))?;
        let mut entry = entry;
        entry.source.file.clone_from(&split.source);
        entry.license = licenses_of(split, &entry)?;
        folder.manifest.vanished.remove(name);
        folder.manifest.splits.insert(name.clone(), entry);
    }
    Ok(())
}

/// Writes down what is made, and what stays of what was: from then on records of earlier plans are not needed.
fn write_plan(plan: &Plan, state: &StateFolder, known: &Known) -> Result<()> {
    run_plan(plan, known).write(state)?;
    atomic::remove_folder(&state.tasks())?;
    atomic::create_own_folder(&state.tasks())?;
    // A split has its place when its folder is not here any more.
    for (split, folder) in plan.splits.iter().flat_map(|split| plan.folders.iter().map(move |f| (split, f))) {
        let name = &split.name;
        if !known.get(name).is_some_and(|groups| is_published(groups, folder, state, name)) {
            atomic::create_own_folder(&state.made(folder.part, name))?;
        }
    }
    Ok(())
}

/// Makes all tasks that are left, puts finished splits in their places, and tells what happens.
fn make_all(
    plan: &mut Plan,
    known: Known,
    tokenizer: &Arc<Tokenizer>,
    interrupted: &AtomicBool,
    failed: &mut Vec<(String, Error)>,
    on_event: &mut dyn FnMut(Event),
) -> Result<(Vec<Vec<Stats>>, Option<CardReport>)> {
    let header = run_plan(plan, &known);
    let folders = std::mem::take(&mut plan.folders);
    let work = work_of(&header, &plan.splits);
    for (split, making) in work.splits.iter().enumerate() {
        let shards = work.groups_of(split).iter().map(|group| group.kept.len()).sum();
        if shards > 0 && making.plan.why == Why::Interrupted {
            let (split, of) = (making.plan.name.clone(), making.plan.count());
            on_event(Event::Resumed { split, shards, of });
        }
    }
    let state = Output::new(&plan.options.output).state();
    let tasks = task::tasks(&work, header.manifest.options.stride_bytes, header.task_bytes);
    let job =
        MakeJob { plan: &header, tokenizer, state: &state, made: &state, threads: plan.options.threads };
    let committer = Committer::new(&work, &state, folders, plan.options.threads);
    let ended = job.work(&work, tasks, Some(committer), interrupted, on_event)?;
    failed.extend(ended.failed);
    plan.folders = ended.folders;
    ended.error.map_or(Ok((ended.made, ended.card)), Err)
}
