//! A lane: shards one after another, from their blocks to their records.
//!
//! Its two threads compute nothing: the feeder cuts, and this one puts what workers made of blocks into order, packs,
//! and says what comes next. All workers work on one shard; when its last block is handed out they begin with the next,
//! so nobody waits where one ends.

use std::collections::{BTreeSet, VecDeque};
use std::panic::resume_unwind;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use mashbill_format::shard::RowLayout;
use mashbill_format::task::{Reject, ShardRecord};
use mashbill_records::pool::{Outcome, Pool, TaskOrder};
use mashbill_tokenizer::{Engine, Sample};

use crate::block::TokenizedBlock;

use crate::context::{Context, RunMessage};
use crate::error::{Error, Result};
use crate::event::Event;
use crate::feeder::{BlockWindow, Feeder, Recorded, StepBatch};
use crate::files::{FinishedFiles, GrowingFiles, RowGroupKind, ShardPlace};
use crate::ordered::Ordered;
use crate::pack::Packer;
use crate::read::{InputCutting, Stretch, lines_before};
use crate::recorder::{MadeTask, Recorder};
use crate::reply::{LaneStep, Reply, Write, Written};
use crate::sampling::{EncodedText, TaskSamples};
use crate::shard::{OpenShard, Ready};
use crate::task::{LaneTasks, Task, Tasks};
use crate::worker::Worker;

/// Texts that wait for their comparison with the reference; building what they need of it costs the
/// same for one as for many.
const SAMPLES_PER_CHECK: usize = 64;

/// A comparison takes as much memory as so many row groups.
const CHECK_WEIGHT: usize = 3;

/// What is encoded together where it is little, by weight: a row group has some four times as much.
const WEIGHT_TOGETHER: usize = 1 << 18;

/// How long the thread waits for workers before it looks whether the run was interrupted.
const PATIENCE: Duration = Duration::from_millis(50);

/// What becomes a write.
#[derive(Debug)]
enum Unencoded {
    /// Rows or documents, and room for their bytes.
    Group {
        ordinal: usize,
        place: ShardPlace,
        ready: Box<Ready>,
        bytes: Vec<u8>,
    },
    Finish {
        ordinal: usize,
    },
}

/// A task that is not recorded yet.
#[derive(Debug)]
struct OpenTask {
    name: String,
    task: Task,
    /// Shards that have begun and are not written.
    shards: usize,
    /// Comparisons with the reference that are not done.
    checks: usize,
    has_ended: bool,
    /// Whether it ended before all of its shards were begun.
    is_partial: bool,
    /// The records of its shards, each with the place of its group in the plan.
    records: Vec<(usize, ShardRecord)>,
    /// Their files.
    paths: Vec<PathBuf>,
    /// Splits of which it has blocks that the reference did not make.
    fast: BTreeSet<usize>,
}

/// Why a lane stopped.
enum Stop {
    Failed(Error),
    /// The engines disagree about a text of a split.
    Mismatch {
        split: usize,
        text: String,
    },
    /// Another lane has found that, and this one has made blocks of the split by the engine that is not trusted.
    Distrusted,
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// Makes tasks one after another until there are no more.
///
/// # Errors
/// What ends the run: an interruption, `--strict`, a full disk, a tokenizer that fails.
pub(crate) fn run<'env>(
    context: &'env Context<'env>,
    pool: &Pool<'env, Worker>,
    tasks: &Tasks,
    recorder: &Recorder,
) -> Result<()> {
    let recorded = Mutex::new(Recorded::new());
    let tasks = LaneTasks::new(tasks);
    loop {
        let window = BlockWindow::new(context.window);
        let (sender, replies) = mpsc::channel();
        let feeder = Feeder {
            context,
            pool,
            window: &window,
            recorded: &recorded,
            sender: sender.clone(),
            sequence: 0,
            batch: StepBatch::default(),
            met: Arc::default(),
            is_finishing: false,
        };
        let mut lane = Lane::new(context, (pool, recorder), (&tasks, &recorded), &window, (sender, replies));
        let stopped = thread::scope(|scope| {
            scope.spawn(|| feeder.run(std::iter::from_fn(|| tasks.next())));
            // Also where this thread panics: the feeder would wait for room for ever.
            let closing = window.closing();
            let stopped = lane.work();
            drop(closing);
            lane.await_writer();
            stopped
        });
        match stopped {
            Ok(()) => return Ok(()),
            Err(Stop::Failed(error)) => return Err(error),
            Err(Stop::Mismatch { split, text }) => {
                context.distrust(split, text)?;
                tasks.begin_again(lane.unfinished());
            }
            Err(Stop::Distrusted) => tasks.begin_again(lane.unfinished()),
        }
    }
}

