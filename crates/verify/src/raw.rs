//! A folder of records, JSON or Parquet: every line or row a record, no record twice, and what a download says of them.
//!
//! One thread at a time reads, the others parse. What is kept of a record is 24 bytes for its id and text, so that
//! the same record is found again wherever in the file it stands; more than a few million ids are not kept, and
//! that is said.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mashbill_format::error::Result;
use mashbill_format::find::{FoundFiles, RecordFile};
use mashbill_records::conversation::{Conversation, ConversationFields, ConversationOptions, FIELDS};
use mashbill_records::parquet_rows::Column;
use mashbill_records::record::{Reason, Record, RecordParser, Refusal};
use mashbill_records::value::{Text, Value};
use mashbill_records::{
    BYTE_ORDER_MARK, Block, BlockLines, Blocks, DOCUMENT_BYTES_MAX, LineCutting, ReadError, RowBlock,
    RowBlocks, RowCutting, line_bytes_max, read_range_into,
};
use mashbill_store::checksum::{Checksum, Hasher};
use memchr::{memchr, memchr_iter};
use xxhash_rust::xxh3::xxh3_64;

use crate::downloaded::{self, Claim, Claims, Counted};
use crate::findings::Findings;
use crate::folder::{FolderKind, name_below, records_below};
use crate::gather::Gather;
use crate::problem::{ProblemKind, ProblemPlace, Remedy};
use crate::progress::{CheckCounters, Event};
use crate::report::Report;
use crate::threads::on_all_threads;

/// Bytes of lines, or of texts in rows, that a thread parses at a time.
const CHUNK_BYTES: u64 = 1 << 20;

/// Records of a file whose ids are compared: 150 MB of memory.
const IDS_MAX: usize = 6 << 20;

/// Names of files that are left out which are told.
const NAMES_TOLD: usize = 5;

/// Checks the records at or below `path`.
pub(crate) fn verify(
    path: &Path,
    text_fields: &[&str],
    gatherers: Vec<&mut dyn Gather>,
    interrupted: &AtomicBool,
    on_event: &mut dyn FnMut(Event),
) -> Result<Report> {
    let FoundFiles { files, left_out, refused, .. } = records_below(path)?;
    let bytes_total = files.iter().map(|file| file.size).sum();
    let shared = RawShared {
        findings: Findings::default(),
        counters: CheckCounters::default(),
        documents: AtomicU64::new(0),
    };
    for refused in refused {
        unreadable(&ProblemPlace::file(refused.relative), refused.why, &shared);
    }
    tell_left_out(&left_out, &shared.findings);
    // A download's records are JSON.
    let is_json = |file: &&RecordFile| matches!(file.kind, mashbill_records::FileKind::Json(_));
    let paths: Vec<_> = files.iter().filter(is_json).map(|file| file.path.clone()).collect();
    let claims = downloaded::claims(path, &paths, &shared.findings)?;
    let work = Mutex::new(RawWork {
        root: path,
        text_fields,
        files: files.into_iter(),
        claims,
        current: None,
        shared: &shared,
    });
    on_all_threads(
        gatherers,
        |gatherer| {
            let mut parser = RecordParser::new(text_fields);
            while !interrupted.load(Ordering::Relaxed) {
                let Some(chunk) = work.lock().unwrap_or_else(PoisonError::into_inner).next() else { break };
                chunk.check(&mut parser, gatherer, &shared);
            }
        },
        || on_event(Event::Progress(shared.counters.now(bytes_total, shared.findings.count()))),
    );
    drop(work);
    let summary = shared.findings.into_summary();
    Ok(Report {
        path: path.to_owned(),
        kind: FolderKind::Raw,
        files: shared.counters.files.into_inner(),
        bytes: shared.counters.bytes.into_inner(),
        rows: shared.counters.rows.into_inner(),
        documents: shared.documents.into_inner(),
        tokens: 0,
        problems: summary.problems,
        errors: summary.errors,
        warnings: summary.warnings,
        interrupted: interrupted.load(Ordering::Relaxed),
    })
}

#[derive(Debug)]
struct RawShared {
    findings: Findings,
    counters: CheckCounters,
    documents: AtomicU64,
}

