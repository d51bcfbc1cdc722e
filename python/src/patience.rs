//! Waiting for disks that may never answer, with an ear for signals.
//!
//! A read on a network disk that hangs cannot be broken off. So it is done on another thread, and the interpreter's
//! thread, which alone hears Ctrl-C, waits for it a moment at a time.

use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;

/// How long a signal may wait.
pub(crate) const PATIENCE: Duration = Duration::from_millis(50);

/// How long something that was told to stop may take for it.
const FAREWELL: Duration = Duration::from_secs(1);

type Task = Box<dyn FnOnce() + Send>;

/// A thread that does one thing after another; it starts with the first.
#[derive(Debug, Default)]
pub(crate) struct Hand {
    /// The process that has the thread, since a fork of it has none, and the way to the thread.
    thread: Mutex<Option<(u32, Sender<Task>)>>,
}

impl Drop for Hand {
    fn drop(&mut self) {
        let thread = self.thread.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        if thread.as_ref().is_some_and(|(owner, _)| *owner != std::process::id()) {
            // The thread, and whoever may have held its locks, is another process's.
            std::mem::forget(thread);
        }
    }
}

impl Hand {
    /// Does `work` and gives its result, or what a signal raises meanwhile: then `stop` is called, and the work is left
    /// to itself where it does not end.
    pub(crate) fn take<T: Send + 'static>(
        &self,
        python: Python<'_>,
        work: impl FnOnce() -> T + Send + 'static,
        stop: impl FnOnce(),
    ) -> PyResult<T> {
        let (sender, mut receiver) = mpsc::channel();
        self.give(Box::new(move || drop(sender.send(work()))))?;
        loop {
            let waited = wait(python, receiver, PATIENCE);
            receiver = waited.1;
            match waited.0 {
                Ok(done) => return Ok(done),
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(PyRuntimeError::new_err("a thread of mashbill's has panicked"));
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
            if let Err(raised) = python.check_signals() {
                stop();
                let until = Instant::now() + FAREWELL;
                drop(wait(python, receiver, until.saturating_duration_since(Instant::now())));
                return Err(raised);
            }
        }
    }

    fn give(&self, mut task: Task) -> PyResult<()> {
        let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        let process = std::process::id();
        if let Some((_, sender)) = thread.as_ref().filter(|(owner, _)| *owner == process) {
            match sender.send(task) {
                Ok(()) => return Ok(()),
                // It has panicked.
                Err(error) => task = error.0,
            }
        }
        let (sender, tasks) = mpsc::channel::<Task>();
        let named = std::thread::Builder::new().name("mashbill-wait".into());
        named.spawn(move || tasks.into_iter().for_each(|task| task()))?;
        drop(sender.send(task));
        // A thread of another process is left alone, as in `drop`.
        std::mem::forget(thread.replace((process, sender)));
        Ok(())
    }
}

/// Does `work` on a thread of its own, as [`Hand::take`] does.
pub(crate) fn patiently<T: Send + 'static>(
    python: Python<'_>,
    work: impl FnOnce() -> T + Send + 'static,
) -> PyResult<T> {
    Hand::default().take(python, work, || {})
}

/// Waits with the interpreter let go.
fn wait<T: Send>(
    python: Python<'_>,
    receiver: Receiver<T>,
    patience: Duration,
) -> (Result<T, RecvTimeoutError>, Receiver<T>) {
    python.detach(move || (receiver.recv_timeout(patience), receiver))
}
