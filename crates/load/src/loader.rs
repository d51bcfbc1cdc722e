//! Batches, made ahead by threads and delivered in order.
//!
//! A thread takes the next step's rows off the stream and makes the batch by itself, so batches are made in
//! parallel while the order stays the stream's. A ring of fixed size bounds how far the threads run ahead. Each
//! batch carries the state after it; the loader's own state is that of the last one delivered.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use mashbill_format::recipe::LoaderState;

use crate::batch::{Batch, Columns};
use crate::dataset::Dataset;
use crate::error::{Error, Result};
use crate::rows::{RowBuffer, RowStore};
use crate::schedule::Step;
use crate::stream::Stream;
use crate::stream_options::StreamOptions;

/// How long a loader that is dropped waits for its threads. One that waits for a disk that does not answer is left to
/// itself.
const FAREWELL: Duration = Duration::from_secs(1);

/// What becomes of a row that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnError {
    /// The loader says so and stops.
    Raise,
    /// A row of padding stands in its place, without targets, and is counted: batches keep their shape and
    /// ranks their steps.
    Skip,
}

/// How batches are made.
#[derive(Debug, Clone)]
pub struct LoaderOptions {
    /// Which rows each step has.
    pub stream: StreamOptions,
    /// The arrays of a batch.
    pub columns: Columns,
    /// Threads that make batches; 0: they are made when they are asked for.
    pub threads: usize,
    /// Batches that are ready or under way at most; what the threads hold is bounded by it.
    pub prefetch: usize,
    /// The folder of decoded rows that [`crate::build_cache`] filled; none: rows come straight from the shards.
    pub cache: Option<PathBuf>,
    /// What becomes of a row that cannot be read.
    pub on_error: OnError,
}

/// The batches of one rank.
#[derive(Debug)]
pub struct Loader {
    maker: Arc<Maker>,
    /// The stream where no thread has it.
    ahead: Ahead,
    state: LoaderState,
    skipped: u64,
    /// For questions about other steps.
    stream: Stream,
}

#[derive(Debug)]
enum Ahead {
    None(Box<Stream>, Box<RowBuffer>),
    Threads(Threads),
}

/// What threads need to make a batch.
#[derive(Debug)]
struct Maker {
    rows: RowStore,
    row_length: usize,
    pad_id: i32,
    columns: Columns,
    on_error: OnError,
}

impl Loader {
    /// A loader of `dataset`, from the beginning or from `state`. Threads start with it.
    ///
    /// # Errors
    /// Those of [`Stream::new`]; [`Error::Shard`] where a shard is missing and errors are not skipped;
    /// [`Error::Option`].
    pub fn new(dataset: Arc<Dataset>, options: LoaderOptions, state: Option<&LoaderState>) -> Result<Self> {
        if options.on_error == OnError::Raise {
            dataset.check_shards()?;
        }
        if options.threads > 0 && options.prefetch == 0 {
            return Err(Error::Option { what: "threads that prefetch nothing do nothing".into() });
        }
        let stream = Stream::new(&dataset, options.stream, state)?;
        let with_pieces = options.columns.documents || options.columns.mask_borders;
        let maker = Arc::new(Maker {
            row_length: dataset.row_length,
            pad_id: dataset.pad_id as i32,
            rows: RowStore::new(dataset, options.cache, with_pieces),
            columns: options.columns,
            on_error: options.on_error,
        });
        let ahead = match options.threads {
            0 => Ahead::None(Box::new(stream.clone()), Box::default()),
            threads => Ahead::Threads(Threads::start(&maker, stream.clone(), threads, options.prefetch)?),
        };
        Ok(Self { maker, ahead, state: stream.state(), skipped: 0, stream })
    }

    /// Waits until threads have the next batch ready, or what there is instead of it, but no longer than `patience`;
    /// whether they have. Without threads there is nothing to wait for.
    #[must_use]
    pub fn wait(&self, patience: Duration) -> bool {
        match &self.ahead {
            Ahead::None(..) => true,
            Ahead::Threads(threads) => threads.wait(patience),
        }
    }

