//! Doing what was planned.

use std::panic::resume_unwind;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use mashbill_format::atomic::{self, Lock};
use mashbill_format::documents::DocumentsEncoder;
use mashbill_format::held_out::Part;
use mashbill_format::journal::Counts;
use mashbill_format::layout::{Output, STATS_SUFFIX, VALIDATION_FOLDER};
use mashbill_format::manifest::{self, Manifest};
use mashbill_format::open;
use mashbill_format::record::RecordParser;
use mashbill_format::shard::RowGroupEncoder;
use mashbill_format::stats::Stats;

use crate::error::{Error, Result};
use crate::license::license_of;
use crate::plan::{self, Plan, SplitPlan};
use crate::pool::{Memory, Pool, Worker};
use crate::read::Cutting;
use crate::split;
use crate::tokenizer::{Scratch, Tokenizer};

/// How often progress is told.
const TICK: Duration = Duration::from_millis(100);

/// Blocks of a split that may be under way besides two a thread: enough for the cutter to stay ahead.
const SPARE_BLOCKS: usize = 4;

/// What happens in a run.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// Work on the next of the two parts begins, where documents are held out: what is told from here on is of it.
    Part(Part),
    /// Work on a split begins.
    Started {
        /// The split.
        split: String,
    },
    /// A split is gone on with.
    Resumed {
        /// The split.
        split: String,
        /// Units that are finished.
        units: usize,
        /// The key at which it goes on.
        key: u64,
    },
    /// How far the run is; told ten times a second.
    Progress(Progress),
    /// The fast engine disagreed with the reference, which makes the split now.
    EngineMismatch {
        /// The split.
        split: String,
        /// The text they disagree about.
        text: String,
    },
    /// A split is finished and in the manifest.
    Finished {
        /// The split.
        split: String,
        /// Its counts.
        stats: Box<Stats>,
    },
    /// A split cannot be made; the others go on.
    Failed {
        /// The split.
        split: String,
    },
}

/// How far a run is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// Bytes of input files that were worked through in this run.
    pub bytes: u64,
    /// Bytes of all input files that are to be worked through.
    pub bytes_total: u64,
    /// Documents kept.
    pub documents: u64,
    /// Tokens.
    pub tokens: u64,
    /// Refused lines.
    pub rejected: u64,
}

/// What a run did.
#[derive(Debug)]
pub struct Report {
    /// The manifest as it is now.
    pub manifest: Manifest,
    /// Statistics of the splits that were made, in the order of their completion.
    pub made: Vec<Stats>,
    /// Splits that could not be made, and why.
    pub failed: Vec<(String, Error)>,
    /// Splits whose input is gone and that were removed.
    pub pruned: Vec<String>,
    /// The same for the documents that are held out, if any; what failed there is in `failed` here.
    pub validation: Option<Box<Self>>,
    /// Seconds from the first byte to the last manifest.
    pub seconds: f64,
}

