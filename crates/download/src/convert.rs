//! Fetched files to one file of records.
//!
//! Rows stream through: memory is a window over the input and a buffer for the output, whatever
//! the size of either. After every [`CHECKPOINT_BYTES`] of records, and after every file, what was
//! written is brought to the disk and a checkpoint says so; a run that finds one cuts the records
//! at it and goes on with the same row, so the bytes are those of a run that was never stopped.
//! The price is that work since the last checkpoint is done again: at most a second or so.

mod refused;
mod window;
mod array;
mod lines;
mod csv_rows;
mod rows;
mod fields;
mod turns;
mod usual;
mod render;
pub(crate) mod fuzzing;

use std::cell::RefCell;
use std::fmt;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};

use mashbill_format::catalog::CatalogDataset;
use mashbill_format::dataset_stats::{
    Checkpoint, LengthBuckets, Making, REJECTED_ROWS_KEPT, RejectedRow, RowCounts, TextLengths,
    write_rejected_rows,
};
use mashbill_format::layout::Data;
use mashbill_format::lock::DATA_FORMAT_VERSION;
use mashbill_format::untaken::UntakenColumns;
use mashbill_hub::free_space;
use mashbill_records::RecordsWriter;
use mashbill_records::conversation::{Changes, ConversationOptions};
use mashbill_records::value::{Value, write_quoted};
use mashbill_store::atomic;
use mashbill_store::checksum::{Checksum, Hasher};

use crate::error::{Error, Result};
use fields::first_name;
use refused::RefusedRow;
use render::Rendered;
pub(crate) use render::name as render_name;
use rows::FileRows;
use usual::NO_USUAL_COLUMNS;

/// Room that is left to others, in bytes.
pub(crate) const RESERVE_BYTES: u64 = 1 << 30;

/// Bytes of records between two checkpoints.
pub const CHECKPOINT_BYTES: u64 = 64 << 20;

/// Characters that are kept of what was found in a refused row.
const DETAIL_CHARS: usize = 300;

/// Rows between two looks at whether the run is to end.
const ROWS_BETWEEN_LOOKS: u64 = 256;

/// A dataset that is being converted. It is gone on with where an earlier run left it.
#[derive(Debug)]
pub struct Conversion<'a> {
    data: &'a Data,
    dataset: &'a CatalogDataset,
    wanted: Vec<String>,
    /// What the rows have besides; whoever parses them notes it.
    untaken: Rc<RefCell<UntakenColumns>>,
    /// What will be written down at the next checkpoint.
    state: Checkpoint,
    path: PathBuf,
    records: RecordsWriter,
    /// The conversation of the record that is being made.
    said: Vec<u8>,
    /// Bytes of records at the last checkpoint.
    saved_bytes: u64,
    checkpoint_bytes: u64,
    full: bool,
}

/// What counts of a record.
struct RecordCounts {
    chars: u64,
    bytes: u64,
    changes: Changes,
}

/// A file of records that is complete.
#[derive(Debug, Clone)]
pub struct Converted {
    /// What came of the rows.
    pub counts: RowCounts,
    /// The records' lengths.
    pub text_len: TextLengths,
    /// What was changed in conversations.
    pub changes: Changes,
    /// Columns of the rows that stand in no record.
    pub untaken_columns: UntakenColumns,
    /// The file's checksum.
    pub checksum: Checksum,
    /// Bytes that came over the network, as all runs together have noted.
    pub downloaded_bytes: u64,
    /// Bytes that were there already.
    pub reused_bytes: u64,
    /// Requests that were tried again.
    pub retries: u64,
}

