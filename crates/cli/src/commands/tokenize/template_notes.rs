//! What is worth a word about a chat template before it is used: what a model would not learn from it, and what was given
//! to it that it never looks at.

use anyhow::Result;
use mashbill_format::chat::TemplateIdentity;
use mashbill_tokenize::{example, taken_apart};
use mashbill_tokenizer::Tokenizer;

use crate::printer::Printer;
use crate::usage::quoted;

/// Characters that are told of what stands behind an answer.
const BEHIND_CHARS: usize = 40;

/// Something to know of a template.
#[derive(Debug)]
pub(crate) struct TemplateNote {
    pub(crate) text: String,
    pub(crate) hint: &'static str,
}

/// Says all that is to be known of a template before a run.
pub(super) fn tell(template: &TemplateIdentity, tokenizer: &Tokenizer, printer: &Printer) -> Result<()> {
    if printer.is_quiet() {
        return Ok(());
    }
    for TemplateNote { text, hint } in template_notes(template, tokenizer)? {
        printer.line(format_args!("note: {text}"));
        printer.hint(hint);
    }
    Ok(())
}

/// What is to be known of a template.
pub(crate) fn template_notes(
    template: &TemplateIdentity,
    tokenizer: &Tokenizer,
) -> Result<Vec<TemplateNote>> {
    let found = [no_turn_end(template)?, unknown_tokens(template, tokenizer)?, unread_date(template)];
    Ok(found.into_iter().flatten().chain(unread_args(template)).collect())
}

/// That no token ends a turn, of a template that takes a small conversation.
pub(crate) fn no_turn_end(template: &TemplateIdentity) -> Result<Option<TemplateNote>> {
    let example = example(template)?.filter(|example| example.turn_end.is_none());
    Ok(example.map(|example| {
        let behind: String = example.behind_answer.chars().take(BEHIND_CHARS).collect();
        let behind = match behind.as_str() {
            "" => "nothing".to_owned(),
            _ => format!("{behind:?}"),
        };
        TemplateNote {
            text: format!(
                "no end of a turn is learned: behind an answer the chat template has {behind}, and no token that is known to \
                 end a turn, so a model does not learn to stop"
            ),
            hint: "take a template that ends turns with a control token; one that the tokenizer does not call an end is named \
                   with `--eos-token TOKEN`",
        }
    }))
}

/// That the template spells control tokens in a rare place that the tokenizer does not have.
fn unknown_tokens(template: &TemplateIdentity, tokenizer: &Tokenizer) -> Result<Option<TemplateNote>> {
    let tokens = taken_apart(template, tokenizer)?;
    Ok((!tokens.is_empty()).then(|| TemplateNote {
        text: format!(
            "the chat template spells {}, which the tokenizer does not have as {}: in conversations for which the template \
             writes it, it becomes letters",
            quoted(&tokens),
            if tokens.len() == 1 { "a token" } else { "tokens" }
        ),
        hint: "without tools, documents and the like no such token is written; `mashbill inspect FILE --messages` shows a record",
    }))
}

fn unread_date(template: &TemplateIdentity) -> Option<TemplateNote> {
    template.date.as_ref().filter(|_| !names(template, "strftime_now"))?;
    let hint = if names(template, "date_string") {
        "it looks at `date_string`: --template-args '{\"date_string\": \"26 Jul 2024\"}'"
    } else {
        "leave out `--date`"
    };
    Some(TemplateNote {
        text: "`--date` changes nothing: the chat template does not look at it".to_owned(),
        hint,
    })
}

fn unread_args(template: &TemplateIdentity) -> Option<TemplateNote> {
    let unread: Vec<_> = template.args.keys().filter(|name| !names(template, name)).cloned().collect();
    (!unread.is_empty()).then(|| TemplateNote {
        text: format!("the chat template does not look at {} of `--template-args`", quoted(&unread)),
        hint: "correct the name, or leave it out",
    })
}

/// Whether a name stands in the template: one that does not is never looked at.
fn names(template: &TemplateIdentity, name: &str) -> bool {
    let with_tools = template.text_with_tools.as_ref();
    std::iter::once(&template.text).chain(with_tools).any(|text| text.contains(name))
}
