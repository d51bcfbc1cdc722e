//! Waiting for the disk.
//!
//! A task may be recorded only when its bytes have reached the disk. A thread of its own waits for that, so that nobody
//! who computes does; and as it waits for all that came while it waited, many small tasks are waited for once.

use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

use mashbill_format::Error as FormatError;
use mashbill_format::layout::StateFolder;
use mashbill_format::manifest::FORMAT_VERSION;
use mashbill_format::task::{ShardRecord, TaskRecord};
use mashbill_store::Error as StoreError;
use mashbill_store::atomic::folder_of;
use mashbill_store::atomic::{self, SyncBatch};

use crate::context::RunMessage;
use crate::error::Result;

/// Tasks that may wait for the disk: where it is slow, the lanes wait for it, too.
const WAITING_MAX: usize = 16;

/// A task whose files are written.
#[derive(Debug)]
pub(crate) struct MadeTask {
    /// The name of its record.
    pub(crate) name: String,
    /// Its shards, each with the place of its group in the plan.
    pub(crate) records: Vec<(usize, ShardRecord)>,
    /// Their files.
    pub(crate) paths: Vec<PathBuf>,
}

/// Records tasks in a thread of its own. Dropped, it still records what it was given.
#[derive(Debug)]
pub(crate) struct Recorder {
    sender: Option<SyncSender<MadeTask>>,
    thread: Option<JoinHandle<()>>,
}

impl Recorder {
    /// A recorder into `state` of files in `made`, which is `state` or the state of an attempt. It tells `messages` what is
    /// recorded.
    pub(crate) fn new(state: StateFolder, made: StateFolder, messages: Sender<RunMessage>) -> Self {
        let (sender, tasks) = sync_channel(WAITING_MAX);
        let thread = thread::spawn(move || work((&state, &made), &tasks, &messages));
        Self { sender: Some(sender), thread: Some(thread) }
    }

    /// Takes a task, to record it when it is on the disk. After an error, which was told, it is dropped.
    pub(crate) fn give(&self, task: MadeTask) {
        if let Some(sender) = &self.sender {
            drop(sender.send(task));
        }
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.sender = None;
        if let Some(Err(panic)) = self.thread.take().map(JoinHandle::join)
            && !thread::panicking()
        {
            std::panic::resume_unwind(panic);
        }
    }
}

fn work(states: (&StateFolder, &StateFolder), tasks: &Receiver<MadeTask>, messages: &Sender<RunMessage>) {
    while let Ok(first) = tasks.recv() {
        let waiting: Vec<_> = std::iter::once(first).chain(tasks.try_iter()).collect();
        if let Err(error) = record(states, waiting, messages) {
            drop(messages.send(RunMessage::Stopped(error)));
            return;
        }
    }
}

fn record(
    (state, made): (&StateFolder, &StateFolder),
    tasks: Vec<MadeTask>,
    messages: &Sender<RunMessage>,
) -> Result<()> {
    let paths = || tasks.iter().flat_map(|task| &task.paths);
    let mut batch = SyncBatch::default();
    paths().for_each(|path| batch.add(path));
    batch.sync()?;
    let attempt = (made.root() != state.root())
        .then(|| made.root().file_name().unwrap_or_default().to_string_lossy().into_owned());
    if attempt.is_some() {
        // Whoever else makes the task makes the same bytes.
        let mut batch = SyncBatch::default();
        for path in paths() {
            let place = state.root().join(path.strip_prefix(made.root()).expect("it was written there"));
            atomic::create_folder(folder_of(&place))?;
            batch.rename(path, &place)?;
        }
        batch.sync()?;
    }
    let temporary = if attempt.is_some() { made.root().to_owned() } else { state.temporary() };
    for MadeTask { name, records, .. } in tasks {
        let (splits, shards): (Vec<_>, Vec<_>) = records.into_iter().unzip();
        let record = TaskRecord { format_version: FORMAT_VERSION, attempt: attempt.clone(), shards };
        match record.create(&state.task(&name), &temporary.join(&name)) {
            Err(FormatError::Store(StoreError::AlreadyExists { .. })) if attempt.is_some() => {}
            created => created?,
        }
        drop(messages.send(RunMessage::Made(splits.into_iter().zip(record.shards).collect())));
    }
    Ok(())
}