impl<'a> Conversion<'a> {
    /// Goes on with what an earlier run left of `making`, or begins.
    ///
    /// # Errors
    /// [`Error::Format`] where the folder of `data` cannot be written to, [`Error::Read`].
    pub fn open(data: &'a Data, dataset: &'a CatalogDataset, making: Making) -> Result<Self> {
        let name = &dataset.name;
        atomic::create_own_folder(&data.making(name))?;
        let path = data.growing(name);
        let found = resumable(data, dataset, &making)?;
        if found.is_some() && !path.exists() && data.records(&dataset.category, name).exists() {
            // They were given their name just before a crash, so that only their statistics are missing.
            atomic::publish(&data.records(&dataset.category, name), &path)?;
        }
        let state = found.unwrap_or_else(|| Checkpoint {
            format_version: DATA_FORMAT_VERSION,
            making,
            files_done: 0,
            position: 0,
            rows_in_file: 0,
            counts: RowCounts::default(),
            lengths: LengthBuckets::default(),
            changes: Changes::default(),
            untaken_columns: UntakenColumns::default(),
            rejects: Vec::new(),
            downloaded_bytes: 0,
            reused_bytes: 0,
            retries: 0,
        });
        let kept = state.counts.jsonl_bytes;
        let records = RecordsWriter::open(&path, kept)?;
        let mut wanted = render::top_fields(&dataset.render);
        let others = dataset.id.iter().chain(&dataset.metadata);
        wanted.extend(others.map(|path| first_name(path).to_owned()));
        Ok(Self {
            data,
            dataset,
            wanted,
            untaken: Rc::new(RefCell::new(state.untaken_columns.clone())),
            full: is_full(&state),
            state,
            path,
            records,
            said: Vec::new(),
            saved_bytes: kept,
            checkpoint_bytes: CHECKPOINT_BYTES,
        })
    }

    /// The same with checkpoints after every `bytes` of records: for tests of interruption.
    #[must_use]
    pub const fn with_checkpoint_bytes(mut self, bytes: u64) -> Self {
        self.checkpoint_bytes = bytes;
        self
    }

    /// The index of the file to convert next; none when no more is needed.
    #[must_use]
    pub fn next_file(&self) -> Option<usize> {
        let next = self.state.files_done;
        (next < self.state.making.source.files.len() && !self.full).then_some(next)
    }

    /// What came of the rows so far.
    #[must_use]
    pub const fn counts(&self) -> &RowCounts {
        &self.state.counts
    }

    /// Notes what fetching a file took.
    pub const fn fetched(&mut self, downloaded_bytes: u64, reused_bytes: u64, retries: u64) {
        self.state.downloaded_bytes += downloaded_bytes;
        self.state.reused_bytes += reused_bytes;
        self.state.retries += retries;
    }

    /// Converts the next file, which lies at `path`. `on_progress` is told the counts now and then.
    ///
    /// # Errors
    /// [`Error::BrokenFile`], [`Error::UnknownFormat`], [`Error::Read`]; [`Error::Format`] where writing
    /// fails; [`Error::Interrupted`] with everything so far kept.
    pub fn file(
        &mut self,
        path: &Path,
        interrupted: &AtomicBool,
        on_progress: &mut dyn FnMut(&RowCounts),
    ) -> Result<()> {
        let name = self.state.making.source.files[self.state.files_done].path.clone();
        let (names, untaken) = (self.wanted.clone(), Rc::clone(&self.untaken));
        let wanted = move |name: &str| {
            let is_wanted = names.iter().any(|wanted| wanted == name);
            if !is_wanted {
                untaken.borrow_mut().add(name);
            }
            is_wanted
        };
        let mut rows = FileRows::open(path, &name, self.dataset, &wanted, self.state.position)?;
        while !self.full && rows.advance()? {
            self.row(&rows, &name, &wanted);
            self.state.position = rows.position();
            self.state.rows_in_file += 1;
            self.records.write_if_much()?;
            if self.state.counts.jsonl_bytes - self.saved_bytes >= self.checkpoint_bytes {
                self.save()?;
                self.check_space()?;
            }
            if self.state.rows_in_file.is_multiple_of(ROWS_BETWEEN_LOOKS) {
                on_progress(&self.state.counts);
                if interrupted.load(Ordering::Relaxed) {
                    self.save()?;
                    return Err(Error::Interrupted);
                }
            }
        }
        on_progress(&self.state.counts);
        self.state.files_done += 1;
        (self.state.position, self.state.rows_in_file) = (0, 0);
        self.save()
    }

    fn row(&mut self, rows: &FileRows<'_>, file: &str, wanted: &dyn Fn(&str) -> bool) {
        let number = self.state.counts.rows_in;
        self.state.counts.rows_in += 1;
        let take = self.state.making.take;
        if !is_sampled(file, self.state.rows_in_file, take.rows_per_million) {
            self.state.counts.rows_not_sampled += 1;
            return;
        }
        let before = self.records.unwritten().len();
        // In Arrow an object has the fields of all others, with nulls.
        let options = ConversationOptions { drop_nulls: rows.is_parquet(), ..ConversationOptions::default() };
        let record = match rows.row(wanted).and_then(|row| self.record(&row, number, options)) {
            Ok(record) => record,
            Err(refused) => {
                self.records.unwritten().truncate(before);
                self.refuse(rows, file, refused);
                return;
            }
        };
        let counts = &mut self.state.counts;
        let bytes = (self.records.unwritten().len() - before) as u64;
        if take.max_bytes.is_some_and(|max| counts.jsonl_bytes + bytes > max) {
            self.records.unwritten().truncate(before);
            self.full = true;
            // The row was looked at, but it is none of those that are taken.
            counts.rows_not_sampled += 1;
            return;
        }
        counts.rows_out += 1;
        counts.jsonl_bytes += bytes;
        counts.text_bytes += record.bytes;
        counts.chars += record.chars;
        self.state.lengths.count(record.chars);
        self.state.changes.add(&record.changes);
        self.full = is_full(&self.state);
    }

