//! Rows and documents of a tokenized folder.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use mashbill_format::documents::{self, Document};
use mashbill_format::layout::{DOCUMENTS, Output};
use mashbill_format::manifest::{Manifest, Split};
use mashbill_format::shard::Row;
use mashbill_format::split_rows::{RowPlace, SplitRows};
use mashbill_tokenize::tokenizer::Tokenizer;

use super::view::{Shown, ShownPiece, ShownToken, write};
use super::{InspectArgs, pick};
use crate::exit::Exit;
use crate::found_again::tokenizer_of;
use crate::hints::{Usage, hint};
use crate::out;
use crate::printer::{Printer, error_text};

pub(super) fn run(args: &InspectArgs, printer: &Printer) -> Result<Exit> {
    let output = Output::new(&args.path);
    let missing = || Usage::NothingToInspect { path: args.path.clone() };
    let manifest = Manifest::read(&output.manifest())?.ok_or_else(missing)?;
    let not_found = |what: String| Usage::NothingFound { what, path: args.path.clone() };
    // Without a name, a document or a text is looked for in all splits, in their order.
    let splits: Vec<(&String, &Split)> = match &args.split {
        Some(name) => {
            let split = manifest.splits.get_key_value(name);
            let available = || manifest.splits.keys().cloned().collect();
            let no_such = || Usage::NoSuchSplit {
                split: name.clone(),
                path: args.path.clone(),
                available: available(),
            };
            vec![split.ok_or_else(no_such)?]
        }
        None => manifest.splits.iter().filter(|(_, split)| split.sequences > 0).collect(),
    };
    if splits.iter().all(|(_, split)| split.sequences == 0) {
        return Err(Usage::NoRows { path: args.path.clone() }.into());
    }
    let scope = args.split.as_ref().map_or_else(String::new, |name| format!(" of split `{name}`"));
    let tokenizer = match tokenizer_of(&args.path, &manifest, args.tokenizer.as_deref(), printer) {
        Ok(tokenizer) => Some(tokenizer),
        Err(error) => {
            printer.warning(format_args!("only ids are shown: {}", error_text(error.as_ref())));
            if let Some(hint) = hint(&error) {
                printer.hint(hint);
            }
            None
        }
    };
    let documents =
        |name: &str| documents::read(&output.split(name).join(DOCUMENTS)).context("read the document table");
    let looking = |name, split| Looking {
        name,
        split,
        rows: SplitRows::new(&output.split(name), split),
        tokenizer: tokenizer.as_ref(),
        length: manifest.max_seq_length,
    };
    let (name, rows) = match (&args.doc, &args.find) {
        (Some(wanted), _) => {
            let found = splits.iter().find_map(|&(name, split)| {
                let document = match documents(name) {
                    Ok(mut documents) => documents
                        .find(|document| document.as_ref().map_or(true, |found| is_called(found, wanted)))?,
                    Err(error) => return Some(Err(error)),
                };
                let rows = document
                    .map_err(anyhow::Error::from)
                    .and_then(|document| looking(name, split).document(&document));
                Some(rows.map(|rows| (name, rows)))
            });
            found.ok_or_else(|| not_found(format!("the document `{wanted}`{scope}")))??
        }
        (None, Some(_)) if tokenizer.is_none() => return Err(Usage::FindNeedsTokenizer.into()),
        (None, Some(text)) => {
            let found = splits.iter().find_map(|&(name, split)| {
                let rows = looking(name, split).find(text).transpose()?;
                Some(rows.map(|rows| (name, rows)))
            });
            found.ok_or_else(|| not_found(format!("the text {text:?}{scope}")))??
        }
        (None, None) => {
            let all = splits.iter().map(|(_, split)| split.sequences).sum();
            let mut number = if args.random { pick(args.seed, all) } else { args.row.unwrap_or(0) };
            let mut place = splits[0];
            for &(name, split) in splits.iter().filter(|_| args.random) {
                place = (name, split);
                if number < split.sequences {
                    break;
                }
                number -= split.sequences;
            }
            let (name, split) = place;
            let rows = looking(name, split).row(number)?.ok_or_else(|| {
                not_found(format!("row {number} of split `{name}`, which has {} rows,", split.sequences))
            })?;
            (name, rows)
        }
    };
    let rows = with_documents(rows, documents(name)?)?;
    if args.json {
        out::json(&rows)?
    } else {
        write(&rows, args.tokens)?
    }
    Ok(Exit::Done)
}

fn is_called(document: &Document<String>, name: &str) -> bool {
    document.id.as_deref() == Some(name) || document.doc_id.to_string() == name
}

/// A split that is looked at.
struct Looking<'a> {
    name: &'a str,
    split: &'a Split,
    rows: SplitRows<'a>,
    tokenizer: Option<&'a Tokenizer>,
    length: usize,
}

