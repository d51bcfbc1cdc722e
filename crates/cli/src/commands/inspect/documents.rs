//! Documents of a tokenized folder as chats: their tokens as they stand in the rows, with the record that they were made
//! of, as long as that is where it was and has not changed.

use anyhow::Result;
use mashbill_format::loss_spans::SpansBuilder;
use mashbill_format::manifest::Manifest;
use mashbill_records::conversation::ConversationOptions;
use mashbill_records::record::RecordParser;
use mashbill_store::checksum::Checksum;
use mashbill_tokenize::{Preview, PreviewedRecord, PreviewedText, read_record};
use mashbill_tokenizer::Tokenizer;

use super::asked::InspectArgs;
use super::chat_view::{ChatText, ChatView, TextPart, write};
use super::source::{SourceRecords, has_changed};
use super::view::{RowView, ShownPiece, ShownToken, tokens};
use crate::out;

/// Shows the documents of rows as chats.
pub(super) fn show(
    rows: &[RowView],
    args: &InspectArgs,
    manifest: &Manifest,
    tokenizer: Option<&Tokenizer>,
) -> Result<()> {
    let mut documents: Vec<(&RowView, Vec<&ShownPiece>)> = Vec::new();
    for row in rows {
        for piece in &row.pieces {
            match documents.last_mut() {
                // The pieces of a document in rows that follow one another are one.
                Some((_, pieces)) if pieces.last().is_some_and(|last| last.doc_id == piece.doc_id) => {
                    pieces.push(piece)
                }
                _ => documents.push((row, vec![piece])),
            }
        }
    }
    let options = &manifest.options;
    let preview = options.chat.as_ref().zip(tokenizer).and_then(|(chat, tokenizer)| {
        let text_fields: Vec<_> = options.text_fields().into_iter().map(str::to_owned).collect();
        Preview::new(chat, tokenizer, &text_fields, options.max_document_bytes).ok()
    });
    let mut looking = Looking { manifest, sources: SourceRecords::new(&args.path, manifest), preview };
    let views: Vec<_> = documents.iter().map(|(row, pieces)| looking.view(row, pieces)).collect();
    if args.json {
        return out::json(&views);
    }
    write(&views, args.tokens)
}

/// A folder whose documents are looked at.
struct Looking<'a> {
    manifest: &'a Manifest,
    sources: SourceRecords<'a>,
    /// What makes documents again, where that can be done.
    preview: Option<Preview<'a>>,
}

impl Looking<'_> {
    fn view(&mut self, row: &RowView, pieces: &[&ShownPiece]) -> ChatView {
        let piece = pieces[0];
        let tokens: Vec<&ShownToken> = pieces.iter().flat_map(|piece| &piece.tokens).collect();
        let has_spans = row.loss_spans.is_some();
        let view = ChatView {
            title: title(row, pieces),
            split: Some(row.split.clone()),
            doc_id: Some(piece.doc_id),
            id: piece.id.clone(),
            source: piece.source.clone(),
            text: Some(text_of(&tokens, None, has_spans)),
            ..ChatView::default()
        };
        let Some(chat) = &self.manifest.options.chat else { return view };
        let found = match self.sources.record_of(&row.split, piece) {
            Ok(found) => found,
            Err(why) => return ChatView { no_record: Some(why), ..view },
        };
        let options =
            ConversationOptions { keep_tool_arguments: chat.keep_tool_arguments, drop_nulls: found.is_row };
        let read = read_record(&found.line, options);
        if !piece.content_hash.is_some_and(|hash| self.is_of(&read, &found.line, hash)) {
            return ChatView { no_record: Some(has_changed(&found.file)), ..view };
        }
        let again =
            self.preview.as_mut().and_then(|preview| preview.of(&found.line, found.is_row).ok()?.text);
        let first = usize::try_from(piece.doc_offset).unwrap_or(0);
        let again = again.filter(|again| has_the_same(again, first, &tokens));
        let text = Some(text_of(&tokens, again.as_ref().map(|again| (again, first)), has_spans));
        let view = ChatView { file: Some(found.file), line: Some(found.number), ..view };
        ChatView { text, ..view.with_record(&found.line, read) }
    }

    /// Whether a document with this hash was made of the record in `line`.
    fn is_of(&self, read: &PreviewedRecord<'_>, line: &str, content_hash: Checksum) -> bool {
        if read.conversation.is_some() {
            return read.has_hash(content_hash);
        }
        let mut parser = RecordParser::new(&self.manifest.options.text_fields());
        parser.parse(line).is_ok_and(|record| Checksum::of(record.text.as_bytes()) == content_hash)
    }
}

/// Where a document is, or the part of it that `pieces` are.
fn title(row: &RowView, pieces: &[&ShownPiece]) -> String {
    let piece = pieces[0];
    let group = piece.group.map_or_else(String::new, |group| format!("{group}/"));
    let file = piece.file.as_ref().map_or_else(String::new, |file| format!(" in {file}"));
    let start = usize::try_from(piece.doc_offset).unwrap_or(0);
    let here: usize = pieces.iter().map(|piece| piece.tokens.len()).sum();
    let all = piece.doc_tokens.map_or_else(String::new, |all| format!(" of {all}"));
    let tokens = tokens(start, start + here);
    format!("{}, row {}, document {group}{}{file}: {tokens}{all}", row.split, row.row, piece.doc_id)
}

/// Whether a text that was made again has, from its token `first` on, the very tokens that stand in the rows, and says where
/// each is.
fn has_the_same(again: &PreviewedText, first: usize, tokens: &[&ShownToken]) -> bool {
    again.token_ends.len() == again.ids.len()
        && again
            .ids
            .get(first..first + tokens.len())
            .is_some_and(|ids| ids.iter().zip(tokens).all(|(&id, token)| id == token.id.cast_unsigned()))
}

/// Tokens as they stand in the rows, with those that are learned. Characters that tokens share are whole only in a text that
/// was made again, of which they are those from a token on.
fn text_of(tokens: &[&ShownToken], again: Option<(&PreviewedText, usize)>, has_spans: bool) -> ChatText {
    let mut parts: Vec<TextPart> = Vec::new();
    let (mut token_ends, mut spans, mut end) = (Vec::new(), SpansBuilder::default(), 0);
    let spelled = |token: &ShownToken| token.text.clone().unwrap_or_else(|| format!("[{}]", token.id));
    let texts: Vec<String> = match again {
        Some((again, first)) => texts_of(again).skip(first).take(tokens.len()).map(str::to_owned).collect(),
        None => tokens.iter().map(|token| spelled(token)).collect(),
    };
    for (token, text) in tokens.iter().zip(texts) {
        end += text.len();
        token_ends.push(end);
        spans.push(token.is_learned, 1);
        match parts.last_mut() {
            Some(last) if last.learned == token.is_learned => last.text.push_str(&text),
            _ => parts.push(TextPart { learned: token.is_learned, text }),
        }
    }
    parts.retain(|part| !part.text.is_empty());
    ChatText {
        parts,
        token_ends,
        ids: tokens.iter().map(|token| token.id.cast_unsigned()).collect(),
        loss_spans: if has_spans { spans.spans().to_vec() } else { Vec::new() },
        learned_tokens: tokens.iter().filter(|token| token.is_learned).count(),
        template_tokens: None,
    }
}

/// The text of each token: a character that several share is the last one's.
fn texts_of(again: &PreviewedText) -> impl Iterator<Item = &str> {
    let mut end = 0;
    again.token_ends.iter().map(move |&at| {
        let start = end;
        end = end.max(again.text.floor_char_boundary(at));
        &again.text[start..end]
    })
}
