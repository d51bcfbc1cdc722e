//! How many requests a window has left.

use std::collections::HashMap;
use std::time::{Duration, Instant};

/// The requests of the windows that are open, by what they ask for.
#[derive(Debug, Default)]
pub(crate) struct Windows(HashMap<&'static str, (Instant, u64)>);

/// What is left of a window.
#[derive(Debug)]
pub(crate) struct Left {
    pub(crate) bucket: &'static str,
    /// Whether this request is answered.
    pub(crate) granted: bool,
    pub(crate) requests: u64,
    pub(crate) seconds: u64,
}

impl Windows {
    pub(crate) fn count(&mut self, bucket: &'static str, quota: u64, window: Duration) -> Left {
        let (begin, used) = self.0.entry(bucket).or_insert_with(|| (Instant::now(), 0));
        if begin.elapsed() >= window {
            (*begin, *used) = (Instant::now(), 0);
        }
        let granted = *used < quota;
        *used += u64::from(granted);
        let seconds = window.saturating_sub(begin.elapsed()).as_secs_f64().ceil() as u64;
        Left { bucket, granted, requests: quota - *used, seconds }
    }
}
