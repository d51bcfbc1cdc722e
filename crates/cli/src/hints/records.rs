//! What to type next where a file cannot be read as records.

use std::io;
use std::path::Path;

use mashbill_records::conversation::{Conversation, ConversationOptions, FIELDS};
use mashbill_records::parquet_rows::Column;
use mashbill_records::record::{FieldCounts, Shape};
use mashbill_records::value::{Text, Value};
use mashbill_records::{Container, FileKind, Foreign, ReadError};

/// Which files are read, by their endings.
pub(crate) const ENDINGS: &str = "supported are .jsonl, .ndjson and .json, also with .gz, .bz2, .xz, .zst or .zstd added, \
                                  and .parquet";

/// What helps where something else stands in the place of a file.
pub(crate) const FILE_HINT: &str = "give a file: write the output of a pipe or device to one first";

/// What mends a name that is not UTF-8.
pub(crate) const RENAME: &str = "give it a name in UTF-8: `mv`, or `convmv` for many";

/// What to do with a file or folder that may not be read.
pub(crate) fn readable_hint(path: &Path) -> String {
    let mode = if path.is_dir() { "u+rx" } else { "u+r" };
    format!("`chmod {mode} {}`, then run the same command again", path.display())
}

/// What makes records of a file of a kind that is not read, by its ending.
pub(crate) fn unread_hint(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let (file, made) = (path.display(), path.with_extension("jsonl").display().to_string());
    let of_values = |separator: &str| {
        format!(
            "if it has a column `text`: python3 -c \"import csv, json; csv.field_size_limit(1 << 30); \
             [print(json.dumps(row)) for row in csv.DictReader(open('{file}', newline=''){separator})]\" > {made}"
        )
    };
    match name.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase()).as_deref() {
        Some("csv") => of_values(""),
        Some("tsv") => of_values(r", delimiter='\t'"),
        Some("jl" | "jsonlines") => format!("mv {file} {made}"),
        Some("pq" | "parq") => format!("mv {file} {}", path.with_extension("parquet").display()),
        Some("txt" | "md" | "rst" | "html" | "htm") => {
            format!("if it is one document: jq -Rs '{{text: .}}' {file} > {made}; {ENDINGS}")
        }
        Some("zip" | "tar" | "tgz" | "7z" | "rar") => format!("unpack it; {ENDINGS}"),
        _ => ENDINGS.into(),
    }
}

/// What makes a file that can be read of the one at `path`.
pub(crate) fn content_hint(path: &Path, error: &ReadError) -> String {
    match error {
        ReadError::Foreign(content) => foreign_hint(path, content),
        ReadError::NameNotUtf8 => RENAME.into(),
        ReadError::NotRegular { .. } => FILE_HINT.into(),
        ReadError::NoTextColumn { columns, .. } => hint_for_columns(columns),
        ReadError::NoChatColumn { columns } => hint_for_chat_columns(columns),
        ReadError::ColumnTwice { column } => column_twice(column),
        ReadError::Changed => "when nothing writes to it any more, run the same command again".into(),
        ReadError::Io(source) if source.kind() == io::ErrorKind::PermissionDenied => readable_hint(path),
        ReadError::Io(_) | ReadError::Damaged { .. } => {
            "get the file again from its source, then run the same command again".into()
        }
    }
}

pub(crate) fn foreign_hint(path: &Path, content: &Foreign) -> String {
    let file = path.display();
    match content {
        Foreign::OtherThanNamed { found, .. } => match *found {
            "gzip" => format!("mv {file} {file}.gz"),
            "zstd" => format!("mv {file} {file}.zst"),
            "xz" => format!("mv {file} {file}.xz"),
            "bzip2" => format!("mv {file} {file}.bz2"),
            "Parquet" => format!("mv {file} {}", path.with_extension("parquet").display()),
            "plain text" => format!("mv {file} {}", path.with_extension("").display()),
            _ => "unpack or convert it to one JSON object a line".into(),
        },
        Foreign::Packed { .. } => "unpack it to one JSON object a line".into(),
        Foreign::Encoding { iconv: Some(name), .. } => {
            format!(
                "iconv -f {name} -t UTF-8 {file} > FILE.jsonl converts it to UTF-8, if that is its encoding"
            )
        }
        Foreign::Encoding { iconv: None, .. } => {
            format!("iconv -f ENCODING -t UTF-8 {file} > FILE.jsonl converts it to UTF-8")
        }
        Foreign::CarriageReturns => format!("tr '\\r' '\\n' < {file} > FILE.jsonl"),
        Foreign::OverManyLines { rows: Some(key) } => format!("jq -c '.[{key:?}][]' {file} > FILE.jsonl"),
        Foreign::OverManyLines { rows: None } | Foreign::SeveralALine => {
            format!("jq -c . {file} > FILE.jsonl")
        }
        Foreign::ArrayOf { .. } => {
            format!("jq -c '.[] | {{text: .}}' {file} > FILE.jsonl, if they are the texts")
        }
        Foreign::LfsPointer => "git lfs pull".into(),
        Foreign::Html => "get the file again from its source".into(),
    }
}

/// What makes text of chats.
const TO_TEXT: &str = "`--chat-template auto` makes text of it with the tokenizer's template, `--render plain` writes it out \
                       plainly";

