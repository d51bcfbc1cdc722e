//! Rows and documents of a tokenized folder.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use mashbill_format::Error as FormatError;
use mashbill_format::documents::{self, Document, DocumentKey};
use mashbill_format::figures::counted;
use mashbill_format::layout::Output;
use mashbill_format::loss_spans::runs;
use mashbill_format::manifest::{self, Manifest, Shard, Split};
use mashbill_format::shard::ShardRow;
use mashbill_format::split_rows::{RowPlace, SplitRows};
use mashbill_tokenizer::Tokenizer;

use super::asked::{InspectArgs, pick};
use super::documents::show as show_documents;
use super::view::{RowView, ShownPiece, ShownToken, write};
use crate::exit::Exit;
use crate::found_again::tokenizer_of;
use crate::hints::hint;
use crate::out;
use crate::printer::{Printer, error_text};
use crate::usage::Usage;

pub(super) fn run(args: &InspectArgs, printer: &Printer) -> Result<Exit> {
    let given = args.chat.given();
    let special = args.special_tokens_in_text.map(|_| "--special-tokens-in-text");
    if let Some(flag) = given.first().map(|(flag, _)| *flag).or(special) {
        return Err(Usage::TokenizedAlready { flag, path: args.path.clone() }.into());
    }
    let output = Output::new(&args.path);
    let manifest = Manifest::read(&output.manifest())?.ok_or_else(|| Usage::no_manifest(&args.path))?;
    let not_found = |what: String| Usage::NothingFound { what, path: args.path.clone() };
    let splits = splits_to_look_at(args, &manifest)?;
    let scope = args.split.as_ref().map_or_else(String::new, |name| format!(" of split `{name}`"));
    let tokenizer = tokenizer_if_there(args, &manifest, printer);
    let looking = |name, split| Looking {
        name,
        split,
        output: &output,
        rows: SplitRows::new(&output.split(name), split),
        tokenizer: tokenizer.as_ref(),
    };
    let rows = match (&args.doc, &args.find) {
        (Some(wanted), _) => {
            let by_key = wanted.parse().ok().and_then(|key| {
                splits.iter().find_map(|&(name, split)| looking(name, split).with_key(key).transpose())
            });
            let by_id =
                || splits.iter().find_map(|&(name, split)| looking(name, split).with_id(wanted).transpose());
            let found = by_key.or_else(by_id);
            found.ok_or_else(|| not_found(format!("the document `{wanted}`{scope}")))??
        }
        (None, Some(_)) if tokenizer.is_none() => return Err(Usage::FindNeedsTokenizer.into()),
        (None, Some(text)) => {
            let mut each = splits.iter();
            let found = each.find_map(|&(name, split)| looking(name, split).find(text).transpose());
            found.ok_or_else(|| not_found(format!("the text {text:?}{scope}")))??
        }
        (None, None) => {
            let ((name, split), number) = row_to_look_at(args, &splits);
            looking(name, split).row(number)?.ok_or_else(|| {
                let rows = counted(split.sequences, "row");
                not_found(format!("row {number} of split `{name}`, which has {rows},"))
            })?
        }
    };
    if args.messages {
        show_documents(&rows, args, &manifest, tokenizer.as_ref())?
    } else if args.json {
        out::json(&rows)?
    } else {
        write(&rows, args.tokens)?
    }
    Ok(Exit::Done)
}

/// The splits in which something is looked for, one or more: without a name all that have rows, in their order.
fn splits_to_look_at<'a>(args: &InspectArgs, manifest: &'a Manifest) -> Result<Vec<(&'a String, &'a Split)>> {
    let splits: Vec<_> = match &args.split {
        Some(name) => {
            let no_such = || Usage::NoSuchSplit {
                split: name.clone(),
                path: args.path.clone(),
                available: manifest.splits.keys().cloned().collect(),
            };
            vec![manifest.splits.get_key_value(name).ok_or_else(no_such)?]
        }
        None => manifest.splits.iter().filter(|(_, split)| split.sequences > 0).collect(),
    };
    if splits.iter().all(|(_, split)| split.sequences == 0) {
        return Err(Usage::NoRows { path: args.path.clone() }.into());
    }
    Ok(splits)
}

