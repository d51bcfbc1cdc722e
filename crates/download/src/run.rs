//! Fetching and converting what was planned.
//!
//! A few threads fetch files ahead, in order; the calling thread converts them, in order, and
//! tells of it. So the disk holds a few raw files at a time, the network does not wait for the
//! converter nor the converter for the network, and what comes out does not depend on which
//! file arrived first. What fails concerns its dataset; the others go on.

use std::collections::BTreeSet;
use std::fs;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use mashbill_format::dataset_stats::{DatasetSource, DatasetStats};
use mashbill_format::layout::Data;
use mashbill_format::lock::DATA_FORMAT_VERSION;
use mashbill_hub::{Error as HubError, Fetched, Hub, Unreachable};
use mashbill_store::atomic;
use mashbill_store::folder_lock::FolderLock;
use mashbill_store::open;
use serde::Serialize;

use crate::convert::{Conversion, Converted, files_done, render_name};
use crate::error::{Error, Result};
use crate::estimate::tokens;
use crate::pin::remote;
use crate::plan::{DatasetPlan, FILES_AHEAD, Plan, is_of_one_dataset};

/// Threads that fetch files; large files have more connections of their own.
const FETCHERS: usize = 4;

/// How often progress is told of.
const TELL_EVERY: Duration = Duration::from_millis(200);

/// What happens in a run.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// How far it is.
    Progress(Progress),
    /// A dataset is complete.
    Finished(&'a DatasetStats),
    /// A dataset could not be completed.
    Failed {
        /// The dataset.
        dataset: &'a str,
        /// Why.
        error: &'a Error,
    },
}

/// How far a run is.
#[derive(Debug, Clone, Default)]
pub struct Progress {
    /// Bytes of files that are there.
    pub bytes: u64,
    /// Bytes of files in all.
    pub bytes_total: u64,
    /// Records written so far in this run.
    pub rows: u64,
    /// The dataset that is converted.
    pub dataset: String,
}

/// What a run did.
#[derive(Debug, Serialize)]
pub struct Report {
    /// The datasets that it completed.
    pub made: Vec<DatasetStats>,
    /// Datasets that could not be completed, with why.
    #[serde(skip)]
    pub failed: Vec<(String, Error)>,
    /// Seconds it took.
    pub seconds: f64,
}

