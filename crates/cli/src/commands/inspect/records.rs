//! Records of JSON and Parquet.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::Result;
use mashbill_format::figures::counted;
use mashbill_format::find::RecordFile;
use mashbill_records::record::{FieldCounts, Record, RecordParser};
use mashbill_records::{Container, DOCUMENT_BYTES_MAX, FileKind, Lines, ReadError, RowBlocks, RowCutting};
use mashbill_verify::{name_below, records_below};
use serde::Serialize;

use super::asked::{InspectArgs, pick};
use crate::commands::verify::names;
use crate::exit::Exit;
use crate::hints::{content_hint, fields_of, is_chat};
use crate::incomplete::tell_incomplete;
use crate::left_out::tell_left_out;
use crate::out::{self, Out};
use crate::printer::Printer;
use crate::usage::Usage;

/// Bytes of the texts of rows that are in memory at a time.
const BLOCK_BYTES: u64 = 1 << 20;

/// A record.
#[derive(Debug, Serialize)]
struct RecordView {
    file: PathBuf,
    /// The line, or row, from 1.
    line: u64,
    id: Option<String>,
    source: Option<String>,
    category: Option<String>,
    text: String,
}

pub(super) fn run(args: &InspectArgs, printer: &Printer) -> Result<Exit> {
    let not_found = |what: &str| Usage::NothingFound { what: what.to_owned(), path: args.path.clone() };
    let found = records_below(&args.path)?;
    tell_left_out(&found.left_out, &args.path, printer);
    let mut reading = Reading {
        root: &args.path,
        text_fields: &args.text_field,
        printer,
        unread: BTreeSet::new(),
        told: BTreeSet::new(),
        without_text: FieldCounts::default(),
    };
    for refused in &found.refused {
        reading.tell(&refused.relative, &refused.why);
    }
    let files = files_to_look_at(args, found.files)?;
    let record = match (&args.doc, &args.find, args.row, args.random) {
        (Some(id), ..) => reading
            .find(&files, |_, record| record.id.as_deref() == Some(id))
            .ok_or_else(|| not_found(&format!("the record `{id}`")))?,
        (_, Some(text), ..) => reading
            .find(&files, |_, record| record.text.contains(text))
            .ok_or_else(|| not_found(&format!("the text {text:?}")))?,
        (_, _, Some(row), _) => {
            reading.find(&files, |at, _| at == row).ok_or_else(|| not_found(&format!("record {row}")))?
        }
        (_, _, _, true) => {
            let mut count = 0;
            reading.find(&files, |_, _| {
                count += 1;
                false
            });
            let row = pick(args.seed, count);
            reading.find(&files, |at, _| at == row).ok_or_else(|| reading.no_record())?
        }
        _ => reading.find(&files, |_, _| true).ok_or_else(|| reading.no_record())?,
    };
    if args.json {
        out::json(&record)?
    } else {
        write(&record)?
    }
    if reading.unread.is_empty() {
        return Ok(Exit::Done);
    }
    let unread: Vec<_> = reading.unread.iter().map(String::as_str).collect();
    tell_incomplete("file", "read", &unread, files.len() + found.refused.len(), printer);
    Ok(Exit::Incomplete)
}

/// The files with the name that was asked for, or all.
pub(super) fn files_to_look_at(args: &InspectArgs, files: Vec<RecordFile>) -> Result<Vec<RecordFile>, Usage> {
    let Some(name) = &args.split else { return Ok(files) };
    let available: Vec<_> = files.iter().map(RecordFile::relative).collect();
    let found: Vec<_> = files.into_iter().filter(|file| is_called(file, name)).collect();
    if found.is_empty() && !available.is_empty() {
        return Err(Usage::NoSuchFile { file: name.clone(), path: args.path.clone(), available });
    }
    Ok(found)
}

fn is_called(file: &RecordFile, name: &str) -> bool {
    file.stem == name || file.path.file_name().is_some_and(|file| file == name)
}

/// Reading records, and what could not be read on the way.
struct Reading<'a> {
    root: &'a Path,
    text_fields: &'a [String],
    printer: &'a Printer,
    /// Files that cannot be read, which were told.
    unread: BTreeSet<String>,
    /// Files with something behind their end, which were told.
    told: BTreeSet<String>,
    /// What lines without a text have.
    without_text: FieldCounts,
}

