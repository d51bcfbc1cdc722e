//! How many threads compute.

use crate::usage::Usage;

/// The most threads of a run: more than any machine computes with, fewer than a system refuses to start.
const THREADS_MAX: usize = 1024;

/// How many threads compute: those that are asked for, or what this machine or container has.
pub(crate) fn threads(given: Option<usize>) -> Result<usize, Usage> {
    match given {
        Some(given) if !(1..=THREADS_MAX).contains(&given) => Err(Usage::Threads { given, max: THREADS_MAX }),
        Some(given) => Ok(given),
        None => Ok(std::thread::available_parallelism().map_or(1, usize::from)),
    }
}
