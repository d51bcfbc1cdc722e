//! Tokenizers for Python: texts in, numpy arrays of ids out, with the interpreter let go.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use mashbill_tokenizer::{Error, Scratch, SpecialTokensInText, Tokenizer};
use numpy::{IntoPyArray, PyArray1, PyArray2, PyArrayMethods, PyReadonlyArray1};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedStr;
use pyo3::types::PyDict;

use crate::load::MashbillError;
use crate::patience::{Hand, patiently};

/// Fewest bytes of texts that a thread takes at once.
const TAKEN_MIN: usize = 1 << 16;

/// Ids for Python.
type IdArray<'py> = Bound<'py, PyArray1<i32>>;

/// A tokenizer, by the name that `--tokenizer` takes.
#[pyclass(frozen, module = "mashbill", name = "Tokenizer")]
pub(crate) struct PyTokenizer {
    encoder: Arc<Encoder>,
    /// What was asked for.
    pad_token: Option<String>,
}

/// What threads share.
struct Encoder {
    tokenizer: Tokenizer,
    /// What is put before and after a text.
    template: Result<(Vec<u32>, Vec<u32>), Error>,
    policy: SpecialTokensInText,
    /// Working memory that nobody has at the moment.
    scratches: Mutex<Vec<Scratch>>,
}

impl Encoder {
    /// What is put before and after a text, if that is asked for.
    fn around(&self, adds: bool) -> PyResult<(&[u32], &[u32])> {
        match &self.template {
            _ if !adds => Ok((&[], &[])),
            Ok((before, after)) => Ok((before, after)),
            Err(error) => Err(raise(error)),
        }
    }

    fn encode(
        &self,
        scratch: &mut Scratch,
        text: &str,
        (before, after): (&[u32], &[u32]),
        ids: &mut Vec<u32>,
    ) -> Result<(), Error> {
        ids.extend_from_slice(before);
        self.tokenizer.encode_text(scratch, text, self.policy, ids)?;
        ids.extend_from_slice(after);
        Ok(())
    }

    fn with_scratch<T>(&self, work: impl FnOnce(&mut Scratch) -> T) -> T {
        let scratches = || self.scratches.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = scratches().pop();
        let mut scratch = kept.unwrap_or_default();
        let done = work(&mut scratch);
        let mut scratches = scratches();
        if scratches.len() < cores() {
            scratches.push(scratch);
        }
        done
    }

    /// The ids of each text, by at most so many threads, until `is_over`.
    fn encode_all(
        &self,
        texts: &[PyBackedStr],
        around: (&[u32], &[u32]),
        threads: usize,
        is_over: &AtomicBool,
    ) -> Result<Vec<Vec<i32>>, Error> {
        let parts = parts(texts);
        let next = AtomicUsize::new(0);
        let encode = |scratch: &mut Scratch, text: &PyBackedStr| {
            let mut ids = Vec::new();
            self.encode(scratch, text, around, &mut ids).map(|()| signed(ids))
        };
        let take_parts = || {
            self.with_scratch(|scratch| {
                let mut done = Vec::new();
                while let Some(part) = parts.get(next.fetch_add(1, Ordering::Relaxed))
                    && !is_over.load(Ordering::Relaxed)
                {
                    let encoded =
                        part.iter().map(|text| encode(scratch, text)).collect::<Result<Vec<_>, _>>()?;
                    done.push((part.as_ptr().addr(), encoded));
                }
                Ok(done)
            })
        };
        let mut done = thread::scope(|scope| {
            let others = 1..threads.min(parts.len());
            // Where there are no more threads to be had, those that are there do the work.
            let spawned: Vec<_> =
                others.map_while(|_| thread::Builder::new().spawn_scoped(scope, take_parts).ok()).collect();
            let mut done = take_parts()?;
            for thread in spawned {
                done.extend(thread.join().expect("a thread of ours does not panic")?);
            }
            Ok::<_, Error>(done)
        })?;
        done.sort_unstable_by_key(|(place, _)| *place);
        Ok(done.into_iter().flat_map(|(_, encoded)| encoded).collect())
    }

