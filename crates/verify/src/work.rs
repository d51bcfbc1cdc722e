//! The folder's bytes handed out in order: one row group to whichever thread asks next.
//!
//! Each file is read once, from its first byte to its last, and hashed on the way, under one lock; what costs time
//! is done by the threads outside of it. So disks are read as they like it, and memory holds one row group a thread.

use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use mashbill_format::error::Error;
use mashbill_format::layout::{Output, TABLES_FOLDER};
use mashbill_format::manifest::{self, Ledger, Manifest, ShardFile, Split, TableFile};
use mashbill_format::shard::{self, ExpectedRows, RowForm};
use mashbill_parquet::file::{MAGIC, Tail, tail_of};
use mashbill_parquet::row_group::RowGroup;
use mashbill_store::checksum::{Checksum, Hasher};
use mashbill_store::open;
use parquet::file::metadata::ParquetMetaData;

use crate::beside::{self, Statistics};
use crate::expectation::Expectations;
use crate::findings::Findings;
use crate::links::Links;
use crate::problem::{ProblemKind, ProblemPlace, Remedy};
use crate::progress::CheckCounters;
use crate::table::{ShardTable, TableTotals};
use crate::{books, folder};

/// Bytes read at a time where they are only hashed.
const CHUNK_BYTES: usize = 1 << 20;

/// Bytes read at a time of a file that is said to be smaller.
const CHUNK_BYTES_MIN: usize = 1 << 12;

/// Bytes that a row group may take for each position: with more it is none of ours.
const BYTES_PER_POSITION: u64 = 64;

/// What all threads share.
#[derive(Debug)]
pub(crate) struct CheckShared<'a> {
    pub(crate) output: &'a Output,
    pub(crate) manifest: &'a Manifest,
    pub(crate) form: RowForm,
    pub(crate) findings: Findings,
    pub(crate) counters: CheckCounters,
}

impl CheckShared<'_> {
    /// The ids of control tokens, sorted, where a chat template writes them. Which part a conversation belongs to does not
    /// follow from its checksum then.
    pub(crate) fn control_ids(&self) -> Option<&[u32]> {
        self.manifest.options.template().map(|template| template.control_ids.as_slice())
    }
}

/// What a thread does next.
#[derive(Debug)]
pub(crate) enum CheckJob<'a> {
    /// Look at the texts of a shard's document table.
    Texts { path: PathBuf, place: ProblemPlace, split: &'a str },
    /// Check a row group.
    Group(Box<RowGroupJob<'a>>),
}

/// A row group to check.
#[derive(Debug)]
pub(crate) struct RowGroupJob<'a> {
    pub(crate) shard: Arc<CheckedShard<'a>>,
    pub(crate) index: usize,
    pub(crate) first_row: u64,
    pub(crate) rows: usize,
    /// None where the file is not laid out as ours are.
    pub(crate) bytes: Option<Vec<u8>>,
    /// None where the document table is no help.
    pub(crate) expected: Option<ExpectedRows>,
}

/// A shard whose row groups are being checked.
#[derive(Debug)]
pub(crate) struct CheckedShard<'a> {
    pub(crate) split: &'a str,
    pub(crate) place: ProblemPlace,
    pub(crate) path: PathBuf,
    /// The split's row with which it begins.
    pub(crate) first_row: u64,
    /// Where its stretch of the input begins.
    pub(crate) start: u64,
    pub(crate) links: Links,
    /// Control tokens that were seen, where a chat template writes them, and how many there are by the books.
    pub(crate) control_tokens: AtomicU64,
    control_tokens_booked: Option<u64>,
    parts: Mutex<Parts>,
}

/// What is known of a shard so far.
#[derive(Debug)]
struct Parts {
    /// The groups that are as they should be.
    groups: Vec<Option<RowGroup>>,
    pending: usize,
    /// What stands behind the groups; none until it was read.
    tail: Option<Vec<u8>>,
}

