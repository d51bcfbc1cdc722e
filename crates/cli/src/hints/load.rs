//! What to type next when batches cannot be made.

use mashbill_format::find::{has_splits, is_unfinished};
use mashbill_load::Error;

use super::format::format_hint;
use super::remedy::{anew_hint, resume_hint};

pub(crate) fn load_hint(error: &Error) -> Option<String> {
    Some(match error {
        Error::NoManifest { folder } if is_unfinished(folder) => resume_hint(folder),
        Error::NoManifest { folder } if has_splits(folder) => anew_hint(folder),
        Error::NoManifest { .. } => {
            "give the folder that `mashbill tokenize` wrote; if it was moved, correct `folder` in loader.json"
                .into()
        }
        Error::State { .. } => {
            "the folder was tokenized again since: its rows are not the ones that were trained on".into()
        }
        Error::TooFewRows { .. } => "give the loader's own `--batch-size`".into(),
        Error::Shard { .. } | Error::Table { .. } => {
            "run `mashbill verify` to see what else is damaged, and how to fix it".into()
        }
        Error::File(error) => return format_hint(error),
        Error::NoRows => "`mashbill report` of the folder shows what happened to its lines".into(),
        Error::IgnoreIndex { .. } => "update mashbill, or tokenize the folder's input again".into(),
        Error::Again(error) => return load_hint(error),
        Error::NoValidation { .. } => {
            "`mashbill tokenize … --val-fraction 0.01` holds out one document in a hundred".into()
        }
        Error::UnknownSplit { .. } => "name one of them with `--split`, or none to look at all".into(),
        Error::Distrusted { path, .. } => {
            format!("chmod go-w {}, or name a cache folder that is yours alone", path.display())
        }
        Error::Interrupted => "run the same command again".into(),
        Error::UnknownSource { .. } | Error::SplitWeight { .. } => {
            "correct `weights`: each split once, by its name or its category's".into()
        }
        Error::TooManyEpochs { .. } => "give that source a smaller weight, or allow more epochs of it".into(),
        Error::UnknownDocument { .. } => {
            "`mashbill inspect FOLDER --random` shows documents with their keys".into()
        }
        Error::NoGroup { .. } => {
            "give it as `--doc GROUP/KEY`, as `mashbill inspect FOLDER` shows documents".into()
        }
        // What is wrong with the value is what to correct; a thread that panics is a fault of mashbill's.
        Error::Weights { .. } | Error::Option { .. } | Error::Thread { .. } => return None,
    })
}