/// Makes the splits of `plan`. `host` names this machine to others that want the same folder;
/// `interrupted` ends the run early, with everything finished kept.
///
/// A split that fails leaves the others alone: see [`Report::failed`].
///
/// # Errors
/// [`mashbill_format::Error::InUse`], [`Error::OutputChanged`], [`Error::Interrupted`], a full disk,
/// [`Error::Strict`], and errors of the output folder.
pub fn run(
    mut plan: Plan,
    tokenizer: &Arc<Tokenizer>,
    host: &str,
    interrupted: &AtomicBool,
    on_event: &mut dyn FnMut(Event),
) -> Result<Report> {
    let output = Output::new(&plan.options.output);
    atomic::create_own_folder(&output.state())?;
    let lock = Lock::take(&output.lock(), host)?;
    // The plan was made without the lock: a run that ended in the meantime must not be undone.
    if Manifest::read(&output.manifest())? != plan.found {
        return Err(Error::OutputChanged { path: plan.options.output });
    }
    let started = Instant::now();
    let mut failed = std::mem::take(&mut plan.refused);
    // What is held out comes first: a split that is in the manifest to train on never lacks its other part.
    let mut validation = None;
    if let Some(part) = plan.validation.take() {
        let folder = output.validation();
        open::check_own_folder(folder.root())
            .map_err(|source| mashbill_format::Error::io("use", folder.root(), source))?;
        let mut report = run(*part, tokenizer, host, interrupted, on_event)?;
        // What cannot be read failed both parts.
        report.failed.retain(|(split, _)| failed.iter().all(|(name, _)| name != split));
        failed.append(&mut report.failed);
        plan.splits.retain(|split| failed.iter().all(|(name, _)| *name != split.input.split));
        validation = Some(Box::new(report));
    } else if plan.nothing_held_out {
        // In one step, so that no half of it is ever taken for a split.
        let gone = output.state().join(VALIDATION_FOLDER);
        atomic::remove_folder(&gone)?;
        atomic::publish(output.validation().root(), &gone)?;
        atomic::remove_folder(&gone)?;
    }
    if let Some(held_out) = plan.options.bytes.held_out {
        on_event(Event::Part(held_out.part));
    }
    let mut manifest = plan.manifest;
    let pruned = if plan.options.prune { prune(&mut manifest, &output)? } else { Vec::new() };
    for (input, stats) in &plan.confirmed {
        let path = output.split(&input.split).join(format!("{}{STATS_SUFFIX}", input.split));
        stats.write(&path, &output.state().join("stats.tmp"))?;
    }
    let (events, told) = mpsc::channel();
    let context = Context {
        options: plan.options.bytes,
        vocabulary_size: tokenizer.identity().vocabulary_size as usize,
        pad_id: tokenizer.identity().pad.id,
        strict: plan.options.strict,
        threads: plan.options.threads,
        window: 2 * plan.options.threads + SPARE_BLOCKS,
        progress: Counters::new(plan.splits.iter().map(|split| split.input.size).sum()),
        interrupted,
        stopped: AtomicBool::new(false),
        events,
        output,
    };
    let results =
        Results { manifest: Mutex::new(manifest), made: Mutex::default(), failed: Mutex::new(failed) };
    if !plan.splits.is_empty() {
        make_all(&plan.splits, &context, tokenizer, &results, &told, on_event);
    }
    let unwrap = |error: PoisonError<_>| error.into_inner();
    let mut manifest = results.manifest.into_inner().unwrap_or_else(unwrap);
    let mut failed = results.failed.into_inner().unwrap_or_else(PoisonError::into_inner);
    manifest.files_processed = manifest.splits.len() as u64;
    // An unchanged folder keeps its manifest, modification time included.
    if Manifest::read(&context.output.manifest())?.as_ref() != Some(&manifest) {
        manifest.write(&context.output)?;
    }
    if let Some(fatal) = failed.iter().position(|(_, error)| is_fatal(error)) {
        return Err(failed.swap_remove(fatal).1);
    }
    if failed.is_empty() {
        // The lock's file goes with the folder, and with it the last trace of the run.
        atomic::remove_folder(&context.output.state())?;
    }
    drop(lock);
    let made = results.made.into_inner().unwrap_or_else(PoisonError::into_inner);
    Ok(Report { manifest, made, failed, pruned, validation, seconds: started.elapsed().as_secs_f64() })
}

/// Whether an error ends the whole run, not just its split.
fn is_fatal(error: &Error) -> bool {
    matches!(error, Error::Interrupted | Error::Strict { .. } | Error::Format(_) | Error::Tokenizer(_))
}

fn prune(manifest: &mut Manifest, output: &Output) -> Result<Vec<String>> {
    let vanished = std::mem::take(&mut manifest.vanished);
    // First the manifest lets go of them, then they go: never the other way round.
    manifest.write(output)?;
    for split in vanished.keys() {
        atomic::remove_folder(&output.split(split))?;
    }
    Ok(vanished.into_keys().collect())
}

struct Results {
    manifest: Mutex<Manifest>,
    made: Mutex<Vec<Stats>>,
    failed: Mutex<Vec<(String, Error)>>,
}

/// What all splits of a run share.
#[derive(Debug)]
pub(crate) struct Context<'a> {
    pub(crate) options: manifest::Options,
    pub(crate) output: Output,
    pub(crate) strict: bool,
    pub(crate) threads: usize,
    /// Blocks of a split that may be under way at the same time.
    pub(crate) window: usize,
    pub(crate) progress: Counters,
    vocabulary_size: usize,
    pad_id: u32,
    interrupted: &'a AtomicBool,
    /// Set when one split's error ends the run.
    stopped: AtomicBool,
    events: Sender<Event>,
}

impl Context<'_> {
    pub(crate) fn tell(&self, event: Event) {
        // The receiver outlives everybody who tells; if it did not, there would be nobody to tell.
        drop(self.events.send(event));
    }

    pub(crate) fn is_interrupted(&self) -> bool {
        self.interrupted.load(Ordering::Relaxed) || self.stopped.load(Ordering::Relaxed)
    }

    pub(crate) fn cutting(&self) -> Cutting<'_> {
        plan::cutting(&self.options)
    }

    pub(crate) fn row_group_encoder(&self) -> RowGroupEncoder {
        let Self { options, vocabulary_size, pad_id, .. } = self;
        RowGroupEncoder::new(options.max_seq_length, *vocabulary_size, *pad_id, options.compression)
    }
}

