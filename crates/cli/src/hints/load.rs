//! What to type next when batches cannot be made.

use mashbill_load::Error;

use super::format::format_hint;

pub(crate) fn load_hint(error: &Error) -> Option<String> {
    Some(match error {
        Error::NoManifest { .. } => {
            "give the folder that `mashbill tokenize` wrote; where it was moved, correct `folder` in loader.json".into()
        }
        Error::State { .. } => {
            "the folder was tokenized anew since: its rows are not those that were trained on".into()
        }
        Error::TooFewRows { .. } => "give the loader's own `--batch-size`".into(),
        Error::Shard { .. } | Error::Table { .. } => "`mashbill verify` says what else is damaged, and what mends it".into(),
        Error::File(error) => return format_hint(error),
        Error::NoRows => "`mashbill report` of the folder shows what became of its lines".into(),
        Error::IgnoreIndex { .. } => {
            "update mashbill, or tokenize again what the folder was made of".into()
        }
        Error::Again(error) => return load_hint(error),
        Error::NoValidation { .. } => {
            "`mashbill tokenize … --val-fraction 0.01` holds one document in a hundred out".into()
        }
        Error::UnknownSplit { .. } => "name one of them with `--split`, or none to look at all".into(),
        Error::Distrusted { path, .. } => {
            format!("chmod go-w {}, or name a cache folder that is yours alone", path.display())
        }
        Error::Interrupted => "give the same command again".into(),
        Error::UnknownSource { .. } | Error::SplitWeight { .. } => {
            "correct `weights`: each split once, by its name or its category's".into()
        }
        Error::TooManyEpochs { .. } => "give that source a smaller weight, or allow more epochs of it".into(),
        Error::UnknownDocument { .. } => {
            "`mashbill inspect FOLDER --random` shows documents with their keys".into()
        }
        // What is wrong with the value is what to correct; a thread that panics is a fault of mashbill's.
        Error::Weights { .. } | Error::Option { .. } | Error::Thread { .. } => return None,
    })
}
