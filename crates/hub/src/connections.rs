//! How many transfers may be under way at once, whoever began them.

use std::sync::{Condvar, Mutex, PoisonError};

/// A number of places, one for each connection that moves bytes.
#[derive(Debug)]
pub(crate) struct Connections {
    free: Mutex<usize>,
    freed: Condvar,
}

/// One of the places; dropping it gives it back.
#[derive(Debug)]
pub(crate) struct Connection<'a> {
    of: &'a Connections,
}

impl Connections {
    /// So many places, one at the least.
    pub(crate) fn new(count: usize) -> Self {
        Self { free: Mutex::new(count.max(1)), freed: Condvar::new() }
    }

    /// Takes a place, waiting for one if need be. Those who hold one give it back after a stall or a pause at
    /// the latest.
    pub(crate) fn take(&self) -> Connection<'_> {
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let mut free = self.freed.wait_while(free, |free| *free == 0).unwrap_or_else(PoisonError::into_inner);
        *free -= 1;
        Connection { of: self }
    }
}

impl Drop for Connection<'_> {
    fn drop(&mut self) {
        *self.of.free.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.of.freed.notify_one();
    }
}
