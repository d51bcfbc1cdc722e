//! Doing what was planned, in one process.

use std::collections::HashMap;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use mashbill_format::atomic::{self, Lock};
use mashbill_format::documents::DocumentsEncoder;
use mashbill_format::held_out::Part;
use mashbill_format::layout::{Output, STATS_SUFFIX, State, VALIDATION_FOLDER};
use mashbill_format::manifest::{Manifest, Split};
use mashbill_format::open;
use mashbill_format::record::RecordParser;
use mashbill_format::stats::{InputFile, Stats};
use mashbill_format::task::{RunPlan, ShardRecord, TaskRecord};

use crate::commit::{Committed, Committer, write_manifests};
use crate::compare::{Comparison, FinishedPart, compare};
use crate::context::{Context, Counters, Making, Message};
use crate::error::{Error, Result};
use crate::event::Event;
use crate::lane;
use crate::license::license_of;
use crate::plan::{Finished, Folder, Plan, SplitPlan, Why, absolute, planned};
use crate::pool::{Memory, Pool, Worker};
use crate::recorder::Recorder;
use crate::task::{self, Tasks};
use crate::tokenizer::{Scratch, Tokenizer};

/// How often progress is told.
const TICK: Duration = Duration::from_millis(100);

/// Blocks of a lane that may be under way besides two a thread: enough for the feeder to stay ahead.
const SPARE_BLOCKS: usize = 4;

/// What a run did.
#[derive(Debug)]
pub struct Report {
    /// The output folder: of all documents, or of those to train on.
    pub train: PartReport,
    /// The folder of the documents that are held out, if any are.
    pub validation: Option<PartReport>,
    /// Splits that could not be made, and why.
    pub failed: Vec<(String, Error)>,
    /// Splits whose input is gone and that were removed.
    pub pruned: Vec<String>,
    /// Seconds from the first byte to the last manifest.
    pub seconds: f64,
}

/// What a run did in one folder.
#[derive(Debug)]
pub struct PartReport {
    /// The manifest as it is now.
    pub manifest: Manifest,
    /// Statistics of the splits that were made, in the order of their completion.
    pub made: Vec<Stats>,
}

/// Makes the splits of `plan`. `host` names this machine to others that want the same folder;
/// `interrupted` ends the run early, with everything finished kept.
///
/// A split that fails leaves the others alone: see [`Report::failed`].
///
/// # Errors
/// [`mashbill_format::Error::InUse`], [`Error::OutputChanged`], [`Error::SplitDiffers`], [`Error::Interrupted`], a full
/// disk, [`Error::Strict`], and errors of the output folder.
pub fn run(
    mut plan: Plan,
    tokenizer: &Arc<Tokenizer>,
    host: &str,
    interrupted: &AtomicBool,
    on_event: &mut dyn FnMut(Event),
) -> Result<Report> {
    let output = Output::new(&plan.options.output);
    let state = output.state();
    atomic::create_own_folder(state.root())?;
    let lock = Lock::take(&state.lock(), host)?;
    let started = Instant::now();
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
    if plan.nothing_held_out {
        // In one step, so that no half of it is ever taken for a split.
        let gone = state.root().join(VALIDATION_FOLDER);
        atomic::remove_folder(&gone)?;
        atomic::publish(output.validation().root(), &gone)?;
        atomic::remove_folder(&gone)?;
    }
    let pruned = if plan.options.prune { prune(&mut plan.folders, &state)? } else { Vec::new() };
    let mut failed = std::mem::take(&mut plan.refused);
    let mut known = known(&plan, &state)?;
    let compared = compare_all(&mut plan, &state, &mut known, &mut failed, interrupted, on_event);
    if matches!(compared, Err(Error::SplitDiffers { .. })) && !state.plan().exists() {
        // Nothing is under way, and nothing will be.
        atomic::remove_folder(state.root())?;
    }
    compared?;
    let made = if plan.splits.is_empty() {
        write_manifests(&mut plan.folders, &state)?;
        vec![Vec::new(); plan.folders.len()]
    } else {
        write_plan(&plan, &state, &known)?;
        make_all(&mut plan, known, tokenizer, interrupted, &mut failed, on_event)?
    };
    failed.sort_by(|a, b| a.0.cmp(&b.0));
    if failed.is_empty() {
        // The lock's file goes with the folder, and with it the last trace of the run.
        atomic::remove_folder(state.root())?;
    }
    drop(lock);
    let mut parts = plan.folders.into_iter().zip(made);
    let mut part = || parts.next().map(|(folder, made)| PartReport { manifest: folder.manifest, made });
    Ok(Report {
        train: part().expect("there is a folder"),
        validation: part(),
        failed,
        pruned,
        seconds: started.elapsed().as_secs_f64(),
    })
}