    /// The next batch; none after the last step.
    ///
    /// # Errors
    /// [`Error::Shard`] and [`Error::File`] where a row cannot be read, [`Error::TooManyEpochs`], and
    /// [`Error::Thread`] where a thread has ended; asked again, threads say the same again. The loader stays where it
    /// is.
    pub fn next_batch(&mut self) -> Result<Option<Batch>> {
        let batch = match &mut self.ahead {
            Ahead::None(stream, buffer) => {
                let mut next = stream.clone();
                let step = next.next_step()?;
                let made = step.map(|step| self.maker.make(step, next.state(), buffer)).transpose()?;
                *stream = next;
                made
            }
            Ahead::Threads(threads) => threads.next()?,
        };
        if let Some(batch) = &batch {
            self.state = batch.state.clone();
            self.skipped += batch.skipped;
        }
        Ok(batch)
    }

    /// The state after the last batch that was delivered.
    #[must_use]
    pub const fn state(&self) -> &LoaderState {
        &self.state
    }

    /// Rows skipped so far by this loader, on this rank.
    #[must_use]
    pub const fn skipped(&self) -> u64 {
        self.skipped
    }

    /// Files of the cache that were damaged and have been made again.
    #[must_use]
    pub fn made_again(&self) -> u64 {
        self.maker.rows.made_again()
    }

    /// The stream, for questions about any step.
    #[must_use]
    pub const fn stream(&self) -> &Stream {
        &self.stream
    }
}

impl Maker {
    fn make(&self, step: Step, state: LoaderState, buffer: &mut RowBuffer) -> Result<Batch> {
        let mut batch = Batch::empty(step.rows.len(), self.row_length, self.columns, state);
        (batch.step, batch.epoch, batch.ends_epoch) = (step.step, step.epoch, step.ends_epoch);
        for row in step.rows {
            match (self.rows.read(row, buffer), self.on_error) {
                (Ok(()), _) => batch.push(row, buffer, self.columns),
                (Err(error), OnError::Raise) => return Err(error),
                (Err(_), OnError::Skip) => batch.push_skipped(row, self.pad_id, self.columns),
            }
        }
        Ok(batch)
    }
}

/// The threads of a loader; they end with it.
#[derive(Debug)]
struct Threads {
    ring: Arc<Ring>,
    handles: Vec<JoinHandle<()>>,
    /// Batches delivered.
    delivered: u64,
    /// What went wrong, once something has.
    failed: Option<Arc<Error>>,
    /// The process that has the threads: a fork of it has none.
    process: u32,
}

#[derive(Debug)]
struct Ring {
    maker: Arc<Maker>,
    prefetch: usize,
    state: Mutex<RingState>,
    /// A batch is ready, or will never be.
    ready: Condvar,
    /// There is room, or no more work.
    room: Condvar,
}

#[derive(Debug)]
struct RingState {
    stream: Stream,
    /// Batches handed to threads.
    taken: u64,
    /// Batches by their number in the order of delivery.
    made: BTreeMap<u64, Result<Option<Batch>>>,
    under_way: usize,
    /// The stream has ended, failed, or nobody wants more.
    ended: bool,
    /// Threads that have not ended.
    working: usize,
}

impl Threads {
    fn start(maker: &Arc<Maker>, stream: Stream, threads: usize, prefetch: usize) -> Result<Self> {
        let state =
            RingState { stream, taken: 0, made: BTreeMap::new(), under_way: 0, ended: false, working: 0 };
        let ring = Arc::new(Ring {
            maker: Arc::clone(maker),
            prefetch,
            state: Mutex::new(state),
            ready: Condvar::new(),
            room: Condvar::new(),
        });
        let process = std::process::id();
        let mut started = Self { ring, handles: Vec::new(), delivered: 0, failed: None, process };
        for index in 0..threads.min(prefetch) {
            let ring = Arc::clone(&started.ring);
            ring.lock().working += 1;
            let thread = std::thread::Builder::new().name(format!("mashbill-load-{index}"));
            let work = move || {
                let worked = catch_unwind(AssertUnwindSafe(|| ring.work()));
                ring.leave(worked.err());
            };
            match thread.spawn(work) {
                Ok(handle) => started.handles.push(handle),
                Err(error) => {
                    started.ring.lock().working -= 1;
                    return Err(Error::Thread { message: error.to_string() });
                }
            }
        }
        Ok(started)
    }