/// Whether records with these fields are read as conversations.
pub(crate) fn is_read(fields: &[&str]) -> bool {
    let message = Value::Map(vec![("role".into(), text("user")), ("content".into(), text("a"))]);
    let values = [text("a"), Value::List(vec![message])];
    values.iter().any(|value| {
        let record = Value::Map(fields.iter().map(|field| ((*field).into(), value.clone())).collect());
        Conversation::of(&record, ConversationOptions::default()).is_ok_and(|found| found.is_some())
    })
}

/// Whether most of the counted lines have conversations that are read.
pub(crate) fn is_chat(fields: &FieldCounts) -> bool {
    match fields.shape() {
        Shape::Chat(field) => is_read(&[field]),
        Shape::Pair(asked, answered) => is_read(&[asked, answered]),
        Shape::Text(_) | Shape::Other => false,
    }
}

fn text(text: &str) -> Value<'_> {
    Value::Text(Text::Plain(text.into()))
}

/// What to do with the `lines` lines of a file that have no text, by what they have instead.
pub(crate) fn hint_for_shape(fields: &FieldCounts, lines: u64, file: &Path) -> Option<String> {
    let made = |program: &str| match with_jq(program, file) {
        Some(command) => format!("; this makes a text of each: {command}"),
        None => "; make a column `text` of them".to_owned(),
    };
    Some(match fields.shape() {
        Shape::Text(first) => {
            let flags: Vec<_> =
                fields.texts(first, lines).iter().map(|field| format!("--text-field {field}")).collect();
            format!("`{}` takes the texts from there", flags.join(" "))
        }
        Shape::Chat(field) if is_read(&[field]) => format!("`{field}` is a chat: {TO_TEXT}"),
        Shape::Chat(field) => {
            let turn = r#""\(.role // .from): \(.content // .value)""#;
            let made = made(&format!("[.{field}[] | {turn}]"));
            format!("`{field}` is a chat under a name that is not read{made}")
        }
        Shape::Pair(asked, answered) if is_read(&[asked, answered]) => {
            format!("`{asked}` and `{answered}` are a chat of one question: {TO_TEXT}")
        }
        Shape::Pair(asked, answered) => {
            // An instruction may have an input of its own, which is often empty.
            let parts = match asked {
                "instruction" => {
                    format!(r#"[.instruction, .input, .{answered}] | map(select(. != null and . != ""))"#)
                }
                _ => format!("[.{asked}, .{answered}]"),
            };
            format!("pairs of `{asked}` and `{answered}` under these names are not read{}", made(&parts))
        }
        Shape::Other => return None,
    })
}

/// What to do with the `lines` lines of a file that have no messages, of which a chat template was to make text.
pub(crate) fn hint_without_messages(fields: &FieldCounts, lines: u64, file: &Path) -> Option<String> {
    match fields.shape() {
        Shape::Text(_) => {
            Some("without `--chat-template` texts are taken, and with `--mixed` texts and messages".into())
        }
        // What is there and was not read is null.
        _ if is_chat(fields) && fields.lines("text") > 0 => {
            Some("`--mixed` takes records without messages, too, as their `text`".into())
        }
        _ if is_chat(fields) => {
            Some("give each record its messages: where they should be, it has null".into())
        }
        _ => hint_for_shape(fields, lines, file),
    }
}

pub(crate) fn column_twice(column: &str) -> String {
    format!("rewrite the file with another name for one of the columns `{column}`")
}

/// The columns of a Parquet file as the fields of a line.
pub(crate) fn fields_of(columns: &[Column]) -> FieldCounts {
    let mut fields = FieldCounts::default();
    columns.iter().for_each(|column| fields.count(&column.name, column.kind == "string"));
    fields
}

/// What to do with a Parquet file that has no text column, by the columns that it has.
pub(crate) fn hint_for_columns(columns: &[Column]) -> String {
    hint_for_shape(&fields_of(columns), 0, Path::new(""))
        .unwrap_or_else(|| "name the column with `--text-field`".into())
}

/// What to do with a Parquet file in which nothing is said, by the columns that it has.
fn hint_for_chat_columns(columns: &[Column]) -> String {
    let meant = columns.iter().find_map(|column| {
        let field = FIELDS.iter().find(|field| column.name.eq_ignore_ascii_case(field))?;
        Some((&column.name, *field))
    });
    match meant {
        Some((name, field)) => format!("rename the column `{name}` to `{field}`"),
        None => "rename the column with the conversations to `messages`; without `--chat-template` texts are taken".into(),
    }
}

/// The command that gives each record of a file of JSON the text whose parts `program` lists; none for other files.
fn with_jq(program: &str, file: &Path) -> Option<String> {
    let (stem, kind) = FileKind::of(file.file_name()?.to_str()?)?;
    let FileKind::Json(container) = kind else { return None };
    let (path, made) = (file.display(), format!("{stem}_text.jsonl"));
    let filter = format!(r#"jq -c '(arrays[], objects) | .text = ({program} | join("\n\n"))'"#);
    let unpack = match container {
        Container::Plain => return Some(format!("{filter} {path} > {made}")),
        Container::Gzip => "gzip -dc",
        Container::Bzip2 => "bzip2 -dc",
        Container::Xz => "xz -dc",
        Container::Zstd => "zstd -dc",
    };
    Some(format!("{unpack} {path} | {filter} > {made}"))
}