/// The work that is left, in order.
#[derive(Debug)]
pub(crate) struct CheckWork<'a> {
    shared: &'a CheckShared<'a>,
    splits: Vec<(&'a str, &'a Split)>,
    next_split: usize,
    current: Option<SplitWork<'a>>,
}

/// The split that is being read.
#[derive(Debug)]
struct SplitWork<'a> {
    name: &'a str,
    split: &'a Split,
    statistics: Option<Statistics>,
    next_shard: usize,
    /// The row of the split with which the next shard begins.
    next_row: u64,
    current: Option<ShardWork<'a>>,
}

/// The shard whose table and rows are being read.
#[derive(Debug)]
struct ShardWork<'a> {
    name: &'a str,
    index: usize,
    shard: &'a manifest::Shard,
    table: ProblemPlace,
    /// What the statistics count of it.
    ledger: Option<Ledger>,
    expectations: Option<Expectations>,
    reading: Option<Reading<'a>>,
}

/// The rows that are being read.
#[derive(Debug)]
struct Reading<'a> {
    shard: Arc<CheckedShard<'a>>,
    recorded: &'a ShardFile,
    file: File,
    hasher: Hasher,
    bytes: u64,
    /// The row groups by their rows and, where they stand one after another, their bytes.
    groups: Vec<(usize, Option<Range<u64>>)>,
    next_group: usize,
    row: u64,
}

impl<'a> CheckWork<'a> {
    pub(crate) fn new(shared: &'a CheckShared<'a>) -> Self {
        let splits = shared.manifest.splits.iter().map(|(name, split)| (name.as_str(), split)).collect();
        Self { shared, splits, next_split: 0, current: None }
    }

    /// The next job; none when all is handed out.
    pub(crate) fn next(&mut self) -> Option<CheckJob<'a>> {
        loop {
            let job = self.current.as_mut().and_then(|split| split.next(self.shared));
            if job.is_some() {
                return job;
            }
            let (name, split) = *self.splits.get(self.next_split)?;
            self.next_split += 1;
            self.current = Some(SplitWork::begin(name, split, self.shared));
        }
    }
}

impl<'a> SplitWork<'a> {
    /// Checks what is small.
    fn begin(name: &'a str, split: &'a Split, shared: &CheckShared<'a>) -> Self {
        let CheckShared { output, manifest, findings, .. } = shared;
        books::check_split(name, split, manifest, findings);
        folder::check_split(output, name, split, findings);
        beside::check_rejects(output, name, split, findings);
        let statistics = Statistics::check(output, name, split, findings);
        Self { name, split, statistics, next_shard: 0, next_row: 0, current: None }
    }

    fn next(&mut self, shared: &CheckShared<'a>) -> Option<CheckJob<'a>> {
        loop {
            if let Some(shard) = &mut self.current {
                if let Some(job) = shard.next(shared) {
                    return Some(job);
                }
                let index = shard.index;
                let totals = self.current.take().and_then(|shard| shard.end(shared));
                if let Some(totals) = totals {
                    self.check_totals(index, &totals, shared);
                }
            }
            let index = self.next_shard;
            let shard = self.split.shard_list.get(index)?;
            self.next_shard += 1;
            let Some((file, table)) = shard.file.as_ref().zip(shard.table.as_ref()) else {
                self.check_totals(index, &TableTotals::default(), shared);
                continue;
            };
            let ledger = self.statistics.as_ref().and_then(|statistics| statistics.ledger(index)).cloned();
            let (mut work, texts) = ShardWork::begin(self.name, index, shard, (file, table), ledger, shared);
            work.reading = work.open(file, self.next_row, shared);
            self.next_row += file.rows;
            self.current = Some(work);
            if texts.is_some() {
                return texts;
            }
        }
    }
}

impl SplitWork<'_> {
    fn check_totals(&self, shard: usize, totals: &TableTotals, shared: &CheckShared<'_>) {
        if let Some(statistics) = &self.statistics {
            statistics.check_totals(self.name, shard, totals, &shared.findings);
        }
    }
}