    /// Waits until something is there to be delivered, no longer than `patience`; whether it is.
    fn wait(&self, patience: Duration) -> bool {
        let until = Instant::now() + patience;
        let mut state = self.ring.lock();
        while self.failed.is_none()
            && self.process == std::process::id()
            && !state.made.contains_key(&self.delivered)
        {
            let Some(left) = until.checked_duration_since(Instant::now()) else { return false };
            state = self.ring.ready.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    /// The next batch.
    fn next(&mut self) -> Result<Option<Batch>> {
        if let Some(error) = &self.failed {
            return Err(Error::Again(Arc::clone(error)));
        }
        if self.process != std::process::id() {
            return Err(Error::Thread { message: "a fork has no threads: open the loader again".into() });
        }
        let number = self.delivered;
        let mut state = self.ring.lock();
        loop {
            match state.made.remove(&number) {
                Some(Ok(Some(batch))) => {
                    self.delivered += 1;
                    self.ring.room.notify_one();
                    return Ok(Some(batch));
                }
                Some(Ok(None)) => {
                    state.made.insert(number, Ok(None));
                    return Ok(None);
                }
                Some(Err(error)) => {
                    let error = Arc::new(error);
                    self.failed = Some(Arc::clone(&error));
                    return Err(Error::Again(error));
                }
                None => state = self.ring.ready.wait(state).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }
}

impl Ring {
    fn lock(&self) -> MutexGuard<'_, RingState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A thread has ended; by a panic, where there is one.
    fn leave(&self, panic: Option<Box<dyn std::any::Any + Send>>) {
        let mut state = self.lock();
        state.working -= 1;
        if let Some(panic) = panic {
            state.ended = true;
            let number = state.taken;
            state.made.entry(number).or_insert(Err(Error::Thread { message: message(&*panic) }));
        }
        self.ready.notify_all();
        self.room.notify_all();
    }

    /// Makes batches until there are no more.
    fn work(&self) {
        let mut buffer = RowBuffer::default();
        while let Some((number, step, state)) = self.take() {
            // Whatever happens, somebody waits for this batch: it gets a batch or an error, never nothing.
            let made = catch_unwind(AssertUnwindSafe(|| self.maker.make(step, state, &mut buffer)));
            let made = made.unwrap_or_else(|panic| Err(Error::Thread { message: message(&*panic) }));
            let mut state = self.lock();
            state.under_way -= 1;
            state.ended |= made.is_err();
            state.made.insert(number, made.map(Some));
            self.ready.notify_all();
            self.room.notify_all();
        }
    }

    /// The next batch's number, its step and the state after it; none where there is none.
    fn take(&self) -> Option<(u64, Step, LoaderState)> {
        let mut state = self.lock();
        loop {
            if state.ended {
                return None;
            }
            if state.made.len() + state.under_way < self.prefetch {
                let number = state.taken;
                match state.stream.next_step() {
                    Ok(Some(step)) => {
                        state.under_way += 1;
                        state.taken += 1;
                        let after = state.stream.state();
                        return Some((number, step, after));
                    }
                    Ok(None) => drop(state.made.insert(number, Ok(None))),
                    Err(error) => drop(state.made.insert(number, Err(error))),
                }
                state.ended = true;
                self.ready.notify_all();
                self.room.notify_all();
                return None;
            }
            state = self.room.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        if self.process != std::process::id() {
            // In a fork the lock may be held, and the threads waited for, for ever.
            std::mem::take(&mut self.handles).into_iter().for_each(std::mem::forget);
            return;
        }
        let until = Instant::now() + FAREWELL;
        let mut state = self.ring.lock();
        state.ended = true;
        self.ring.room.notify_all();
        while state.working > 0 {
            let Some(left) = until.checked_duration_since(Instant::now()) else { return };
            state = self.ring.ready.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        drop(state);
        for handle in self.handles.drain(..) {
            // Panics were caught where they happened.
            drop(handle.join());
        }
    }
}

fn message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message").to_owned()
}
