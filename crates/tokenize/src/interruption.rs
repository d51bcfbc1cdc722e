//! The end of a run before its work is done.
//!
//! From the moment somebody asks for it no shard is begun. One that is under way is finished where that takes a few seconds;
//! else it is dropped.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// A shard is finished where it seems to need no more than this.
const FINISHED_WITHIN: Duration = Duration::from_secs(5);

/// What takes longer than it seemed is dropped after this.
const OVER_AFTER: Duration = Duration::from_secs(10);

/// Whether work is to end, and how soon.
#[derive(Debug)]
pub(crate) struct Interruption<'a> {
    /// Raised by the caller that waits for the run.
    asked: &'a AtomicBool,
    /// Set where an error ends the run.
    stopped: AtomicBool,
    since: OnceLock<Instant>,
    begun: Instant,
}

impl<'a> Interruption<'a> {
    pub(crate) fn new(asked: &'a AtomicBool) -> Self {
        Self { asked, stopped: AtomicBool::new(false), since: OnceLock::new(), begun: Instant::now() }
    }

    /// Whether to begin nothing more.
    pub(crate) fn has_come(&self) -> bool {
        self.asked.load(Ordering::Relaxed) || self.stopped.load(Ordering::Relaxed)
    }

    /// Whether to drop what is under way, too.
    pub(crate) fn is_over(&self) -> bool {
        let waited = || self.since.get_or_init(Instant::now).elapsed() >= OVER_AFTER;
        self.stopped.load(Ordering::Relaxed) || (self.asked.load(Ordering::Relaxed) && waited())
    }

    /// An error ends the run.
    pub(crate) fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    /// How long `left` bytes seem to take, after `done` in this run; none where too little was done to tell.
    pub(crate) fn time_for(&self, left: u64, done: u64) -> Option<Duration> {
        (done > 0).then(|| self.begun.elapsed().mul_f64(left as f64 / done as f64))
    }
}

/// Whether a shard that needs so much longer is finished.
pub(crate) fn is_finished(time: Option<Duration>) -> bool {
    time.is_some_and(|time| time <= FINISHED_WITHIN)
}
