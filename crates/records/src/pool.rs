//! Worker threads that share a queue.
//!
//! A stage has one set of workers for all that it does, so `--threads` is the number of threads that compute. What frees
//! memory goes first.

use std::any::Any;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::Sender;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Which tasks go first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TaskOrder {
    /// Before all that may wait.
    First,
    /// When nothing goes first.
    Later,
}

/// What came of a task: its value, or the panic it ended in.
pub type Outcome<T> = Result<T, Box<dyn Any + Send>>;

type PoolTask<'env, W> = Box<dyn FnOnce(&mut W) + Send + 'env>;

/// The queue that workers take their tasks from; `W` is what a worker keeps from task to task.
pub struct Pool<'env, W> {
    queue: Mutex<Queue<'env, W>>,
    ready: Condvar,
}

struct Queue<'env, W> {
    first: VecDeque<PoolTask<'env, W>>,
    later: VecDeque<PoolTask<'env, W>>,
    closed: bool,
}

impl<W> Default for Pool<'_, W> {
    fn default() -> Self {
        let queue = Queue { first: VecDeque::new(), later: VecDeque::new(), closed: false };
        Self { queue: Mutex::new(queue), ready: Condvar::new() }
    }
}

impl<'env, W> Pool<'env, W> {
    /// Lets a worker do `work` and send what came of it to `reply`.
    pub fn submit<T: Send + 'env>(
        &self,
        order: TaskOrder,
        reply: &Sender<Outcome<T>>,
        work: impl FnOnce(&mut W) -> T + Send + 'env,
    ) {
        let reply = reply.clone();
        let task: PoolTask<'env, W> = Box::new(move |worker| {
            // A panic is the sender's to raise: here it would only leave it waiting.
            let outcome = catch_unwind(AssertUnwindSafe(|| work(worker)));
            // Nobody listens any more where the split has failed in the meantime.
            drop(reply.send(outcome));
        });
        let mut queue = self.lock();
        match order {
            TaskOrder::First => queue.first.push_back(task),
            TaskOrder::Later => queue.later.push_back(task),
        }
        drop(queue);
        self.ready.notify_one();
    }

    /// Does tasks until the pool is closed.
    pub fn work(&self, worker: &mut W) {
        while let Some(task) = self.next() {
            task(worker);
        }
    }

    /// Lets the workers go home; tasks that nobody has begun are dropped.
    pub fn close(&self) {
        let mut queue = self.lock();
        queue.closed = true;
        queue.first.clear();
        queue.later.clear();
        drop(queue);
        self.ready.notify_all();
    }

    fn next(&self) -> Option<PoolTask<'env, W>> {
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

    fn lock(&self) -> MutexGuard<'_, Queue<'env, W>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<W> std::fmt::Debug for Pool<'_, W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let queue = self.lock();
        f.debug_struct("Pool")
            .field("first", &queue.first.len())
            .field("later", &queue.later.len())
            .field("closed", &queue.closed)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    #[test]
    fn what_goes_first_is_done_first_and_a_panic_reaches_who_submitted() {
        let pool: Pool<'_, Vec<u32>> = Pool::default();
        let (sender, outcomes) = channel();
        for number in 0..3 {
            pool.submit(TaskOrder::Later, &sender, move |done: &mut Vec<u32>| done.push(number));
        }
        pool.submit(TaskOrder::First, &sender, |done: &mut Vec<u32>| done.push(9));
        pool.submit(TaskOrder::Later, &sender, |_: &mut Vec<u32>| panic!("a task"));
        let mut done = Vec::new();
        std::thread::scope(|scope| {
            let worker = scope.spawn(|| pool.work(&mut done));
            let failed = outcomes.iter().take(5).filter(Result::is_err).count();
            assert_eq!(failed, 1);
            pool.close();
            worker.join().expect("a task's panic is not the worker's");
        });
        assert_eq!(done, [9, 0, 1, 2]);
    }
}
