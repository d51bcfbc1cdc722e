//! What the Hub is being asked for, so that whoever waits can be told.
//!
//! The crate is silent and may wait in any place, for a host's address as for the rest of a list. So it only notes here
//! what for; a caller looks now and then from another thread.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// What is waited for at the moment, if anything. Clones are the same.
#[derive(Debug, Clone, Default)]
pub struct Waiting(Arc<Mutex<Option<Current>>>);

#[derive(Debug)]
struct Current {
    what: String,
    since: Instant,
}

/// Ends the waiting when it is dropped.
#[derive(Debug)]
pub(crate) struct Waits<'a> {
    waiting: &'a Waiting,
}

impl Waiting {
    /// What is waited for, and for how long already.
    #[must_use]
    pub fn now(&self) -> Option<(String, Duration)> {
        self.lock().as_ref().map(|current| (current.what.clone(), current.since.elapsed()))
    }

    /// Notes that `what` is waited for.
    pub(crate) fn begin(&self, what: String) -> Waits<'_> {
        *self.lock() = Some(Current { what, since: Instant::now() });
        Waits { waiting: self }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Current>> {
        // Nothing is left half changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waits<'_> {
    /// Says more exactly what is waited for.
    pub(crate) fn change(&self, what: String) {
        if let Some(current) = self.waiting.lock().as_mut() {
            current.what = what;
        }
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        *self.waiting.lock() = None;
    }
}
