//! What to type next, error by error: knowledge of this command line's flags belongs here.

mod arguments;
mod download;
mod format;
mod load;
mod records;
mod refused;
mod remedy;
mod report;
mod tokenize;
mod tokenizer;
mod usage;

use std::io;

use mashbill_download::Error as DownloadError;
use mashbill_format::Error as FormatError;
use mashbill_hub::Error as HubError;
use mashbill_load::Error as LoadError;
use mashbill_report::Error as ReportError;
use mashbill_store::Error as StoreError;
use mashbill_store::open::WrongKind;
use mashbill_tokenize::Error as TokenizeError;
use mashbill_tokenizer::Error as TokenizerError;

use crate::out::Unwritten;
use crate::usage::Usage;

pub(crate) use arguments::arguments_hint;
pub(crate) use download::{download_hint, may_pass};
use format::{format_hint, store_hint};
use load::load_hint;
use records::FILE_HINT;
pub(crate) use records::{
    content_hint, fields_of, hint_for_shape, hint_without_messages, is_chat, is_read, unread_hint,
};
pub(crate) use refused::refused_hint;
pub(crate) use remedy::{folder_with_lock, remedy_hint, remedy_hints};
use report::report_hint;
use tokenize::tokenize_hint;
pub(crate) use tokenizer::no_template_hint;
use tokenizer::{hub_hint, tokenizer_hint};
pub(crate) use usage::INSTALL_TRAINER;
use usage::usage_hint;

/// The hint for an error, if there is something to type.
pub(crate) fn hint(error: &anyhow::Error) -> Option<String> {
    error.chain().find_map(|cause| {
        if let Some(error) = cause.downcast_ref::<DownloadError>() {
            return download_hint(error);
        }
        if let Some(error) = cause.downcast_ref::<TokenizeError>() {
            return tokenize_hint(error);
        }
        if let Some(error) = cause.downcast_ref::<TokenizerError>() {
            return tokenizer_hint(error);
        }
        if let Some(error) = cause.downcast_ref::<HubError>() {
            return Some(hub_hint(error));
        }
        if let Some(error) = cause.downcast_ref::<LoadError>() {
            return load_hint(error);
        }
        if let Some(error) = cause.downcast_ref::<ReportError>() {
            return report_hint(error);
        }
        if let Some(error) = cause.downcast_ref::<FormatError>() {
            return format_hint(error);
        }
        if let Some(error) = cause.downcast_ref::<StoreError>() {
            return store_hint(error);
        }
        if let Some(error) = cause.downcast_ref::<io::Error>() {
            return WrongKind::is_behind(error).then(|| FILE_HINT.into());
        }
        if let Some(Unwritten::Failed(_)) = cause.downcast_ref::<Unwritten>() {
            return Some("make space where the output goes to, then run the command again".into());
        }
        cause.downcast_ref::<Usage>().map(usage_hint)
    })
}

/// The hints for splits that could not be made while others went on, each once.
pub(crate) fn hints_for_failed_splits<'a>(errors: impl Iterator<Item = &'a TokenizeError>) -> Vec<String> {
    let mut hints = Vec::new();
    for hint in errors.filter_map(tokenize_hint) {
        if !hints.contains(&hint) {
            hints.push(hint);
        }
    }
    hints
}
