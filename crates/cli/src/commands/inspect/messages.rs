//! Records as chats, before they are tokenized: what a run with the same flags would make of each.

use std::path::Path;

use anyhow::Result;
use mashbill_format::find::RecordFile;
use mashbill_records::conversation::{ConversationOptions, FIELDS};
use mashbill_records::record::{Reason, Refusal};
use mashbill_records::{Container, DOCUMENT_BYTES_MAX, FileKind, Lines, ReadError, RowBlocks, RowCutting};
use mashbill_tokenize::{Preview, read_record};
use mashbill_tokenizer::{Tokenizer, TokenizerOptions};
use mashbill_verify::{name_below, records_below};

use super::asked::{InspectArgs, pick};
use super::chat_view::{ChatView, write};
use super::records::files_to_look_at;
use crate::commands::tokenize::TokenizeArgs;
use crate::commands::tokenize::chat;
use crate::environment::{find_tokenizer, load_tokenizer};
use crate::exit::Exit;
use crate::hints::content_hint;
use crate::incomplete::tell_incomplete;
use crate::left_out::tell_left_out;
use crate::out;
use crate::printer::Printer;
use crate::usage::Usage;

/// Bytes of rows that are in memory at a time.
const BLOCK_BYTES: u64 = 1 << 20;

/// A line or row that has something in it.
struct LineSeen<'a> {
    /// From 1.
    number: u64,
    /// Its JSON, or why there is none.
    content: Result<&'a str, Refusal>,
    is_row: bool,
}

/// Which line is looked for.
enum Wanted<'a> {
    /// The one with this number among all, from 0.
    Number(u64),
    Id(&'a str),
    Text(&'a str),
}

pub(super) fn run(args: &InspectArgs, printer: &Printer) -> Result<Exit> {
    args.chat.check()?;
    let found = records_below(&args.path)?;
    tell_left_out(&found.left_out, &args.path, printer);
    let mut unread: Vec<String> = Vec::new();
    let mut tell = |name: String, error: &ReadError| {
        printer.warning(format_args!("{name} is not read: {error}"));
        printer.hint(content_hint(&args.path.join(&name), error));
        unread.push(name);
    };
    for refused in &found.refused {
        tell(refused.relative.clone(), &refused.why);
    }
    let files = files_to_look_at(args, found.files)?;
    let tokenizer = tokenizer(args, printer)?;
    let mut reading = ChatReading {
        args,
        wanted: wanted(args, &files),
        preview: tokenizer.as_ref().map(|found| preview(args, found)).transpose()?,
        number: 0,
    };
    let mut view = None;
    for file in &files {
        match reading.find(file)? {
            Ok(found) => view = found,
            Err(error) => tell(name_below(&file.path, &args.path), &error),
        }
        if view.is_some() {
            break;
        }
    }
    let view = view.ok_or_else(|| not_found(args, &reading.wanted))?;
    show(&view, args, printer)?;
    if unread.is_empty() {
        return Ok(Exit::Done);
    }
    let names: Vec<_> = unread.iter().map(String::as_str).collect();
    tell_incomplete("file", "read", &names, files.len() + found.refused.len(), printer);
    Ok(Exit::Incomplete)
}

/// Looking for a line, and what is made of it.
struct ChatReading<'a> {
    args: &'a InspectArgs,
    wanted: Wanted<'a>,
    /// What makes documents, where there is to be a text.
    preview: Option<Preview<'a>>,
    /// Lines that were passed.
    number: u64,
}

impl ChatReading<'_> {
    /// The line of a file that is wanted, if it has it. The inner error is the file's.
    fn find(&mut self, file: &RecordFile) -> Result<Result<Option<ChatView>, ReadError>> {
        let mut view = None;
        let args = self.args;
        let looked = each_line(file, text_fields(args), &mut |line| {
            let number = self.number;
            self.number += 1;
            if matches!(self.wanted, Wanted::Number(wanted) if wanted != number) {
                return Ok(false);
            }
            let seen = self.read(&line)?;
            if !is_wanted(&self.wanted, &seen, &line) {
                return Ok(false);
            }
            let title = format!("{}, line {}", file.path.display(), line.number);
            view = Some(ChatView { title, file: Some(file.path.clone()), line: Some(line.number), ..seen });
            Ok(true)
        })?;
        Ok(looked.map(|()| view))
    }

    fn read(&mut self, line: &LineSeen<'_>) -> Result<ChatView> {
        let view = ChatView::default();
        let content = match &line.content {
            Ok(content) => *content,
            Err(refusal) => return Ok(view.with_refusal(Some(refusal.clone()))),
        };
        let keep_tool_arguments = self.args.chat.keeps_tool_arguments();
        let record = match &mut self.preview {
            Some(preview) => preview.of(content, line.is_row)?,
            None => {
                read_record(content, ConversationOptions { keep_tool_arguments, drop_nulls: line.is_row })
            }
        };
        Ok(view.with_record(content, record))
    }
}

/// What is looked for in the files.
fn wanted<'a>(args: &'a InspectArgs, files: &[RecordFile]) -> Wanted<'a> {
    match (&args.doc, &args.find, args.row, args.random) {
        (Some(id), ..) => Wanted::Id(id),
        (_, Some(text), ..) => Wanted::Text(text),
        (_, _, row, false) => Wanted::Number(row.unwrap_or(0)),
        (.., true) => {
            let mut count = 0;
            for file in files {
                // What cannot be read is told when the line is looked for.
                drop(each_line(file, text_fields(args), &mut |_| {
                    count += 1;
                    Ok(false)
                }));
            }
            Wanted::Number(pick(args.seed, count))
        }
    }
}

