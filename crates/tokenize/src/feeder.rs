//! The thread of a lane that cuts: tasks into shards, shards into blocks, which it hands to the workers.
//!
//! It runs ahead of what is packed by a window of blocks, which bounds the memory.

use std::collections::HashMap;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use mashbill_format::manifest;
use mashbill_records::pool::{Outcome, Pool, TaskOrder};
use mashbill_tokenizer::{MetTraits, Tokenizer};

use crate::block::{BlockOptions, tokenize_block};
use crate::context::{Context, RunMessage};
use crate::error::{Error, Result};
use crate::event::Event;
use crate::interruption::is_finished;
use crate::read::{InputBlock, InputCutting, Reader, Stretch, check_unchanged};
use crate::reply::{LaneStep, Reply};
use crate::sampling::Sampling;
use crate::task::{Member, Task};
use crate::worker::Worker;

/// How long the thread waits for room before it looks whether the run was interrupted.
const PATIENCE: Duration = Duration::from_millis(50);

/// Bytes of small blocks that a worker is given together, and the most steps that come with them: of small files waking a
/// thread takes longer than what it has to do.
const BYTES_TOGETHER: u64 = 256 << 10;
const STEPS_TOGETHER: usize = 256;

/// Room for blocks under way.
#[derive(Debug)]
pub(crate) struct BlockWindow {
    room: Mutex<Option<usize>>,
    changed: Condvar,
}

impl BlockWindow {
    pub(crate) fn new(blocks: usize) -> Self {
        Self { room: Mutex::new(Some(blocks)), changed: Condvar::new() }
    }

    /// Waits for room for a block; false where there will be none.
    fn enter(&self, context: &Context<'_>) -> bool {
        let mut room = self.room.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            match &mut *room {
                None => return false,
                Some(_) if context.interruption.is_over() => return false,
                Some(0) => {
                    let waited = self.changed.wait_timeout(room, PATIENCE);
                    room = waited.unwrap_or_else(PoisonError::into_inner).0;
                }
                Some(some) => {
                    *some -= 1;
                    return true;
                }
            }
        }
    }

    /// A block is not under way any more.
    pub(crate) fn leave(&self) {
        if let Some(room) = &mut *self.room.lock().unwrap_or_else(PoisonError::into_inner) {
            *room += 1;
        }
        self.changed.notify_one();
    }

    /// As soon as it is dropped, be it by a panic, nobody is let in any more.
    pub(crate) const fn closing(&self) -> WindowEnd<'_> {
        WindowEnd(self)
    }
}

/// Closes a window when it is dropped.
#[derive(Debug)]
pub(crate) struct WindowEnd<'a>(&'a BlockWindow);

impl Drop for WindowEnd<'_> {
    fn drop(&mut self) {
        *self.0.room.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.0.changed.notify_one();
    }
}

/// Shards that this lane has recorded, by group and number: where each ended, and whether it was the last one.
pub(crate) type Recorded = HashMap<(usize, usize), (u64, bool)>;

/// The thread that cuts.
pub(crate) struct Feeder<'env, 'run> {
    pub(crate) context: &'env Context<'env>,
    pub(crate) pool: &'run Pool<'env, Worker>,
    pub(crate) window: &'run BlockWindow,
    pub(crate) recorded: &'run Mutex<Recorded>,
    pub(crate) sender: Sender<Outcome<Reply>>,
    /// Batches that were sent.
    pub(crate) sequence: u64,
    /// What comes next and was not sent yet.
    pub(crate) batch: StepBatch,
    /// What the lane has met of traits in the task under way.
    pub(crate) met: Arc<MetTraits>,
    /// Whether the shard under way is finished although the run is interrupted.
    pub(crate) is_finishing: bool,
}

/// What is sent together.
#[derive(Debug, Default)]
pub(crate) struct StepBatch {
    steps: Vec<Next>,
    /// Blocks among them, and the bytes of these.
    blocks: usize,
    bytes: u64,
}

/// A step, or what becomes one.
#[derive(Debug)]
enum Next {
    Step(LaneStep),
    Block { group: usize, block: InputBlock, tokenizer: Arc<Tokenizer>, met: Arc<MetTraits> },
}

