//! Making tasks: workers that compute, lanes that put what they made into order, and who watches them.

use std::hash::{BuildHasher, RandomState};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex};
use std::thread::{self, ScopedJoinHandle};
use std::time::Duration;

use mashbill_format::documents::DocumentsEncoder;
use mashbill_format::layout::{Output, StateFolder};
use mashbill_format::stats::Stats;
use mashbill_format::task::{RunPlan, TaskRecord};
use mashbill_records::pool::Pool;
use mashbill_records::record::RecordParser;
use mashbill_store::atomic;
use mashbill_store::folder_lock::FolderLock;
use mashbill_tokenizer::{Scratch, Tokenizer};

use crate::card::CardReport;
use crate::chat::{ChatEncoder, ChatMemory};
use crate::commit::{Committed, Committer};
use crate::context::{Context, RunCounters, RunMessage, RunWork};
use crate::error::{Error, Result};
use crate::event::Event;
use crate::folder::Folder;
use crate::interruption::Interruption;
use crate::lane;
use crate::place::Place;
use crate::recorder::Recorder;
use crate::split_plan::SplitPlan;
use crate::task::{self, Member, Task, Tasks};
use crate::worker::{Memory, Worker, WrittenGroups};

/// How often progress is told.
const TICK: Duration = Duration::from_millis(100);

/// Blocks of a lane that may be under way besides two a thread: enough for the feeder to stay ahead.
const SPARE_BLOCKS: usize = 4;

/// The names of the tasks that `plan` consists of. They depend on nothing but the plan.
///
/// # Errors
/// [`Error::PlanDamaged`].
pub fn tasks(plan: &RunPlan) -> Result<Vec<String>> {
    let splits = SplitPlan::all_of(plan, Path::new(""))?;
    let tasks = task::tasks(&work_of(plan, &splits), plan.manifest.options.stride_bytes, plan.task_bytes);
    Ok(tasks.into_iter().map(|task| task.name).collect())
}

/// Makes one task of `plan`, which [`crate::begin()`] gave, and records it. It needs the inputs of its own shards and knows
/// no other task, so tasks may be made in any order, at the same time and by different processes. One that is recorded
/// already is left as it is. Where two make the same, both make the same bytes, and one of them records it.
///
/// Gives the splits that cannot be made, and why: their shards are missing in the record.
///
/// # Errors
/// [`Error::NoTask`], [`Error::OtherTokenizer`], [`Error::OutputChanged`] where `plan` is not what the output folder's state
/// says, [`Error::Interrupted`], a full disk, [`Error::Strict`], errors of the output folder, and
/// [`mashbill_store::Error::InUse`] where one process has the folder for itself.
pub fn make(
    plan: &RunPlan,
    task: &str,
    place: Place<'_>,
    (tokenizer, threads): (&Arc<Tokenizer>, usize),
    host: &str,
    interrupted: &AtomicBool,
    on_event: &mut dyn FnMut(Event),
) -> Result<Vec<(String, Error)>> {
    if tokenizer.identity().in_manifest() != plan.manifest.tokenizer_identity {
        let planned = plan.manifest.tokenizer.clone();
        return Err(Error::OtherTokenizer { planned, given: tokenizer.identity().name.clone() });
    }
    let state = Output::new(place.output).state();
    let _lock = FolderLock::share(&state.lock(), host)?;
    if RunPlan::read(&state)?.as_ref() != Some(plan) {
        return Err(Error::OutputChanged { path: place.output.to_owned() });
    }
    if state.task(task).exists() {
        return Ok(Vec::new());
    }
    let splits = SplitPlan::all_of(plan, place.input)?;
    let mut work = work_of(plan, &splits);
    let mut tasks = task::tasks(&work, plan.manifest.options.stride_bytes, plan.task_bytes);
    tasks.retain(|other| other.name == task);
    let Some(chosen) = tasks.first() else { return Err(Error::NoTask { name: task.to_owned() }) };
    if let [Member::Chain { group }] = chosen.members[..] {
        // An attempt that was killed has recorded shards of it by themselves.
        for record in TaskRecord::read_of(&state, task)?.into_iter().flat_map(|record| record.shards) {
            work.groups[group].kept.insert(record.id.index, record);
        }
    }
    let attempt = state.attempt(&format!("{:016x}", RandomState::new().hash_one(std::process::id())));
    atomic::create_own_folder(attempt.root())?;
    let job = MakeJob { plan, tokenizer, state: &state, made: &attempt, threads };
    let ended = job.work(&work, tasks, None, interrupted, on_event);
    atomic::remove_folder(attempt.root())?;
    let ended = ended?;
    ended.error.map_or(Ok(ended.failed), Err)
}

