//! Chats: which template makes text of them, and on which of their tokens there is a loss.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Result;
use clap::{Args, ValueEnum};
use mashbill_chat::built_in;
use mashbill_format::chat::{Chat, JsonText, LossOn, NORMAL_FORM, NoLossOn};
use mashbill_records::conversation::check_names;
use mashbill_records::json;
use mashbill_store::open;
use mashbill_tokenize::{TemplateOptions, template};
use mashbill_tokenizer::{ChatTemplates, ChosenTemplate, Tokenizer, TokenizerFiles};

use crate::usage::Usage;

/// The largest template in bytes.
const TEMPLATE_BYTES_MAX: u64 = 1 << 20;

/// What is given for no template, and for the tokenizer's own.
const NONE: &str = "none";
const AUTO: &str = "auto";

/// What a chat template is given.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Chats")]
pub(crate) struct TemplateArgs {
    /// Arguments of the template as a JSON object: '{"enable_thinking": false}'. Those in a record's
    /// chat_template_kwargs come before them
    #[arg(long, value_name = "JSON")]
    template_args: Option<String>,

    /// The date that the template is given for today's, so that the same input always has the same tokens
    #[arg(long, value_name = "YYYY-MM-DD")]
    pub(crate) date: Option<String>,
}

impl TemplateArgs {
    /// The arguments by name.
    pub(crate) fn by_name(&self) -> Result<BTreeMap<String, JsonText>, Usage> {
        let Some(given) = &self.template_args else { return Ok(BTreeMap::new()) };
        let args = serde_json::from_str(given)
            .map_err(|source| Usage::TemplateArgs { given: given.clone(), source })?;
        // Of a name that stands twice the last would count.
        match json::parse(given, &|_| true).map(|args| check_names(&args)) {
            Ok(Err(twice)) => Err(Usage::TemplateArgsTwice { detail: twice.detail }),
            _ => Ok(args),
        }
    }
}

/// Flags for records with messages.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Chats")]
pub(crate) struct ChatArgs {
    /// Make text of messages with a chat template: auto (the tokenizer's own), the name of another of its templates,
    /// chatml, or a file with one [default: none, which takes the text field]
    #[arg(long, value_name = "NAME|FILE", conflicts_with = "render")]
    pub(crate) chat_template: Option<String>,

    #[command(flatten)]
    pub(crate) template: TemplateArgs,

    /// On which turns there is a loss; with a chat template [default: assistant]
    #[arg(long, value_name = "TURNS", value_enum)]
    pub(crate) loss_on: Option<LossOnArg>,

    /// What of these turns is left out; may be given several times, or with commas
    #[arg(long, value_name = "PARTS", value_enum, value_delimiter = ',')]
    pub(crate) no_loss_on: Vec<NoLossOnArg>,

    /// With a chat template, take records without messages, too: as their text, all of which is learned
    #[arg(long)]
    pub(crate) mixed: bool,

    /// Without a chat template, make text of messages by a plain rule
    #[arg(long, value_name = "HOW", value_enum)]
    pub(crate) render: Option<RenderArg>,