impl<'a> ShardWork<'a> {
    /// Checks the document table's bytes, and opens it.
    fn begin(
        name: &'a str,
        index: usize,
        shard: &'a manifest::Shard,
        (file, table): (&'a ShardFile, &'a TableFile),
        ledger: Option<Ledger>,
        shared: &CheckShared<'a>,
    ) -> (Self, Option<CheckJob<'a>>) {
        let path = shared.output.tables(name).join(&table.name);
        let place = ProblemPlace::file(format!("{name}/{TABLES_FOLDER}/{}", table.name));
        let table_place = place.clone();
        let mut work =
            Self { name, index, shard, table: table_place, ledger, expectations: None, reading: None };
        // What is not there has been told.
        if !path.is_file() {
            return (work, None);
        }
        check_file(&path, &place, (table.bytes, table.checksum), name, shared);
        let (row_length, range) = (shared.form.row_length, &shard.input);
        match ShardTable::open(&path, row_length, shared.form.loss, range.end.saturating_sub(range.start)) {
            Ok(opened) => {
                work.check_rows(&place, table.rows, opened.rows(), shared);
                // Rows that do not follow from the tokens have been told.
                if file.rows == shard.tokens.div_ceil(row_length as u64) {
                    work.expectations =
                        Some(Expectations::new(row_length, file.rows, shared.form.loss, opened));
                }
                (work, Some(CheckJob::Texts { path, place, split: name }))
            }
            Err(error) => {
                work.unreadable(&place, &error, shared);
                (work, None)
            }
        }
    }

    /// The next row group; none when all are handed out.
    fn next(&mut self, shared: &CheckShared<'a>) -> Option<CheckJob<'a>> {
        let mut reading = self.reading.take()?;
        if let Some(job) = self.next_group(&mut reading, shared) {
            self.reading = Some(reading);
            return Some(job);
        }
        self.end_rows(reading, shared);
        None
    }

    /// Opens the shard, which begins with the split's row `first_row`; none where it cannot be read.
    fn open(&self, recorded: &'a ShardFile, first_row: u64, shared: &CheckShared<'a>) -> Option<Reading<'a>> {
        let path = shared.output.split(self.name).join(&recorded.name);
        let place = ProblemPlace::file(format!("{}/{}", self.name, recorded.name));
        if !path.is_file() {
            return None;
        }
        CheckCounters::add(&shared.counters.files, 1);
        let open = || -> Result<_, Error> {
            let file = open::open(&path).map_err(|error| Error::io("open", &path, error))?;
            let bytes = file.metadata().map_err(|error| Error::io("read", &path, error))?.len();
            Ok((file, bytes, shard::open(&path, shared.form.loss)?))
        };
        let (file, bytes, reader) = match open() {
            Ok(opened) => opened,
            Err(error) => {
                check_file(&path, &place, (recorded.bytes, recorded.checksum), self.name, shared);
                self.unreadable(&place, &error, shared);
                return None;
            }
        };
        let metadata = reader.metadata();
        let rows = reader.rows();
        self.check_rows(&place, recorded.rows, rows, shared);
        check_size(&place, recorded.bytes, bytes, self.name, shared);
        let groups = groups_of(metadata, bytes, &shared.form);
        let in_groups = groups.iter().map(|(rows, _)| *rows as u64).sum::<u64>();
        if in_groups != rows {
            let detail = format!("its row groups have {in_groups} rows, and its footer says {rows}");
            shared.findings.error(ProblemKind::Rows, place.clone(), self.remedy(), detail);
        }
        let (full, last) = (shared.form.layout.rows_per_group, groups.len().saturating_sub(1));
        if let Some(index) = groups[..last].iter().position(|(rows, _)| *rows != full) {
            let rows = groups[index].0;
            let detail = format!("it has {rows} rows, and all row groups but the last have {full}");
            shared.findings.error(ProblemKind::Encoding, place.group(index), self.remedy(), detail);
        }
        let parts = Parts { groups: vec![None; groups.len()], pending: groups.len(), tail: None };
        let shard = CheckedShard {
            split: self.name,
            place,
            path,
            first_row,
            start: self.shard.input.start,
            links: Links::default(),
            control_tokens: AtomicU64::new(0),
            control_tokens_booked: self.ledger.as_ref().filter(|_| shared.control_ids().is_some()).map(
                |ledger| {
                    let spelled = ledger.template_tokens.saturating_add(ledger.literal_special_tokens);
                    spelled.saturating_add(ledger.special_tokens)
                },
            ),
            parts: Mutex::new(parts),
        };
        let shard = Arc::new(shard);
        Some(Reading {
            shard,
            recorded,
            file,
            hasher: Hasher::new(),
            bytes: 0,
            groups,
            next_group: 0,
            row: 0,
        })
    }

