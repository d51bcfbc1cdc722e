//! The rows of a file, whatever its format, from any row on.

use std::io::{self, Read};
use std::path::Path;

use mashbill_format::catalog::{CatalogDataset, FileFormat};
use mashbill_records::BYTE_ORDER_MARK;
use mashbill_records::json;
use mashbill_records::parquet_rows::ParquetRows;
use mashbill_records::value::Value;

use super::array::{Array, Broken, Cut};
use super::csv_rows::CsvRows;
use super::lines::CutLines;
use super::refused::RefusedRow;
use super::window::{ContentWindow, content};
use crate::error::{Error, Result};

/// The longest row in bytes of its format; longer ones are passed over without being held in memory.
const ROW_BYTES_MAX: usize = 64 << 20;

/// The rows of a file.
#[derive(Debug)]
pub(crate) struct FileRows<'a> {
    kind: RowsKind,
    path: &'a Path,
    file: &'a str,
    /// What was cut out last, for formats that are cut before they are parsed.
    cut: Option<Cut>,
}

#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "there is one of them at a time")]
enum RowsKind {
    Array(Array),
    Lines(CutLines),
    Parquet(ParquetRows),
    Csv(CsvRows),
}

impl<'a> FileRows<'a> {
    /// The rows of the file at `path`, called `file` in the dataset's repository, from `position` on: what
    /// [`Self::position`] said behind a row, or 0.
    pub(crate) fn open(
        path: &'a Path,
        file: &'a str,
        dataset: &CatalogDataset,
        wanted: &dyn Fn(&str) -> bool,
        position: u64,
    ) -> Result<Self> {
        let rows = |kind| Self { kind, path, file, cut: None };
        let Some(format) = dataset.format.or_else(|| FileFormat::of_name(file)) else {
            return Err(Error::UnknownFormat { dataset: dataset.name.clone(), file: file.to_owned() });
        };
        let key = dataset.rows_key.as_deref();
        let lines = match format {
            FileFormat::Jsonl => true,
            FileFormat::Json => {
                key.is_none() && !begins_with_a_bracket(path, file).map_err(|e| Error::read(path, e))?
            }
            FileFormat::Parquet => {
                let parquet = ParquetRows::open(path, wanted, position);
                let parquet = parquet.map_err(|error| no_parquet(path, file, error))?;
                if let Some(name) = parquet.name_twice(wanted) {
                    let what =
                        format!("two of its columns are called `{name}`, and nothing says which one counts");
                    return Err(broken_file(path, file, &what));
                }
                return Ok(rows(RowsKind::Parquet(parquet)));
            }
            FileFormat::Csv => {
                let window =
                    ContentWindow::open(path, file, 0).map_err(|error| unreadable(path, file, error))?;
                let csv = CsvRows::open(window, position, ROW_BYTES_MAX);
                return Ok(rows(RowsKind::Csv(csv.map_err(|e| unreadable(path, file, e))?)));
            }
        };
        let window =
            ContentWindow::open(path, file, position).map_err(|error| unreadable(path, file, error))?;
        if lines {
            let lines =
                CutLines::open(window, ROW_BYTES_MAX).map_err(|error| unreadable(path, file, error))?;
            return Ok(rows(RowsKind::Lines(lines)));
        }
        let array = if position == 0 {
            Array::open(window, key, ROW_BYTES_MAX).map_err(|broken| no_array(path, file, broken))?
        } else {
            Array::behind_a_row(window, key.is_some(), ROW_BYTES_MAX)
        };
        Ok(rows(RowsKind::Array(array)))
    }

    /// Goes to the next row; false at the end.
    pub(crate) fn advance(&mut self) -> Result<bool> {
        let (path, file) = (self.path, self.file);
        self.cut = match &mut self.kind {
            RowsKind::Array(array) => array.next().map_err(|broken| no_array(path, file, broken))?,
            RowsKind::Lines(lines) => lines.next().map_err(|error| unreadable(path, file, error))?,
            RowsKind::Parquet(rows) => {
                return rows.advance().map_err(|error| no_parquet(path, file, error));
            }
            RowsKind::Csv(rows) => return rows.advance().map_err(|error| unreadable(path, file, error)),
        };
        Ok(self.cut.is_some())
    }

    /// Whether they are of a Parquet file.
    pub(crate) const fn is_parquet(&self) -> bool {
        matches!(self.kind, RowsKind::Parquet(_))
    }

