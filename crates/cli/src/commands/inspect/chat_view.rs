//! A record or document as a chat: as it stands, what is said in it, its text, and what of that is learned.

use std::ops::Range;
use std::path::PathBuf;

use anstyle::{AnsiColor, Style};
use anyhow::Result;
use mashbill_format::figures::counted;
use mashbill_records::conversation::{Changes, Conversation};
use mashbill_records::record::Refusal;
use mashbill_records::value::Value;
use mashbill_tokenize::{PreviewedRecord, PreviewedText};
use serde::Serialize;

use crate::out::{Out, Unwritten};

const BORDER: Style = AnsiColor::Magenta.on_default().bold();
const LEARNED: Style = AnsiColor::Black.on_default().bg_color(Some(anstyle::Color::Ansi(AnsiColor::Green)));
const REFUSED: Style = AnsiColor::Red.on_default().bold();

/// What learned text stands between: signs that hardly any text has.
const MARKS: [char; 2] = ['⟦', '⟧'];

/// Characters of a record, and of what is said in it, that are shown where not all is asked for.
const CHARS_SHOWN: usize = 600;

/// A record or document, and what becomes of it.
#[derive(Debug, Default, Serialize)]
pub(super) struct ChatView {
    /// Where it is, for people.
    #[serde(skip)]
    pub(super) title: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) file: Option<PathBuf>,
    /// The line, or row, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) line: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) split: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) doc_id: Option<i64>,
    pub(super) id: Option<String>,
    pub(super) source: Option<String>,
    pub(super) category: Option<String>,
    /// The record as it stands; none where it is not there any more.
    pub(super) record: Option<String>,
    /// Why it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) no_record: Option<String>,
    pub(super) normal_form: Option<serde_json::Value>,
    /// The normal form for people.
    #[serde(skip)]
    pub(super) said: Vec<SaidLine>,
    pub(super) changes: Changes,
    pub(super) text: Option<ChatText>,
    pub(super) refused: Option<RefusedLine>,
}

/// The text and its tokens.
#[derive(Debug, Serialize)]
pub(super) struct ChatText {
    pub(super) parts: Vec<TextPart>,
    pub(super) ids: Vec<u32>,
    /// Which of them are learned, as run lengths; empty where all are.
    pub(super) loss_spans: Vec<i32>,
    pub(super) learned_tokens: usize,
    /// Control tokens of the template, where they were counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) template_tokens: Option<u64>,
    /// Where each token's bytes end, where that is known.
    #[serde(skip)]
    pub(super) token_ends: Vec<usize>,
}

/// Text of which all is learned, or nothing.
#[derive(Debug, Serialize)]
pub(super) struct TextPart {
    pub(super) learned: bool,
    pub(super) text: String,
}

/// Why a line is set aside.
#[derive(Debug, Serialize)]
pub(super) struct RefusedLine {
    reason: &'static str,
    detail: String,
}

/// A line of the normal form: who speaks, or a field.
#[derive(Debug)]
pub(super) struct SaidLine {
    depth: usize,
    text: String,
}

impl ChatView {
    /// What is read and made of a record.
    pub(super) fn with_record(self, line: &str, read: PreviewedRecord<'_>) -> Self {
        let PreviewedRecord { id, source, category, conversation, text, refusal } = read;
        Self {
            id,
            source,
            category,
            record: Some(line.to_owned()),
            normal_form: conversation.as_ref().map(normal_form),
            changes: conversation.as_ref().map(|conversation| conversation.changes).unwrap_or_default(),
            said: conversation.as_ref().map(said).unwrap_or_default(),
            text: text.map(ChatText::of),
            ..self
        }
        .with_refusal(refusal)
    }

    /// Whether its text has `wanted`.
    pub(super) fn has_text(&self, wanted: &str) -> bool {
        let parts = self.text.iter().flat_map(|text| &text.parts);
        parts.map(|part| part.text.as_str()).collect::<String>().contains(wanted)
    }

    /// Why it is no document.
    pub(super) fn with_refusal(self, refusal: Option<Refusal>) -> Self {
        let refused = refusal.map(|Refusal { reason, detail }| RefusedLine { reason: reason.name(), detail });
        Self { refused, ..self }
    }
}

impl ChatText {
    fn of(text: PreviewedText) -> Self {
        let PreviewedText { text, learned, token_ends, ids, spans, ledger } = text;
        // A token may begin or end within a character, which is then of the first of its tokens.
        let border = |at: usize| text.floor_char_boundary(at);
        let mut parts = Vec::new();
        let mut at = 0;
        let mut push = |learned: bool, range: Range<usize>| {
            let text = text.get(border(range.start)..border(range.end)).unwrap_or_default();
            if !text.is_empty() {
                parts.push(TextPart { learned, text: text.to_owned() });
            }
        };
        for range in learned {
            push(false, at..range.start);
            at = range.end;
            push(true, range);
        }
        push(false, at..text.len());
        let learned_tokens = if spans.is_empty() { ids.len() as u64 } else { ledger.learned_tokens };
        Self {
            parts,
            token_ends,
            learned_tokens: learned_tokens as usize,
            template_tokens: Some(ledger.template_tokens),
            loss_spans: spans,
            ids,
        }
    }
}

impl ChatText {
    /// The parts in the first `most` tokens, all where that is 0, and how many tokens are left out.
    fn beginning(&self, most: usize) -> (Vec<(bool, &str)>, usize) {
        let is_cut = most > 0 && self.token_ends.len() > most;
        let mut left = if is_cut { self.token_ends[most - 1] } else { usize::MAX };
        let mut shown = Vec::new();
        for TextPart { learned, text } in &self.parts {
            let end = text.floor_char_boundary(left);
            if end > 0 {
                shown.push((*learned, &text[..end]));
            }
            left = left.saturating_sub(text.len());
        }
        (shown, if is_cut { self.token_ends.len() - most } else { 0 })
    }
}