fn prune(folders: &mut [Folder], state: &State) -> Result<Vec<String>> {
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
        if folder.part == Part::Train {
            pruned = vanished.into_keys().collect();
        }
    }
    Ok(pruned)
}

/// The plan as `plan.json` has it.
fn run_plan(plan: &Plan, known: &HashMap<String, Vec<ShardRecord>>) -> RunPlan {
    let splits = plan.splits.iter().map(|split| {
        let kept = known.get(&split.input.split).cloned().unwrap_or_default();
        planned(&split.input, split.changed_ns, kept)
    });
    let mut manifest = plan.folders[0].manifest.clone();
    (manifest.splits, manifest.vanished) = Default::default();
    manifest.files_processed = 0;
    RunPlan { format_version: mashbill_format::manifest::FORMAT_VERSION, manifest, splits: splits.collect() }
}

/// The shards of the plan's splits that an interrupted run has made, by split.
fn known(plan: &Plan, state: &State) -> Result<HashMap<String, Vec<ShardRecord>>> {
    let before = RunPlan::read(state)?;
    let kept = before.into_iter().flat_map(|plan| plan.splits).flat_map(|split| split.kept);
    let recorded = TaskRecord::read_all(state)?.into_iter().flat_map(|record| record.shards);
    let mut by_id: HashMap<_, Vec<ShardRecord>> = HashMap::new();
    for record in kept.chain(recorded) {
        by_id.entry(record.of).or_default().push(record);
    }
    let now = run_plan(plan, &HashMap::new());
    let mut known = HashMap::new();
    for (split, planned) in now.splits.iter().zip(&plan.splits) {
        let records = by_id.remove(&now.split_id(split)).unwrap_or_default();
        let mut records = if planned.why == Why::Interrupted { records } else { Vec::new() };
        records.sort_by_key(|record| record.index);
        records.dedup_by_key(|record| record.index);
        records
            .retain(|record| plan.folders.iter().all(|folder| is_whole(record, folder, state, &split.split)));
        if records.is_empty() {
            // What lies there is of another plan.
            for folder in &plan.folders {
                atomic::remove_folder(&state.made(folder.part, &split.split))?;
            }
        } else {
            known.insert(split.split.clone(), records);
        }
    }
    Ok(known)
}

/// Whether the files of a shard are what its record says; after a crash of the whole machine they may not be.
fn is_whole(record: &ShardRecord, folder: &Folder, state: &State, split: &str) -> bool {
    let Some(part) = record.parts.iter().find(|part| part.part == folder.part) else { return false };
    let (Some(file), Some(table)) = (&part.file, &part.table) else { return true };
    // A run that was killed while it gave splits their places may have moved it.
    [state.made(folder.part, split), folder.output.split(split)].iter().any(|place| {
        let paths = crate::files::paths(place, record.index);
        let is = |path: &std::path::Path, bytes: u64| {
            std::fs::metadata(path).is_ok_and(|metadata| metadata.len() == bytes)
        };
        is(&paths[0], file.bytes) && is(&paths[1], table.bytes)
    })
}