    /// The ids of a text and the characters of it that each stands for: none for what is put around it.
    fn encode_with_offsets(
        &self,
        text: &str,
        around: (&[u32], &[u32]),
    ) -> Result<(Vec<u32>, Vec<Range<usize>>), Error> {
        let (mut ids, mut ranges) = (Vec::new(), Vec::new());
        self.with_scratch(|scratch| self.encode(scratch, text, around, &mut ids))?;
        let (before, after) = (around.0.len(), around.1.len());
        ranges.resize(before, 0..0);
        let own = &ids[before..ids.len() - after];
        self.tokenizer.ranges_in_text(text, self.policy, own, &mut ranges)?;
        ranges.resize(ids.len(), 0..0);
        in_characters(text, &mut ranges[before..before + own.len()]);
        Ok((ids, ranges))
    }
}

/// Texts, one after another, in parts that are worth a thread.
fn parts(texts: &[PyBackedStr]) -> Vec<&[PyBackedStr]> {
    let (mut parts, mut start, mut taken) = (Vec::new(), 0, 0);
    for (place, text) in texts.iter().enumerate() {
        taken += text.len();
        if taken >= TAKEN_MIN || place + 1 == texts.len() {
            parts.push(&texts[start..=place]);
            (start, taken) = (place + 1, 0);
        }
    }
    parts
}

fn cores() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

/// Makes ranges of bytes, which are in order, ranges of characters; a part of a character is the character.
fn in_characters(text: &str, ranges: &mut [Range<usize>]) {
    if text.is_ascii() {
        return;
    }
    let starts: Vec<usize> = text.char_indices().map(|(start, _)| start).collect();
    for range in ranges {
        let is_empty = range.start == range.end;
        let start = starts.partition_point(|start| *start <= range.start).saturating_sub(1);
        let end = starts.partition_point(|start| *start < range.end);
        *range = if is_empty { end..end } else { start..end };
    }
}

#[pymethods]
impl PyTokenizer {
    #[new]
    #[pyo3(signature = (name, *, pad_token = None, split_special_tokens = false))]
    fn open(
        python: Python<'_>,
        name: std::path::PathBuf,
        pad_token: Option<String>,
        split_special_tokens: bool,
    ) -> PyResult<Self> {
        let Some(name) = name.to_str().map(str::to_owned) else {
            return Err(PyValueError::new_err("the tokenizer's name is no text"));
        };
        let pad = pad_token.clone();
        let tokenizer = patiently(python, move || mashbill_cli::tokenizer(&name, pad))?;
        let tokenizer = tokenizer.map_err(MashbillError::new_err)?;
        let policy = match split_special_tokens {
            true => SpecialTokensInText::Split,
            false => SpecialTokensInText::Encode,
        };
        let template = tokenizer.template();
        let encoder = Encoder { tokenizer, template, policy, scratches: Mutex::default() };
        Ok(Self { encoder: Arc::new(encoder), pad_token })
    }

