//! The loader for Python: options in, numpy arrays out that own what Rust wrote.
//!
//! Everything that decides is `mashbill-load`'s; what reads well in Python (names of options, passes over an epoch, torch) is
//! the package's own Python.

use std::collections::BTreeMap;
use std::iter::repeat_n;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mashbill_format::Error as FormatError;
use mashbill_format::documents::DocumentKey;
use mashbill_format::find::{has_splits, is_unfinished};
use mashbill_format::layout::MANIFEST;
use mashbill_load::{
    Appearance, Batch, Columns, Dataset as RowDataset, Error, LabelAlignment, LastBatch,
    Loader as BatchLoader, LoaderOptions, LoaderState, LocatedDocument, LocatedRow, Locator, Mixture,
    OnError, Shuffle, Sources, Stage, Stream, StreamOptions, build_cache,
};
use mashbill_store::Error as StoreError;
use mashbill_store::atomic::folder_of;
use numpy::{IntoPyArray, PyArrayMethods, PyReadonlyArray1};
use pyo3::create_exception;
use pyo3::exceptions::{PyException, PyKeyboardInterrupt, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

use crate::patience::{Hand, PATIENCE, patiently};

create_exception!(mashbill, MashbillError, PyException, "What mashbill cannot do, and why.");
create_exception!(
    mashbill,
    ShardError,
    MashbillError,
    "A file of a dataset is missing, damaged or unreadable."
);
create_exception!(mashbill, StateError, MashbillError, "A state belongs to another dataset or order.");

/// A stage of a mixture: first step, weights, whether it is a ramp.
type StageTuple = (u64, BTreeMap<String, f64>, bool);

/// The rows of a tokenized folder.
#[pyclass(frozen, module = "mashbill._mashbill")]
pub(crate) struct Rows {
    dataset: Arc<RowDataset>,
    sources: Arc<Mutex<Sources>>,
}

#[pymethods]
impl Rows {
    #[new]
    fn open(python: Python<'_>, folder: PathBuf, splits: Option<Vec<String>>, part: &str) -> PyResult<Self> {
        type Open = fn(&Path, Option<&[String]>) -> Result<RowDataset, Error>;
        let parts: [(&str, Open); 2] =
            [("train", RowDataset::open), ("validation", RowDataset::open_validation)];
        let open = choose("part", part, &parts)?;
        let dataset = patiently(python, move || open(&folder, splits.as_deref()))?.map_err(raise)?;
        let dataset = Arc::new(dataset);
        Ok(Self { sources: Arc::new(Mutex::new(Sources::new(Arc::clone(&dataset)))), dataset })
    }

    #[getter]
    fn folder(&self) -> PathBuf {
        self.dataset.folder.clone()
    }

    #[getter]
    fn rows(&self) -> u64 {
        self.dataset.rows
    }

    #[getter]
    fn row_length(&self) -> usize {
        self.dataset.row_length
    }

    #[getter]
    fn vocabulary_size(&self) -> u32 {
        self.dataset.vocabulary_size
    }

    #[getter]
    fn pad_id(&self) -> u32 {
        self.dataset.pad_id
    }

    #[getter]
    fn identity(&self) -> String {
        self.dataset.identity.to_string()
    }

    /// Name, category and number of rows of each split.
    #[getter]
    fn splits(&self) -> Vec<(String, Option<String>, u64)> {
        let splits = self.dataset.splits.iter();
        splits.map(|split| (split.name.clone(), split.category.clone(), split.rows)).collect()
    }

    /// The source of each piece: `rows` have `pieces_in_row` each, and `doc_ids` are the keys of their documents.
    fn sources(
        &self,
        python: Python<'_>,
        rows: PyReadonlyArray1<'_, u64>,
        pieces_in_row: PyReadonlyArray1<'_, u32>,
        doc_ids: PyReadonlyArray1<'_, i64>,
    ) -> PyResult<Vec<String>> {
        let (rows, pieces_in_row, doc_ids) = (rows.to_vec()?, pieces_in_row.to_vec()?, doc_ids.to_vec()?);
        let sources = Arc::clone(&self.sources);
        let find = move || {
            let mut sources = lock(&sources);
            let counted = rows.into_iter().zip(pieces_in_row);
            let row_of_piece = counted.flat_map(|(row, pieces)| repeat_n(row, pieces as usize));
            let pieces = row_of_piece.zip(doc_ids);
            pieces
                .map(|(row, doc_id)| sources.of(row, doc_id).map(str::to_owned))
                .collect::<Result<_, Error>>()
        };
        patiently(python, find)?.map_err(raise)
    }

    /// Puts the decoded rows into `folder`; `progress` is called with the shards done and all.
    fn cache(
        &self,
        python: Python<'_>,
        folder: PathBuf,
        threads: usize,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<()> {
        let dataset = Arc::clone(&self.dataset);
        let is_stopped = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&is_stopped);
        let work = move || {
            let mut failed = None;
            let is_stopped = || is_stopped.load(Ordering::Relaxed);
            let built = build_cache(&dataset, &folder, threads, &is_stopped, &mut |shard| {
                let Some(progress) = &progress else { return };
                let told = Python::attach(|python| progress.call1(python, (shard.done, shard.of)).map(drop));
                failed = failed.take().or(told.err());
            });
            (built, failed)
        };
        let (built, failed) = Hand::default().take(python, work, || stop.store(true, Ordering::Relaxed))?;
        built.map_err(raise)?;
        failed.map_or(Ok(()), Err)
    }
}

/// The batches of one rank.
#[pyclass(frozen, module = "mashbill._mashbill")]
pub(crate) struct Batches {
    loader: Arc<Mutex<BatchLoader>>,
    /// Whether the loader has threads of its own.
    has_threads: bool,
    /// What asks for batches where the loader has no threads, and for documents.
    hand: Hand,
    /// Whether batches have a mask, also one without rows.
    attention_mask: bool,
    locator: Arc<Locator>,
    stream: Stream,
    /// The place after the last batch that was delivered: to be had while the next one is waited for.
    state: Mutex<LoaderState>,
    skipped: AtomicU64,
}

#[pymethods]
impl Batches {
    #[new]
    #[pyo3(signature = (
        rows, *, batch_size, world_size, rank, seed, shuffle, last, stages, max_epochs, steps, lane, labels,
        attention_mask, documents, mask_borders, threads, prefetch, cache, skip_errors, state
    ))]
    #[expect(clippy::too_many_arguments, reason = "keywords of one Python call")]
    fn new(
        python: Python<'_>,
        rows: &Rows,
        batch_size: usize,
        world_size: usize,
        rank: usize,
        seed: u64,
        shuffle: &str,
        last: &str,
        stages: Option<Vec<StageTuple>>,
        max_epochs: u64,
        steps: Option<u64>,
        lane: Option<(u64, u64, u64)>,
        labels: &str,
        attention_mask: bool,
        documents: bool,
        mask_borders: bool,
        threads: usize,
        prefetch: usize,
        cache: Option<PathBuf>,
        skip_errors: bool,
        state: Option<&str>,
    ) -> PyResult<Self> {
        let mixture = stages.map(|stages| Mixture {
            stages: stages
                .into_iter()
                .map(|(from_step, weights, ramp)| Stage { from_step, weights, ramp })
                .collect(),
            max_epochs,
        });
        let options = LoaderOptions {
            stream: StreamOptions {
                batch_size,
                world_size,
                rank,
                seed,
                shuffle: choose(
                    "shuffle",
                    shuffle,
                    &[("full", Shuffle::Full), ("blocks", Shuffle::Blocks), ("off", Shuffle::Off)],
                )?,
                last_batch: choose(
                    "last",
                    last,
                    &[("drop", LastBatch::Drop), ("wrap", LastBatch::Wrap), ("short", LastBatch::Short)],
                )?,
                mixture,
                steps,
                lane,
            },
            columns: Columns {
                labels: choose(
                    "label_convention",
                    labels,
                    &[("shifted", LabelAlignment::Shifted), ("aligned", LabelAlignment::Aligned)],
                )?,
                attention_mask,
                documents,
                mask_borders,
            },
            threads,
            prefetch,
            cache,
            on_error: if skip_errors { OnError::Skip } else { OnError::Raise },
        };
        let state = state.map(LoaderState::from_json).transpose().map_err(|why| raise(why.into()))?;
        let dataset = Arc::clone(&rows.dataset);
        let loader = patiently(python, move || BatchLoader::new(dataset, options, state.as_ref()))?;
        let loader = loader.map_err(raise)?;
        Ok(Self {
            has_threads: threads > 0,
            hand: Hand::default(),
            attention_mask,
            locator: Arc::new(Locator::new(Arc::clone(&rows.dataset))),
            stream: loader.stream().clone(),
            state: Mutex::new(loader.state().clone()),
            skipped: AtomicU64::new(0),
            loader: Arc::new(Mutex::new(loader)),
        })
    }

    /// The next batch: its arrays, and what is known of it; none after the last step.
    fn next<'py>(&self, python: Python<'py>) -> PyResult<Option<(Bound<'py, PyDict>, Bound<'py, PyDict>)>> {
        let loader = Arc::clone(&self.loader);
        let next = move || {
            let mut loader = lock(&loader);
            (loader.next_batch(), loader.made_again())
        };
        let (batch, made_again) = if self.has_threads {
            while !python.detach(|| lock(&self.loader).wait(PATIENCE)) {
                python.check_signals()?;
            }
            python.detach(next)
        } else {
            self.hand.take(python, next, || {})?
        };
        let Some(batch) = batch.map_err(raise)? else { return Ok(None) };
        lock(&self.state).clone_from(&batch.state);
        self.skipped.fetch_add(batch.skipped, Ordering::Relaxed);
        let (arrays, about) = arrays(python, batch, self.attention_mask)?;
        about.set_item("made_again", made_again)?;
        Ok(Some((arrays, about)))
    }

    fn state(&self) -> String {
        lock(&self.state).to_json()
    }

    /// The state before a step, wherever the loader is.
    fn state_at(&self, python: Python<'_>, step: u64) -> PyResult<String> {
        python.detach(|| self.stream.state_at(step)).map(|state| state.to_json()).map_err(raise)
    }

    #[getter]
    fn step(&self) -> u64 {
        lock(&self.state).step
    }

    #[getter]
    fn skipped(&self) -> u64 {
        self.skipped.load(Ordering::Relaxed)
    }

    #[getter]
    fn steps_per_epoch(&self) -> Option<u64> {
        self.stream.steps_per_epoch()
    }

    fn epochs_after(&self, steps: u64) -> BTreeMap<String, f64> {
        self.stream.epochs_after(steps).into_iter().collect()
    }

    fn locate<'py>(
        &self,
        python: Python<'py>,
        step: u64,
        rank: Option<usize>,
    ) -> PyResult<Bound<'py, PyList>> {
        let (stream, locator) = (self.stream.clone(), Arc::clone(&self.locator));
        let rows = self.hand.take(python, move || locator.locate(&stream, step, rank), || {})?;
        let rows = rows.map_err(raise)?;
        PyList::new(python, rows.into_iter().map(|row| located(python, row)).collect::<PyResult<Vec<_>>>()?)
    }

    /// The steps of a document: of an integer, the one with that key, in a split of many files that of the group; of a
    /// text, the one with that `id`.
    fn steps_of(
        &self,
        python: Python<'_>,
        split: &str,
        document: &Bound<'_, PyAny>,
        until: u64,
        group: Option<usize>,
    ) -> PyResult<Vec<(u64, usize, usize, u64)>> {
        let (stream, locator) = (self.stream.clone(), Arc::clone(&self.locator));
        let key = document.extract().ok().map(|offset| DocumentKey { group, offset });
        let split = split.to_owned();
        let document = document.str()?.to_string_lossy().into_owned();
        let work = move || match key {
            Some(key) => locator.steps_of_key(&stream, &split, key, until),
            None => locator.steps_of(&stream, &split, &document, until),
        };
        let found = self.hand.take(python, work, || {})?.map_err(raise)?.into_iter();
        Ok(found.map(|Appearance { step, rank, index, row }| (step, rank, index, row)).collect())
    }
}