    /// What becomes of arguments of tool calls that are JSON in a string [default: parse]
    #[arg(long, value_name = "HOW", value_enum)]
    pub(crate) tool_arguments: Option<ToolArgumentsArg>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum LossOnArg {
    /// On all tokens, those of the template and of users, too
    All,
    /// On all turns of the assistant
    Assistant,
    /// On the assistant's last turn
    LastAssistant,
    /// On a record's completion
    Completion,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum NoLossOnArg {
    /// What the assistant thinks
    Reasoning,
    /// Its calls of tools
    ToolCalls,
    /// What the template puts before an answer, behind the header
    GenerationPrompt,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum RenderArg {
    /// User: …, Assistant: …, with a blank line between
    Plain,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ToolArgumentsArg {
    /// They become an object, as templates expect it
    Parse,
    /// They stay as they are
    Keep,
}

impl ChatArgs {
    /// The template that is asked for; none where there is to be none.
    fn asked(&self) -> Option<&str> {
        asked(self.chat_template.as_deref())
    }

    /// Whether all documents are made by a template.
    pub(crate) fn takes_only_chats(&self) -> bool {
        self.asked().is_some() && !self.mixed
    }

    /// Fails where a flag is given that does nothing without another.
    pub(crate) fn check(&self) -> Result<(), Usage> {
        let needs_template = [
            ("--template-args", self.template.template_args.is_some()),
            ("--date", self.template.date.is_some()),
            ("--loss-on", self.loss_on.is_some()),
            ("--no-loss-on", !self.no_loss_on.is_empty()),
            ("--mixed", self.mixed),
            ("--tool-arguments", self.tool_arguments.is_some() && self.render.is_none()),
        ];
        if self.asked().is_none()
            && let Some((flag, _)) = needs_template.iter().find(|(_, is_given)| *is_given)
        {
            return Err(Usage::NeedsChatTemplate { flag, is_plain: self.render.is_some() });
        }
        if let (Some(LossOnArg::All), Some(_)) = (self.loss_on, self.no_loss_on.first()) {
            return Err(Usage::NoLossOnAll);
        }
        Ok(())
    }

    /// The flags that are given, each with its value as it is typed; empty where it takes none.
    pub(crate) fn given(&self) -> Vec<(&'static str, String)> {
        let no_loss_on: Vec<_> = self.no_loss_on.iter().map(value_name).collect();
        let flags = [
            ("--chat-template", self.chat_template.clone()),
            ("--template-args", self.template.template_args.clone()),
            ("--date", self.template.date.clone()),
            ("--loss-on", self.loss_on.as_ref().map(value_name)),
            ("--no-loss-on", (!no_loss_on.is_empty()).then(|| no_loss_on.join(","))),
            ("--mixed", self.mixed.then(String::new)),
            ("--render", self.render.as_ref().map(value_name)),
            ("--tool-arguments", self.tool_arguments.as_ref().map(value_name)),
        ];
        flags.into_iter().filter_map(|(flag, value)| Some((flag, value?))).collect()
    }

    /// Whether conversations become text by these flags.
    pub(crate) fn makes_text(&self) -> bool {
        self.asked().is_some() || self.render.is_some()
    }

    /// Whether arguments of calls that are JSON in a string stay one.
    pub(crate) fn keeps_tool_arguments(&self) -> bool {
        self.tool_arguments == Some(ToolArgumentsArg::Keep)
    }

    fn template_options(&self) -> Result<TemplateOptions, Usage> {
        let leaves_out = |part| self.no_loss_on.contains(&part);
        Ok(TemplateOptions {
            args: self.template.by_name()?,
            date: self.template.date.clone(),
            loss_on: match self.loss_on {
                Some(LossOnArg::All) => LossOn::All,
                None | Some(LossOnArg::Assistant) => LossOn::Assistant,
                Some(LossOnArg::LastAssistant) => LossOn::LastAssistant,
                Some(LossOnArg::Completion) => LossOn::Completion,
            },
            no_loss_on: NoLossOn {
                reasoning: leaves_out(NoLossOnArg::Reasoning),
                tool_calls: leaves_out(NoLossOnArg::ToolCalls),
                generation_prompt: leaves_out(NoLossOnArg::GenerationPrompt),
            },
        })
    }
}

/// How records with messages become documents; none where only their text counts.
pub(crate) fn chat(args: &ChatArgs, files: &TokenizerFiles, tokenizer: &Tokenizer) -> Result<Option<Chat>> {
    let template = match args.asked() {
        None if args.render.is_none() => return Ok(None),
        None => None,
        Some(name) => Some(template(chosen(name, files, tokenizer)?, args.template_options()?, tokenizer)?),
    };
    Ok(Some(Chat {
        normal_form: NORMAL_FORM,
        keep_tool_arguments: args.keeps_tool_arguments(),
        mixed: args.mixed,
        template,
    }))
}

/// Whether the tokenizer has the control tokens of the template that comes with mashbill.
pub(crate) fn takes_chatml(tokenizer: &Tokenizer) -> bool {
    built_in("chatml").is_some_and(|text| tokenizer.missing_control_tokens(text).is_empty())
}

/// The template that is asked for by what was given; none where there is to be none.
pub(crate) fn asked(given: Option<&str>) -> Option<&str> {
    given.filter(|name| *name != NONE)
}

/// A value as it is typed.
fn value_name(value: &impl ValueEnum) -> String {
    value.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
}

/// The template called `name`: of the tokenizer, one that comes with mashbill, or in a file.
pub(crate) fn chosen(name: &str, files: &TokenizerFiles, tokenizer: &Tokenizer) -> Result<ChosenTemplate> {
    let own = ChatTemplates::of(files)?;
    if name == AUTO {
        let names = own.names().map(str::to_owned).collect();
        let takes_chatml = takes_chatml(tokenizer);
        let tokenizer = files.name.clone();
        return own.unnamed().ok_or_else(|| Usage::NoChatTemplate { tokenizer, names, takes_chatml }.into());
    }
    if let Some(named) = own.named(name) {
        return Ok(named);
    }
    let text = match built_in(name) {
        Some(text) => text.to_owned(),
        None if !Path::new(name).exists() => {
            let names = own.names().map(str::to_owned).collect();
            return Err(Usage::ChatTemplateNotFound { name: name.to_owned(), names }.into());
        }
        None => in_file(Path::new(name))?,
    };
    // Where a file is changes nothing: its text is what counts.
    let name = Path::new(name).file_name().map_or_else(|| name.into(), |name| name.to_string_lossy());
    Ok(ChosenTemplate { name: name.into_owned(), text, text_with_tools: None })
}

/// The template in the file at `path`.
fn in_file(path: &Path) -> Result<String, Usage> {
    let text = open::read_text(path, TEMPLATE_BYTES_MAX)
        .map_err(|source| Usage::ChatTemplateNotRead { path: path.to_owned(), source })?;
    match serde_json::from_str(&text) {
        Ok(serde_json::Value::Object(_)) => Err(Usage::ChatTemplateIsJson { path: path.to_owned() }),
        _ => Ok(text),
    }
}