struct Lane<'env, 'run> {
    context: &'env Context<'env>,
    pool: &'run Pool<'env, Worker>,
    recorder: &'run Recorder,
    own: &'run LaneTasks<'run>,
    recorded: &'run Mutex<Recorded>,
    window: &'run BlockWindow,
    sender: Sender<Outcome<Reply>>,
    replies: Receiver<Outcome<Reply>>,
    steps: Ordered<Vec<LaneStep>>,
    /// What is not in a worker's hands yet, and its weight.
    unencoded: (Vec<Unencoded>, usize),
    writes: Ordered<Vec<Write>>,
    /// What waits for the files, in order.
    ready: Vec<Vec<Write>>,
    /// None while a worker writes to them, and where writing has failed.
    files: Option<GrowingFiles>,
    is_writing: bool,
    /// Shards that are not written yet, in order, and how many there were before them.
    shards: VecDeque<OpenShard>,
    shards_before: usize,
    /// Tasks that are not recorded yet, in order, and how many there were before them.
    tasks: VecDeque<OpenTask>,
    tasks_before: usize,
    /// Documents to be compared with the reference.
    samples: TaskSamples,
    /// Batches of writes that were numbered.
    writes_sent: u64,
    /// Of these, those that are not written, and other work whose replies have not come.
    pending: usize,
    /// Batches of blocks that are packed and for which nobody was let in yet: the files are behind.
    held_back: usize,
    ended: bool,
}

