//! Waiting for the disk.
//!
//! A unit may be recorded only when its bytes have reached the disk. A thread of its own waits for that, so
//! that nobody who computes does; and as it syncs again whenever something was appended meanwhile, little is
//! left to wait for at the end.

use std::path::PathBuf;
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::thread::{self, JoinHandle};

use mashbill_format::journal::{Journal, UnitRecord};
use mashbill_format::parquet_file::Unsynced;

use crate::error::Result;

/// Appended row groups and units that may wait for the disk: where it is slow, the split waits for it, too.
const WAITING_MAX: usize = 16;

/// Records units in a thread of its own. Dropped, it still records what it was given.
#[derive(Debug)]
pub(crate) struct Recorder {
    sender: Option<SyncSender<Task>>,
    thread: Option<JoinHandle<Result<()>>>,
}

#[derive(Debug)]
enum Task {
    /// Something was appended to this file.
    Sync(Unsynced),
    /// All bytes of this unit were appended before.
    Record(usize, Box<UnitRecord>),
}

impl Recorder {
    pub(crate) fn new(journal: Journal) -> Self {
        let (sender, tasks) = mpsc::sync_channel(WAITING_MAX);
        let thread = thread::spawn(move || work(&journal, &tasks));
        Self { sender: Some(sender), thread: Some(thread) }
    }

    /// Something was appended to `file`.
    ///
    /// # Errors
    /// Those of what it was given before.
    pub(crate) fn appended(&mut self, file: Unsynced) -> Result<()> {
        self.give(Task::Sync(file))
    }

    /// Unit `unit` is written: it is recorded when all that was appended is on the disk.
    ///
    /// # Errors
    /// Those of what it was given before.
    pub(crate) fn record(&mut self, unit: usize, record: UnitRecord) -> Result<()> {
        self.give(Task::Record(unit, Box::new(record)))
    }

    /// Waits until everything is recorded.
    ///
    /// # Errors
    /// Errors of syncing and of the journal.
    pub(crate) fn finish(&mut self) -> Result<()> {
        self.sender = None;
        match self.thread.take().map(JoinHandle::join) {
            None => Ok(()),
            Some(Ok(result)) => result,
            Some(Err(panic)) => std::panic::resume_unwind(panic),
        }
    }

    fn give(&mut self, task: Task) -> Result<()> {
        let taken = self.sender.as_ref().is_some_and(|sender| sender.send(task).is_ok());
        // It takes nothing more where it has failed: the error is with the thread.
        if taken { Ok(()) } else { self.finish() }
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        // What it says was of use to a run that goes on; this one has ended otherwise.
        drop(self.finish());
    }
}

fn work(journal: &Journal, tasks: &Receiver<Task>) -> Result<()> {
    while let Ok(first) = tasks.recv() {
        // One sync serves all that came while the last one was waited for.
        let mut files = Vec::<(PathBuf, Unsynced)>::new();
        let mut units = Vec::new();
        for task in std::iter::once(first).chain(tasks.try_iter()) {
            match task {
                Task::Record(unit, record) => units.push((unit, record)),
                Task::Sync(file) if files.iter().all(|(path, _)| path != file.path()) => {
                    files.push((file.path().to_owned(), file));
                }
                Task::Sync(_) => {}
            }
        }
        files.iter().try_for_each(|(_, file)| file.sync())?;
        units.iter().try_for_each(|(unit, record)| journal.record(*unit, record))?;
    }
    Ok(())
}