/// The tokenizer of the folder; without it, which is said, ids are shown.
fn tokenizer_if_there(args: &InspectArgs, manifest: &Manifest, printer: &Printer) -> Option<Tokenizer> {
    match tokenizer_of(&args.path, manifest, args.tokenizer.as_deref(), printer) {
        Ok(tokenizer) => Some(tokenizer),
        Err(error) => {
            printer.warning(format_args!("only ids are shown: {}", error_text(error.as_ref())));
            if let Some(hint) = hint(&error) {
                printer.hint(hint);
            }
            None
        }
    }
}

/// The row that is shown where no document and no text is looked for: its split, and its number there.
fn row_to_look_at<'a>(
    args: &InspectArgs,
    splits: &[(&'a String, &'a Split)],
) -> ((&'a String, &'a Split), u64) {
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
    (place, number)
}

/// A split that is looked at.
struct Looking<'a> {
    name: &'a str,
    split: &'a Split,
    output: &'a Output,
    rows: SplitRows<'a>,
    tokenizer: Option<&'a Tokenizer>,
}

impl Looking<'_> {
    fn row(mut self, number: u64) -> Result<Option<Vec<RowView>>> {
        let Some((place, row)) = self.rows.row(number)? else { return Ok(None) };
        let shard = shard_of(self.split, &place)?;
        let shown = shown(self.name, number, &place, &row, shard, self.tokenizer);
        Ok(Some(self.with_documents(vec![shown], shard)?))
    }

    /// The rows of the document with this key, if there is one: it stands in the shard whose stretch of the input has
    /// it.
    fn with_key(self, key: DocumentKey) -> Result<Option<Vec<RowView>>> {
        self.document(
            |shard| shard.group == key.group && (shard.input.start..shard.input.end).contains(&key.offset),
            |document| u64::try_from(document.doc_id) == Ok(key.offset),
        )
    }

    /// The rows of the first document whose record has this `id`: the tables of all shards may have it.
    fn with_id(self, id: &str) -> Result<Option<Vec<RowView>>> {
        self.document(|_| true, |document| document.id.as_deref() == Some(id))
    }

    /// The rows in which the first document stands that is wanted, without what else stands there; none where none of
    /// the shards that may have it does.
    fn document(
        mut self,
        may_have: impl Fn(&Shard) -> bool,
        is_wanted: impl Fn(&Document<String>) -> bool,
    ) -> Result<Option<Vec<RowView>>> {
        let mut first_row = 0;
        for (shard, file) in self.split.shards_with_rows() {
            if may_have(shard) {
                for document in self.documents(shard)? {
                    let document = document?;
                    if is_wanted(&document) {
                        let rows = self.rows_of(&document, shard, first_row)?;
                        return Ok(Some(self.with_documents(rows, shard)?));
                    }
                }
            }
            first_row += file.rows;
        }
        Ok(None)
    }

    /// The rows of a document of `shard`, which begins with the split's row `first_row`.
    fn rows_of(
        &mut self,
        document: &Document<String>,
        shard: &Shard,
        first_row: u64,
    ) -> Result<Vec<RowView>> {
        let mut rows = Vec::new();
        let mut left = document.tokens;
        let mut number = u64::try_from(document.row).context("a row's number")?.saturating_add(first_row);
        while left > 0 {
            let Some((place, row)) = self.rows.row(number)? else { break };
            let mut shown = shown(self.name, number, &place, &row, shard, self.tokenizer);
            shown.pieces.retain(|piece| piece.doc_id == document.doc_id);
            shown.padding = 0;
            left -= shown.pieces.iter().map(|piece| piece.tokens.len() as i64).sum::<i64>();
            if shown.pieces.is_empty() {
                break;
            }
            rows.push(shown);
            number += 1;
        }
        if left == 0 {
            return Ok(rows);
        }
        let what = format!("document {} is not where the document table has it", document.doc_id);
        Err(FormatError::damaged(&self.output.split(self.name), what).into())
    }

    /// The documents of a shard, with the keys that they have in the whole input.
    fn documents(&self, shard: &Shard) -> Result<impl Iterator<Item = Result<Document<String>>> + use<>> {
        let table = shard.table.as_ref().context("a shard with rows has a document table")?;
        let path = self.output.tables(self.name).join(&table.name);
        let documents = documents::read(&path).context("cannot read the document table")?;
        let start = shard.input.start;
        Ok(documents.map(move |document| {
            let document = document.context("cannot read the document table")?;
            let doc_id = key_of(document.doc_id, start);
            Ok(Document { doc_id, ..document })
        }))
    }

    /// Fills in what the document table says of the pieces of rows of `shard`.
    fn with_documents(&self, mut rows: Vec<RowView>, shard: &Shard) -> Result<Vec<RowView>> {
        let mut pieces: BTreeMap<i64, Vec<&mut ShownPiece>> = BTreeMap::new();
        for piece in rows.iter_mut().flat_map(|row| &mut row.pieces) {
            pieces.entry(piece.doc_id).or_default().push(piece);
        }
        let last = pieces.keys().next_back().copied();
        for document in self.documents(shard)? {
            let document = document?;
            for piece in pieces.remove(&document.doc_id).unwrap_or_default() {
                piece.doc_tokens = Some(document.tokens);
                piece.content_hash = Some(document.content_hash);
                piece.id.clone_from(&document.id);
                piece.source.clone_from(&document.source);
            }
            if Some(document.doc_id) >= last {
                break;
            }
        }
        Ok(rows)
    }

    /// The first row whose tokens, spelled one by one, have `text`: a character that two tokens share is not seen.
    fn find(mut self, text: &str) -> Result<Option<Vec<RowView>>> {
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
                let shard = shard_of(self.split, &place)?;
                let shown = shown(self.name, number, &place, &row, shard, Some(tokenizer));
                return Ok(Some(self.with_documents(vec![RowView { found, ..shown }], shard)?));
            }
        }
        Ok(None)
    }
}

