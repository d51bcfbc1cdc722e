//! The same work on all threads, and somebody told of it meanwhile.

use std::panic::resume_unwind;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

/// How often progress is told.
const TICK: Duration = Duration::from_millis(100);

/// Calls `work` on `threads` threads, and `tell` on this one, ten times a second and at the end.
pub(super) fn on_all_threads(threads: usize, work: impl Fn() + Sync, mut tell: impl FnMut()) {
    let (alive, ended) = mpsc::channel::<()>();
    thread::scope(|scope| {
        let threads: Vec<_> = (0..threads.max(1))
            .map(|_| {
                let (alive, work) = (alive.clone(), &work);
                scope.spawn(move || {
                    work();
                    drop(alive);
                })
            })
            .collect();
        drop(alive);
        while ended.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
            tell();
        }
        tell();
        for thread in threads {
            if let Err(panic) = thread.join() {
                resume_unwind(panic);
            }
        }
    });
}
