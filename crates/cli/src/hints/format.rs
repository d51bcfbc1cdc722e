//! What to type next where a file of mashbill's own cannot be read or written.

use std::io;
use std::path::Path;

use mashbill_format::Error;
use mashbill_format::layout::MANIFEST;
use mashbill_format::lock::LOCK;
use mashbill_store::Error as StoreError;
use mashbill_store::atomic::folder_of;
use mashbill_store::error::is_file_in_the_way;
use mashbill_store::open::WrongKind;

use super::records::{content_hint, readable_hint};
use super::remedy::anew_hint;

/// What helps where a file of a folder is missing or damaged.
const DAMAGE_HINT: &str = "run `mashbill verify` on its folder to see what else is wrong, and how to fix it";

pub(crate) fn format_hint(error: &Error) -> Option<String> {
    Some(match error {
        Error::Store(error) => return store_hint(error),
        Error::Columns { .. } => DAMAGE_HINT.into(),
        Error::Records { path, source } => content_hint(Path::new(path), source),
        Error::Recipe { .. } => "give a file with the output of `DataLoader.recipe()`".into(),
        Error::TooNew { .. } | Error::Requires { .. } => "update mashbill".into(),
        Error::TooOld { path, .. } if path.ends_with(MANIFEST) => format!(
            "mv {} somewhere else, then run the `mashbill tokenize` command that made it: it makes the folder again",
            folder_of(path).display()
        ),
        Error::TooOld { path, .. } => {
            format!(
                "mv {} somewhere else, then run the command that made it to make it again",
                path.display()
            )
        }
    })
}

pub(crate) fn store_hint(error: &StoreError) -> Option<String> {
    Some(match error {
        StoreError::DiskFull { .. } => "make space, then run the same command again to resume".into(),
        StoreError::InUse { pid, host, .. } => {
            format!("wait for process {pid} on {host}, or give another `--output`")
        }
        StoreError::Io { action: "read" | "open", path, source }
            if source.kind() == io::ErrorKind::PermissionDenied =>
        {
            readable_hint(path)
        }
        StoreError::Io { path, source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
            format!("choose an `--output` that you can write to; `{}` is not one", path.display())
        }
        StoreError::Io { source, .. } if is_file_in_the_way(source) => {
            "a file is in the way: choose a folder with `--output`".into()
        }
        StoreError::Io { path, source, .. } if WrongKind::is_behind(source) => {
            format!("remove `{}`, or replace it with what is needed", path.display())
        }
        StoreError::Io { path, source, .. } if source.kind() == io::ErrorKind::IsADirectory => {
            format!("a folder is in the way: move `{}` away, or choose another `--output`", path.display())
        }
        StoreError::Damaged { path, .. } if path.ends_with(MANIFEST) => anew_hint(folder_of(path)),
        StoreError::Damaged { path, .. } if path.ends_with(LOCK) => format!(
            "restore the committed lock; or `mv {0} {0}.bad`: `mashbill download` makes a new one",
            path.display()
        ),
        StoreError::Damaged { .. } => DAMAGE_HINT.into(),
        StoreError::Io { action: "read" | "open", source, .. }
            if source.kind() == io::ErrorKind::NotFound =>
        {
            DAMAGE_HINT.into()
        }
        StoreError::Io { .. } | StoreError::AlreadyExists { .. } => return None,
    })
}
