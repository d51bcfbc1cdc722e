//! The Python package's compiled part: Python values in, Rust calls with the interpreter let go, Python
//! values out. What it does is done by the other crates.

mod load;
mod patience;
mod tokenizer;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;

use mashbill_store::checksum::Hasher;
use mashbill_store::open;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyString;

/// As in the command: tables of tokenizers are built from a million small allocations.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Runs the `mashbill` command and gives its exit code.
///
/// `arguments` begins with the program's name; `interpreter` is the Python for commands in Python.
#[pyfunction]
fn run(python: Python<'_>, arguments: Vec<OsString>, interpreter: PathBuf) -> u8 {
    python.detach(|| mashbill_cli::run(arguments, Some(&interpreter)))
}

/// Makes rows of the text in `input` for a training, as `mashbill tokenize` does, and gives its exit code.
#[pyfunction]
fn tokenize_to_train(
    python: Python<'_>,
    input: PathBuf,
    output: PathBuf,
    tokenizer: String,
    max_seq_length: usize,
    val_fraction: Option<f64>,
    quiet: bool,
) -> u8 {
    let make =
        || mashbill_cli::tokenize_to_train(input, output, tokenizer, max_seq_length, val_fraction, quiet);
    python.detach(make)
}

/// The files of a tokenizer, by name: what a checkpoint needs for `transformers` to load them.
///
/// `name` is what `--tokenizer` takes. A `ValueError` says why there is no such tokenizer.
#[pyfunction]
fn tokenizer_files(python: Python<'_>, name: &str) -> PyResult<BTreeMap<&'static str, String>> {
    let found = python.detach(|| mashbill_cli::tokenizer_files(name));
    Ok(found.map_err(PyValueError::new_err)?.into_iter().collect())
}

/// The shares of tokens that the curriculum's categories are to have, in percent, by name.
#[pyfunction]
fn curriculum() -> BTreeMap<String, f64> {
    mashbill_cli::curriculum().into_iter().collect()
}

/// `text` as it can be shown on a terminal: what would steer it is spelled. Names from files, YAML and servers go
/// through here before they are printed or stand in an error.
#[pyfunction]
fn shown(text: &Bound<'_, PyString>) -> String {
    // A name that is no UTF-8 has surrogates, which a text of Rust's cannot hold.
    mashbill_cli::shown(&text.to_string_lossy())
}

/// Bytes of a file that are read at once.
const READ_BYTES: usize = 1 << 20;

/// The XXH3-128 of a file, as 32 hexadecimal digits. An `OSError` says why it cannot be read.
#[pyfunction]
fn checksum(python: Python<'_>, path: PathBuf) -> PyResult<String> {
    python.detach(|| {
        let (mut file, mut hasher, mut buffer) = (open::open(&path)?, Hasher::new(), vec![0; READ_BYTES]);
        hasher.update_from(&mut file, &mut buffer, |_| {})?;
        Ok(hasher.finish().to_string())
    })
}

#[pymodule]
fn _mashbill(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add("MashbillError", module.py().get_type::<load::MashbillError>())?;
    module.add("ShardError", module.py().get_type::<load::ShardError>())?;
    module.add("StateError", module.py().get_type::<load::StateError>())?;
    module.add_class::<load::Rows>()?;
    module.add_class::<load::Batches>()?;
    module.add_class::<tokenizer::PyTokenizer>()?;
    module.add_function(wrap_pyfunction!(checksum, module)?)?;
    module.add_function(wrap_pyfunction!(curriculum, module)?)?;
    module.add_function(wrap_pyfunction!(run, module)?)?;
    module.add_function(wrap_pyfunction!(shown, module)?)?;
    module.add_function(wrap_pyfunction!(tokenize_to_train, module)?)?;
    module.add_function(wrap_pyfunction!(tokenizer_files, module)?)
}