    /// Where the row ends that was advanced to: a byte of the decompressed content, or a number of rows.
    pub(crate) const fn position(&self) -> u64 {
        match &self.kind {
            RowsKind::Array(array) => array.position(),
            RowsKind::Lines(lines) => lines.position(),
            RowsKind::Parquet(rows) => rows.position(),
            RowsKind::Csv(rows) => rows.position(),
        }
    }

    /// The row that was advanced to, as far as it is wanted.
    pub(crate) fn row(&self, wanted: &dyn Fn(&str) -> bool) -> std::result::Result<Value<'_>, RefusedRow> {
        let bytes = match &self.kind {
            RowsKind::Parquet(rows) => return Ok(rows.value_of_all()),
            RowsKind::Csv(rows) => return rows.row(wanted),
            RowsKind::Array(_) | RowsKind::Lines(_) => self.bytes(),
        };
        let Some(bytes) = bytes else {
            return Err(RefusedRow::new("too_long", format!("longer than {ROW_BYTES_MAX} bytes")));
        };
        let text = simdutf8::basic::from_utf8(bytes)
            .map_err(|_| RefusedRow::new("invalid_utf8", "the row is not UTF-8"))?;
        match json::parse(text, wanted) {
            Ok(value @ Value::Map(_)) => Ok(value),
            Ok(other) => Err(RefusedRow::new("not_an_object", format!("the row is {}", other.kind()))),
            Err(invalid) => {
                Err(RefusedRow::new("invalid_json", format!("{} at byte {}", invalid.what, invalid.at)))
            }
        }
    }

    /// The beginning of the row that was advanced to, for people.
    pub(crate) fn start(&self) -> String {
        let start = match &self.kind {
            RowsKind::Parquet(rows) => {
                let mut text = Vec::new();
                rows.value_of_all().write(&mut text);
                String::from_utf8_lossy(&text).into_owned()
            }
            RowsKind::Csv(rows) => rows.start(),
            RowsKind::Array(_) | RowsKind::Lines(_) => {
                let bytes = self.bytes().unwrap_or_default();
                String::from_utf8_lossy(&bytes[..bytes.len().min(4 * START_CHARS)]).into_owned()
            }
        };
        start.chars().take(START_CHARS).collect()
    }

    /// The bytes that were cut out; none of a row that was passed over.
    fn bytes(&self) -> Option<&[u8]> {
        let Some(Cut::Row(length)) = self.cut else { return None };
        match &self.kind {
            RowsKind::Array(array) => Some(&array.bytes()[..length]),
            RowsKind::Lines(lines) => Some(&lines.bytes()[..length]),
            RowsKind::Parquet(_) | RowsKind::Csv(_) => None,
        }
    }
}

/// Characters of a refused row that are kept.
const START_CHARS: usize = 300;

/// Whether the content begins as an array does, after white space; some `.json` files hold lines.
fn begins_with_a_bracket(path: &Path, file: &str) -> io::Result<bool> {
    let mut start = Vec::new();
    content(path, file, 0)?.take(1 << 16).read_to_end(&mut start)?;
    let start = start.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&start);
    Ok(start.iter().find(|b| !b.is_ascii_whitespace()) == Some(&b'['))
}

fn no_parquet(path: &Path, file: &str, error: mashbill_store::Error) -> Error {
    match error {
        mashbill_store::Error::Damaged { what, .. } => broken_file(path, file, &what),
        error => error.into(),
    }
}

fn no_array(path: &Path, file: &str, broken: Broken) -> Error {
    match broken {
        Broken::Io(error) => unreadable(path, file, error),
        Broken::Content { what, at } => broken_file(path, file, &format!("{what} at byte {at}")),
    }
}

/// A file whose content cannot be read: a compression that is broken is the file's, all else the system's.
fn unreadable(path: &Path, file: &str, error: io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::InvalidData
        | io::ErrorKind::InvalidInput
        | io::ErrorKind::UnexpectedEof
        | io::ErrorKind::Other => broken_file(path, file, &error.to_string()),
        _ => Error::read(path, error),
    }
}

fn broken_file(path: &Path, file: &str, what: &str) -> Error {
    Error::BrokenFile { file: file.to_owned(), path: path.to_owned(), what: what.to_owned() }
}