/// The files that are left, and the one that is being read.
struct RawWork<'a> {
    root: &'a Path,
    text_fields: &'a [&'a str],
    files: std::vec::IntoIter<RecordFile>,
    claims: Claims,
    current: Option<Reading>,
    shared: &'a RawShared,
}

/// A file that is being read.
struct Reading {
    file: Arc<Records>,
    source: RecordSource,
    /// Bytes of the file on the disk that are counted.
    disk_bytes: u64,
    next_line: u64,
    /// Over what was read, where something is said of it.
    hasher: Option<Hasher>,
    bytes: u64,
}

/// Where a file's records come from.
enum RecordSource {
    Lines(Blocks),
    Rows(Box<RowBlocks>),
    /// Rows without a text column, in which something is said.
    RowsOfSaid(Box<RowBlocks>),
}

impl RecordSource {
    fn open(file: &RecordFile, text_fields: &[&str]) -> std::result::Result<Self, ReadError> {
        Ok(match file.kind {
            mashbill_records::FileKind::Json(container) => {
                let line_bytes_max = line_bytes_max(DOCUMENT_BYTES_MAX);
                let cutting = LineCutting { block_bytes: CHUNK_BYTES, line_bytes_max };
                Self::Lines(Blocks::open(&file.path, container, cutting)?)
            }
            mashbill_records::FileKind::Parquet => {
                let cutting = RowCutting {
                    block_bytes: CHUNK_BYTES,
                    text_bytes_max: DOCUMENT_BYTES_MAX,
                    text_fields,
                    is_whole: false,
                };
                match RowBlocks::open(&file.path, cutting) {
                    Err(ReadError::NoTextColumn { columns, .. }) if is_said(&columns) => {
                        let cutting = RowCutting { text_fields: FIELDS, is_whole: true, ..cutting };
                        Self::RowsOfSaid(Box::new(RowBlocks::open(&file.path, cutting)?))
                    }
                    opened => Self::Rows(Box::new(opened?)),
                }
            }
        })
    }

    fn disk_bytes(&self) -> u64 {
        match self {
            Self::Lines(blocks) => blocks.disk_bytes(),
            Self::Rows(rows) | Self::RowsOfSaid(rows) => rows.disk_bytes(),
        }
    }

    fn ignored_bytes(&self) -> u64 {
        match self {
            Self::Lines(blocks) => blocks.ignored_bytes(),
            Self::Rows(_) | Self::RowsOfSaid(_) => 0,
        }
    }
}

/// What is known of a file's records.
#[derive(Debug)]
struct Records {
    place: ProblemPlace,
    /// What a download says of them.
    claim: Option<Claim>,
    seen: Mutex<SeenRecords>,
}

#[derive(Debug, Default)]
struct SeenRecords {
    ids: Vec<Id>,
    is_full: bool,
    counted: Counted,
    /// Records, and lines and rows that are none; what is blank is neither.
    found: u64,
    /// Whether the file could not be read to its end, which was told.
    is_broken: bool,
    /// The file's bytes and checksum, once it was read to its end.
    whole: Option<(u64, Checksum)>,
}

/// A record that may stand twice: hashes of its id and text, and its line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Id {
    id: u64,
    text: u64,
    line: u64,
}

/// Whole lines, or rows, of a file.
struct Chunk {
    file: Arc<Records>,
    first_line: u64,
    unparsed: Unparsed,
}

enum Unparsed {
    Lines(Vec<u8>),
    Rows(RowBlock),
    RowsOfSaid(RowBlock),
}

impl RawWork<'_> {
    fn next(&mut self) -> Option<Chunk> {
        loop {
            if let Some(reading) = &mut self.current {
                match reading.next(self.shared) {
                    Ok(Some(chunk)) => return Some(chunk),
                    Ok(None) => {}
                    Err(error) => {
                        // What was not read to its end has no checksum.
                        reading.hasher = None;
                        reading.file.seen().is_broken = true;
                        unreadable(&reading.file.place, error, self.shared);
                    }
                }
            }
            if let Some(reading) = self.current.take() {
                end_of(reading.end(&self.shared.findings), self.shared);
            }
            let file = self.files.next()?;
            let place = ProblemPlace::file(name_below(&file.path, self.root));
            let claim = self.claims.remove(&file.path);
            CheckCounters::add(&self.shared.counters.files, 1);
            match Reading::open(&file, self.text_fields, place.clone(), claim) {
                Ok(reading) => self.current = Some(reading),
                Err(error) => unreadable(&place, error, self.shared),
            }
        }
    }
}

