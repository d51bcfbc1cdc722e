//! The worker threads.
//!
//! All splits share one set of workers, so `--threads` is the number of threads
//! that compute, whatever there is to do. Encoding goes before tokenizing: it frees
//! memory, and the files grow in order.

use std::any::Any;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::Sender;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use mashbill_format::documents::DocumentsEncoder;
use mashbill_format::record::RecordParser;
use mashbill_format::shard::RowGroupEncoder;

use crate::tokenizer::Scratch;

/// What a worker keeps from task to task.
#[derive(Debug)]
pub(crate) struct Worker {
    pub(crate) parser: RecordParser,
    pub(crate) scratch: Scratch,
    pub(crate) rows: RowGroupEncoder,
    pub(crate) documents: DocumentsEncoder,
}

/// Which tasks go first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    First,
    Later,
}

/// What came of a task: its value, or the panic it ended in.
pub(crate) type Outcome<T> = Result<T, Box<dyn Any + Send>>;

type Task<'env> = Box<dyn FnOnce(&mut Worker) + Send + 'env>;

/// The queue that workers take their tasks from.
#[derive(Default)]
pub(crate) struct Pool<'env> {
    queue: Mutex<Queue<'env>>,
    ready: Condvar,
}

#[derive(Default)]
struct Queue<'env> {
    first: VecDeque<Task<'env>>,
    later: VecDeque<Task<'env>>,
    closed: bool,
}

impl<'env> Pool<'env> {
    /// Lets a worker do `work` and send what came of it to `reply`.
    pub(crate) fn submit<T: Send + 'env>(
        &self,
        order: Order,
        reply: &Sender<Outcome<T>>,
        work: impl FnOnce(&mut Worker) -> T + Send + 'env,
    ) {
        let reply = reply.clone();
        let task: Task<'env> = Box::new(move |worker| {
            // A panic is the sender's to raise: here it would only leave it waiting.
            let outcome = catch_unwind(AssertUnwindSafe(|| work(worker)));
            // Nobody listens any more where the split has failed in the meantime.
            drop(reply.send(outcome));
        });
        let mut queue = self.lock();
        match order {
            Order::First => queue.first.push_back(task),
            Order::Later => queue.later.push_back(task),
        }
        drop(queue);
        self.ready.notify_one();
    }

    /// Does tasks until the pool is closed.
    pub(crate) fn work(&self, worker: &mut Worker) {
        while let Some(task) = self.next() {
            task(worker);
        }
    }

    /// Lets the workers go home; tasks that nobody has begun are dropped.
    pub(crate) fn close(&self) {
        let mut queue = self.lock();
        queue.closed = true;
        queue.first.clear();
        queue.later.clear();
        drop(queue);
        self.ready.notify_all();
    }

    fn next(&self) -> Option<Task<'env>> {
        let mut queue = self.lock();
        loop {
            if queue.closed {
                return None;
            }
            if let Some(task) = queue.first.pop_front() {
                return Some(task);
            }
            if let Some(task) = queue.later.pop_front() {
                return Some(task);
            }
            queue = self.ready.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue<'env>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Pool<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let queue = self.lock();
        f.debug_struct("Pool")
            .field("first", &queue.first.len())
            .field("later", &queue.later.len())
            .field("closed", &queue.closed)
            .finish()
    }
}
