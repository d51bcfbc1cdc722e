//! The worker threads.
//!
//! All splits share one set of workers, so `--threads` is the number of threads
//! that compute, whatever there is to do. Encoding goes before tokenizing: it frees
//! memory, and the files grow in order.

use std::any::Any;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use mashbill_format::documents::DocumentsEncoder;
use mashbill_format::shard::RowGroupEncoder;
use mashbill_records::record::RecordParser;
use mashbill_tokenizer::Scratch;

/// What a worker keeps from task to task.
#[derive(Debug)]
pub(crate) struct Worker {
    pub(crate) parser: RecordParser,
    pub(crate) scratch: Scratch,
    pub(crate) memory: Memory,
    pub(crate) rows: RowGroupEncoder,
    pub(crate) documents: DocumentsEncoder,
}

/// Memory for blocks that is used again: to get new pages from the system for each would take a twentieth of
/// all the time.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    bytes: Vec<u8>,
    ids: Vec<Vec<u32>>,
}

/// Most elements of a buffer that is kept: what an enormous document needed is given back.
const KEPT_ELEMENTS_MAX: usize = 4 << 20;

/// Most buffers for ids that a worker keeps.
const KEPT_IDS_MAX: usize = 4;

/// Most row groups whose bytes are kept: some three megabytes each.
const KEPT_GROUPS_MAX: usize = 4;

impl Memory {
    /// Room for a block's bytes.
    pub(crate) fn bytes(&mut self) -> &mut Vec<u8> {
        if self.bytes.capacity() > KEPT_ELEMENTS_MAX {
            self.bytes = Vec::new();
        }
        &mut self.bytes
    }

    /// Empty room for a block's ids.
    pub(crate) fn ids(&mut self) -> Vec<u32> {
        self.ids.pop().unwrap_or_default()
    }

    /// Takes ids that nobody needs any more, if this was the last to hold them.
    pub(crate) fn recycle(&mut self, ids: Arc<Vec<u32>>) {
        if let Some(mut ids) = Arc::into_inner(ids)
            && self.ids.len() < KEPT_IDS_MAX
            && ids.capacity() <= KEPT_ELEMENTS_MAX
        {
            ids.clear();
            self.ids.push(ids);
        }
    }
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
    /// Bytes of row groups that are written, for the next ones.
    written: Mutex<Vec<Vec<u8>>>,
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

    /// Takes the bytes of a row group that is written.
    pub(crate) fn give_back(&self, bytes: Vec<u8>) {
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        if written.len() < KEPT_GROUPS_MAX {
            written.push(bytes);
        }
    }

    /// The bytes of a row group that is written, to be used again.
    pub(crate) fn take_back(&self) -> Vec<u8> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default()
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