/// Compares the splits whose inputs may have changed with them; those that are the same need not be made.
fn compare_all(
    plan: &mut Plan,
    state: &State,
    known: &mut HashMap<String, Vec<ShardRecord>>,
    failed: &mut Vec<(String, Error)>,
    interrupted: &AtomicBool,
    on_event: &mut dyn FnMut(Event),
) -> Result<()> {
    let header = run_plan(plan, &HashMap::new());
    let mut splits = Vec::new();
    for split in std::mem::take(&mut plan.splits) {
        if !matches!(split.why, Why::InputChanged(_)) {
            splits.push(split);
            continue;
        }
        let id = header.split_id(&planned(&split.input, split.changed_ns, Vec::new()));
        let name = split.input.split.clone();
        match compare(&split.input, &plan.options.bytes, &plan.folders, (state, id), interrupted) {
            Ok(Comparison::Same(parts)) => {
                confirm(&split, parts, plan, state)?;
                on_event(Event::Unchanged { split: name });
            }
            Ok(Comparison::Changed { kept, of }) => {
                if plan.options.finished == Finished::Keep {
                    let (output, why) = (plan.options.output.clone(), "its input has changed".to_owned());
                    return Err(Error::SplitDiffers { split: name, output, why });
                }
                let made = (0..of).filter(|index| kept.iter().all(|record| record.index != *index)).collect();
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
fn confirm(split: &SplitPlan, parts: Vec<FinishedPart>, plan: &mut Plan, state: &State) -> Result<()> {
    let name = &split.input.split;
    for (FinishedPart { split: entry, mut stats, .. }, folder) in parts.into_iter().zip(&mut plan.folders) {
        stats.input = InputFile {
            path: absolute(&split.input.path),
            size: split.input.size,
            modified_ns: split.input.modified_ns,
            changed_ns: split.changed_ns,
        };
        let path = folder.output.split(name).join(format!("{name}{STATS_SUFFIX}"));
        stats.write(&path, &state.temporary().join("stats.json"))?;
        let mut source = entry.source.clone();
        source.file.clone_from(&split.input.relative);
        let license = license_of(&split.input, &source)?;
        folder.manifest.vanished.remove(name);
        folder.manifest.splits.insert(name.clone(), Split { license, source, ..entry });
    }
    Ok(())
}

/// Writes down what is made, and what stays of what was: from then on records of earlier plans are not needed.
fn write_plan(plan: &Plan, state: &State, known: &HashMap<String, Vec<ShardRecord>>) -> Result<()> {
    run_plan(plan, known).write(state)?;
    atomic::remove_folder(&state.tasks())?;
    atomic::create_own_folder(&state.tasks())?;
    // A split has its place when its folder is not here any more.
    for (split, folder) in plan.splits.iter().flat_map(|split| plan.folders.iter().map(move |f| (split, f))) {
        let name = &split.input.split;
        if !known.get(name).is_some_and(|records| is_published(records, folder, state, name)) {
            atomic::create_own_folder(&state.made(folder.part, name))?;
        }
    }
    Ok(())
}

/// Whether a run that was killed has given a split its place, with these shards: all of them, and in nobody's way.
fn is_published(records: &[ShardRecord], folder: &Folder, state: &State, split: &str) -> bool {
    let is_all = records.last().is_some_and(|record| record.last && record.index + 1 == records.len());
    let parts = records.iter().flat_map(|record| &record.parts).filter(|part| part.part == folder.part);
    is_all && parts.clone().any(|part| part.file.is_some()) && !state.made(folder.part, split).exists()
}

/// Runs workers that compute and lanes that make tasks, puts finished splits in their places, and tells what happens.
fn make_all(
    plan: &mut Plan,
    mut known: HashMap<String, Vec<ShardRecord>>,
    tokenizer: &Arc<Tokenizer>,
    interrupted: &AtomicBool,
    failed: &mut Vec<(String, Error)>,
    on_event: &mut dyn FnMut(Event),
) -> Result<Vec<Vec<Stats>>> {
    let header = run_plan(plan, &HashMap::new());
    let folders = std::mem::take(&mut plan.folders);
    let making = plan.splits.iter().map(|split| {
        let kept = known.remove(&split.input.split).unwrap_or_default();
        Making {
            plan: split,
            id: header.split_id(&planned(&split.input, split.changed_ns, Vec::new())),
            count: split.count,
            kept: kept.into_iter().map(|record| (record.index, record)).collect(),
            begun: OnceLock::new(),
            failed: AtomicBool::new(false),
        }
    });
    let (messages, told) = mpsc::channel();
    let options = &plan.options;
    let context = Context {
        options: &options.bytes,
        state: Output::new(&options.output).state(),
        splits: making.collect(),
        strict: options.strict,
        task_bytes: options.task_bytes,
        window: 2 * options.threads + SPARE_BLOCKS,
        progress: Counters::new(plan.splits.iter().map(|split| split.input.size).sum()),
        vocabulary_size: tokenizer.identity().vocabulary_size as usize,
        pad_id: tokenizer.identity().pad.id,
        tokenizer: Arc::clone(tokenizer),
        reference: Mutex::default(),
        interrupted,
        stopped: AtomicBool::new(false),
        messages,
    };
    for making in context.splits.iter().filter(|making| !making.kept.is_empty()) {
        let (split, shards) = (making.plan.input.split.clone(), making.kept.len());
        if making.plan.why == Why::Interrupted {
            on_event(Event::Resumed { split, shards, of: making.count });
        }
        making
            .kept
            .values()
            .flat_map(|record| &record.parts)
            .for_each(|part| context.progress.add(&part.counts));
    }
    let mut watch = Watch {
        context: &context,
        committer: Committer::new(&context, folders, options.threads),
        told,
        made: vec![Vec::new(); context.parts().len()],
        failed,
        error: None,
    };
    work(&context, options.threads, &mut watch, on_event);
    let Watch { committer, made, error, .. } = watch;
    plan.folders = committer.into_folders();
    match error {
        Some(error) => Err(error),
        None if interrupted.load(Ordering::Relaxed) => Err(Error::Interrupted),
        None => Ok(made),
    }
}

/// Runs the threads until all tasks are done.
fn work(context: &Context<'_>, threads: usize, watch: &mut Watch<'_, '_>, on_event: &mut dyn FnMut(Event)) {
    let pool = Pool::default();
    let tasks = Tasks::new(task::tasks(&context.splits, context.options.stride_bytes, context.task_bytes));
    let lanes = tasks.lanes(&context.splits, threads);
    let recorder = Recorder::new(context.state.clone(), context.messages.clone());
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                pool.work(&mut Worker {
                    parser: RecordParser::new(&context.options.text_fields()),
                    scratch: Scratch::new(),
                    memory: Memory::default(),
                    rows: context.row_group_encoder(),
                    documents: DocumentsEncoder::new(context.options.compression),
                });
            });
        }
        let running: Vec<_> = (0..lanes)
            .map(|_| {
                scope.spawn(|| {
                    let _end = LaneEnd { context };
                    if let Err(error) = lane::run(context, &pool, &tasks, &recorder) {
                        context.tell(Message::Stopped(error));
                    }
                })
            })
            .collect();
        watch.until_ended(lanes, on_event);
        pool.close();
        for lane in running {
            if let Err(panic) = lane.join() {
                resume_unwind(panic);
            }
        }
    });
    // What waited for the disk is recorded now, and told.
    drop(recorder);
    watch.end(on_event);
}