    /// Makes the record's line behind those that are not written yet. Where the row is refused, part of it may stand there.
    fn record(
        &mut self,
        row: &Value<'_>,
        number: u64,
        options: ConversationOptions,
    ) -> std::result::Result<RecordCounts, RefusedRow> {
        let Self { records, said, dataset, untaken, .. } = self;
        let line = records.unwritten();
        said.clear();
        line.extend_from_slice(b"{\"text\": \"");
        let mut untaken = untaken.borrow_mut();
        let Rendered { chars, bytes, turns, prompt_turns, changes, taken, .. } =
            Rendered::of(row, &dataset.render, options, line, said, &mut untaken)?;
        if let (Some(taken), Value::Map(fields)) = (taken, row) {
            let is_other =
                |name: &str| dataset.id.iter().chain(&dataset.metadata).any(|path| first_name(path) == name);
            for (name, value) in fields {
                if !taken.contains(&&**name) && *value != Value::Null && !is_other(name) {
                    untaken.add(name);
                }
            }
        }
        line.extend_from_slice(b"\", \"id\": ");
        match dataset.id.as_ref().and_then(|path| Some(row.at(path)?.label()?.into_owned())) {
            Some(id) => write_quoted(&id, line),
            None => append(line, format_args!("\"{}/{number}\"", dataset.name)),
        }
        // Both are names of files, in which nothing has to be escaped.
        let (name, category) = (&dataset.name, &dataset.category);
        append(line, format_args!(", \"source\": \"{name}\", \"category\": \"{category}\""));
        append(line, format_args!(", \"metadata\": {{\"num_chars\": {chars}"));
        if turns > 0 {
            append(line, format_args!(", \"num_messages\": {turns}"));
        }
        for path in &dataset.metadata {
            if let Some(value) = row.at(path) {
                line.extend_from_slice(b", ");
                write_quoted(path, line);
                line.extend_from_slice(b": ");
                value.write(line);
            }
        }
        line.push(b'}');
        if let [b'{', fields @ .., b'}'] = &said[..] {
            line.extend_from_slice(b", ");
            line.extend_from_slice(fields);
        }
        if let Some(turns) = prompt_turns {
            append(line, format_args!(", \"prompt_messages\": {turns}"));
        }
        line.extend_from_slice(b"}\n");
        Ok(RecordCounts { chars, bytes, changes })
    }

    fn refuse(&mut self, rows: &FileRows<'_>, file: &str, refused: RefusedRow) {
        let reason = refused.reason.to_owned();
        if self.state.rejects.len() < REJECTED_ROWS_KEPT {
            self.state.rejects.push(RejectedRow {
                file: file.to_owned(),
                row: self.state.rows_in_file,
                reason: reason.clone(),
                // It may quote a field of the row, which may be as long as the row.
                detail: refused.detail.chars().take(DETAIL_CHARS).collect(),
                start: rows.start(),
            });
        }
        *self.state.counts.rejected.entry(reason).or_default() += 1;
    }

    /// Fails before the disk is full: how much comes of a compressed file is known only when it is there.
    fn check_space(&self) -> Result<()> {
        match free_space(self.data.root()) {
            Some(free) if free < RESERVE_BYTES => {
                Err(Error::TooLittleSpace { path: self.data.root().to_owned(), needed: RESERVE_BYTES, free })
            }
            _ => Ok(()),
        }
    }

    /// Brings what was written to the disk, and says so.
    fn save(&mut self) -> Result<()> {
        self.records.sync()?;
        let folder = self.data.making(&self.dataset.name);
        self.state.untaken_columns = self.untaken.borrow().clone();
        self.state.write(&self.data.checkpoint(&self.dataset.name), &folder.join("temporary"))?;
        self.saved_bytes = self.state.counts.jsonl_bytes;
        Ok(())
    }