impl Reading {
    fn open(
        file: &RecordFile,
        text_fields: &[&str],
        place: ProblemPlace,
        claim: Option<Claim>,
    ) -> std::result::Result<Self, ReadError> {
        let source = RecordSource::open(file, text_fields)?;
        let hasher = claim.is_some().then(Hasher::new);
        let file = Records { place, claim, seen: Mutex::default() };
        Ok(Self { file: Arc::new(file), source, disk_bytes: 0, next_line: 1, hasher, bytes: 0 })
    }

    /// The file, of which nothing more is read.
    fn end(self, findings: &Findings) -> Arc<Records> {
        let ignored = self.source.ignored_bytes();
        if ignored > 0 {
            let detail = format!("ignored {ignored} bytes after the end of the compressed data");
            findings.warning(ProblemKind::LeftOut, self.file.place.clone(), Remedy::CopyAgain, detail);
        }
        let whole = self.hasher.map(|hasher| (self.bytes, hasher.finish()));
        self.file.seen().whole = whole;
        self.file
    }

    /// The next lines or rows; none at the end.
    fn next(&mut self, shared: &RawShared) -> std::result::Result<Option<Chunk>, ReadError> {
        let first_line = self.next_line;
        let unparsed = match &mut self.source {
            RecordSource::Lines(blocks) => match blocks.next()? {
                Some(block) => Some(Unparsed::Lines(self.lines(block, shared)?)),
                None => None,
            },
            RecordSource::Rows(rows) => rows.next()?.map(|block| {
                self.next_line += block.end - block.start;
                Unparsed::Rows(block)
            }),
            RecordSource::RowsOfSaid(rows) => rows.next()?.map(|block| {
                self.next_line += block.end - block.start;
                Unparsed::RowsOfSaid(block)
            }),
        };
        let read = self.source.disk_bytes();
        CheckCounters::add(&shared.counters.bytes, read - std::mem::replace(&mut self.disk_bytes, read));
        Ok(unparsed.map(|unparsed| Chunk { file: Arc::clone(&self.file), first_line, unparsed }))
    }

    /// The bytes of a block of lines; none of a line that is too long, which is told.
    fn lines(&mut self, block: Block, shared: &RawShared) -> std::result::Result<Vec<u8>, ReadError> {
        self.bytes += block.end - block.start;
        let bytes = match block.content {
            BlockLines::Range(file) => {
                let mut bytes = Vec::new();
                read_range_into(&file, block.start, block.end, &mut bytes)?;
                bytes
            }
            BlockLines::Bytes(bytes) => bytes,
            BlockLines::TooLong { .. } => {
                let place = self.file.place.line(self.next_line);
                let detail =
                    format!("a line of {} bytes ({})", block.end - block.start, Reason::TooLarge.name());
                shared.findings.error(ProblemKind::Line, place, Remedy::CorrectLine, detail);
                self.next_line += 1;
                self.file.seen().found += 1;
                CheckCounters::add(&shared.counters.rows, 1);
                // What was read past has no checksum of its own.
                self.hasher = None;
                return Ok(Vec::new());
            }
        };
        if let Some(hasher) = &mut self.hasher {
            hasher.update(&bytes);
        }
        let ended = memchr_iter(b'\n', &bytes).count() as u64;
        self.next_line += ended + u64::from(bytes.last() != Some(&b'\n'));
        Ok(bytes)
    }
}

