//! What to type next when something cannot be tokenized.

use std::io;
use std::path::Path;

use mashbill_chat::TemplateErrorKind;
use mashbill_format::figures::size;
use mashbill_store::open::WrongKind;
use mashbill_tokenize::Error;

use super::format::format_hint;
use super::records::{ENDINGS, FILE_HINT, content_hint, hint_for_columns, readable_hint, unread_hint};
use super::tokenizer::tokenizer_hint;

pub(crate) fn tokenize_hint(error: &Error) -> Option<String> {
    Some(match error {
        Error::InputMissing { .. } => "`--input` takes a file or a folder that exists".into(),
        Error::InputUnknown { path } => unread_hint(path),
        Error::Content { path, source } => content_hint(Path::new(path), source),
        Error::OutputIsFile { .. } | Error::OutputIsInput { .. } => {
            "give another folder as `--output`".into()
        }
        Error::InputIsOutput { .. } => "give the folder with the JSONL files as `--input`".into(),
        Error::NoInput { deeper: 0, path, left_out } => match left_out.first() {
            Some(first) => unread_hint(&path.join(first)),
            None => ENDINGS.into(),
        },
        Error::NoInput { deeper, .. } => {
            let files = if *deeper == 1 { "1 file" } else { &format!("{deeper} files") };
            format!("`--recursive` finds {files} in the folders below")
        }
        Error::MixedFolder { .. } => "`--split-names parts` makes them splits of their own".into(),
        Error::SplitTwice { first, second, .. } if first.parent() == second.parent() => {
            "give one of them another name".into()
        }
        Error::SplitTwice { .. } => "`--split-names path` names splits after their folders, too".into(),
        Error::SplitName { .. } => "give the file another name".into(),
        Error::NameTooLong { .. } => {
            "give the file a shorter name (mv), or the output folder with `--output`".into()
        }
        Error::SplitDiffers { .. } => {
            "`--skip-existing` redoes those that differ, `--force` redoes all, another `--output` keeps both"
                .into()
        }
        Error::OthersDiffer { gone: true, .. } => "`--prune` removes splits whose input is gone".into(),
        Error::OthersDiffer { .. } => {
            "give another `--output`, or give the input of all splits with `--force`".into()
        }
        Error::ForeignFiles { .. } | Error::NotHeldOut { .. } => {
            "give another `--output`, or move that folder away".into()
        }
        Error::TooLittleSpace { needed, free, .. } => {
            format!("{} are missing: make space, or give an `--output` elsewhere", size(needed - free))
        }
        Error::Read { source, .. } if WrongKind::is_behind(source) => FILE_HINT.into(),
        Error::Read { path, source } if source.kind() == io::ErrorKind::PermissionDenied => {
            readable_hint(path)
        }
        Error::Read { .. } | Error::InputDamaged { .. } => {
            "get the file again from its source, then run the same command again".into()
        }
        Error::Template { source, .. } if source.kind == TemplateErrorKind::NoDate => {
            "give the date that the model is to see: `--date YYYY-MM-DD`".into()
        }
        Error::Template { .. } => "give another one: `--chat-template FILE`, or `chatml`".into(),
        Error::ControlTokens { .. } => {
            "take the tokenizer of a chat model (`--tokenizer`), or a template of this tokenizer's own".into()
        }
        Error::NoWords { .. } => {
            "give a template in Jinja that prints each message's `content`, which is a text; `--chat-template auto` takes the \
             tokenizer's own"
                .into()
        }
        Error::TemplateArg { .. } => "correct the value after `--template-args`".into(),
        Error::Date { .. } => "write it as `--date YYYY-MM-DD`".into(),
        Error::NoTextColumn { columns, .. } => hint_for_columns(columns),
        Error::OtherTokenizer { planned, .. } => format!("the plan was made with `--tokenizer {planned}`"),
        Error::NoTask { .. } | Error::PlanDamaged { .. } => "make the plan again".into(),
        Error::ShardsMissing { .. } => "make the tasks that are left, then run the same command again".into(),
        Error::OutputChanged { .. } => "run the same command again".into(),
        Error::Changed { .. } => "when nothing writes to it any more, run the same command again".into(),
        Error::Strict { .. } => "without `--strict`, bad lines are set aside and the run continues".into(),
        Error::Interrupted => "run the same command again to resume".into(),
        Error::Tokenizer(error) => return tokenizer_hint(error),
        Error::Format(error) => return format_hint(error),
    })
}