/// The work on a plan, of whose splits `splits` are.
pub(crate) fn work_of<'a>(plan: &RunPlan, splits: &'a [SplitPlan]) -> RunWork<'a> {
    RunWork::new(plan, splits, |planned, number, _| planned.groups[number].kept.clone())
}

/// Tasks of a plan and the threads that make them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MakeJob<'a> {
    pub(crate) plan: &'a RunPlan,
    pub(crate) tokenizer: &'a Arc<Tokenizer>,
    /// Where tasks are recorded.
    pub(crate) state: &'a StateFolder,
    /// Where files are written: the same state, or that of an attempt at one task.
    pub(crate) made: &'a StateFolder,
    pub(crate) threads: usize,
}

/// What came of a job.
pub(crate) struct Ended {
    /// The output folders, where splits were put in their places, and what became of the card, where it was written.
    pub(crate) folders: Vec<Folder>,
    pub(crate) card: Option<CardReport>,
    /// The statistics of these splits, a part at a time.
    pub(crate) made: Vec<Vec<Stats>>,
    /// Splits that could not be made.
    pub(crate) failed: Vec<(String, Error)>,
    /// What ended the job early.
    pub(crate) error: Option<Error>,
}

impl MakeJob<'_> {
    /// Makes `tasks`. With a `committer`, splits that are whole are put in their places meanwhile.
    ///
    /// # Errors
    /// [`Error::Template`].
    pub(crate) fn work(
        &self,
        work: &RunWork<'_>,
        tasks: Vec<Task>,
        committer: Option<Committer<'_>>,
        interrupted: &AtomicBool,
        on_event: &mut dyn FnMut(Event),
    ) -> Result<Ended> {
        let (messages, told) = mpsc::channel();
        let context = Context {
            options: &self.plan.manifest.options,
            state: self.state,
            made: self.made,
            work,
            strict: self.plan.strict,
            task_bytes: self.plan.task_bytes,
            window: 2 * self.threads + SPARE_BLOCKS,
            progress: RunCounters::new(work.size()),
            vocabulary_size: self.tokenizer.identity().vocabulary_size as usize,
            pad_id: self.tokenizer.identity().pad.id,
            tokenizer: Arc::clone(self.tokenizer),
            chat: ChatEncoder::of(self.plan.manifest.options.chat.as_ref(), self.tokenizer)?,
            reference: Mutex::default(),
            interruption: Interruption::new(interrupted),
            messages,
            written: WrittenGroups::default(),
        };
        let kept = work.groups.iter().flat_map(|group| group.kept.values()).flat_map(|record| &record.parts);
        kept.for_each(|part| context.progress.add(&part.counts));
        let mut watch = Watch {
            context: &context,
            committer,
            told,
            made: vec![Vec::new(); context.parts().len()],
            failed: Vec::new(),
            error: None,
        };
        run_threads(&context, Tasks::new(tasks), self.threads, &mut watch, on_event);
        let Watch { committer, made, failed, error, .. } = watch;
        let error = error.or_else(|| context.interruption.has_come().then_some(Error::Interrupted));
        let (folders, card) = committer.map(Committer::end).unwrap_or_default();
        Ok(Ended { folders, card, made, failed, error })
    }
}