fn show(view: &ChatView, args: &InspectArgs, printer: &Printer) -> Result<()> {
    if args.json {
        return out::json(view);
    }
    write(std::slice::from_ref(view), args.tokens)?;
    if !args.chat.makes_text() {
        let name = if args.tokenizer.is_none() { "--tokenizer NAME " } else { "" };
        printer.hint(format_args!(
            "`{name}--chat-template auto` shows its text, too, and what of it is learned"
        ));
    }
    Ok(())
}

fn is_wanted(wanted: &Wanted<'_>, seen: &ChatView, line: &LineSeen<'_>) -> bool {
    match wanted {
        Wanted::Number(_) => true,
        Wanted::Id(id) => seen.id.as_deref() == Some(id),
        Wanted::Text(text) => {
            seen.has_text(text) || line.content.as_ref().is_ok_and(|line| line.contains(text))
        }
    }
}

fn not_found(args: &InspectArgs, wanted: &Wanted<'_>) -> Usage {
    let path = args.path.clone();
    match wanted {
        Wanted::Number(0) => Usage::NoRecord { path, has_chats: false },
        Wanted::Number(number) => Usage::NothingFound { what: format!("record {number}"), path },
        Wanted::Id(id) => Usage::NothingFound { what: format!("the record `{id}`"), path },
        Wanted::Text(text) => Usage::NothingFound { what: format!("the text {text:?}"), path },
    }
}

/// The tokenizer, where there is to be a text.
fn tokenizer(
    args: &InspectArgs,
    printer: &Printer,
) -> Result<Option<(Tokenizer, mashbill_format::chat::Chat)>> {
    if !args.chat.makes_text() {
        return Ok(None);
    }
    let usual = TokenizeArgs::default();
    let name = args.tokenizer.as_ref().unwrap_or(&usual.tokenizer);
    let files = find_tokenizer(name, printer)?;
    let options = TokenizerOptions {
        // Nothing is put around what a template makes.
        add_bos: !args.chat.takes_only_chats(),
        add_eos: !args.chat.takes_only_chats(),
        eos_token: None,
        pad_token: None,
        special_tokens_in_text: args.special_tokens_in_text.unwrap_or(usual.special_tokens_in_text),
    };
    let tokenizer = load_tokenizer(&files, &options, printer)?;
    let chat = chat::chat(&args.chat, &files, &tokenizer)?;
    Ok(chat.map(|chat| (tokenizer, chat)))
}

fn preview<'t>(
    args: &InspectArgs,
    (tokenizer, chat): &'t (Tokenizer, mashbill_format::chat::Chat),
) -> Result<Preview<'t>> {
    Ok(Preview::new(chat, tokenizer, &args.text_field, DOCUMENT_BYTES_MAX)?)
}

/// The columns that are read of Parquet files.
fn text_fields(args: &InspectArgs) -> impl Iterator<Item = &str> {
    let texts = args.text_field.iter().map(String::as_str).filter(|field| !FIELDS.contains(field));
    FIELDS.iter().copied().chain(texts)
}

/// Hands out the lines of a file until `each` has seen enough. The inner error is the file's.
fn each_line<'a>(
    file: &RecordFile,
    text_fields: impl Iterator<Item = &'a str>,
    each: &mut dyn FnMut(LineSeen<'_>) -> Result<bool>,
) -> Result<Result<(), ReadError>> {
    match file.kind {
        FileKind::Json(container) => lines(&file.path, container, each),
        FileKind::Parquet => rows(&file.path, &text_fields.collect::<Vec<_>>(), each),
    }
}

fn lines(
    path: &Path,
    container: Container,
    each: &mut dyn FnMut(LineSeen<'_>) -> Result<bool>,
) -> Result<Result<(), ReadError>> {
    let mut lines = match Lines::open(path, container) {
        Ok(lines) => lines,
        Err(error) => return Ok(Err(error)),
    };
    loop {
        let line = match lines.read() {
            Ok(Some(line)) => line,
            Ok(None) => return Ok(Ok(())),
            Err(error) => return Ok(Err(error)),
        };
        let content = match line.bytes {
            None => Err(Refusal::new(Reason::TooLarge, "a line that is too long to be read")),
            Some(bytes) => std::str::from_utf8(bytes).map_err(|error| {
                Refusal::new(Reason::InvalidUtf8, format!("not UTF-8 at byte {}", error.valid_up_to()))
            }),
        };
        if each(LineSeen { number: line.number, content, is_row: false })? {
            return Ok(Ok(()));
        }
    }
}

fn rows(
    path: &Path,
    text_fields: &[&str],
    each: &mut dyn FnMut(LineSeen<'_>) -> Result<bool>,
) -> Result<Result<(), ReadError>> {
    let cutting = RowCutting {
        block_bytes: BLOCK_BYTES,
        text_bytes_max: DOCUMENT_BYTES_MAX,
        text_fields,
        is_whole: true,
    };
    let mut blocks = match RowBlocks::open(path, cutting) {
        Ok(blocks) => blocks,
        Err(error) => return Ok(Err(error)),
    };
    loop {
        let block = match blocks.next() {
            Ok(Some(block)) => block,
            Ok(None) => return Ok(Ok(())),
            Err(error) => return Ok(Err(error)),
        };
        for (row, number) in block.rows().zip(block.start + 1..) {
            let content = row.record().map(|record| record.text);
            if each(LineSeen { number, content, is_row: true })? {
                return Ok(Ok(()));
            }
        }
    }
}
