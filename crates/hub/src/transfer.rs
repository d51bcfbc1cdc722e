//! How files are moved, and what it took.

use std::time::Duration;

/// How files are moved.
#[derive(Debug, Clone, Copy)]
pub struct Transfer {
    /// How many connections move bytes at once, all files together; 1 at the least.
    pub connections: usize,
    /// Files of more bytes than this are fetched in parts by several connections.
    pub parallel_from: u64,
    /// The size of such a part in bytes.
    pub part_size: u64,
    /// The pause after the first failure; it doubles with each that follows without a kilobyte between them.
    pub first_pause: Duration,
    /// The longest pause, but for those that a server asks for.
    pub longest_pause: Duration,
    /// After so many failures without a kilobyte between them a file is given up.
    pub failures_max: u32,
}

impl Default for Transfer {
    fn default() -> Self {
        Self {
            connections: 16,
            parallel_from: 64 << 20,
            part_size: 16 << 20,
            first_pause: Duration::from_millis(500),
            longest_pause: Duration::from_secs(30),
            failures_max: 8,
        }
    }
}

impl Transfer {
    /// The most bytes that one request asks for of a file of `size` bytes; 1 at the least.
    pub(crate) fn stretch(&self, size: u64) -> u64 {
        if size > self.parallel_from { self.part_size.max(1) } else { size.max(1) }
    }
}

/// What fetching a file took.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
#[non_exhaustive]
pub struct Fetched {
    /// The bytes that came over the network, those that were thrown away included.
    pub moved_bytes: u64,
    /// The bytes that were there: from an interrupted run, in the Hub's cache, or the finished file.
    pub reused_bytes: u64,
    /// How often something had to be asked for again.
    pub retries: u64,
    /// How long it took.
    pub seconds: f64,
}