/// Runs the threads until all tasks are done.
fn run_threads(
    context: &Context<'_>,
    tasks: Tasks,
    threads: usize,
    watch: &mut Watch<'_, '_>,
    on_event: &mut dyn FnMut(Event),
) {
    let pool = Pool::default();
    let lanes = tasks.lanes(context.work, threads);
    let recorder = Recorder::new(context.state.clone(), context.made.clone(), context.messages.clone());
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let _end = ThreadEnd { context };
                pool.work(&mut Worker {
                    parser: RecordParser::new(&context.options.text_fields()),
                    scratch: Scratch::new(),
                    memory: Memory::default(),
                    rows: context.row_group_encoder(),
                    documents: DocumentsEncoder::new(context.options.compression),
                    chat: ChatMemory::default(),
                });
            });
        }
        let running: Vec<_> = (0..lanes)
            .map(|_| {
                scope.spawn(|| {
                    let _end = LaneEnd(ThreadEnd { context });
                    if let Err(error) = lane::run(context, &pool, &tasks, &recorder) {
                        context.tell(RunMessage::Stopped(error));
                    }
                })
            })
            .collect();
        // What the caller does of an event may panic. Lanes are waited for all the same, before the workers go home: a
        // lane waits for what was handed to them.
        let watched = catch_unwind(AssertUnwindSafe(|| {
            let _end = ThreadEnd { context };
            watch.until_ended(lanes, on_event);
        }));
        let lanes: Vec<_> = running.into_iter().map(ScopedJoinHandle::join).collect();
        pool.close();
        if let Some(panic) = lanes.into_iter().chain([watched]).find_map(|ended| ended.err()) {
            resume_unwind(panic);
        }
    });
    // What waited for the disk is recorded now, and told.
    drop(recorder);
    watch.end(on_event);
}

/// Has the others stop where a thread ends by a panic: they would wait for it.
struct ThreadEnd<'a> {
    context: &'a Context<'a>,
}

impl Drop for ThreadEnd<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.context.interruption.stop();
        }
    }
}

/// Says that a lane has ended, be it by a panic.
struct LaneEnd<'a>(ThreadEnd<'a>);

impl Drop for LaneEnd<'_> {
    fn drop(&mut self) {
        self.0.context.tell(RunMessage::LaneEnded);
    }
}

/// What the thread that started the run does while the others work.
struct Watch<'a, 'run> {
    context: &'a Context<'a>,
    /// Who puts splits in their places, if anybody does.
    committer: Option<Committer<'run>>,
    told: Receiver<RunMessage>,
    /// The statistics of what was made, a part at a time.
    made: Vec<Vec<Stats>>,
    failed: Vec<(String, Error)>,
    /// What ended the run.
    error: Option<Error>,
}

impl Watch<'_, '_> {
    fn until_ended(&mut self, mut lanes: usize, on_event: &mut dyn FnMut(Event)) {
        while lanes > 0 {
            match self.told.recv_timeout(TICK) {
                Ok(RunMessage::LaneEnded) => lanes -= 1,
                Ok(message) => self.hear(message, on_event),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    on_event(Event::Progress(self.context.progress.now()));
                }
            }
            if self.committer.as_ref().is_some_and(Committer::is_due) {
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
        if let Some(Err(error)) = self.committer.as_mut().map(Committer::write_manifests) {
            self.stop(error);
        }
    }

    fn hear(&mut self, message: RunMessage, on_event: &mut dyn FnMut(Event)) {
        match message {
            RunMessage::Event(event) => on_event(event),
            RunMessage::Made(records) => {
                if let Some(committer) = &mut self.committer {
                    records.into_iter().for_each(|(group, record)| committer.add(group, record));
                }
            }
            RunMessage::Failed(split, error) => {
                let name = self.context.work.splits[split].plan.name.clone();
                on_event(Event::Failed { split: name.clone() });
                self.failed.push((name, error));
            }
            RunMessage::Stopped(error) => self.stop(error),
            RunMessage::LaneEnded => {}
        }
    }

    fn commit(&mut self, on_event: &mut dyn FnMut(Event)) {
        if self.error.as_ref().is_some_and(|error| !matches!(error, Error::Interrupted)) {
            return;
        }
        let Some(committer) = &mut self.committer else { return };
        match committer.commit() {
            Ok(committed) => {
                for Committed { split, stats } in committed {
                    on_event(Event::finished(&self.context.work.splits[split].plan.name, &stats));
                    self.made.iter_mut().zip(stats).for_each(|(made, stats)| made.push(stats));
                }
            }
            Err(error) => self.stop(error),
        }
    }

    /// The run ends, with the first error but an interruption, which is what others make of it.
    fn stop(&mut self, error: Error) {
        self.context.interruption.stop();
        if self.error.as_ref().is_none_or(|first| matches!(first, Error::Interrupted)) {
            self.error = Some(error);
        }
    }
}