/// Progress, as counted by the threads that make splits.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    bytes: AtomicU64,
    bytes_total: u64,
    documents: AtomicU64,
    tokens: AtomicU64,
    rejected: AtomicU64,
}

impl Counters {
    fn new(bytes_total: u64) -> Self {
        Self { bytes_total, ..Self::default() }
    }

    pub(crate) fn add(&self, counts: &Counts) {
        self.documents.fetch_add(counts.documents, Ordering::Relaxed);
        self.tokens.fetch_add(counts.ledger.tokens(), Ordering::Relaxed);
        self.rejected.fetch_add(counts.rejected.values().sum(), Ordering::Relaxed);
    }

    /// Bytes of input files were worked through.
    pub(crate) fn read(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    fn now(&self) -> Progress {
        Progress {
            bytes: self.bytes.load(Ordering::Relaxed),
            bytes_total: self.bytes_total,
            documents: self.documents.load(Ordering::Relaxed),
            tokens: self.tokens.load(Ordering::Relaxed),
            rejected: self.rejected.load(Ordering::Relaxed),
        }
    }
}

/// Runs workers that compute and threads that each make a split at a time, and tells what happens.
fn make_all(
    splits: &[SplitPlan],
    context: &Context<'_>,
    tokenizer: &Arc<Tokenizer>,
    results: &Results,
    told: &mpsc::Receiver<Event>,
    on_event: &mut dyn FnMut(Event),
) {
    let pool = Pool::default();
    let next = AtomicUsize::new(0);
    // Threads that make splits.
    let busy = AtomicUsize::new(context.threads.min(splits.len()));
    thread::scope(|scope| {
        for _ in 0..context.threads {
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
        let makers: Vec<_> = (0..busy.load(Ordering::Relaxed))
            .map(|_| {
                scope.spawn(|| {
                    let _end = MakerEnd { busy: &busy, context };
                    while let Some(split) = splits.get(next.fetch_add(1, Ordering::Relaxed)) {
                        if context.is_interrupted() {
                            return;
                        }
                        make_one(split, context, &pool, tokenizer, results);
                    }
                })
            })
            .collect();
        while busy.load(Ordering::Acquire) > 0 {
            match told.recv_timeout(TICK) {
                Ok(event) => on_event(event),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    on_event(Event::Progress(context.progress.now()));
                }
            }
        }
        told.try_iter().for_each(&mut *on_event);
        on_event(Event::Progress(context.progress.now()));
        pool.close();
        for maker in makers {
            if let Err(panic) = maker.join() {
                resume_unwind(panic);
            }
        }
        if context.interrupted.load(Ordering::Relaxed) {
            fail(results, String::new(), Error::Interrupted);
        }
    });
}

/// Wakes the thread that tells what happens when a thread that makes splits ends, be it by a panic: it would wait for
/// its next tick.
struct MakerEnd<'a> {
    busy: &'a AtomicUsize,
    context: &'a Context<'a>,
}

impl Drop for MakerEnd<'_> {
    fn drop(&mut self) {
        self.busy.fetch_sub(1, Ordering::Release);
        self.context.tell(Event::Progress(self.context.progress.now()));
    }
}

fn make_one<'env>(
    split: &'env SplitPlan,
    context: &'env Context<'env>,
    pool: &Pool<'env>,
    tokenizer: &Arc<Tokenizer>,
    results: &Results,
) {
    let name = &split.input.split;
    context.tell(Event::Started { split: name.clone() });
    let made = split::make(split, context, pool, tokenizer).and_then(|made| {
        let license = license_of(&split.input, &made.split.source)?;
        let mut manifest = results.manifest.lock().unwrap_or_else(PoisonError::into_inner);
        manifest.vanished.remove(name);
        manifest.splits.insert(name.clone(), manifest::Split { license, ..made.split });
        manifest.files_processed = manifest.splits.len() as u64;
        manifest.write(&context.output)?;
        drop(manifest);
        atomic::remove_folder(context.output.staging(name).root())?;
        Ok(made.stats)
    });
    match made {
        Ok(stats) => {
            results.made.lock().unwrap_or_else(PoisonError::into_inner).push(stats.clone());
            context.tell(Event::Finished { split: name.clone(), stats: Box::new(stats) });
        }
        // The run was stopped by somebody else, whose error says why.
        Err(Error::Interrupted) => {}
        Err(error) => {
            if is_fatal(&error) {
                context.stopped.store(true, Ordering::Relaxed);
            }
            context.tell(Event::Failed { split: name.clone() });
            fail(results, name.clone(), error);
        }
    }
}

fn fail(results: &Results, split: String, error: Error) {
    results.failed.lock().unwrap_or_else(PoisonError::into_inner).push((split, error));
}