/// The normal form as JSON.
fn normal_form(conversation: &Conversation<'_>) -> serde_json::Value {
    let mut json = Vec::new();
    conversation.write(&mut json);
    let as_text = || serde_json::Value::String(String::from_utf8_lossy(&json).into_owned());
    serde_json::from_slice(&json).unwrap_or_else(|_| as_text())
}

/// The normal form for people: a line for who speaks, and one for each field.
fn said(conversation: &Conversation<'_>) -> Vec<SaidLine> {
    let mut lines = Vec::new();
    let field = |depth: usize, name: &str, value: &Value<'_>, lines: &mut Vec<SaidLine>| {
        let text = match value {
            Value::Text(text) => text.plain().into_owned(),
            other => json_of(other),
        };
        lines.push(SaidLine { depth, text: format!("{name}: {text}") });
    };
    for (number, message) in conversation.messages.iter().enumerate() {
        let weight = match message.loss {
            None => "",
            Some(true) => ", weight 1",
            Some(false) => ", weight 0",
        };
        lines.push(SaidLine { depth: 0, text: format!("{} {}{weight}", number + 1, message.role) });
        message.fields.iter().for_each(|(name, value)| field(1, name, value, &mut lines));
    }
    for (name, list) in [("tool", &conversation.tools), ("document", &conversation.documents)] {
        list.iter().flatten().for_each(|value| field(0, name, value, &mut lines));
    }
    for (name, value) in &conversation.template_args {
        field(0, &format!("chat_template_kwargs, {name}"), value, &mut lines);
    }
    lines
}

fn json_of(value: &Value<'_>) -> String {
    let mut json = Vec::new();
    value.write(&mut json);
    String::from_utf8_lossy(&json).into_owned()
}

/// Writes views to stdout: `most` tokens of each, and the beginning of long records and fields; all where it is 0.
pub(super) fn write(views: &[ChatView], most: usize) -> Result<()> {
    let mut out = Out::new();
    for view in views {
        write_view(view, most, &mut out)?;
    }
    Ok(out.finish()?)
}

fn write_view(view: &ChatView, most: usize, out: &mut Out) -> Result<(), Unwritten> {
    let is_whole = most == 0;
    out.line(&view.title)?;
    for (name, value) in [("id", &view.id), ("source", &view.source), ("category", &view.category)] {
        if let Some(value) = value {
            out.line(format_args!("{name}: {value}"))?;
        }
    }
    if let Some(record) = &view.record {
        border(out, BORDER, &format!("record, {}", counted(record.len() as u64, "byte")))?;
        out.line(cut(record, is_whole))?;
    }
    if let Some(why) = &view.no_record {
        border(out, BORDER, &format!("record: {why}"))?;
    }
    if !view.said.is_empty() {
        border(out, BORDER, &format!("normal form, {}", changed(&view.changes)))?;
        for SaidLine { depth, text } in &view.said {
            for (at, line) in cut(text, is_whole).split('\n').enumerate() {
                let indent = 2 * depth + if at == 0 { 0 } else { 2 };
                out.line(format_args!("{:indent$}{line}", ""))?;
            }
        }
    }
    if let Some(RefusedLine { reason, detail }) = &view.refused {
        border(out, REFUSED, &format!("refused, {reason}: {detail}"))?;
    }
    match &view.text {
        Some(text) => write_text(text, most, out),
        None => Ok(()),
    }
}

/// What was changed on the way to the normal form.
fn changed(changes: &Changes) -> String {
    let named = changes.named().into_iter().filter(|(_, count)| *count > 0);
    let named: Vec<_> = named.map(|(name, count)| format!("{name} {count}")).collect();
    if named.is_empty() { "nothing changed".into() } else { format!("changed: {}", named.join(", ")) }
}

fn write_text(text: &ChatText, most: usize, out: &mut Out) -> Result<(), Unwritten> {
    let [open, close] = MARKS;
    let mut title = format!(
        "text, {}: {open}{} learned{close}",
        counted(text.ids.len() as u64, "token"),
        text.learned_tokens
    );
    if let Some(template) = text.template_tokens.filter(|&tokens| tokens > 0) {
        title.push_str(&format!(", {template} of the template"));
    }
    border(out, BORDER, &title)?;
    let (shown, hidden) = text.beginning(most);
    for (learned, text) in shown {
        // A text that has the marks itself must not look as if it were learned.
        let spelled = text.replace(open, r"\u{27e6}").replace(close, r"\u{27e7}");
        let text = if learned { format!("{open}{spelled}{close}") } else { spelled };
        for (at, line) in text.split('\n').enumerate() {
            if at > 0 {
                out.line("")?;
            }
            if learned { out.styled(LEARNED, line)? } else { out.text(line)? }
        }
    }
    out.line("")?;
    if hidden > 0 {
        let hidden = counted(hidden as u64, "more token");
        out.line(format_args!("… and {hidden} (`--tokens 0` shows all)"))?;
    }
    Ok(())
}

fn border(out: &mut Out, style: Style, text: &str) -> Result<(), Unwritten> {
    out.styled(style, format_args!("── {text}"))?;
    out.line("")
}

/// The beginning of a long text.
fn cut(text: &str, is_whole: bool) -> String {
    match text.char_indices().nth(CHARS_SHOWN).filter(|_| !is_whole) {
        Some((end, _)) => {
            let more = counted(text[end..].chars().count() as u64, "more character");
            format!("{}… and {more} (`--tokens 0` shows all)", &text[..end])
        }
        None => text.to_owned(),
    }
}