    fn next_group(&mut self, reading: &mut Reading<'a>, shared: &CheckShared<'a>) -> Option<CheckJob<'a>> {
        let index = reading.next_group;
        let (rows, range) = reading.groups.get(index)?.clone();
        reading.next_group += 1;
        let first_row = reading.row;
        reading.row += rows as u64;
        let bytes = range.and_then(|range| reading.group(&range, shared));
        // Rows that are too many by the manifest are nobody's.
        let known = reading.row <= reading.recorded.rows;
        let expected = if known { self.expect(rows, shared) } else { None };
        let shard = Arc::clone(&reading.shard);
        Some(CheckJob::Group(Box::new(RowGroupJob { shard, index, first_row, rows, bytes, expected })))
    }

    /// Reads what stands behind the row groups and compares the checksum.
    fn end_rows(&self, mut reading: Reading<'a>, shared: &CheckShared<'a>) {
        let tail = reading.rest(shared);
        let place = reading.shard.place.clone();
        match tail {
            Ok(tail) => {
                if reading.hasher.finish() != reading.recorded.checksum {
                    wrong_checksum(&place, self.name, shared);
                }
                if reading.is_in_order() && reading.recorded.tail != Tail::of(&tail) {
                    let detail = "its index and footer do not match the manifest";
                    shared.findings.error(ProblemKind::Checksum, place, self.remedy(), detail);
                }
                reading.shard.set_tail(tail, shared);
            }
            Err(error) => self.unreadable(&place, &Error::io("read", &reading.shard.path, error), shared),
        }
    }

    /// The document table's word about rows; once it is wrong it is not asked again.
    fn expect(&mut self, rows: usize, shared: &CheckShared<'_>) -> Option<ExpectedRows> {
        let expected = self.expectations.as_mut()?.next(rows);
        expected.map_err(|detail| self.distrust_table(detail, shared)).ok()
    }

    fn distrust_table(&mut self, detail: String, shared: &CheckShared<'_>) {
        self.expectations = None;
        shared.findings.error(ProblemKind::DocumentTable, self.table.clone(), self.remedy(), detail);
    }

    /// Reads the document table to its end: what its documents have in all, where the table is good.
    fn end(mut self, shared: &CheckShared<'_>) -> Option<TableTotals> {
        let totals = self.expectations.take()?.end(self.shard.tokens);
        totals.map_err(|detail| self.distrust_table(detail, shared)).ok()
    }

    fn check_rows(&self, place: &ProblemPlace, recorded: u64, rows: u64, shared: &CheckShared<'_>) {
        if rows != recorded {
            let detail = format!("it has {rows} rows, and the manifest says {recorded}");
            shared.findings.error(ProblemKind::Rows, place.clone(), self.remedy(), detail);
        }
    }

    fn unreadable(&self, place: &ProblemPlace, error: &Error, shared: &CheckShared<'_>) {
        unreadable(place, self.name, error, &shared.findings);
    }

    fn remedy(&self) -> Remedy {
        Remedy::MakeSplitAgain { split: self.name.to_owned() }
    }
}