fn lock<T>(value: &Mutex<T>) -> MutexGuard<'_, T> {
    value.lock().unwrap_or_else(PoisonError::into_inner)
}

fn arrays(
    python: Python<'_>,
    batch: Batch,
    attention_mask: bool,
) -> PyResult<(Bound<'_, PyDict>, Bound<'_, PyDict>)> {
    let shape = [batch.rows.len(), batch.row_length];
    let (arrays, about) = (PyDict::new(python), PyDict::new(python));
    arrays.set_item("input_ids", batch.input_ids.into_pyarray(python).reshape(shape)?)?;
    if attention_mask {
        arrays.set_item("attention_mask", batch.attention_mask.into_pyarray(python).reshape(shape)?)?;
    }
    arrays.set_item("labels", batch.labels.into_pyarray(python).reshape(shape)?)?;
    if let Some(documents) = batch.documents {
        arrays.set_item("position_ids", documents.position_ids.into_pyarray(python).reshape(shape)?)?;
        about.set_item("cu_seqlens", documents.cu_seqlens.into_pyarray(python))?;
        about.set_item("max_seqlen", documents.max_seqlen)?;
        let seq_lens: Vec<i32> = documents.pieces.iter().map(|piece| piece.len).collect();
        let doc_ids: Vec<i64> = documents.pieces.iter().map(|piece| piece.doc_id).collect();
        about.set_item("seq_lens", seq_lens.into_pyarray(python))?;
        about.set_item("doc_ids", doc_ids.into_pyarray(python))?;
        about.set_item("pieces_in_row", documents.pieces_in_row.into_pyarray(python))?;
    }
    about.set_item("rows", batch.rows.into_pyarray(python))?;
    about.set_item("step", batch.step)?;
    about.set_item("epoch", batch.epoch)?;
    about.set_item("ends_epoch", batch.ends_epoch)?;
    about.set_item("skipped", batch.skipped)?;
    Ok((arrays, about))
}

