//! What `doctor` says of chats: which template a tokenizer has, or a folder was made with, by which rule it is told what is
//! learned, and what becomes of the usual kinds of records.

use anyhow::Result;
use mashbill_chat::TemplateErrorKind;
use mashbill_format::chat::{LossOn, NoLossOn, SpanRule, TemplateIdentity};
use mashbill_format::manifest::Manifest;
use mashbill_tokenize::{Error, Probe, Probed, TemplateOptions, example, probes, template};
use mashbill_tokenizer::{ChatTemplates, ChosenTemplate, Tokenizer, TokenizerFiles};

use super::finding::{Finding, Health};
use crate::commands::tokenize::chat::{TemplateArgs, asked, chosen, takes_chatml};
use crate::commands::tokenize::template_notes::{TemplateNote, no_turn_end, template_notes};
use crate::hints::{hint, no_template_hint};
use crate::printer::error_text;

/// A day, for templates that ask for one.
const SOME_DAY: &str = "2024-07-26";

/// What is said of a tokenizer's template.
const TEMPLATE: &str = "chat template";
const RECORDS: &str = "chat records";

/// What is said of the template that a folder was made with.
const FOLDER_TEMPLATE: &str = "output's chat template";
const FOLDER_RECORDS: &str = "output's chat records";

/// What is said of the template that was named, or of the tokenizer's own, where it is given what `given` has.
pub(super) fn of_tokenizer(
    named: Option<&str>,
    given: &TemplateArgs,
    files: &TokenizerFiles,
    tokenizer: &Tokenizer,
) -> Vec<Finding> {
    if named.is_some() {
        let Some(name) = asked(named) else { return Vec::new() };
        let findings = chosen(name, files, tokenizer)
            .and_then(|chosen| of_chosen(chosen, String::new(), given, tokenizer));
        // Without the one that is asked for no run begins.
        let problem = |error| vec![Finding { state: Health::Problem, ..unusable(&error) }];
        return findings.unwrap_or_else(problem);
    }
    let own = match ChatTemplates::of(files) {
        Ok(own) => own,
        Err(error) => return vec![unusable(&error.into())],
    };
    let Some(chosen) = own.unnamed() else { return vec![without_template(&own, tokenizer)] };
    let others: Vec<_> = own.names().filter(|name| *name != "default").map(quoted).collect();
    let others = match others.is_empty() {
        true => String::new(),
        false => format!("; others by name: {}", others.join(", ")),
    };
    of_chosen(chosen, others, given, tokenizer).unwrap_or_else(|error| vec![unusable(&error)])
}

/// What is said of a template, with a word on `others` that there are.
fn of_chosen(
    chosen: ChosenTemplate,
    others: String,
    given: &TemplateArgs,
    tokenizer: &Tokenizer,
) -> Result<Vec<Finding>> {
    let (template, needs_date) = looked_at(chosen, given, tokenizer)?;
    let text = described(&template)? + &others;
    let mut findings = vec![if needs_date {
        Finding {
            hint: Some(
                "give `mashbill tokenize` the date that the model is to see: `--date YYYY-MM-DD`".into(),
            ),
            ..Finding::ok(TEMPLATE, format!("{text}; it asks for the date"))
        }
    } else {
        Finding::ok(TEMPLATE, text)
    }];
    findings.extend(template_notes(&template, tokenizer)?.into_iter().map(|note| noted(TEMPLATE, note)));
    findings.push(records(RECORDS, &template));
    Ok(findings)
}

/// What is said of a folder that was made with a template; nothing of any other.
pub(super) fn of_output(manifest: &Manifest) -> Vec<Finding> {
    let Some(template) = manifest.options.template() else { return Vec::new() };
    let loss = match template.loss_on {
        LossOn::All => "all",
        LossOn::Assistant => "assistant",
        LossOn::LastAssistant => "last-assistant",
        LossOn::Completion => "completion",
    };
    let date = template.date.as_ref().map_or_else(String::new, |date| format!(", --date {date}"));
    let described = described(template)
        .and_then(|text| Ok((format!("{text} (made with --loss-on {loss}{date})"), no_turn_end(template)?)));
    match described {
        Ok((text, note)) => std::iter::once(Finding::ok(FOLDER_TEMPLATE, text))
            .chain(note.map(|note| noted(FOLDER_TEMPLATE, note)))
            .chain([records(FOLDER_RECORDS, template)])
            .collect(),
        Err(error) => vec![Finding { what: FOLDER_TEMPLATE, ..unusable(&error) }],
    }
}

/// The template with all that it depends on, and whether it asks for a date that is not given.
fn looked_at(
    chosen: ChosenTemplate,
    given: &TemplateArgs,
    tokenizer: &Tokenizer,
) -> Result<(TemplateIdentity, bool)> {
    let args = given.by_name()?;
    let look = |date: Option<&str>| {
        let options = TemplateOptions {
            args: args.clone(),
            date: date.map(str::to_owned),
            loss_on: LossOn::Assistant,
            no_loss_on: NoLossOn::default(),
        };
        template(chosen.clone(), options, tokenizer)
    };
    match look(given.date.as_deref()) {
        Err(Error::Template { source, .. }) if source.kind == TemplateErrorKind::NoDate => {
            Ok((look(Some(SOME_DAY))?, true))
        }
        looked => Ok((looked?, false)),
    }
}

/// A template in words: its name, the rule, what ends a turn.
fn described(template: &TemplateIdentity) -> Result<String> {
    let rule = match template.span_rule {
        Some(SpanRule::Blocks) => "its generation blocks say what is learned",
        Some(SpanRule::Marks) => "marks in the text say what is learned",
        None => "all of it is learned",
    };
    let end = match example(template)?.map(|example| example.turn_end) {
        Some(Some(token)) => format!("; a turn ends with {}", quoted(&token)),
        Some(None) => "; no token ends a turn".to_owned(),
        // It refuses what is usual, so nothing was seen.
        None => String::new(),
    };
    Ok(format!("{}: {rule}{end}", quoted(&template.name)))
}

fn noted(what: &'static str, TemplateNote { text, hint }: TemplateNote) -> Finding {
    Finding::warning(what, text, hint)
}

fn without_template(own: &ChatTemplates, tokenizer: &Tokenizer) -> Finding {
    let names: Vec<&str> = own.names().collect();
    let (text, fix) = match names.first() {
        Some(first) => {
            let all: Vec<_> = names.iter().map(|name| quoted(name)).collect();
            let text = format!("none without a name; there is {}", all.join(", "));
            (text, format!("`--chat-template {first}` takes that one"))
        }
        None => (
            "none, which only records with messages need".to_owned(),
            no_template_hint(takes_chatml(tokenizer)).to_owned(),
        ),
    };
    Finding { hint: Some(fix), ..Finding::ok(TEMPLATE, text) }
}

/// A template that no run can use.
fn unusable(error: &anyhow::Error) -> Finding {
    let fix = hint(error).unwrap_or_else(|| "give another one: `--chat-template FILE`".into());
    Finding::warning(TEMPLATE, error_text(error.as_ref()), fix)
}

/// What the template makes of the usual kinds of records.
fn records(what: &'static str, template: &TemplateIdentity) -> Finding {
    let probes = match probes(template) {
        Ok(probes) => probes,
        Err(error) => return Finding { what, ..unusable(&error.into()) },
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
