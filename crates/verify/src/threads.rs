//! The same work on all threads, and somebody told of it meanwhile.

use std::panic::resume_unwind;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

/// How often progress is told.
const TICK: Duration = Duration::from_millis(100);

/// Calls `work` on a thread for each of `workers`, and `tell` on this one, ten times a second and at the end.
pub(crate) fn on_all_threads<W: Send>(
    workers: impl IntoIterator<Item = W>,
    work: impl Fn(W) + Sync,
    mut tell: impl FnMut(),
) {
    let (alive, ended) = mpsc::channel::<()>();
    thread::scope(|scope| {
        let threads: Vec<_> = workers
            .into_iter()
            .map(|worker| {
                let (alive, work) = (alive.clone(), &work);
                scope.spawn(move || {
                    work(worker);
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