    /// The ids of a text.
    #[pyo3(signature = (text, *, add_special_tokens = true))]
    fn encode<'py>(
        &self,
        python: Python<'py>,
        text: PyBackedStr,
        add_special_tokens: bool,
    ) -> PyResult<IdArray<'py>> {
        let encoder = &self.encoder;
        let around = encoder.around(add_special_tokens)?;
        let ids = python.detach(|| {
            let mut ids = Vec::new();
            let encode = |scratch: &mut Scratch| encoder.encode(scratch, &text, around, &mut ids);
            encoder.with_scratch(encode).map(|()| signed(ids))
        });
        Ok(ids.map_err(|error| raise(&error))?.into_pyarray(python))
    }

    /// The ids of a text, and the characters that each stands for: rows of start and end.
    #[pyo3(signature = (text, *, add_special_tokens = true))]
    fn encode_with_offsets<'py>(
        &self,
        python: Python<'py>,
        text: PyBackedStr,
        add_special_tokens: bool,
    ) -> PyResult<(IdArray<'py>, Bound<'py, PyArray2<i64>>)> {
        let around = self.encoder.around(add_special_tokens)?;
        let found = python.detach(|| self.encoder.encode_with_offsets(&text, around));
        let (ids, ranges) = found.map_err(|error| raise(&error))?;
        let count = ranges.len();
        let offsets: Vec<i64> =
            ranges.into_iter().flat_map(|range| [range.start as i64, range.end as i64]).collect();
        let offsets = offsets.into_pyarray(python).reshape([count, 2])?;
        Ok((signed(ids).into_pyarray(python), offsets))
    }

    /// The ids of each text.
    #[pyo3(signature = (texts, *, add_special_tokens = true, threads = 0))]
    fn encode_batch<'py>(
        &self,
        python: Python<'py>,
        texts: Vec<PyBackedStr>,
        add_special_tokens: bool,
        threads: usize,
    ) -> PyResult<Vec<IdArray<'py>>> {
        self.encoder.around(add_special_tokens)?;
        let threads = if threads == 0 { cores() } else { threads };
        let is_over = Arc::new(AtomicBool::new(false));
        let (encoder, ends) = (Arc::clone(&self.encoder), Arc::clone(&is_over));
        let encode = move || {
            let around = encoder.around(add_special_tokens).expect("it was there before");
            encoder.encode_all(&texts, around, threads, &ends)
        };
        let all = Hand::default().take(python, encode, || is_over.store(true, Ordering::Relaxed))?;
        let all = all.map_err(|error| raise(&error))?;
        Ok(all.into_iter().map(|ids| ids.into_pyarray(python)).collect())
    }

    /// What makes it again, where it is unpickled.
    fn __getnewargs_ex__<'py>(&self, python: Python<'py>) -> PyResult<((&str,), Bound<'py, PyDict>)> {
        let options = PyDict::new(python);
        options.set_item("pad_token", &self.pad_token)?;
        options.set_item("split_special_tokens", self.encoder.policy == SpecialTokensInText::Split)?;
        Ok(((self.name(),), options))
    }

    /// The text of ids.
    #[pyo3(signature = (ids, *, skip_special_tokens = false))]
    fn decode(&self, python: Python<'_>, ids: TokenIds<'_>, skip_special_tokens: bool) -> PyResult<String> {
        let ids = ids.unsigned()?;
        let decoded = python.detach(|| self.encoder.tokenizer.decode(&ids, skip_special_tokens));
        decoded.map_err(|error| raise(&error))
    }

    /// What the tokenizer is called.
    #[getter]
    fn name(&self) -> &str {
        &self.encoder.tokenizer.identity().name
    }

    /// The highest id and one.
    #[getter]
    fn vocabulary_size(&self) -> u32 {
        self.encoder.tokenizer.identity().vocabulary_size
    }

    /// The engine in use.
    #[getter]
    fn engine(&self) -> String {
        self.encoder.tokenizer.engine().name()
    }

    /// Why it is not the fast one.
    #[getter]
    fn why_not_fast(&self) -> Option<String> {
        self.encoder.tokenizer.fast_refused().map(|why| mashbill_cli::shown(&why.to_string()))
    }

    #[getter]
    fn bos_token_id(&self) -> Option<u32> {
        self.encoder.tokenizer.identity().bos.as_ref().map(|token| token.id)
    }

    #[getter]
    fn eos_token_id(&self) -> Option<u32> {
        self.encoder.tokenizer.identity().eos.as_ref().map(|token| token.id)
    }

    #[getter]
    fn pad_token_id(&self) -> u32 {
        self.encoder.tokenizer.identity().pad.id
    }

    fn __repr__(&self) -> String {
        format!("Tokenizer({:?}, engine={:?})", self.name(), self.engine())
    }
}

/// Ids as Python has them.
#[derive(FromPyObject)]
enum TokenIds<'py> {
    Array(PyReadonlyArray1<'py, i32>),
    Wide(PyReadonlyArray1<'py, i64>),
    List(Vec<i64>),
}

impl TokenIds<'_> {
    fn unsigned(self) -> PyResult<Vec<u32>> {
        let ids: Vec<i64> = match self {
            Self::Array(ids) => ids.as_array().iter().map(|id| i64::from(*id)).collect(),
            Self::Wide(ids) => ids.as_array().to_vec(),
            Self::List(ids) => ids,
        };
        let unsigned =
            |id: i64| u32::try_from(id).map_err(|_| PyValueError::new_err(format!("{id} is no token")));
        ids.into_iter().map(unsigned).collect()
    }
}

/// Ids as batches have them; there are at most 2^20.
fn signed(ids: Vec<u32>) -> Vec<i32> {
    ids.into_iter().map(u32::cast_signed).collect()
}

fn raise(error: &Error) -> PyErr {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(source) = cause {
        text.push_str(": ");
        text.push_str(&source.to_string());
        cause = source.source();
    }
    MashbillError::new_err(mashbill_cli::shown(&text))
}