impl Chunk {
    fn check(self, parser: &mut RecordParser, gatherer: &mut dyn Gather, shared: &RawShared) {
        let Self { file, first_line, unparsed } = self;
        let mut found = FoundRecords {
            file: &file,
            gatherer,
            shared,
            ids: Vec::new(),
            counted: Counted::default(),
            documents: 0,
            found: 0,
        };
        let lines = match unparsed {
            Unparsed::Lines(bytes) => found.lines(&bytes, first_line, parser),
            Unparsed::Rows(block) => {
                block.rows().zip(first_line..).for_each(|(row, number)| found.take(row.record(), number));
                block.end - block.start
            }
            Unparsed::RowsOfSaid(block) => {
                for (row, number) in block.rows().zip(first_line..) {
                    match row.record() {
                        Ok(record) => {
                            let refusal = Refusal::new(Reason::NoText, "nothing is said in it");
                            found.without_text(record.text.as_bytes(), true, refusal, number);
                        }
                        Err(refusal) => found.take(Err(refusal), number),
                    }
                }
                block.end - block.start
            }
        };
        let FoundRecords { ids, counted, documents, found, .. } = found;
        CheckCounters::add(&shared.counters.rows, lines);
        shared.documents.fetch_add(documents, Ordering::Relaxed);
        file.add(ids, counted, found);
        end_of(file, shared);
    }
}

/// The records of a chunk, as far as they were looked at.
struct FoundRecords<'a> {
    file: &'a Records,
    gatherer: &'a mut dyn Gather,
    shared: &'a RawShared,
    ids: Vec<Id>,
    counted: Counted,
    documents: u64,
    /// Records, and lines and rows that are none.
    found: u64,
}

impl FoundRecords<'_> {
    /// Takes in lines, the first of which has the number `first_line`, and gives how many they are.
    fn lines(&mut self, bytes: &[u8], first_line: u64, parser: &mut RecordParser) -> u64 {
        let mut bytes = bytes;
        if first_line == 1 {
            bytes = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
        }
        let mut lines = 0;
        while !bytes.is_empty() {
            let end = memchr(b'\n', bytes).unwrap_or(bytes.len());
            let line = &bytes[..end];
            bytes = bytes.get(end + 1..).unwrap_or_default();
            let number = first_line + lines;
            lines += 1;
            if !line.iter().all(u8::is_ascii_whitespace) {
                match parse(line, parser) {
                    Err(refusal) if refusal.is_about_text() => {
                        self.without_text(line, false, refusal, number)
                    }
                    record => self.take(record, number),
                }
            }
        }
        lines
    }

    /// Takes in a line, or a row as one, without a text. Where something is said in it, it is a record all the same.
    fn without_text(&mut self, line: &[u8], is_row: bool, refusal: Refusal, number: u64) {
        let line = std::str::from_utf8(line).unwrap_or_default();
        let fields = match ConversationFields::parse(line) {
            Ok(fields) => fields,
            Err(other) => return self.take(Err(other), number),
        };
        match fields.conversation(ConversationOptions { keep_tool_arguments: false, drop_nulls: is_row }) {
            Ok(Some(conversation)) => {
                let (labels, mut text) = (fields.labels(), String::new());
                self.take(Ok(conversation.plain_record(&labels, &mut text)), number);
                self.gatherer.conversation(&self.file.place.file, &conversation);
            }
            Ok(None) => self.take(Err(refusal), number),
            Err(other) => self.take(Err(other), number),
        }
    }

    /// Takes in the record of a line or row, or why there is none.
    fn take(&mut self, record: std::result::Result<Record<'_>, Refusal>, number: u64) {
        let Records { place, claim, .. } = self.file;
        self.found += 1;
        match record {
            Ok(record) => {
                self.documents += 1;
                self.gatherer.record(&place.file, number, &record);
                if let Some(claim) = claim {
                    self.counted.count(&record, number, claim.is_stranger(&record));
                }
                self.ids.extend(record.id.map(|id| Id {
                    id: xxh3_64(id.as_bytes()),
                    text: xxh3_64(record.text.as_bytes()),
                    line: number,
                }));
            }
            Err(Refusal { reason, detail }) => {
                self.gatherer.refused(&place.file, reason);
                let detail = format!("{detail} ({})", reason.name());
                self.shared.findings.error(
                    ProblemKind::Line,
                    place.line(number),
                    Remedy::CorrectLine,
                    detail,
                );
            }
        }
    }
}

/// Whether something is said in rows with these columns: their kinds are tried.
fn is_said(columns: &[Column]) -> bool {
    let text = |text: &'static str| Value::Text(Text::Plain(text.into()));
    let message = Value::Map(vec![("role".into(), text("user")), ("content".into(), text("a"))]);
    let value = |column: &Column| if column.is_text { text("a") } else { Value::List(vec![message.clone()]) };
    let record = columns.iter().map(|column| (column.name.as_str().into(), value(column)));
    !matches!(Conversation::of(&Value::Map(record.collect()), ConversationOptions::default()), Ok(None))
}