fn located(python: Python<'_>, row: LocatedRow) -> PyResult<Bound<'_, PyDict>> {
    let out = PyDict::new(python);
    out.set_item("row", row.row)?;
    out.set_item("split", row.split)?;
    out.set_item("row_in_split", row.row_in_split)?;
    out.set_item("rank", row.rank)?;
    out.set_item("index", row.index)?;
    let documents = row.documents.into_iter().map(|document| located_document(python, document));
    out.set_item("documents", PyList::new(python, documents.collect::<PyResult<Vec<_>>>()?)?)?;
    Ok(out)
}

fn located_document(python: Python<'_>, document: LocatedDocument) -> PyResult<Bound<'_, PyDict>> {
    let out = PyDict::new(python);
    out.set_item("file", document.file)?;
    if let Some(group) = document.group {
        out.set_item("group", group)?;
    }
    out.set_item("doc_id", document.doc_id)?;
    out.set_item("offset", document.offset)?;
    out.set_item("id", document.id)?;
    out.set_item("source", document.source)?;
    out.set_item("category", document.category)?;
    out.set_item("doc_offset", document.doc_offset)?;
    out.set_item("len", document.len)?;
    Ok(out)
}

fn choose<T: Copy>(option: &str, value: &str, choices: &[(&str, T)]) -> PyResult<T> {
    choices.iter().find(|(name, _)| *name == value).map(|(_, choice)| *choice).ok_or_else(|| {
        let names: Vec<String> = choices.iter().map(|(name, _)| format!("\"{name}\"")).collect();
        PyValueError::new_err(format!("{option} is one of {}, not \"{value}\"", names.join(", ")))
    })
}

/// The most characters of an error's line: what it quotes of a manifest may have megabytes.
const LINE_CHARS_MAX: usize = 4000;

/// An error as Python's, with its causes, and with what to do about it where that is known.
fn raise(error: Error) -> PyErr {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(source) = cause {
        text.push_str(": ");
        text.push_str(&source.to_string());
        cause = source.source();
    }
    // Python prints what nobody caught as it is.
    text = mashbill_cli::shown(&text);
    if let Some((end, _)) = text.char_indices().nth(LINE_CHARS_MAX) {
        let more = text[end..].chars().count();
        text.truncate(end);
        text.push_str(&format!("… and {more} more characters"));
    }
    if let Some(hint) = hint(error.first()) {
        text.push_str("\nhint: ");
        text.push_str(&mashbill_cli::shown(&hint));
    }
    match error.first() {
        Error::Interrupted => PyKeyboardInterrupt::new_err(text),
        error if error.is_disk_full() => MashbillError::new_err(text),
        Error::Shard { .. } | Error::Table { .. } | Error::File(_) => ShardError::new_err(text),
        Error::State { .. } => StateError::new_err(text),
        Error::Option { .. }
        | Error::Weights { .. }
        | Error::UnknownSplit { .. }
        | Error::UnknownSource { .. }
        | Error::SplitWeight { .. }
        | Error::NoGroup { .. } => PyValueError::new_err(text),
        _ => MashbillError::new_err(text),
    }
}

/// How the folder of a manifest that cannot be read is made anew.
fn tokenize_again(folder: &Path) -> String {
    format!(
        "mv {} somewhere else, then run the `mashbill tokenize` command that made it: it makes the folder again",
        folder.display()
    )
}

/// What to type where a file is damaged that lies `depth` folders deep in the output folder.
fn damage_hint(path: &Path, depth: usize) -> String {
    let folder = path.ancestors().nth(depth).unwrap_or(path);
    format!(
        "`mashbill verify {}` says what is wrong with the dataset, and the `mashbill tokenize` command that made it \
         fixes it",
        folder.display()
    )
}

/// What to type next.
fn hint(error: &Error) -> Option<String> {
    Some(match error {
        // `<folder>/<split>/shard_0000.parquet` and `<folder>/<split>/_documents/shard_0000.documents`.
        Error::Shard { path, .. } => {
            format!("{}; on_error=\"skip\" leaves out rows that cannot be read", damage_hint(path, 2))
        }
        Error::Table { path, .. } => damage_hint(path, 3),
        Error::File(FormatError::TooOld { path, .. }) => {
            format!("tokenize again: {}", tokenize_again(folder_of(path)))
        }
        Error::File(FormatError::TooNew { .. } | FormatError::Requires { .. }) => "update mashbill".into(),
        Error::File(FormatError::Store(StoreError::Damaged { path, .. })) if path.ends_with(MANIFEST) => format!(
            "where a newer mashbill made the folder, update mashbill; else copy it again from a good copy, or {}",
            tokenize_again(folder_of(path))
        ),
        Error::IgnoreIndex { .. } => "update mashbill, or tokenize the folder's input again".into(),
        error if error.is_disk_full() => {
            "make room, or name a cache folder on another disk; without a cache rows come straight from the shards".into()
        }
        Error::Distrusted { path, .. } => {
            format!("chmod go-w {}, or name a folder of your own", path.display())
        }
        Error::NoManifest { folder } if is_unfinished(folder) || has_splits(folder) => {
            format!("`mashbill verify {}` says why, and what to type", folder.display())
        }
        Error::NoManifest { .. } => "name the folder that `mashbill tokenize --output` wrote".into(),
        Error::TooFewRows { .. } => "use a smaller batch_size, or last=\"wrap\" or \"short\"".into(),
        Error::TooManyEpochs { .. } => "use fewer steps, other weights, or a larger max_epochs".into(),
        Error::State { .. } => {
            "load what `state_dict()` of a loader of the same dataset, seed and shuffling returned; for others start afresh".into()
        }
        Error::NoGroup { .. } => "give its group, too: `locate` has it beside `doc_id`".into(),
        Error::UnknownDocument { .. } => "`mashbill inspect FOLDER --find TEXT` lists documents".into(),
        _ => return None,
    })
}
