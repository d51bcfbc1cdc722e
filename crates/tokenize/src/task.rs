//! What is made and recorded together.
//!
//! A shard of the usual size is a task of its own. Small ones that follow one another are one: one record, one wait for
//! the disk. What can only be read from its beginning on is read once, by one reader, which records each shard that is
//! large enough by itself.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::vec;

use mashbill_records::FileKind;

use crate::context::RunWork;

/// Bytes of input that the small shards of a task have together, by default.
pub const TASK_BYTES: u64 = 32 << 20;

/// The most shards in a task: what a kill costs where files are tiny.
const TASK_SHARDS_MAX: usize = 1024;

/// Bytes that each byte of a packed file is taken for.
const EXPANSION: u64 = 4;

/// Shards that are recorded together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Task {
    /// The name of its record.
    pub(crate) name: String,
    pub(crate) members: Vec<Member>,
}

/// A part of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Member {
    /// One shard.
    Shard { group: usize, index: usize },
    /// All shards of a group that can only be read from its beginning on.
    Chain { group: usize },
}

impl Task {
    /// Whether it is one chain, which records each of its shards by itself.
    pub(crate) fn is_long_chain(&self, work: &RunWork<'_>, task_bytes: u64) -> bool {
        match self.members[..] {
            [Member::Chain { group }] => {
                work.groups[group].files().size().saturating_mul(EXPANSION) >= task_bytes
            }
            _ => false,
        }
    }
}

/// Hands out tasks to lanes.
#[derive(Debug)]
pub(crate) struct Tasks(Mutex<vec::IntoIter<Task>>);

impl Tasks {
    pub(crate) fn new(tasks: Vec<Task>) -> Self {
        Self(Mutex::new(tasks.into_iter()))
    }

    /// How many lanes there are work for: one, and one for each task that has its file decoded by one thread, up to
    /// `threads` in all.
    pub(crate) fn lanes(&self, work: &RunWork<'_>, threads: usize) -> usize {
        let tasks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_rows =
            |group: usize| work.groups[group].files().files.iter().any(|file| file.kind == FileKind::Parquet);
        let is_decoded = |member: &Member| match *member {
            Member::Chain { .. } => true,
            Member::Shard { group, .. } => work.groups[group].files().files.len() > 1 || is_rows(group),
        };
        let decoded = tasks.as_slice().iter().filter(|task| task.members.iter().any(is_decoded)).count();
        decoded.clamp(1, threads.max(1))
    }

    pub(crate) fn next(&self) -> Option<Task> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).next()
    }
}

/// The tasks of one lane. What its cutter has taken and nobody has packed anything of is not lost where the lane begins
/// again.
#[derive(Debug)]
pub(crate) struct LaneTasks<'a> {
    tasks: &'a Tasks,
    taken: Mutex<TakenTasks>,
}

#[derive(Debug, Default)]
struct TakenTasks {
    /// Those that come before new ones.
    again: VecDeque<Task>,
    /// Those that were taken and that the lane has not come to yet.
    ahead: VecDeque<Task>,
}

impl<'a> LaneTasks<'a> {
    pub(crate) fn new(tasks: &'a Tasks) -> Self {
        Self { tasks, taken: Mutex::default() }
    }

    pub(crate) fn next(&self) -> Option<Task> {
        let mut taken = self.lock();
        let task = taken.again.pop_front().or_else(|| self.tasks.next())?;
        taken.ahead.push_back(task.clone());
        Some(task)
    }

    /// The lane has come to a task; to a chain it comes with each of its shards.
    pub(crate) fn begin(&self, task: &Task) {
        let ahead = &mut self.lock().ahead;
        if let Some(place) = ahead.iter().position(|other| other == task) {
            ahead.drain(..=place);
        }
    }

    /// What is taken comes again, after the tasks `open` that the lane has come to.
    pub(crate) fn begin_again(&self, open: VecDeque<Task>) {
        let mut taken = self.lock();
        let TakenTasks { again, ahead } = std::mem::take(&mut *taken);
        taken.again = open.into_iter().chain(ahead).chain(again).collect();
    }

    fn lock(&self) -> MutexGuard<'_, TakenTasks> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The tasks that are left to do, in the order of the splits, for shards of a `stride`.
pub(crate) fn tasks(work: &RunWork<'_>, stride: u64, task_bytes: u64) -> Vec<Task> {
    let mut grouped: Vec<Vec<Member>> = Vec::new();
    let mut open_bytes = task_bytes;
    let mut add = |member, bytes: u64| {
        let is_full = |open: &Vec<Member>| open.len() >= TASK_SHARDS_MAX;
        if open_bytes >= task_bytes || bytes >= task_bytes || grouped.last().is_none_or(is_full) {
            grouped.push(Vec::new());
            open_bytes = 0;
        }
        grouped.last_mut().expect("it was pushed").push(member);
        open_bytes += bytes;
    };
    for (group, making) in work.groups.iter().enumerate() {
        let size = making.files().size();
        match making.plan.count {
            Some(count) => {
                let each = stride.min(size / count.max(1) + 1);
                let missing = (0..usize::try_from(count).expect("fewer shards than bytes"))
                    .filter(|index| !making.kept.contains_key(index));
                missing.for_each(|index| add(Member::Shard { group, index }, each));
            }
            None if making.is_whole() => {}
            None => add(Member::Chain { group }, size.saturating_mul(EXPANSION)),
        }
    }
    let tasks = grouped.into_iter().enumerate();
    tasks.map(|(number, members)| Task { name: format!("{number:05}"), members }).collect()
}
