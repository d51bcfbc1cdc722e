//! A chat template for a run: looked at once, before anything is read.

use std::collections::BTreeMap;
use std::ops::Range;

use mashbill_chat::{ChatOptions, ChatTemplate, Now};
use mashbill_format::chat::{JsonText, LossOn, NoLossOn, TemplateIdentity};
use mashbill_records::conversation::{RESERVED_ARGS, check_names};
use mashbill_records::json;
use mashbill_tokenizer::{ChosenTemplate, Tokenizer};

use crate::error::{Error, Result};

/// What is asked for besides the template.
#[derive(Debug, Clone, PartialEq)]
pub struct TemplateOptions {
    /// Arguments of the template by name.
    pub args: BTreeMap<String, JsonText>,
    /// The date that it is given for today's, as `YYYY-MM-DD`.
    pub date: Option<String>,
    /// On which turns there is a loss.
    pub loss_on: LossOn,
    /// What of them is left out.
    pub no_loss_on: NoLossOn,
}

/// The template `chosen` with all that its texts and tokens depend on.
///
/// # Errors
/// [`Error::Template`] where it cannot be read, or asks for a date that is not given; [`Error::NoWords`];
/// [`Error::ControlTokens`] where it writes control tokens into a usual conversation that the tokenizer does not have;
/// [`Error::Date`]; [`Error::TemplateArg`].
pub fn template(
    chosen: ChosenTemplate,
    options: TemplateOptions,
    tokenizer: &Tokenizer,
) -> Result<TemplateIdentity> {
    let TemplateOptions { args, date, loss_on, no_loss_on } = options;
    if let Some(date) = date.as_ref().filter(|date| now_of(date).is_none()) {
        return Err(Error::Date { date: date.clone() });
    }
    let ChosenTemplate { name, text, text_with_tools } = chosen;
    let tokens = tokenizer.chat_tokens();
    let mut template = TemplateIdentity {
        name,
        text,
        text_with_tools,
        args: args.into_iter().map(|(name, value)| spelled(name, &value)).collect::<Result<_>>()?,
        date,
        special_tokens: tokens.named.clone(),
        turn_ends: tokens.turn_ends.clone(),
        control_ids: Vec::new(),
        loss_on,
        no_loss_on,
        span_rule: None,
    };
    let (mut literals, mut template_rule, mut examples) = (String::new(), None, Vec::new());
    for text in [Some(&template.text), template.text_with_tools.as_ref()].into_iter().flatten() {
        let read = read(text, &template, options_of(&template, tokenizer))?;
        literals.push_str(read.literals());
        // Of two templates the usual one comes first.
        template_rule.get_or_insert(read.rule());
        examples.extend(read.example());
    }
    if examples.iter().any(|example| !example.has_words) {
        return Err(Error::NoWords { name: template.name });
    }
    let mut tokens = tokenizer.missing_control_tokens(&literals);
    // What is written for calls of tools alone harms nobody without them; of no example nothing is known.
    let is_written = |token: &String| examples.iter().any(|example| example.text.contains(token));
    tokens.retain(|token| examples.is_empty() || is_written(token));
    if !tokens.is_empty() {
        return Err(Error::ControlTokens { name: template.name, tokens });
    }
    template.control_ids = tokenizer.control_ids(&literals);
    template.span_rule = template_rule;
    Ok(template)
}

/// The control tokens that the template has for conversations of other kinds than the usual, and the tokenizer takes apart.
///
/// # Errors
/// [`Error::Template`].
pub fn taken_apart(template: &TemplateIdentity, tokenizer: &Tokenizer) -> Result<Vec<String>> {
    let mut literals = String::new();
    for text in [Some(&template.text), template.text_with_tools.as_ref()].into_iter().flatten() {
        literals.push_str(read(text, template, options_of(template, tokenizer))?.literals());
    }
    Ok(tokenizer.missing_control_tokens(&literals))
}

fn read(text: &str, template: &TemplateIdentity, options: ChatOptions) -> Result<ChatTemplate> {
    ChatTemplate::new(text, options).map_err(|source| Error::Template { name: template.name.clone(), source })
}

/// What a template gets besides the conversation.
pub(crate) fn options_of(template: &TemplateIdentity, tokenizer: &Tokenizer) -> ChatOptions {
    ChatOptions { special: tokenizer.special_tokens(), ..options_without_tokenizer(template) }
}

/// The same with no special tokens but those that end a turn.
pub(crate) fn options_without_tokenizer(template: &TemplateIdentity) -> ChatOptions {
    ChatOptions {
        special_tokens: template.special_tokens.clone().into_iter().collect(),
        special: template.turn_ends.clone(),
        ends: template.turn_ends.clone(),
        template_args: template.args.iter().map(|(name, value)| (name.clone(), value.to_string())).collect(),
        now: template.date.as_deref().and_then(now_of),
        loss_on: template.loss_on,
        no_loss_on: template.no_loss_on,
    }
}

/// An argument, whose spelling is the same however it was spaced.
fn spelled(name: String, value: &JsonText) -> Result<(String, JsonText)> {
    let wrong = |what: String| Error::TemplateArg { name: name.clone(), what };
    if RESERVED_ARGS.contains(&name.as_str()) {
        return Err(wrong("no argument of a template has this name".to_owned()));
    }
    let invalid = |invalid: json::Invalid| wrong(format!("{} at byte {}", invalid.what, invalid.at));
    let parsed = json::parse(value.as_str(), &|_| true).map_err(invalid)?;
    check_names(&parsed).map_err(|refusal| wrong(refusal.detail))?;
    let mut text = Vec::new();
    parsed.write(&mut text);
    let text = String::from_utf8(text).expect("JSON is written as UTF-8");
    let text = JsonText::new(&text).expect("what was read as JSON is written as JSON");
    Ok((name, text))
}

/// The beginning of the day that is written as `YYYY-MM-DD`; none where there is no such day.
fn now_of(date: &str) -> Option<Now> {
    let is_written = date.len() == 10
        && date.bytes().enumerate().all(|(at, byte)| match at {
            4 | 7 => byte == b'-',
            _ => byte.is_ascii_digit(),
        });
    let number = |range: Range<usize>| date.get(range)?.parse::<u16>().ok();
    let small = |range| number(range).and_then(|number| u8::try_from(number).ok());
    is_written.then(|| Now::midnight(number(0..4)?, small(5..7)?, small(8..10)?))?
}