impl<'env, 'run> Lane<'env, 'run> {
    fn new(
        context: &'env Context<'env>,
        (pool, recorder): (&'run Pool<'env, Worker>, &'run Recorder),
        (own, recorded): (&'run LaneTasks<'run>, &'run Mutex<Recorded>),
        window: &'run BlockWindow,
        (sender, replies): (Sender<Outcome<Reply>>, Receiver<Outcome<Reply>>),
    ) -> Self {
        Self {
            context,
            pool,
            recorder,
            own,
            recorded,
            window,
            sender,
            replies,
            steps: Ordered::default(),
            unencoded: Default::default(),
            writes: Ordered::default(),
            ready: Vec::new(),
            files: Some(GrowingFiles::default()),
            is_writing: false,
            shards: VecDeque::new(),
            shards_before: 0,
            tasks: VecDeque::new(),
            tasks_before: 0,
            samples: TaskSamples::default(),
            writes_sent: 0,
            pending: 0,
            held_back: 0,
            ended: false,
        }
    }

    fn work(&mut self) -> std::result::Result<(), Stop> {
        while !(self.ended && self.tasks.is_empty()) {
            match self.receive()? {
                Reply::Steps { sequence, steps } => {
                    self.steps.put(sequence, steps);
                    while let Some(steps) = self.steps.take() {
                        self.steps_of_batch(steps)?;
                    }
                }
                Reply::Encoded { sequence, writes } => self.put_writes(sequence, writes),
                Reply::Written(written) => {
                    self.is_writing = false;
                    let Written { files, batches, bytes, finished } = *written?;
                    self.pending -= batches;
                    self.files = Some(files);
                    let rows = bytes.into_iter().filter(|(kind, _)| *kind == RowGroupKind::Rows);
                    rows.for_each(|(_, bytes)| self.context.written.give_back(bytes));
                    finished.into_iter().for_each(|(ordinal, files)| self.finished(ordinal, files));
                    self.send_ready();
                }
                Reply::Checked { task, outcome } => {
                    self.pending -= CHECK_WEIGHT;
                    self.tasks[task - self.tasks_before].checks -= 1;
                    if let Some((split, text)) = outcome? {
                        return Err(Stop::Mismatch { split, text });
                    }
                }
            }
            self.record_tasks()?;
            self.let_in();
        }
        Ok(())
    }

    /// Waits for a reply, or for the interruption of the run.
    fn receive(&self) -> std::result::Result<Reply, Stop> {
        loop {
            if self.context.interruption.is_over() {
                return Err(Stop::Failed(Error::Interrupted));
            }
            match self.replies.recv_timeout(PATIENCE) {
                Ok(Ok(reply)) => return Ok(reply),
                Ok(Err(panic)) => resume_unwind(panic),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => unreachable!("this thread keeps a sender"),
            }
        }
    }

    /// Waits for the worker that writes, if one does: its files are written anew.
    fn await_writer(&mut self) {
        while self.is_writing {
            match self.replies.recv() {
                Ok(Ok(Reply::Written(_)) | Err(_)) | Err(_) => self.is_writing = false,
                Ok(Ok(_)) => {}
            }
        }
    }

    fn steps_of_batch(&mut self, steps: Vec<LaneStep>) -> std::result::Result<(), Stop> {
        self.held_back += usize::from(steps.iter().any(|step| matches!(step, LaneStep::Block(_))));
        steps.into_iter().try_for_each(|step| self.step(step))?;
        self.encode();
        Ok(())
    }

    fn step(&mut self, step: LaneStep) -> std::result::Result<(), Stop> {
        match step {
            LaneStep::Task { name, task, met } => {
                self.own.begin(&task);
                self.samples = TaskSamples::new(met);
                self.tasks.push_back(OpenTask::new(name, task));
            }
            LaneStep::Shard { group, index } => self.begin_shard(group, index),
            LaneStep::Block(Ok(block)) => self.add_block(*block)?,
            LaneStep::Block(Err(error)) => {
                let group = self.shards.back().expect("its shard has begun").group;
                self.fail(group, error)?;
            }
            LaneStep::End(stretch) => self.end_shard(Some(stretch)),
            LaneStep::Failed { group, error } => {
                self.fail(group, error)?;
                if self.shards.back().is_some_and(|shard| shard.group == group && !shard.has_ended()) {
                    self.end_shard(None);
                }
            }
            LaneStep::TaskEnd => {
                self.check_samples();
                self.tasks.back_mut().expect("it has begun").has_ended = true;
            }
            LaneStep::Interrupted => {
                self.drop_unended();
                self.ended = true;
            }
            LaneStep::Done => self.ended = true,
        }
        Ok(())
    }

    /// Ends the task under way without the shard that was not cut to its end.
    fn drop_unended(&mut self) {
        let Some(task) = self.tasks.back_mut().filter(|task| !task.has_ended) else { return };
        task.has_ended = true;
        task.is_partial = true;
        if self.shards.back().is_some_and(|shard| !shard.has_ended()) {
            self.shards.pop_back();
            task.shards -= 1;
        }
        self.check_samples();
    }

    fn begin_shard(&mut self, group: usize, index: usize) {
        let context = self.context;
        let task = self.tasks.back_mut().expect("it has begun");
        task.shards += 1;
        let making = context.split_of(group);
        if making.begun.set(Instant::now()).is_ok() {
            let split = making.plan.name.clone();
            context.tell(RunMessage::Event(Event::Started { split }));
        }
        let row_length = context.options.max_seq_length;
        let loss = self.context.options.loss();
        let packer = || Packer::new(row_length, RowLayout::of(row_length).rows_per_group, loss);
        let task = self.tasks_before + self.tasks.len() - 1;
        self.shards.push_back(OpenShard::new(task, group, index, context.parts(), packer));
    }

    fn add_block(&mut self, mut block: TokenizedBlock) -> std::result::Result<(), Stop> {
        let context = self.context;
        let shard = self.shards.back_mut().expect("it has begun");
        if context.split_of(shard.group).has_failed() {
            return Ok(());
        }
        let rejects = block.parts.iter().flat_map(|part| &part.rejects);
        if let (true, Some(reject)) = (context.strict, rejects.min_by_key(|reject| reject.line)) {
            return Err(Stop::Failed(strict(context, shard, block.file, reject)?));
        }
        block.parts.iter().for_each(|part| context.progress.add(&part.counts));
        context.progress.read(block.disk_bytes);
        let split = context.work.groups[shard.group].split;
        let task = self.tasks.back_mut().expect("it has begun");
        task.fast.extend(block.is_fast.then_some(split));
        task.check_trust(context)?;
        self.samples.choose(split, block.bytes, std::mem::take(&mut block.samples));
        let ready = shard.add(block);
        self.put_ready(ready);
        if self.samples.chosen.len() >= SAMPLES_PER_CHECK {
            self.check_samples();
        }
        Ok(())
    }

    /// The shard has no more blocks; without a stretch its split cannot be read.
    fn end_shard(&mut self, stretch: Option<Stretch>) {
        let shard = self.shards.back_mut().expect("it has begun");
        let ready = shard.end(stretch);
        let ordinal = self.shards_before + self.shards.len() - 1;
        self.put_ready(ready);
        self.unencoded.0.push(Unencoded::Finish { ordinal });
    }

    /// Takes what is ready of the shard that is worked on, and has it encoded where it is enough for a worker.
    fn put_ready(&mut self, ready: Vec<Ready>) {
        let ordinal = self.shards_before + self.shards.len() - 1;
        for ready in ready {
            let shard = self.shards.back().expect("it has begun");
            let group = &self.context.work.groups[shard.group];
            let split = &self.context.work.splits[group.split].plan.name;
            let place = ShardPlace {
                folder: self.context.made.made(ready.part(), split),
                id: group.shard(shard.index),
                compression: self.context.options.compression,
                loss: self.context.options.loss(),
            };
            let bytes = if ready.kind() == RowGroupKind::Rows {
                self.context.written.take_back()
            } else {
                Vec::new()
            };
            self.unencoded.1 += ready.weight();
            let ready = Box::new(ready);
            self.unencoded.0.push(Unencoded::Group { ordinal, place, ready, bytes });
            if self.unencoded.1 >= WEIGHT_TOGETHER {
                self.encode();
            }
        }
    }

    /// Has what was taken encoded.
    fn encode(&mut self) {
        let (unencoded, _) = std::mem::take(&mut self.unencoded);
        if unencoded.is_empty() {
            return;
        }
        let sequence = self.writes_sent;
        self.writes_sent += 1;
        self.pending += 1;
        self.pool.submit(TaskOrder::First, &self.sender, move |worker| {
            let writes = unencoded.into_iter().map(|unencoded| unencoded.encode(worker)).collect();
            Reply::Encoded { sequence, writes }
        });
    }

    fn put_writes(&mut self, sequence: u64, writes: Vec<Write>) {
        self.writes.put(sequence, writes);
        while let Some(writes) = self.writes.take() {
            self.ready.push(writes);
        }
        self.send_ready();
    }

    /// Has what is ready written, unless a worker is at it.
    fn send_ready(&mut self) {
        if self.ready.is_empty() {
            return;
        }
        let Some(mut files) = self.files.take() else { return };
        self.is_writing = true;
        let ready = std::mem::take(&mut self.ready);
        self.pool.submit(TaskOrder::First, &self.sender, move |_| {
            let (batches, mut bytes, mut finished) = (ready.len(), Vec::new(), Vec::new());
            for write in ready.into_iter().flatten() {
                match write {
                    Write::Group { ordinal, part, place, kind, group } => {
                        if let Err(error) = files.append(ordinal, part, &place, kind, &group) {
                            return Reply::Written(Err(error));
                        }
                        bytes.push((kind, group.bytes));
                    }
                    Write::Finish { ordinal } => match files.finish(ordinal) {
                        Ok(files) => finished.push((ordinal, files)),
                        Err(error) => return Reply::Written(Err(error)),
                    },
                }
            }
            Reply::Written(Ok(Box::new(Written { files, batches, bytes, finished })))
        });
    }

    /// All files of a shard are written: the first of those that were not.
    fn finished(&mut self, ordinal: usize, files: Vec<FinishedFiles>) {
        assert_eq!(ordinal, self.shards_before, "shards are written in order");
        let shard = self.shards.pop_front().expect("it was under way");
        self.shards_before += 1;
        let task = &mut self.tasks[shard.task - self.tasks_before];
        task.shards -= 1;
        let (context, place) = (self.context, shard.group);
        let group = &context.work.groups[place];
        if context.split_of(place).has_failed() {
            return;
        }
        task.paths.extend(files.iter().flat_map(|files| files.paths.clone()));
        let engine = context.tokenizer_of(group.split).engine().name();
        let row_length = context.options.max_seq_length as u64;
        task.records.push((place, shard.into_record(group, &engine, files, row_length)));
    }

    /// Has the documents that were sampled compared with the reference.
    fn check_samples(&mut self) {
        let samples = std::mem::take(&mut self.samples.chosen);
        let is_fast = |split| self.context.tokenizer_of(split).engine() != Engine::Reference;
        let samples: Vec<_> = samples.into_iter().filter(|(split, _)| is_fast(*split)).collect();
        if samples.is_empty() {
            return;
        }
        self.pending += CHECK_WEIGHT;
        let task = self.tasks_before + self.tasks.len() - 1;
        self.tasks.back_mut().expect("it has begun").checks += 1;
        let tokenizer = Arc::clone(&self.context.tokenizer);
        self.pool.submit(TaskOrder::First, &self.sender, move |_| {
            let borrowed = samples.iter().map(|(_, EncodedText { text, ids, is_bare, .. })| Sample {
                text,
                ids,
                is_bare: *is_bare,
            });
            let borrowed: Vec<_> = borrowed.collect();
            let differing = tokenizer.check_samples(&borrowed);
            let of = |position: usize| (samples[position].0, samples[position].1.text.clone());
            Reply::Checked { task, outcome: differing.map(|position| position.map(of)).map_err(Error::from) }
        });
    }

    /// Has the tasks that are done recorded, in order.
    fn record_tasks(&mut self) -> std::result::Result<(), Stop> {
        while let Some(done) = self.tasks.front().filter(|task| task.is_done()) {
            done.check_trust(self.context)?;
            let OpenTask { name, records, paths, is_partial, .. } =
                self.tasks.pop_front().expect("it was just seen");
            self.tasks_before += 1;
            if is_partial && (records.is_empty() || !self.context.records_partial_tasks()) {
                continue;
            }
            let mut recorded = self.recorded.lock().unwrap_or_else(PoisonError::into_inner);
            for (group, record) in &records {
                recorded.insert((*group, record.id.index), (record.input.end, record.last));
            }
            drop(recorded);
            self.recorder.give(MadeTask { name, records, paths });
        }
        Ok(())
    }

    /// Lets in as many blocks as were packed, while what follows packing is not behind.
    fn let_in(&mut self) {
        if self.pending <= self.context.window / 2 {
            (0..std::mem::take(&mut self.held_back)).for_each(|_| self.window.leave());
        }
    }

    /// Gives the split of a group up; the others continue.
    fn fail(&self, group: usize, error: Error) -> std::result::Result<(), Stop> {
        if error.ends_run() {
            return Err(Stop::Failed(error));
        }
        if !self.context.split_of(group).failed.swap(true, Ordering::Relaxed) {
            self.context.tell(RunMessage::Failed(self.context.work.groups[group].split, error));
        }
        Ok(())
    }

    /// The tasks that were begun and are not recorded.
    fn unfinished(&self) -> VecDeque<Task> {
        let mut tasks: VecDeque<Task> = VecDeque::new();
        for open in &self.tasks {
            // A chain that records its shards one by one is one task.
            if tasks.back() != Some(&open.task) {
                tasks.push_back(open.task.clone());
            }
        }
        tasks
    }
}

impl OpenTask {
    const fn new(name: String, task: Task) -> Self {
        Self {
            name,
            task,
            shards: 0,
            checks: 0,
            has_ended: false,
            is_partial: false,
            records: Vec::new(),
            paths: Vec::new(),
            fast: BTreeSet::new(),
        }
    }

    /// Stops where an engine made blocks of it that is not trusted any more: nobody would compare their samples.
    fn check_trust(&self, context: &Context<'_>) -> std::result::Result<(), Stop> {
        if self.fast.iter().any(|&split| context.is_distrusted(split)) {
            Err(Stop::Distrusted)
        } else {
            Ok(())
        }
    }

    const fn is_done(&self) -> bool {
        self.has_ended && self.shards == 0 && self.checks == 0
    }
}

impl Unencoded {
    fn encode(self, worker: &mut Worker) -> Write {
        let (ordinal, place, ready, bytes) = match self {
            Self::Finish { ordinal } => return Write::Finish { ordinal },
            Self::Group { ordinal, place, ready, bytes } => (ordinal, place, ready, bytes),
        };
        let (part, kind) = (ready.part(), ready.kind());
        let group = match *ready {
            Ready::Rows(_, rows) => {
                let group = rows.with_rows(|rows| worker.rows.encode_into(rows, bytes));
                rows.into_ids().for_each(|ids| worker.memory.recycle(ids));
                group
            }
            Ready::Documents(_, table) => table.encode(&mut worker.documents),
        };
        Write::Group { ordinal, part, place, kind, group }
    }
}

/// The error of a bad line of a block that comes next in `shard` and is of the file `file` of its group.
fn strict(context: &Context<'_>, shard: &OpenShard, file: usize, reject: &Reject) -> Result<Error> {
    let group = context.work.groups[shard.group].files();
    let line = shard.lines() + reject.line;
    let line = if group.files.len() > 1 {
        line - shard.lines_before(file)
    } else {
        line + lines_before(group, InputCutting::of(context.options), shard.index as u64)?
    };
    Ok(Error::Strict {
        path: group.files[file].path.clone(),
        line,
        reason: reject.reason.name(),
        detail: reject.detail.clone(),
    })
}

#[cfg(test)]
mod tests;