/// Does what `plan` says.
///
/// # Errors
/// Those of [`Plan::check`], [`Error::Interrupted`], [`Error::Format`] where the output cannot be written, and errors of the Hub that
/// concern more than one dataset. What is complete stays; the same command resumes.
pub fn run(
    plan: &Plan,
    hub: &Hub<'_>,
    host: &str,
    interrupted: &AtomicBool,
    on_event: &mut dyn FnMut(Event<'_>),
) -> Result<Report> {
    let started = Instant::now();
    let data = Data::new(&plan.options.output);
    plan.check()?;
    let mut report = Report { made: Vec::new(), failed: Vec::new(), seconds: 0.0 };
    let nothing_to_do = plan.datasets.is_empty() && !plan.lock_is_new;
    if nothing_to_do && !data.state().exists() {
        return Ok(report);
    }
    atomic::create_own_folder(&data.state())?;
    let names = plan.datasets.iter().map(|planned| planned.dataset.name.as_str());
    let folders = names.flat_map(|name| [data.making(name), data.raw(name)]);
    for folder in folders.chain([data.making("")]) {
        open::check_own_folder(&folder)
            .map_err(|source| mashbill_format::Error::io("use", &folder, source))?;
    }
    let _held = match FolderLock::take(&data.lock(), host) {
        Err(mashbill_store::Error::InUse { .. }) if nothing_to_do => return Ok(report),
        taken => taken?,
    };
    for name in &plan.kept {
        clean_after_kill(plan, name, &data)?;
    }
    if plan.lock_is_new {
        plan.lock.write(&data.pins(), &data.temporary())?;
    }
    let queue = Queue::new(plan, &data)?;
    thread::scope(|scope| {
        for _ in 0..FETCHERS {
            scope.spawn(|| queue.fetch(hub));
        }
        let _ends = EndOfQueue(&queue);
        for index in 0..plan.datasets.len() {
            let dataset = &plan.datasets[index];
            match make(plan, index, &data, &queue, interrupted, on_event) {
                Ok(stats) => {
                    on_event(Event::Finished(&stats));
                    report.made.push(stats);
                }
                Err(error) if is_of_one_dataset(&error) || is_of_one_file(&error) => {
                    queue.drop_dataset(index);
                    on_event(Event::Failed { dataset: &dataset.name, error: &error });
                    report.failed.push((dataset.name.clone(), error));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    })?;
    tidy(&data)?;
    report.seconds = started.elapsed().as_secs_f64();
    Ok(report)
}

/// Whether an error may be of one file alone: others may come from elsewhere, or whole.
const fn is_of_one_file(error: &Error) -> bool {
    matches!(
        error,
        Error::Hub(HubError::Status { .. } | HubError::Unreachable { source: Unreachable::Broken(_), .. })
    )
}

/// Removes the state's folder, unless something in it is of use to a later run. The lock's file goes with it, and with
/// that the last trace of the run.
fn tidy(data: &Data) -> Result<()> {
    let of_all = data.making("");
    // It stays where it is not empty.
    drop(fs::remove_dir(&of_all));
    if !of_all.exists() {
        atomic::remove_folder(&data.state())?;
    }
    Ok(())
}

/// Makes a dataset out of its files as they come.
fn make(
    plan: &Plan,
    index: usize,
    data: &Data,
    queue: &Queue<'_>,
    interrupted: &AtomicBool,
    on_event: &mut dyn FnMut(Event<'_>),
) -> Result<DatasetStats> {
    let started = Instant::now();
    let planned = &plan.datasets[index];
    let dataset = &planned.dataset;
    let making = planned.making();
    let source = making.source.clone();
    let mut conversion = Conversion::open(data, dataset, making)?;
    while let Some(file) = conversion.next_file() {
        let fetched =
            queue.wait_for(index, file, interrupted, &mut |progress| on_event(Event::Progress(progress)))?;
        conversion.fetched(fetched.moved_bytes, fetched.reused_bytes, fetched.retries);
        let path = data.raw(&dataset.name).join(&planned.files[file].path);
        let mut told = Instant::now();
        conversion.file(&path, interrupted, &mut |counts| {
            if told.elapsed() >= TELL_EVERY {
                told = Instant::now();
                let progress = Progress { rows: counts.rows_out, ..queue.progress(index) };
                on_event(Event::Progress(progress));
            }
        })?;
        if !plan.options.keep_raw {
            // A file that cannot be removed costs room and nothing else.
            drop(fs::remove_file(&path));
        }
        queue.used(index, file);
    }
    queue.drop_dataset(index);
    if plan.options.keep_raw {
        // What had begun to arrive behind the last file that was needed is no file to keep.
        let paths = planned.files.iter().map(|file| data.raw(&dataset.name).join(&file.path));
        paths.into_iter().try_for_each(|path| mashbill_hub::discard(&path))?;
    }
    let converted = conversion.finish()?;
    let stats = stats_of(planned, source, converted, started.elapsed().as_secs_f64());
    stats.write(&data.stats(&dataset.category, &dataset.name), &data.temporary())?;
    clean(plan, &planned.name, data)?;
    Ok(stats)
}

/// The statistics of a dataset that was converted whole.
fn stats_of(
    planned: &DatasetPlan,
    source: DatasetSource,
    converted: Converted,
    seconds: f64,
) -> DatasetStats {
    let dataset = &planned.dataset;
    DatasetStats {
        format_version: DATA_FORMAT_VERSION,
        dataset: dataset.name.clone(),
        category: dataset.category.clone(),
        source,
        license: planned.license.clone(),
        license_kind: dataset.license.kind_of(&planned.license),
        gated: planned.pin.gated,
        mashbill_version: env!("CARGO_PKG_VERSION").to_owned(),
        catalog_checksum: dataset.checksum(),
        render: render_name(&dataset.render).to_owned(),
        take: planned.take,
        completed_unix_s: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs()),
        seconds,
        downloaded_bytes: converted.downloaded_bytes,
        reused_bytes: converted.reused_bytes,
        retries: converted.retries,
        est_tokens: tokens(converted.counts.text_bytes, planned.bytes_per_token),
        counts: converted.counts,
        jsonl_checksum: converted.checksum,
        text_len: converted.text_len,
        target_percent: planned.target_percent,
        untaken_files: planned.untaken.clone(),
        untaken_columns: converted.untaken_columns,
        changes: converted.changes,
        complete: true,
    }
}

/// Removes what a finished dataset does not need any more; its checkpoint goes last.
fn clean(plan: &Plan, name: &str, data: &Data) -> Result<()> {
    if plan.options.keep_raw {
        drop(fs::remove_file(data.checkpoint(name)));
    } else {
        atomic::remove_folder(&data.raw(name))?;
        let checkpoint = data.checkpoint(name);
        if data.making(name).exists() {
            atomic::remove_files_but(&data.making(name), |file| checkpoint.ends_with(file))?;
        }
        atomic::remove_folder(&data.making(name))?;
    }
    Ok(())
}

/// Does for a dataset that is there what a run that was killed right after finishing it had still to do.
fn clean_after_kill(plan: &Plan, name: &str, data: &Data) -> Result<()> {
    if data.checkpoint(name).exists() {
        clean(plan, name, data)?;
    }
    // With raw files that were to be kept it is not empty, and stays.
    drop(fs::remove_dir(data.making(name)));
    Ok(())
}

/// The files of all datasets, in order, and who fetches them.
struct Queue<'a> {
    plan: &'a Plan,
    data: &'a Data,
    jobs: Vec<FileJob>,
    /// The datasets of which no more files are needed.
    dropped: Vec<AtomicBool>,
    state: Mutex<QueueState>,
    changed: Condvar,
}

struct FileJob {
    dataset: usize,
    file: usize,
    size: u64,
    /// Bytes of the file that are there.
    bytes: AtomicU64,
}

#[derive(Default)]
struct QueueState {
    /// The job that is fetched next.
    next: usize,
    /// Jobs that are behind the converter, or not wanted any more.
    used: BTreeSet<usize>,
    /// Jobs that a thread is fetching.
    under_way: BTreeSet<usize>,
    results: Vec<Option<Result<Fetched>>>,
    ended: bool,
}

/// Ends the fetching when the run ends, however it does.
struct EndOfQueue<'a, 'b>(&'a Queue<'b>);

impl Drop for EndOfQueue<'_, '_> {
    fn drop(&mut self) {
        self.0.lock().ended = true;
        self.0.dropped.iter().for_each(|dropped| dropped.store(true, Ordering::Relaxed));
        self.0.changed.notify_all();
    }
}

impl<'a> Queue<'a> {
    fn new(plan: &'a Plan, data: &'a Data) -> Result<Self> {
        let mut jobs = Vec::new();
        let mut used = BTreeSet::new();
        for (dataset, planned) in plan.datasets.iter().enumerate() {
            let done = files_done(data, &planned.dataset, &planned.making())?;
            for (file, pinned) in planned.files.iter().enumerate() {
                remote(&planned.pin, pinned)?;
                let bytes = if file < done { pinned.size } else { 0 };
                used.extend((file < done).then_some(jobs.len()));
                jobs.push(FileJob { dataset, file, size: pinned.size, bytes: AtomicU64::new(bytes) });
            }
        }
        let results = jobs.iter().map(|_| None).collect();
        let state = Mutex::new(QueueState { results, used, ..QueueState::default() });
        let dropped = plan.datasets.iter().map(|_| AtomicBool::new(false)).collect();
        Ok(Self { plan, data, jobs, dropped, state, changed: Condvar::new() })
    }

    fn lock(&self) -> MutexGuard<'_, QueueState> {
        // A fetcher that panicked has left no half of a change behind.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn job(&self, dataset: usize, file: usize) -> usize {
        self.jobs.partition_point(|job| (job.dataset, job.file) < (dataset, file))
    }

    /// Fetches one file after another until there are no more.
    fn fetch(&self, hub: &Hub<'_>) {
        while let Some(index) = self.take() {
            let job = &self.jobs[index];
            let planned = &self.plan.datasets[job.dataset];
            let file = &planned.files[job.file];
            let destination = self.data.raw(&planned.name).join(&file.path);
            let fetched = remote(&planned.pin, file).and_then(|remote| {
                let on_progress = |bytes| job.bytes.store(bytes, Ordering::Relaxed);
                Ok(hub.fetch_unless(&self.dropped[job.dataset], &remote, &destination, &on_progress)?)
            });
            let mut state = self.lock();
            state.results[index] = Some(fetched);
            state.under_way.remove(&index);
            drop(state);
            self.changed.notify_all();
        }
    }

    /// The next job, when the converter is near enough.
    fn take(&self) -> Option<usize> {
        let mut state = self.lock();
        loop {
            if state.ended {
                return None;
            }
            while state.used.contains(&state.next) {
                state.next += 1;
            }
            let next = state.next;
            if next >= self.jobs.len() {
                return None;
            }
            let ahead = (0..next).rev().take_while(|job| !state.used.contains(job)).count();
            if ahead < FILES_AHEAD {
                state.next += 1;
                state.under_way.insert(next);
                return Some(next);
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// A file was converted.
    fn used(&self, dataset: usize, file: usize) {
        self.lock().used.insert(self.job(dataset, file));
        self.changed.notify_all();
    }

    /// No more of a dataset's files are needed; nobody writes to any when this returns.
    fn drop_dataset(&self, dataset: usize) {
        let jobs = self.job(dataset, 0)..self.job(dataset + 1, 0);
        self.dropped[dataset].store(true, Ordering::Relaxed);
        let mut state = self.lock();
        state.used.extend(jobs.clone());
        self.changed.notify_all();
        let is_written = |state: &mut QueueState| state.under_way.range(jobs.clone()).next().is_some();
        drop(self.changed.wait_while(state, is_written).unwrap_or_else(PoisonError::into_inner));
    }

    /// Waits until a file is there.
    fn wait_for(
        &self,
        dataset: usize,
        file: usize,
        interrupted: &AtomicBool,
        on_progress: &mut dyn FnMut(Progress),
    ) -> Result<Fetched> {
        let index = self.job(dataset, file);
        let mut state = self.lock();
        loop {
            if let Some(result) = state.results[index].take() {
                return result;
            }
            if interrupted.load(Ordering::Relaxed) {
                return Err(Error::Interrupted);
            }
            let waited = self.changed.wait_timeout(state, TELL_EVERY);
            drop(waited.unwrap_or_else(PoisonError::into_inner));
            on_progress(self.progress(dataset));
            state = self.lock();
        }
    }

    fn progress(&self, dataset: usize) -> Progress {
        Progress {
            bytes: self.jobs.iter().map(|job| job.bytes.load(Ordering::Relaxed)).sum(),
            bytes_total: self.jobs.iter().map(|job| job.size).sum(),
            rows: 0,
            dataset: self.plan.datasets[dataset].name.clone(),
        }
    }
}