/// The shard in which a row stands.
fn shard_of<'a>(split: &'a Split, place: &RowPlace) -> Result<&'a Shard> {
    let found = split.shards_with_rows().find(|(_, file)| file.name == place.shard);
    Ok(found.context("a row is in one of the split's shards")?.0)
}

/// The key in the whole input of a document of a shard whose stretch begins at `start`. One in a damaged file may be any
/// number.
const fn key_of(doc_id: i64, start: u64) -> i64 {
    doc_id.wrapping_add_unsigned(start)
}

fn shown(
    split: &str,
    number: u64,
    place: &RowPlace,
    row: &ShardRow<'_>,
    shard: &Shard,
    tokenizer: Option<&Tokenizer>,
) -> RowView {
    let ids: Vec<u32> = row.input_ids.iter().map(|&id| id as u32).collect();
    let mut texts = tokenizer.map(|tokenizer| tokenizer.spell(&ids).into_iter());
    let is_learned = runs(row.loss_spans, ids.len())
        .flat_map(|(is_learned, run)| std::iter::repeat_n(is_learned, run.len()))
        .chain(std::iter::repeat(false));
    let mut positions =
        row.input_ids.iter().zip(row.labels).zip(is_learned).map(|((&id, &label), is_learned)| ShownToken {
            id,
            text: texts.as_mut().and_then(Iterator::next),
            label,
            is_learned,
        });
    let source_of =
        |doc_id: i64| manifest::source_of(&shard.sources, key_of(doc_id, shard.input.start).unsigned_abs());
    let pieces: Vec<_> = row
        .pieces
        .iter()
        .map(|piece| ShownPiece {
            group: shard.group,
            doc_id: key_of(piece.doc_id, shard.input.start),
            file: source_of(piece.doc_id).map(|source| source.file.clone()),
            file_start: source_of(piece.doc_id).map_or(0, |source| source.start),
            content_hash: None,
            doc_offset: piece.doc_offset,
            doc_tokens: None,
            id: None,
            source: None,
            tokens: positions.by_ref().take(usize::try_from(piece.len).unwrap_or(0)).collect(),
        })
        .collect();
    let padding = positions.count();
    RowView {
        split: split.to_owned(),
        row: number,
        shard: place.shard.clone(),
        row_group: place.row_group,
        row_in_shard: place.row,
        pieces,
        padding,
        loss_spans: (!row.loss_spans.is_empty()).then(|| row.loss_spans.to_vec()),
        found: None,
    }
}