    /// Gives the records their final name. The statistics are the caller's to write, and the state's folder
    /// to remove after that.
    ///
    /// # Errors
    /// [`Error::NoRecords`] where rows were there and all were refused; [`Error::Format`].
    pub fn finish(mut self) -> Result<Converted> {
        self.save()?;
        let state = self.state;
        let counts = &state.counts;
        if counts.rows_out == 0
            && let Some((reason, _)) = counts.rejected.iter().max_by_key(|(_, count)| **count)
        {
            let first = state.rejects.iter().find(|reject| reject.reason == *reason);
            let is_about_columns = reason == NO_USUAL_COLUMNS;
            let columns = state.untaken_columns.names().filter(|_| is_about_columns);
            return Err(Error::NoRecords {
                repo: self.dataset.repo.clone(),
                rows: counts.rows_in,
                reason: reason.clone(),
                detail: first.map(|reject| reject.detail.clone()).unwrap_or_default(),
                columns: columns.map(str::to_owned).collect(),
            });
        }
        let (category, name) = (&self.dataset.category, &self.dataset.name);
        atomic::create_folder(&self.data.category(category))?;
        let rejects = self.data.rejects(category, name);
        if state.rejects.is_empty() {
            remove_if_there(&rejects)?;
        } else {
            let temporary = self.data.making(name).join("temporary");
            write_rejected_rows(&rejects, &temporary, &state.rejects)?;
        }
        // Old statistics must not speak of new records.
        remove_if_there(&self.data.stats(category, name))?;
        let checksum = self.records.finish()?;
        atomic::publish(&self.path, &self.data.records(category, name))?;
        Ok(Converted {
            text_len: state.lengths.summary(),
            changes: state.changes,
            untaken_columns: state.untaken_columns,
            counts: state.counts,
            checksum,
            downloaded_bytes: state.downloaded_bytes,
            reused_bytes: state.reused_bytes,
            retries: state.retries,
        })
    }
}

/// The files of `making` that are not needed any more, since an earlier run has converted them or enough of them.
///
/// # Errors
/// [`Error::Format`] where the checkpoint was written by a newer mashbill or cannot be read.
pub(crate) fn files_done(data: &Data, dataset: &CatalogDataset, making: &Making) -> Result<usize> {
    let found = resumable(data, dataset, making)?;
    Ok(found.map_or(0, |found| if is_full(&found) { making.source.files.len() } else { found.files_done }))
}

/// The checkpoint of `making` that a run resumes from: none if its records are not all there.
fn resumable(data: &Data, dataset: &CatalogDataset, making: &Making) -> Result<Option<Checkpoint>> {
    let (category, name) = (&dataset.category, &dataset.name);
    let length = |path: &Path| fs::metadata(path).map(|metadata| metadata.len()).ok();
    let found = Checkpoint::read(&data.checkpoint(name))?.filter(|found| found.making == *making);
    Ok(found.filter(|found| {
        let bytes = found.counts.jsonl_bytes;
        match length(&data.growing(name)) {
            Some(length) => bytes <= length,
            None if bytes == 0 => true,
            // Records that have their name already, but no statistics yet.
            None => {
                let all = found.files_done == making.source.files.len() || is_full(found);
                all && length(&data.records(category, name)) == Some(bytes)
                    && !data.stats(category, name).exists()
            }
        }
    }))
}

/// Whether a limit on the records is reached.
fn is_full(state: &Checkpoint) -> bool {
    let (take, counts) = (state.making.take, &state.counts);
    take.max_rows.is_some_and(|max| counts.rows_out >= max)
        || take.max_bytes.is_some_and(|max| counts.jsonl_bytes >= max)
}

/// Whether a row is one of those that are taken: the same rows in every run, and all of them in a larger sample.
fn is_sampled(file: &str, row: u64, rows_per_million: u32) -> bool {
    if rows_per_million >= 1_000_000 {
        return true;
    }
    let mut hasher = Hasher::new();
    hasher.update(file.as_bytes());
    hasher.update(&row.to_le_bytes());
    hasher.finish().low64() % 1_000_000 < u64::from(rows_per_million)
}

fn append(line: &mut Vec<u8>, text: fmt::Arguments<'_>) {
    line.write_fmt(text).expect("memory takes it");
}

fn remove_if_there(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(mashbill_format::Error::io("remove", path, source).into())
        }
        _ => Ok(()),
    }
}