/// The record of a line, or why there is none.
fn parse<'a>(line: &'a [u8], parser: &'a mut RecordParser) -> std::result::Result<Record<'a>, Refusal> {
    let line = std::str::from_utf8(line).map_err(|error| {
        Refusal::new(Reason::InvalidUtf8, format!("not UTF-8 at byte {}", error.valid_up_to()))
    })?;
    parser.parse(line)
}

impl Records {
    fn seen(&self) -> MutexGuard<'_, SeenRecords> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, mut ids: Vec<Id>, counted: Counted, found: u64) {
        let mut seen = self.seen();
        seen.counted.add(counted);
        seen.found += found;
        let room = IDS_MAX - seen.ids.len();
        seen.is_full |= ids.len() > room;
        ids.truncate(room);
        seen.ids.append(&mut ids);
    }

    /// Compares the records with what a download says of them, and finds those that stand twice; the same record
    /// again is worse than another one of the same id.
    fn check_all(self, findings: &Findings) {
        let SeenRecords { mut ids, is_full, counted, found, is_broken, whole } =
            self.seen.into_inner().unwrap_or_else(PoisonError::into_inner);
        if found == 0 && !is_broken {
            let remedy = Remedy::MoveAway { file: self.place.file.clone() };
            findings.warning(ProblemKind::Empty, self.place.clone(), remedy, "it has no record".to_owned());
        }
        if let Some(claim) = self.claim {
            claim.check_records(&self.place, &counted, whole, findings);
        }
        ids.sort_unstable();
        for pair in ids.array_windows() {
            let [first, again] = *pair;
            if first.id != again.id {
                continue;
            }
            let place = self.place.line(again.line.max(first.line));
            let other = first.line.min(again.line);
            if first.text == again.text {
                let detail = format!("the record of line {other} appears here again");
                findings.error(ProblemKind::Duplicate, place, Remedy::CorrectLine, detail);
            } else {
                let detail = format!("it has the id of line {other} and another text");
                findings.warning(ProblemKind::Duplicate, place, Remedy::CorrectLine, detail);
            }
        }
        if is_full {
            let detail = format!("only the ids of {IDS_MAX} records were compared");
            findings.warning(ProblemKind::Duplicate, self.place, Remedy::CorrectLine, detail);
        }
    }
}

/// Whoever holds a file's records last checks them as a whole.
fn end_of(file: Arc<Records>, shared: &RawShared) {
    if let Some(records) = Arc::into_inner(file) {
        records.check_all(&shared.findings);
    }
}

/// Tells which files hold data of a kind that is not read.
fn tell_left_out(left_out: &[String], findings: &Findings) {
    let Some(first) = left_out.first() else { return };
    let others: Vec<_> = left_out.iter().skip(1).take(NAMES_TOLD).map(String::as_str).collect();
    let more = left_out.len() - 1 - others.len();
    let detail = match (others.is_empty(), more) {
        (true, _) => "it is of a kind that is not read here".to_owned(),
        (false, 0) => format!("it and {} are of kinds that are not read here", others.join(", ")),
        (false, _) => {
            format!("it, {} and {more} more are of kinds that are not read here", others.join(", "))
        }
    };
    findings.warning(ProblemKind::LeftOut, ProblemPlace::file(first), Remedy::NotRead, detail);
}

fn unreadable(place: &ProblemPlace, error: ReadError, shared: &RawShared) {
    let detail = error.to_string();
    let remedy = match error {
        ReadError::Foreign(content) => Remedy::Convert { file: place.file.clone(), content },
        ReadError::NameNotUtf8 => Remedy::Rename,
        ReadError::ColumnTwice { column } => Remedy::RenameColumn { column },
        ReadError::NoTextColumn { columns, .. } => Remedy::NameTextField { columns },
        ReadError::NotRegular { .. } => Remedy::MoveAway { file: place.file.clone() },
        _ => Remedy::CopyAgain,
    };
    shared.findings.error(ProblemKind::Unreadable, place.clone(), remedy, detail);
}