impl Looking<'_> {
    fn row(mut self, number: u64) -> Result<Option<Vec<Shown>>> {
        let Some((place, row)) = self.rows.row(number)? else { return Ok(None) };
        Ok(Some(vec![shown(self.name, number, &place, &row, self.tokenizer)]))
    }

    /// The rows in which a document stands, without what else stands there.
    fn document(mut self, document: &Document<String>) -> Result<Vec<Shown>> {
        let unit = &self.split.units[usize::try_from(document.unit).context("a unit's number")?];
        let row = u64::try_from(document.row).context("a row's number")?;
        let length = self.length as u64;
        let tail_begin: u64 =
            self.split.units[..document.unit as usize].iter().map(|unit| unit.tail_tokens).sum();
        let full_rows: u64 = self.split.units.iter().map(|unit| unit.rows).sum();
        let mut left = document.tokens;
        let mut next = if row < unit.rows {
            unit.first_row + row
        } else {
            full_rows + (tail_begin + document.position as u64) / length
        };
        let mut rows = Vec::new();
        while left > 0 {
            let Some((place, row)) = self.rows.row(next)? else { break };
            let mut shown = shown(self.name, next, &place, &row, self.tokenizer);
            shown.pieces.retain(|piece| piece.doc_id == document.doc_id);
            shown.padding = 0;
            left -= shown.pieces.iter().map(|piece| piece.tokens.len() as i64).sum::<i64>();
            // Where the unit's full rows end it goes on in the unit's tail.
            let last = next + 1 == unit.first_row + unit.rows;
            next = if last { full_rows + tail_begin / length } else { next + 1 };
            if shown.pieces.is_empty() {
                break;
            }
            rows.push(shown);
        }
        Ok(rows)
    }

    /// The first row whose tokens, spelled one by one, have `text`: a character that two tokens share is not seen.
    fn find(mut self, text: &str) -> Result<Option<Vec<Shown>>> {
        let Some(tokenizer) = self.tokenizer else { return Ok(None) };
        for number in 0..self.split.sequences {
            let Some((place, row)) = self.rows.row(number)? else { break };
            let ids: Vec<u32> = row.input_ids.iter().map(|&id| id as u32).collect();
            let texts = tokenizer.spell(&ids);
            if let Some(byte) = texts.concat().find(text) {
                let mut end = 0;
                let found = texts.iter().position(|text| {
                    end += text.len();
                    end > byte
                });
                let shown = shown(self.name, number, &place, &row, Some(tokenizer));
                return Ok(Some(vec![Shown { found, ..shown }]));
            }
        }
        Ok(None)
    }
}

fn shown(split: &str, number: u64, place: &RowPlace, row: &Row<'_>, tokenizer: Option<&Tokenizer>) -> Shown {
    let ids: Vec<u32> = row.input_ids.iter().map(|&id| id as u32).collect();
    let mut texts = tokenizer.map(|tokenizer| tokenizer.spell(&ids).into_iter());
    let mut positions = row.input_ids.iter().zip(row.labels).map(|(&id, &label)| ShownToken {
        id,
        text: texts.as_mut().and_then(Iterator::next),
        label,
    });
    let pieces: Vec<_> = row
        .pieces
        .iter()
        .map(|piece| ShownPiece {
            doc_id: piece.doc_id,
            doc_offset: piece.doc_offset,
            doc_tokens: None,
            id: None,
            source: None,
            tokens: positions.by_ref().take(usize::try_from(piece.len).unwrap_or(0)).collect(),
        })
        .collect();
    let padding = positions.count();
    Shown {
        split: split.to_owned(),
        row: number,
        shard: place.shard.clone(),
        row_group: place.row_group,
        row_in_shard: place.row,
        pieces,
        padding,
        found: None,
    }
}

/// Fills in what the document table says of the pieces.
fn with_documents(
    mut rows: Vec<Shown>,
    documents: impl Iterator<Item = mashbill_format::error::Result<Document<String>>>,
) -> Result<Vec<Shown>> {
    let mut pieces: BTreeMap<i64, Vec<&mut ShownPiece>> = BTreeMap::new();
    for piece in rows.iter_mut().flat_map(|row| &mut row.pieces) {
        pieces.entry(piece.doc_id).or_default().push(piece);
    }
    let last = pieces.keys().next_back().copied();
    for document in documents {
        let document = document?;
        for piece in pieces.remove(&document.doc_id).unwrap_or_default() {
            piece.doc_tokens = Some(document.tokens);
            piece.id.clone_from(&document.id);
            piece.source.clone_from(&document.source);
        }
        if Some(document.doc_id) >= last {
            break;
        }
    }
    Ok(rows)
}
