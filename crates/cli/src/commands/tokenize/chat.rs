//! Chats: which template makes text of them, and on which of their tokens there is a loss.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Result;
use clap::{Args, ValueEnum};
use mashbill_chat::built_in;
use mashbill_format::chat::{Chat, JsonText, LossOn, NORMAL_FORM, NoLossOn};
use mashbill_store::open;
use mashbill_tokenize::{TemplateOptions, template};
use mashbill_tokenizer::{ChatTemplates, ChosenTemplate, Tokenizer, TokenizerFiles};

use crate::usage::Usage;

/// The largest template in bytes.
const TEMPLATE_BYTES_MAX: u64 = 1 << 20;

/// What is given for no template, and for the tokenizer's own.
const NONE: &str = "none";
const AUTO: &str = "auto";

/// Flags for records with messages.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Chats")]
pub(crate) struct ChatArgs {
    /// Make text of messages with a chat template: auto (the tokenizer's own), the name of another of its templates,
    /// chatml, or a file with one [default: none, which takes the text field]
    #[arg(long, value_name = "NAME|FILE", conflicts_with = "render")]
    pub(crate) chat_template: Option<String>,

    /// Arguments of the template as a JSON object: '{"enable_thinking": false}'. Those in a record's
    /// chat_template_kwargs come before them
    #[arg(long, value_name = "JSON")]
    pub(crate) template_args: Option<String>,

    /// The date that the template is given for today's, so that the same input always has the same tokens
    #[arg(long, value_name = "YYYY-MM-DD")]
    pub(crate) date: Option<String>,

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
        self.chat_template.as_deref().filter(|name| *name != NONE)
    }

    /// Whether all documents are made by a template.
    pub(crate) fn takes_only_chats(&self) -> bool {
        self.asked().is_some() && !self.mixed
    }

    /// Fails where a flag is given that does nothing without another.
    pub(crate) fn check(&self) -> std::result::Result<(), Usage> {
        let needs_template = [
            ("--template-args", self.template_args.is_some()),
            ("--date", self.date.is_some()),
            ("--loss-on", self.loss_on.is_some()),
            ("--no-loss-on", !self.no_loss_on.is_empty()),
            ("--mixed", self.mixed),
        ];
        if self.asked().is_none() {
            if let Some((flag, _)) = needs_template.iter().find(|(_, is_given)| *is_given) {
                return Err(Usage::NeedsChatTemplate { flag });
            }
            if self.render.is_none() && self.tool_arguments.is_some() {
                return Err(Usage::NeedsChatTemplate { flag: "--tool-arguments" });
            }
        }
        if let (Some(LossOnArg::All), Some(_)) = (self.loss_on, self.no_loss_on.first()) {
            return Err(Usage::NoLossOnAll);
        }
        Ok(())
    }

    /// The first of the flags that is given.
    pub(crate) fn given(&self) -> Option<&'static str> {
        let flags = [
            ("--chat-template", self.chat_template.is_some()),
            ("--template-args", self.template_args.is_some()),
            ("--date", self.date.is_some()),
            ("--loss-on", self.loss_on.is_some()),
            ("--no-loss-on", !self.no_loss_on.is_empty()),
            ("--mixed", self.mixed),
            ("--render", self.render.is_some()),
            ("--tool-arguments", self.tool_arguments.is_some()),
        ];
        flags.iter().find(|(_, is_given)| *is_given).map(|(flag, _)| *flag)
    }

    /// Whether conversations become text by these flags.
    pub(crate) fn makes_text(&self) -> bool {
        self.asked().is_some() || self.render.is_some()
    }

    /// Whether arguments of calls that are JSON in a string stay one.
    pub(crate) fn keeps_tool_arguments(&self) -> bool {
        self.tool_arguments == Some(ToolArgumentsArg::Keep)
    }

    fn template_options(&self) -> std::result::Result<TemplateOptions, Usage> {
        let args: BTreeMap<String, JsonText> = match &self.template_args {
            None => BTreeMap::new(),
            Some(given) => serde_json::from_str(given)
                .map_err(|source| Usage::TemplateArgs { given: given.clone(), source })?,
        };
        let leaves_out = |part| self.no_loss_on.contains(&part);
        Ok(TemplateOptions {
            args,
            date: self.date.clone(),
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
        Some(name) => Some(template(chosen(name, files)?, args.template_options()?, tokenizer)?),
    };
    Ok(Some(Chat {
        normal_form: NORMAL_FORM,
        keep_tool_arguments: args.keeps_tool_arguments(),
        mixed: args.mixed,
        template,
    }))
}

/// The template called `name`: of the tokenizer, one that comes with mashbill, or in a file.
fn chosen(name: &str, files: &TokenizerFiles) -> Result<ChosenTemplate> {
    let own = ChatTemplates::of(files)?;
    if name == AUTO {
        let names = own.names().map(str::to_owned).collect();
        let tokenizer = files.name.clone();
        return own.unnamed().ok_or_else(|| Usage::NoChatTemplate { tokenizer, names }.into());
    }
    if let Some(named) = own.named(name) {
        return Ok(named);
    }
    let text = match built_in(name) {
        Some(text) => text.to_owned(),
        None => open::read_text(Path::new(name), TEMPLATE_BYTES_MAX).map_err(|source| {
            let names = own.names().map(str::to_owned).collect();
            Usage::ChatTemplateNotFound { name: name.to_owned(), names, source }
        })?,
    };
    Ok(ChosenTemplate { name: name.to_owned(), text, text_with_tools: None })
}