/// Says that a lane has ended, be it by a panic.
struct LaneEnd<'a> {
    context: &'a Context<'a>,
}

impl Drop for LaneEnd<'_> {
    fn drop(&mut self) {
        self.context.tell(Message::LaneEnded);
    }
}

/// What the thread that started the run does while the others work.
struct Watch<'a, 'run> {
    context: &'a Context<'a>,
    committer: Committer<'a>,
    told: Receiver<Message>,
    /// The statistics of what was made, a part at a time.
    made: Vec<Vec<Stats>>,
    failed: &'run mut Vec<(String, Error)>,
    /// What ended the run.
    error: Option<Error>,
}

impl Watch<'_, '_> {
    fn until_ended(&mut self, mut lanes: usize, on_event: &mut dyn FnMut(Event)) {
        while lanes > 0 {
            match self.told.recv_timeout(TICK) {
                Ok(Message::LaneEnded) => lanes -= 1,
                Ok(message) => self.hear(message, on_event),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    on_event(Event::Progress(self.context.progress.now()));
                }
            }
            if self.committer.is_due() {
                self.commit(on_event);
            }
        }
    }

    fn end(&mut self, on_event: &mut dyn FnMut(Event)) {
        while let Ok(message) = self.told.try_recv() {
            self.hear(message, on_event);
        }
        on_event(Event::Progress(self.context.progress.now()));
        self.commit(on_event);
        if let Err(error) = self.committer.write_manifests() {
            self.stop(error);
        }
    }

    fn hear(&mut self, message: Message, on_event: &mut dyn FnMut(Event)) {
        match message {
            Message::Event(event) => on_event(event),
            Message::Made(records) => {
                records.into_iter().for_each(|(split, record)| self.committer.add(split, record));
            }
            Message::Failed(split, error) => {
                let name = self.context.splits[split].plan.input.split.clone();
                on_event(Event::Failed { split: name.clone() });
                self.failed.push((name, error));
            }
            Message::Stopped(error) => self.stop(error),
            Message::LaneEnded => {}
        }
    }

    fn commit(&mut self, on_event: &mut dyn FnMut(Event)) {
        if self.error.as_ref().is_some_and(|error| !matches!(error, Error::Interrupted)) {
            return;
        }
        match self.committer.commit() {
            Ok(committed) => {
                for Committed { split, stats } in committed {
                    let split = self.context.splits[split].plan.input.split.clone();
                    let held_out = stats.get(1).cloned().map(Box::new);
                    on_event(Event::Finished { split, stats: Box::new(stats[0].clone()), held_out });
                    self.made.iter_mut().zip(stats).for_each(|(made, stats)| made.push(stats));
                }
            }
            Err(error) => self.stop(error),
        }
    }

    /// The run ends, with the first error but an interruption, which is what others make of it.
    fn stop(&mut self, error: Error) {
        self.context.stopped.store(true, Ordering::Relaxed);
        if self.error.as_ref().is_none_or(|first| matches!(first, Error::Interrupted)) {
            self.error = Some(error);
        }
    }
}