impl Reading<'_> {
    /// The bytes of a row group that begins where the last one ended.
    fn group(&mut self, range: &Range<u64>, shared: &CheckShared<'_>) -> Option<Vec<u8>> {
        if self.bytes == 0 {
            let magic = self.read(MAGIC.len() as u64, shared).ok()?;
            if magic != MAGIC {
                let remedy = Remedy::MakeSplitAgain { split: self.shard.split.to_owned() };
                let detail = "it does not begin as a Parquet file does";
                shared.findings.error(ProblemKind::Encoding, self.shard.place.clone(), remedy, detail);
            }
        }
        self.read(range.end - range.start, shared).ok()
    }

    fn read(&mut self, bytes: u64, shared: &CheckShared<'_>) -> io::Result<Vec<u8>> {
        let mut out = Vec::with_capacity(bytes as usize);
        let read = (&self.file).take(bytes).read_to_end(&mut out)? as u64;
        self.hasher.update(&out);
        self.bytes += read;
        CheckCounters::add(&shared.counters.bytes, read);
        if read == bytes { Ok(out) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }

    /// Whether its groups were read one after another.
    fn is_in_order(&self) -> bool {
        self.groups.iter().all(|(_, range)| range.is_some())
    }

    /// What is left of the file; empty where its groups were not read one after another. Of more than the tail that is
    /// recorded no more than the beginning is kept: it is wrong, whatever it is.
    fn rest(&mut self, shared: &CheckShared<'_>) -> io::Result<Vec<u8>> {
        let in_order = self.is_in_order();
        let mut rest = Vec::new();
        loop {
            let mut chunk = Vec::with_capacity(CHUNK_BYTES);
            let read = (&self.file).take(CHUNK_BYTES as u64).read_to_end(&mut chunk)?;
            if read == 0 {
                return Ok(rest);
            }
            self.hasher.update(&chunk);
            self.bytes += read as u64;
            CheckCounters::add(&shared.counters.bytes, read as u64);
            if in_order && rest.len() as u64 <= self.recorded.tail.bytes {
                rest.append(&mut chunk);
            }
        }
    }
}

impl CheckedShard<'_> {
    /// A group has been checked; `meta` where it is as it should be.
    pub(crate) fn set_group(&self, index: usize, meta: Option<RowGroup>, shared: &CheckShared<'_>) {
        let mut parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        parts.groups[index] = meta;
        parts.pending -= 1;
        self.check_tail(&mut parts, shared);
    }

    fn set_tail(&self, tail: Vec<u8>, shared: &CheckShared<'_>) {
        let mut parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        parts.tail = Some(tail);
        self.check_tail(&mut parts, shared);
    }

    /// When everything else is known and good, the rest of the file follows from it.
    fn check_tail(&self, parts: &mut Parts, shared: &CheckShared<'_>) {
        let Some(tail) = parts.tail.as_ref().filter(|_| parts.pending == 0) else { return };
        let Some(groups) = parts.groups.iter().cloned().collect::<Option<Vec<_>>>() else { return };
        let seen = self.control_tokens.load(Ordering::Relaxed);
        if let Some(booked) = self.control_tokens_booked.filter(|&booked| booked != seen) {
            let remedy = Remedy::MakeSplitAgain { split: self.split.to_owned() };
            let detail = format!(
                "it has {seen} control tokens, and by the ledger there are {booked} of the template, in what is said, and \
                 around texts"
            );
            shared.findings.error(ProblemKind::Sums, self.place.clone(), remedy, detail);
        }
        if *tail != tail_of(&shard::schema(shared.form.compression, shared.form.loss), groups) {
            let remedy = Remedy::MakeSplitAgain { split: self.split.to_owned() };
            let detail = "its offset index or footer is not what mashbill writes after these row groups";
            shared.findings.error(ProblemKind::Encoding, self.place.clone(), remedy, detail);
        }
    }
}