impl Next {
    fn into_step(self, context: &Context<'_>, worker: &mut Worker) -> LaneStep {
        let (group, block, tokenizer, met) = match self {
            Self::Step(step) => return step,
            Self::Block { group, block, tokenizer, met } => (group, block, tokenizer, met),
        };
        let &manifest::ShardOptions { max_document_bytes, held_out, .. } = context.options;
        let options = BlockOptions {
            tokenizer: &tokenizer,
            chat: context.chat.as_ref(),
            max_document_bytes,
            held_out,
            sampling: Sampling::Later(&met),
            only: None,
        };
        let tokenized = tokenize_block(&block, context.work.groups[group].files(), worker, options);
        LaneStep::Block(tokenized.map(Box::new))
    }
}

/// Nobody waits for what would come.
struct Closed;

/// Why the work on a member of a task ended early.
enum Stop {
    Closed,
    Failed(Error),
}

impl From<Closed> for Stop {
    fn from(_: Closed) -> Self {
        Self::Closed
    }
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl Feeder<'_, '_> {
    /// Works through `tasks`.
    pub(crate) fn run(mut self, tasks: impl Iterator<Item = Task>) {
        for task in tasks {
            if self.task(task).is_err() {
                return;
            }
        }
        drop(self.step(LaneStep::Done));
    }

    fn task(&mut self, task: Task) -> std::result::Result<(), Closed> {
        let is_long_chain = task.is_long_chain(self.context.work, self.context.task_bytes);
        if !is_long_chain {
            self.begin_task(task.name.clone(), task.clone())?;
        }
        let mut reader = None;
        for &member in &task.members {
            let (Member::Shard { group, .. } | Member::Chain { group }) = member;
            if self.context.split_of(group).has_failed() {
                continue;
            }
            let done = match member {
                Member::Shard { group, index } => self.shard(group, index, &mut reader),
                Member::Chain { group } => self.chain(group, is_long_chain.then_some(&task)),
            };
            match done {
                Ok(()) => {}
                Err(Stop::Closed) => return Err(Closed),
                Err(Stop::Failed(error)) => {
                    reader = None;
                    self.step(LaneStep::Failed { group, error })?;
                }
            }
        }
        if !is_long_chain {
            self.step(LaneStep::TaskEnd)?;
        }
        Ok(())
    }

    fn begin_task(&mut self, name: String, task: Task) -> std::result::Result<(), Closed> {
        self.met = Arc::default();
        self.step(LaneStep::Task { name, task, met: Arc::clone(&self.met) })
    }

    fn reader<'a>(&self, group: usize) -> Result<Reader<'a>>
    where
        Self: 'a,
    {
        let context = self.context;
        Reader::open(context.work.groups[group].files(), InputCutting::of(context.options))
    }

    /// A shard of a group any of which can be read; `reader` is that of the split before.
    fn shard<'a>(
        &mut self,
        group: usize,
        index: usize,
        reader: &mut Option<(usize, Reader<'a>)>,
    ) -> std::result::Result<(), Stop>
    where
        Self: 'a,
    {
        let open = match reader {
            Some((of, open)) if *of == group => open,
            _ => {
                let open = self.reader(group)?;
                &mut reader.insert((group, open)).1
            }
        };
        self.blocks(group, index, open)?;
        Ok(())
    }

    /// All shards of a group that has to be read from its beginning on; in `task` where each is recorded by itself.
    fn chain(&mut self, group: usize, task: Option<&Task>) -> std::result::Result<(), Stop> {
        let mut reader = self.reader(group)?;
        for index in 0.. {
            if let Some((end, last)) = self.made(group, index) {
                reader.pass_over(end)?;
                if last {
                    break;
                }
                continue;
            }
            if let Some(task) = task {
                self.begin_task(format!("{}_{index:05}", task.name), task.clone())?;
            }
            let stretch = self.blocks(group, index, &mut reader)?;
            if task.is_some() {
                self.step(LaneStep::TaskEnd)?;
            }
            if stretch.last {
                break;
            }
        }
        Ok(())
    }

    /// Where a shard that is made already ends, and whether it is the last one.
    fn made(&self, group: usize, index: usize) -> Option<(u64, bool)> {
        if let Some(record) = self.context.work.groups[group].kept.get(&index) {
            return Some((record.input.end, record.last));
        }
        self.recorded.lock().unwrap_or_else(PoisonError::into_inner).get(&(group, index)).copied()
    }

    fn blocks(
        &mut self,
        group: usize,
        index: usize,
        reader: &mut Reader<'_>,
    ) -> std::result::Result<Stretch, Stop> {
        self.is_finishing = false;
        self.check_interruption(None)?;
        reader.begin(index as u64)?;
        self.step(LaneStep::Shard { group, index })?;
        while let Some(block) = reader.next()? {
            self.check_interruption(Some((group, index, reader)))?;
            self.block(group, block)?;
        }
        check_unchanged(self.context.work.groups[group].files())?;
        let stretch = reader.end();
        self.step(LaneStep::End(stretch))?;
        Ok(stretch)
    }

    /// Ends the work where the run is interrupted; a shard under way is finished if that does not take long.
    fn check_interruption(
        &mut self,
        under_way: Option<(usize, usize, &Reader<'_>)>,
    ) -> std::result::Result<(), Closed> {
        let context = self.context;
        if self.is_finishing || !context.interruption.has_come() {
            return Ok(());
        }
        if let Some((group, index, reader)) = under_way {
            let left = reader.bytes_left() + context.progress.under_way();
            let time = context.interruption.time_for(left, context.progress.bytes());
            let split = context.split_of(group).plan.name.clone();
            let shard = context.work.groups[group].shard(index);
            self.is_finishing = is_finished(time);
            if self.is_finishing {
                context.tell(RunMessage::Event(Event::Finishing { split, shard }));
                return Ok(());
            }
            context.tell(RunMessage::Event(Event::Dropped { split, shard, time }));
        }
        self.step(LaneStep::Interrupted)?;
        Err(Closed)
    }

    /// Sends a step, with what comes next where that is not long in coming.
    fn step(&mut self, step: LaneStep) -> std::result::Result<(), Closed> {
        let ends = matches!(
            step,
            LaneStep::TaskEnd | LaneStep::Failed { .. } | LaneStep::Interrupted | LaneStep::Done
        );
        self.batch.steps.push(Next::Step(step));
        if ends || self.batch.steps.len() >= STEPS_TOGETHER { self.send() } else { Ok(()) }
    }

    fn block(&mut self, group: usize, block: InputBlock) -> std::result::Result<(), Closed> {
        let tokenizer = self.context.tokenizer_of(self.context.work.groups[group].split);
        self.context.progress.hand_out(block.disk_bytes);
        self.batch.blocks += 1;
        self.batch.bytes += block.bytes;
        self.batch.steps.push(Next::Block { group, block, tokenizer, met: Arc::clone(&self.met) });
        if self.batch.bytes >= BYTES_TOGETHER { self.send() } else { Ok(()) }
    }

    /// Hands the batch to a worker, which tokenizes its blocks. One without any needs no worker.
    fn send(&mut self) -> std::result::Result<(), Closed> {
        let StepBatch { steps, blocks, .. } = std::mem::take(&mut self.batch);
        let (context, sequence) = (self.context, self.sequence);
        self.sequence += 1;
        if blocks == 0 {
            let only_step = |next| match next {
                Next::Step(step) => step,
                Next::Block { .. } => unreachable!("there is no block"),
            };
            let steps = steps.into_iter().map(only_step).collect();
            return self.sender.send(Ok(Reply::Steps { sequence, steps })).map_err(|_| Closed);
        }
        if !self.window.enter(context) {
            return Err(Closed);
        }
        self.pool.submit(TaskOrder::Later, &self.sender, move |worker| {
            let steps = steps.into_iter().map(|next| next.into_step(context, worker)).collect();
            Reply::Steps { sequence, steps }
        });
        Ok(())
    }
}