impl Reading<'_> {
    fn no_record(&self) -> Usage {
        Usage::NoRecord { path: self.root.to_owned(), has_chats: is_chat(&self.without_text) }
    }

    /// The first record, by its number among all of them, that is wanted. Lines that are none are passed over, and
    /// files that cannot be read are told.
    fn find(
        &mut self,
        files: &[RecordFile],
        mut is_wanted: impl FnMut(u64, &RecordView) -> bool,
    ) -> Option<RecordView> {
        let mut number = 0;
        for file in files {
            let found = match file.kind {
                FileKind::Json(container) => {
                    let parser = &mut RecordParser::new(self.text_fields);
                    let without_text = &mut self.without_text;
                    find_line(&file.path, container, parser, without_text, &mut number, &mut is_wanted)
                }
                FileKind::Parquet => find_row(&file.path, self.text_fields, &mut number, &mut is_wanted)
                    .map(|record| (record, 0)),
            };
            match found {
                Ok((Some(record), _)) => return Some(record),
                Ok((None, 0)) => {}
                Ok((None, ignored)) => self.tell_ignored(&name_below(&file.path, self.root), ignored),
                Err(error) => self.tell(&name_below(&file.path, self.root), &error),
            }
        }
        None
    }

    /// Bytes behind the end of what a file is packed in: `inspect` looks no further than what it shows, so they are told
    /// where it came so far.
    fn tell_ignored(&mut self, name: &str, bytes: u64) {
        if self.told.insert(name.to_owned()) {
            let bytes = counted(bytes, "byte");
            self.printer
                .warning(format_args!("{name}: ignored {bytes} after the end of the compressed data"));
        }
    }

    fn tell(&mut self, name: &str, error: &ReadError) {
        if self.unread.insert(name.to_owned()) {
            self.printer.warning(format_args!("{name} is not read: {error}"));
            let fields = match error {
                ReadError::NoTextColumn { columns, .. } => fields_of(columns),
                _ => FieldCounts::default(),
            };
            // What to do with conversations is said at the end.
            if !is_chat(&fields) {
                self.printer.hint(content_hint(&self.root.join(name), error));
            }
            self.without_text.add(&fields);
        }
    }
}

impl RecordView {
    fn new(path: &Path, line: u64, record: &Record<'_>) -> Self {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        Self {
            file: path.to_owned(),
            line,
            id: owned(record.id),
            source: owned(record.source),
            category: owned(record.category),
            text: record.text.to_owned(),
        }
    }
}

/// The first record of a file of JSON that is wanted, or how many bytes behind its end are none of it.
fn find_line(
    path: &Path,
    container: Container,
    parser: &mut RecordParser,
    without_text: &mut FieldCounts,
    number: &mut u64,
    is_wanted: &mut impl FnMut(u64, &RecordView) -> bool,
) -> Result<(Option<RecordView>, u64), ReadError> {
    let mut lines = Lines::open(path, container)?;
    while let Some(line) = lines.read()? {
        let text = line.bytes.and_then(|bytes| std::str::from_utf8(bytes).ok());
        let Some(text) = text else { continue };
        let Ok(shown) = parser.parse(text).map(|record| RecordView::new(path, line.number, &record)) else {
            parser.count_fields(text, without_text);
            continue;
        };
        if is_wanted(*number, &shown) {
            return Ok((Some(shown), 0));
        }
        *number += 1;
    }
    Ok((None, lines.ignored_bytes()))
}

/// The first row of a Parquet file that is wanted.
fn find_row(
    path: &Path,
    text_fields: &[String],
    number: &mut u64,
    is_wanted: &mut impl FnMut(u64, &RecordView) -> bool,
) -> Result<Option<RecordView>, ReadError> {
    let text_fields = &names(text_fields);
    let cutting = RowCutting {
        block_bytes: BLOCK_BYTES,
        text_bytes_max: DOCUMENT_BYTES_MAX,
        text_fields,
        is_whole: false,
    };
    let mut blocks = RowBlocks::open(path, cutting)?;
    while let Some(block) = blocks.next()? {
        for (row, line) in block.rows().zip(block.start + 1..) {
            let Ok(record) = row.record() else { continue };
            let shown = RecordView::new(path, line, &record);
            if is_wanted(*number, &shown) {
                return Ok(Some(shown));
            }
            *number += 1;
        }
    }
    Ok(None)
}

fn write(record: &RecordView) -> Result<()> {
    let mut out = Out::new();
    out.line(format_args!("{}, line {}", record.file.display(), record.line))?;
    for (name, value) in [("id", &record.id), ("source", &record.source), ("category", &record.category)] {
        if let Some(value) = value {
            out.line(format_args!("{name}: {value}"))?;
        }
    }
    out.line(format_args!("text, {} bytes:", record.text.len()))?;
    out.lines(&record.text)?;
    Ok(out.finish()?)
}
