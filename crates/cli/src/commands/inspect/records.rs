//! Records of JSON Lines.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use mashbill_format::record::RecordParser;
use mashbill_format::records::Lines;
use mashbill_format::verify::json_lines_below;
use serde::Serialize;

use super::{InspectArgs, pick};
use crate::exit::Exit;
use crate::hints::Usage;
use crate::out::{self, Out};

/// A record.
#[derive(Debug, Serialize)]
struct Shown {
    file: PathBuf,
    /// The line, from 1.
    line: u64,
    id: Option<String>,
    source: Option<String>,
    category: Option<String>,
    text: String,
}

pub(super) fn run(args: &InspectArgs) -> Result<Exit> {
    let not_found = |what: &str| Usage::NothingFound { what: what.to_owned(), path: args.path.clone() };
    let no_record = || Usage::NoRecord { path: args.path.clone() };
    let files: Vec<_> = json_lines_below(&args.path)?
        .into_iter()
        .filter(|file| args.split.as_ref().is_none_or(|name| is_called(file, name)))
        .collect();
    let record = match (&args.doc, &args.find, args.row, args.random) {
        (Some(id), ..) => find(&files, |_, record| record.id.as_deref() == Some(id))?
            .ok_or_else(|| not_found(&format!("the record `{id}`")))?,
        (_, Some(text), ..) => find(&files, |_, record| record.text.contains(text))?
            .ok_or_else(|| not_found(&format!("the text {text:?}")))?,
        (_, _, Some(row), _) => {
            find(&files, |at, _| at == row)?.ok_or_else(|| not_found(&format!("record {row}")))?
        }
        (_, _, _, true) => {
            let mut count = 0;
            find(&files, |_, _| {
                count += 1;
                false
            })?;
            let row = pick(args.seed, count);
            find(&files, |at, _| at == row)?.ok_or_else(no_record)?
        }
        _ => find(&files, |_, _| true)?.ok_or_else(no_record)?,
    };
    if args.json {
        out::json(&record)?
    } else {
        write(&record)?
    }
    Ok(Exit::Done)
}

fn is_called(file: &Path, name: &str) -> bool {
    let file = file.file_name().map(|file| file.to_string_lossy().into_owned()).unwrap_or_default();
    file == name || file.strip_prefix(name).is_some_and(|rest| rest.starts_with(".jsonl"))
}

/// The first record, by its number among all of them, that is wanted. Lines that are none are passed over.
fn find(files: &[PathBuf], mut is_wanted: impl FnMut(u64, &Shown) -> bool) -> Result<Option<Shown>> {
    let mut parser = RecordParser::new("text");
    let mut number = 0;
    for file in files {
        let mut lines = Lines::open(file).with_context(|| format!("read `{}`", file.display()))?;
        while let Some((line, text)) = lines.read().with_context(|| format!("read `{}`", file.display()))? {
            let Some(record) = std::str::from_utf8(text).ok().and_then(|text| parser.parse(text).ok()) else {
                continue;
            };
            let owned = |text: Option<&str>| text.map(str::to_owned);
            let shown = Shown {
                file: file.clone(),
                line,
                id: owned(record.id),
                source: owned(record.source),
                category: owned(record.category),
                text: record.text.to_owned(),
            };
            if is_wanted(number, &shown) {
                return Ok(Some(shown));
            }
            number += 1;
        }
    }
    Ok(None)
}

fn write(record: &Shown) -> Result<()> {
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