/// The rows of each row group, and its bytes in the file where groups stand in order and are of a size that rows
/// can have.
fn groups_of(
    metadata: &ParquetMetaData,
    file_bytes: u64,
    form: &RowForm,
) -> Vec<(usize, Option<Range<u64>>)> {
    let mut end = MAGIC.len() as u64;
    let mut in_order = true;
    let each = metadata.row_groups().iter().map(|group| {
        let rows = usize::try_from(group.num_rows()).unwrap_or(0);
        // A damaged footer has negative numbers, which fit nowhere.
        let start = group.columns().first().map_or(0, |column| {
            let first = column.dictionary_page_offset().unwrap_or_else(|| column.data_page_offset());
            u64::try_from(first).unwrap_or(0)
        });
        let sizes = group.columns().iter().map(|column| u64::try_from(column.compressed_size()).unwrap_or(0));
        let bytes = sizes.fold(0, u64::saturating_add);
        let most = (rows as u64 * form.row_length as u64).saturating_mul(BYTES_PER_POSITION) + (1 << 16);
        in_order &= start == end
            && bytes <= most
            && start.saturating_add(bytes) <= file_bytes
            && rows <= form.layout.rows_per_group;
        end = start.saturating_add(bytes);
        (rows, in_order.then_some(start..end))
    });
    each.collect()
}

/// Hashes a file of which size and checksum are recorded.
fn check_file(
    path: &Path,
    place: &ProblemPlace,
    recorded: (u64, Checksum),
    split: &str,
    shared: &CheckShared<'_>,
) {
    CheckCounters::add(&shared.counters.files, 1);
    let hash = || -> io::Result<_> {
        let mut file = open::open(path)?;
        // Most tables are small, and memory is cleared before it is read into.
        let chunk_bytes = usize::try_from(recorded.0).map_or(CHUNK_BYTES, |bytes| bytes.saturating_add(1));
        let mut chunk = vec![0; chunk_bytes.clamp(CHUNK_BYTES_MIN, CHUNK_BYTES)];
        let (mut hasher, mut bytes) = (Hasher::new(), 0);
        hasher.update_from(&mut file, &mut chunk, |read| {
            bytes += read as u64;
            CheckCounters::add(&shared.counters.bytes, read as u64);
        })?;
        Ok((bytes, hasher.finish()))
    };
    match hash() {
        Ok((bytes, checksum)) => {
            check_size(place, recorded.0, bytes, split, shared);
            if checksum != recorded.1 {
                wrong_checksum(place, split, shared);
            }
        }
        Err(error) => unreadable(place, split, &Error::io("read", path, error), &shared.findings),
    }
}

fn check_size(place: &ProblemPlace, recorded: u64, bytes: u64, split: &str, shared: &CheckShared<'_>) {
    if bytes != recorded {
        let detail = format!("it has {bytes} bytes, and the manifest says {recorded}");
        let remedy = Remedy::MakeSplitAgain { split: split.to_owned() };
        shared.findings.error(ProblemKind::Size, place.clone(), remedy, detail);
    }
}

fn wrong_checksum(place: &ProblemPlace, split: &str, shared: &CheckShared<'_>) {
    let remedy = Remedy::MakeSplitAgain { split: split.to_owned() };
    let detail = "its bytes are not those that were written";
    shared.findings.error(ProblemKind::Checksum, place.clone(), remedy, detail);
}

/// A file that is no Parquet file, or one of other columns.
pub(crate) fn unreadable(place: &ProblemPlace, split: &str, error: &Error, findings: &Findings) {
    let kind =
        if matches!(error, Error::Columns { .. }) { ProblemKind::Columns } else { ProblemKind::Unreadable };
    let remedy = Remedy::MakeSplitAgain { split: split.to_owned() };
    findings.error(kind, place.clone(), remedy, error.detail());
}
