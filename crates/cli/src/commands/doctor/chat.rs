//! What `doctor` says of chats: which template a tokenizer has, or a folder was made with, by which rule it is told what is
//! learned, and what becomes of the usual kinds of records.

use std::collections::BTreeMap;
use std::path::Path;

use mashbill_chat::TemplateErrorKind;
use mashbill_format::chat::{LossOn, NoLossOn, SpanRule, TemplateIdentity};
use mashbill_format::layout::Output;
use mashbill_format::manifest::Manifest;
use mashbill_tokenize::{Error, Probe, Probed, TemplateOptions, probes, template};
use mashbill_tokenizer::{ChatTemplates, ChosenTemplate, Tokenizer, TokenizerFiles};

use super::finding::Finding;
use crate::hints::hint;
use crate::printer::error_text;

/// A day, for templates that ask for one.
const SOME_DAY: &str = "2024-07-26";

/// What is said of a tokenizer's template.
const TEMPLATE: &str = "chat template";
const RECORDS: &str = "chat records";

/// What is said of the template that a folder was made with.
const FOLDER_TEMPLATE: &str = "output's chat template";
const FOLDER_RECORDS: &str = "output's chat records";

/// What is said of a tokenizer.
pub(super) fn of_tokenizer(files: &TokenizerFiles, tokenizer: &Tokenizer) -> Vec<Finding> {
    let own = match ChatTemplates::of(files) {
        Ok(own) => own,
        Err(error) => return vec![unusable(error.into())],
    };
    let Some(chosen) = own.unnamed() else { return vec![without_template(&own)] };
    let (template, needs_date) = match looked_at(chosen, tokenizer) {
        Ok(found) => found,
        Err(error) => return vec![unusable(error.into())],
    };
    let mut text = described(&template);
    let others: Vec<_> = own.names().filter(|name| *name != "default").map(quoted).collect();
    if !others.is_empty() {
        text.push_str(&format!("; others by name: {}", others.join(", ")));
    }
    let finding = match (needs_date, template.turn_ends.is_empty()) {
        (false, false) => Finding::ok(TEMPLATE, text),
        (true, false) => Finding {
            hint: Some(
                "give `mashbill tokenize` the date that the model is to see: `--date YYYY-MM-DD`".into(),
            ),
            ..Finding::ok(TEMPLATE, format!("{text}; it asks for the date"))
        },
        (_, true) => Finding::warning(TEMPLATE, text, "name the token that ends a turn with `--eos-token`"),
    };
    vec![finding, records(RECORDS, &template)]
}

/// What is said of a folder that was made with a template; nothing of any other.
pub(super) fn of_output(output: &Path) -> Vec<Finding> {
    // What is wrong with a manifest `verify` says.
    let manifest = Manifest::read(&Output::new(output).manifest()).ok().flatten();
    let Some(template) = manifest.as_ref().and_then(|manifest| manifest.options.template()) else {
        return Vec::new();
    };
    let loss = match template.loss_on {
        LossOn::All => "all",
        LossOn::Assistant => "assistant",
        LossOn::LastAssistant => "last-assistant",
        LossOn::Completion => "completion",
    };
    let date = template.date.as_ref().map_or_else(String::new, |date| format!(", --date {date}"));
    let text = format!("{} (made with --loss-on {loss}{date})", described(template));
    vec![Finding::ok(FOLDER_TEMPLATE, text), records(FOLDER_RECORDS, template)]
}

/// The template with all that it depends on, and whether it asks for a date.
fn looked_at(chosen: ChosenTemplate, tokenizer: &Tokenizer) -> Result<(TemplateIdentity, bool), Error> {
    let look = |date: Option<&str>| {
        let options = TemplateOptions {
            args: BTreeMap::new(),
            date: date.map(str::to_owned),
            loss_on: LossOn::Assistant,
            no_loss_on: NoLossOn::default(),
        };
        template(chosen.clone(), options, tokenizer)
    };
    match look(None) {
        Err(Error::Template { source, .. }) if source.kind == TemplateErrorKind::NoDate => {
            Ok((look(Some(SOME_DAY))?, true))
        }
        looked => Ok((looked?, false)),
    }
}

/// A template in words: its name, the rule, what ends a turn.
fn described(template: &TemplateIdentity) -> String {
    let rule = match template.span_rule {
        Some(SpanRule::Blocks) => "its generation blocks say what is learned",
        Some(SpanRule::Marks) => "marks in the text say what is learned",
        None => "all of it is learned",
    };
    let ends: Vec<_> = template.turn_ends.iter().map(|token| quoted(token)).collect();
    let ends = match ends.is_empty() {
        true => "no token is known that ends a turn, so no end is learned".to_owned(),
        false => format!("a turn ends with {}", ends.join(", ")),
    };
    format!("{}: {rule}; {ends}", quoted(&template.name))
}

fn without_template(own: &ChatTemplates) -> Finding {
    let names: Vec<&str> = own.names().collect();
    let (text, fix) = match names.first() {
        Some(first) => {
            let all: Vec<_> = names.iter().map(|name| quoted(name)).collect();
            let text = format!("none without a name; there is {}", all.join(", "));
            (text, format!("`--chat-template {first}` takes that one"))
        }
        None => (
            "none, which only records with messages need".to_owned(),
            "`--chat-template chatml` suits many models, `--chat-template FILE` takes one of yours"
                .to_owned(),
        ),
    };
    Finding { hint: Some(fix), ..Finding::ok(TEMPLATE, text) }
}

/// A template that no run can use.
fn unusable(error: anyhow::Error) -> Finding {
    let fix = hint(&error).unwrap_or_else(|| "give another one: `--chat-template FILE`".into());
    Finding::warning(TEMPLATE, error_text(error.as_ref()), fix)
}

/// What the template makes of the usual kinds of records.
fn records(what: &'static str, template: &TemplateIdentity) -> Finding {
    let probes = match probes(template) {
        Ok(probes) => probes,
        Err(error) => return Finding { what, ..unusable(error.into()) },
    };
    let those = |outcome: &Probed| {
        let found = probes.iter().filter(|probe| probe.outcome == *outcome).map(|probe| probe.what);
        found.collect::<Vec<_>>().join(", ")
    };
    let mut parts = Vec::new();
    for (word, list) in
        [("taken", those(&Probed::Rendered)), ("left out of the text", those(&Probed::LeftOut))]
    {
        if !list.is_empty() {
            parts.push(format!("{word}: {list}"));
        }
    }
    let refused = probes.iter().filter_map(|Probe { what, outcome }| match outcome {
        Probed::Refused(why) => Some(format!("{what} ({why})")),
        _ => None,
    });
    let refused = refused.collect::<Vec<_>>().join(", ");
    if !refused.is_empty() {
        parts.push(format!("refused: {refused}"));
    }
    Finding::ok(what, parts.join("; "))
}

fn quoted(name: &str) -> String {
    format!("`{name}`")
}
