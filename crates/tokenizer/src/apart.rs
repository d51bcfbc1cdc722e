//! Work of the engines that may take long, need a deep stack, or panic: apart from the caller.
//!
//! A `tokenizer.json` is a program in a way, with regular expressions and lists that others wrote. Loading one runs on
//! a thread of its own, which is left to itself where it takes too long: a thread can't be stopped from outside, and
//! whoever is told that it takes too long ends soon.

use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use mashbill_store::door::{self, Panicked};

use super::error::Error;

/// The longest that a tokenizer may take until it is ready. The largest known takes two seconds the first time, and a
/// tenth of that later.
pub(super) const START_MAX: Duration = Duration::from_secs(50);

/// A regular expression of four thousand groups inside one another, which is the most that the reference takes, needs a
/// few megabytes. What isn't used costs nothing.
const STACK_BYTES: usize = 64 << 20;

/// Work that goes on on a thread of its own.
pub(super) struct Apart<T>(Receiver<Result<Result<T, Error>, Panicked>>);

impl<T: Send + 'static> Apart<T> {
    /// Begins `work`.
    ///
    /// # Errors
    /// [`Error::NoThread`].
    pub(super) fn begin(work: impl FnOnce() -> Result<T, Error> + Send + 'static) -> Result<Self, Error> {
        let (sender, receiver) = mpsc::sync_channel(1);
        let thread = thread::Builder::new().name("tokenizer".to_owned()).stack_size(STACK_BYTES);
        let spawned = thread.spawn(move || {
            // Nobody listens any more where it took too long.
            drop(sender.send(door::behind(work)));
        });
        spawned.map_err(|source| Error::NoThread { source })?;
        Ok(Self(receiver))
    }

    /// What came of the work, which may take this long from now on.
    ///
    /// # Errors
    /// [`Error::TooSlow`], [`Error::BreaksLibrary`], and those of the work.
    pub(super) fn wait(self, most: Duration) -> Result<T, Error> {
        match self.0.recv_timeout(most) {
            Ok(outcome) => outcome.map_err(|_| Error::BreaksLibrary)?,
            Err(RecvTimeoutError::Timeout) => Err(Error::TooSlow { seconds: most.as_secs() }),
            Err(RecvTimeoutError::Disconnected) => Err(Error::BreaksLibrary),
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails where it panics")]
mod tests {
    use super::*;

    #[test]
    fn what_takes_too_long_or_panics_is_an_error() {
        let begun = |work: fn() -> Result<u32, Error>| Apart::begin(work).unwrap();
        assert!(matches!(begun(|| Ok(7)).wait(START_MAX), Ok(7)));
        let broken = begun(|| panic!("as a library does")).wait(START_MAX);
        assert!(matches!(broken, Err(Error::BreaksLibrary)));
        let (sender, receiver) = mpsc::channel::<()>();
        let slow = Apart::begin(move || {
            assert!(receiver.recv().is_err());
            Ok(())
        });
        assert!(matches!(slow.unwrap().wait(Duration::from_millis(20)), Err(Error::TooSlow { .. })));
        drop(sender);
    }
}
