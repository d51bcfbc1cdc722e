//! Rows and records as text.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};
use anyhow::Result;
use mashbill_format::figures::counted;
use mashbill_format::loss_spans::runs;
use mashbill_store::checksum::Checksum;
use serde::Serialize;

use crate::out::{Out, Unwritten};

const ODD: Style = AnsiColor::Black.on_default().bg_color(Some(anstyle::Color::Ansi(AnsiColor::Cyan)));
const EVEN: Style = AnsiColor::Black.on_default().bg_color(Some(anstyle::Color::Ansi(AnsiColor::Yellow)));
const MASKED: Style = AnsiColor::White.on_default().bg_color(Some(anstyle::Color::Ansi(AnsiColor::Red)));
const BORDER: Style = AnsiColor::Magenta.on_default().bold();
const ID: Style = Style::new().dimmed();

/// Stretches of learned tokens that are listed.
const STRETCHES_SHOWN: usize = 8;

/// A row, or the rows of a document.
#[derive(Debug, Serialize)]
pub(super) struct RowView {
    pub(super) split: String,
    /// The row in the split.
    pub(super) row: u64,
    pub(super) shard: String,
    pub(super) row_group: usize,
    pub(super) row_in_shard: u64,
    pub(super) pieces: Vec<ShownPiece>,
    pub(super) padding: usize,
    /// Which of the row's tokens are learned, as run lengths of those that are not, are, …; none where all tokens of the folder
    /// are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) loss_spans: Option<Vec<i32>>,
    /// The position at which the text stands that was looked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) found: Option<usize>,
}

/// The part of a document in a row.
#[derive(Debug, Serialize)]
pub(super) struct ShownPiece {
    /// The group of files that it is of, where the split is many files.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) group: Option<usize>,
    pub(super) doc_id: i64,
    /// Its file, where the split is many.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) file: Option<String>,
    /// Where that begins in the group.
    #[serde(skip)]
    pub(super) file_start: u64,
    /// What the table says of its content.
    #[serde(skip)]
    pub(super) content_hash: Option<Checksum>,
    pub(super) doc_offset: i32,
    /// Tokens of the whole document, where the table says so.
    pub(super) doc_tokens: Option<i64>,
    pub(super) id: Option<String>,
    pub(super) source: Option<String>,
    pub(super) tokens: Vec<ShownToken>,
}

/// One position.
#[derive(Debug, Serialize)]
pub(super) struct ShownToken {
    pub(super) id: i32,
    /// None where the tokenizer is not there.
    pub(super) text: Option<String>,
    pub(super) label: i32,
    #[serde(skip)]
    pub(super) is_learned: bool,
}

/// Writes rows to stdout; `most` tokens of them, all where it is 0. What was found stands in their middle.
pub(super) fn write(rows: &[RowView], most: usize) -> Result<()> {
    let mut out = Out::new();
    let mut left = if most == 0 { usize::MAX } else { most };
    for row in rows {
        let RowView { split, row: number, shard, row_group, row_in_shard, padding, .. } = row;
        out.line(format_args!("{split}, row {number} ({shard}, row group {row_group}, row {row_in_shard})"))?;
        if let Some(spans) = &row.loss_spans {
            out.styled(BORDER, learned(spans))?;
            out.line("")?;
        }
        let mut before = row.found.map_or(0, |at| at.saturating_sub(left / 2));
        if before > 0 {
            let before = counted(before as u64, "token");
            out.line(format_args!("… {before} before (`--tokens 0` shows all)"))?;
        }
        for (index, piece) in row.pieces.iter().enumerate() {
            let passed = before.min(piece.tokens.len());
            before -= passed;
            if passed == piece.tokens.len() {
                continue;
            }
            if left == 0 {
                let hidden = counted((row.pieces.len() - index) as u64, "more document");
                out.line(format_args!("… and {hidden} in this row (`--tokens 0` shows all)"))?;
                break;
            }
            out.styled(BORDER, border(piece))?;
            out.line("")?;
            let shown = (piece.tokens.len() - passed).min(left);
            left -= shown;
            write_tokens(&piece.tokens[passed..passed + shown], &mut out)?;
            let hidden = piece.tokens.len() - passed - shown;
            if hidden > 0 {
                let hidden = counted(hidden as u64, "more token");
                out.line(format_args!("… and {hidden} (`--tokens 0` shows all)"))?;
            }
        }
        if *padding > 0 {
            out.styled(BORDER, format_args!("── padding: {}", counted(*padding as u64, "position")))?;
            out.line("")?;
        }
    }
    Ok(out.finish()?)
}

/// The learned tokens of a row with these spans, as stretches of positions.
fn learned(spans: &[i32]) -> String {
    let tokens = spans.iter().map(|&length| usize::try_from(length).unwrap_or(0)).sum();
    let stretches: Vec<_> =
        runs(spans, tokens).filter(|(is_learned, _)| *is_learned).map(|(_, run)| run).collect();
    let count: usize = stretches.iter().map(ExactSizeIterator::len).sum();
    let mut text = format!("── learned: {count} of {tokens} tokens");
    for (at, stretch) in stretches.iter().take(STRETCHES_SHOWN).enumerate() {
        let _ = write!(text, "{} {}", if at == 0 { ":" } else { "," }, range(stretch.start, stretch.end));
    }
    if stretches.len() > STRETCHES_SHOWN {
        let _ = write!(text, " and {} more stretches", stretches.len() - STRETCHES_SHOWN);
    }
    text
}

/// The numbers from `start` to before `end`, by the first and the last.
fn range(start: usize, end: usize) -> String {
    if end <= start + 1 { start.to_string() } else { format!("{start}–{}", end - 1) }
}

/// The tokens of a document from `start` to before `end`.
pub(super) fn tokens(start: usize, end: usize) -> String {
    format!("token{} {}", if end <= start + 1 { "" } else { "s" }, range(start, end))
}

fn border(piece: &ShownPiece) -> String {
    let mut text = match (piece.group, &piece.file) {
        (Some(group), Some(file)) => format!("── document {group}/{} in {file}", piece.doc_id),
        _ => format!("── document {}", piece.doc_id),
    };
    for (name, value) in [("id", &piece.id), ("source", &piece.source)] {
        if let Some(value) = value {
            let _ = write!(text, ", {name} {value}");
        }
    }
    let start = usize::try_from(piece.doc_offset).unwrap_or(0);
    let _ = write!(text, ": {}", tokens(start, start + piece.tokens.len()));
    if let Some(tokens) = piece.doc_tokens {
        let _ = write!(text, " of {tokens}");
    }
    text
}

/// Writes tokens behind one another. With color each has its own ground and its id behind it; without it, `|` between.
fn write_tokens(tokens: &[ShownToken], out: &mut Out) -> Result<(), Unwritten> {
    let colored = out.is_colored();
    for (at, token) in tokens.iter().enumerate() {
        let masked = token.label < 0;
        let spelled =
            token.text.as_ref().map_or_else(|| token.id.to_string(), |text| text.replace('|', "\\|"));
        if colored {
            let style = match at % 2 {
                _ if masked => MASKED,
                0 => EVEN,
                _ => ODD,
            };
            out.styled(style, spelled)?;
            out.styled(ID, token.id)?;
        } else {
            let mark = if masked { "*" } else { "" };
            let border = if at == 0 { "" } else { "|" };
            out.text(format_args!("{border}{spelled}{mark}"))?;
        }
    }
    out.line("")
}
