//! What to type next when a download cannot be done.

use std::io;

use mashbill_download::Error;
use mashbill_format::Error as FormatError;
use mashbill_format::figures::size;
use mashbill_hub::{Error as HubError, Unreachable};
use mashbill_store::Error as StoreError;
use mashbill_store::open::WrongKind;

use super::format::{format_hint, store_hint};
use super::records::{FILE_HINT, readable_hint};
use crate::commands::download::untaken::{files_by_reason, files_hint};

/// The hint for an error of a download, if there is something to type.
pub(crate) fn download_hint(error: &Error) -> Option<String> {
    Some(match error {
        Error::Catalog { .. } => "docs/download.md describes the file".into(),
        Error::DatasetTwice { .. } => "give it another `name`".into(),
        Error::UnknownDataset { .. } => {
            "`mashbill download --status-only` lists them; any dataset of the Hub can be named as organization/name".into()
        }
        Error::UnknownCategory { .. } => {
            "the categories are instruction_chat, code, math_reasoning, factual_qa and custom".into()
        }
        Error::NoFiles { repo, untaken, .. } => match files_by_reason(untaken) {
            Some(files) => {
                let example = untaken.iter().flat_map(|untaken| &untaken.examples).next();
                format!("it has {files}; {}", files_hint(repo, example.map_or("", String::as_str)))
            }
            None => "it is empty: is it the right one?".into(),
        },
        Error::SeveralConfigs { repo, example, .. } => files_hint(repo, example),
        Error::CardTooLong { repo } => files_hint(repo, "**.parquet"),
        Error::UnknownFormat { .. } => "name the `format` in a file for `--catalog`".into(),
        Error::NoRecords { repo, columns, .. } if !columns.is_empty() => describe_hint(repo, &columns[0]),
        Error::NoRecords { .. } => {
            "if its rows differ from what the catalog says, describe it in a file for `--catalog`".into()
        }
        // Its hash is right: fetched again it would be the same.
        Error::BrokenFile { .. } => "it is like that on the Hub: describe it (`format`, `rows_key`) in a file for \
                                     `--catalog`, or leave it out there with `files`"
            .into(),
        Error::Unfetchable { .. } => "leave it out with `files` in a file for `--catalog`".into(),
        Error::TooMuch { needed, .. } => format!(
            "allow it with `--max-download {}`, or take less with `--budget`, `--category` or `--dataset`",
            at_least(*needed)
        ),
        Error::TooLittleSpace { needed, free, .. } => format!(
            "{} of the {} needed are free: make space, or take less with `--budget`, `--category` or `--dataset`",
            size(*free),
            size(*needed)
        ),
        Error::NotOurs { .. } => {
            "rename that file, which then still counts as your own, or give another `--output`".into()
        }
        Error::Pin { .. } => "run the command with `--update` to rewrite the entry".into(),
        Error::Interrupted => "run the same command again to resume".into(),
        Error::Format(error) => return format_hint(error),
        Error::Hub(error) => return hub_hint(error),
        Error::Read { source, .. } if WrongKind::is_behind(source) => FILE_HINT.into(),
        Error::Read { path, source } if source.kind() == io::ErrorKind::PermissionDenied => readable_hint(path),
        Error::Refused { .. } => "`mashbill download --status-only` lists others".into(),
        // Of a disk that fails nobody knows.
        Error::Read { .. } => return None,
    })
}

/// A size as `--max-download` takes it that is not below `bytes`.
fn at_least(bytes: u64) -> String {
    let units = [(1_000_000_000, "GB"), (1_000_000, "MB"), (1_000, "kB")];
    let fits = units.into_iter().find(|(unit, _)| bytes >= *unit);
    fits.map_or_else(|| "1kB".to_owned(), |(unit, name)| format!("{}{name}", bytes.div_ceil(unit)))
}

/// How a dataset is described whose column `field` may have the texts.
fn describe_hint(repo: &str, field: &str) -> String {
    format!(
        "say which one has the text: give `--catalog own.toml` with `[[dataset]]`, `repo = {repo:?}`, \
         `[dataset.render.text]` and `field = \"{}\"`, each on a line of its own",
        field.escape_debug(),
    )
}

/// Whether what went wrong may be gone when the same command is given again.
pub(crate) fn may_pass(error: &Error) -> bool {
    match error {
        Error::Hub(error) => at_the_hub_may_pass(error),
        Error::Format(error) => of_a_file_may_pass(error),
        Error::TooLittleSpace { .. } | Error::Interrupted => true,
        Error::Catalog { .. }
        | Error::DatasetTwice { .. }
        | Error::UnknownDataset { .. }
        | Error::UnknownCategory { .. }
        | Error::Refused { .. }
        | Error::NoFiles { .. }
        | Error::SeveralConfigs { .. }
        | Error::CardTooLong { .. }
        | Error::NotOurs { .. }
        | Error::Pin { .. }
        | Error::Unfetchable { .. }
        | Error::TooMuch { .. }
        | Error::UnknownFormat { .. }
        | Error::BrokenFile { .. }
        | Error::NoRecords { .. }
        | Error::Read { .. } => false,
    }
}

fn at_the_hub_may_pass(error: &HubError) -> bool {
    match error {
        HubError::Status { status, .. } => matches!(status, 408 | 429 | 500..=599),
        HubError::Unreachable { source, .. } => match source {
            Unreachable::Dns
            | Unreachable::Refused
            | Unreachable::TimedOut
            | Unreachable::Slow
            | Unreachable::Proxy(_)
            | Unreachable::Broken(_) => true,
            Unreachable::Tls(_) => false,
        },
        HubError::RateLimited { .. }
        | HubError::Checksum { .. }
        | HubError::TooLittleSpace { .. }
        | HubError::InUse { .. }
        | HubError::Interrupted => true,
        HubError::InvalidRepoId { .. }
        | HubError::InvalidRevision { .. }
        | HubError::InvalidSetting { .. }
        | HubError::InvalidToken { .. }
        | HubError::RepoNotFound { .. }
        | HubError::Gated { .. }
        | HubError::BadToken { .. }
        | HubError::RevisionNotFound { .. }
        | HubError::EntryNotFound { .. }
        | HubError::Disabled { .. }
        | HubError::NotCached { .. }
        | HubError::Offline { .. }
        | HubError::NotAHub { .. }
        | HubError::Listing { .. }
        | HubError::Changed { .. }
        | HubError::TooLarge { .. }
        | HubError::DamagedCache { .. } => false,
        HubError::Store(error) => of_a_disk_may_pass(error),
    }
}

const fn of_a_file_may_pass(error: &FormatError) -> bool {
    match error {
        FormatError::Store(error) => of_a_disk_may_pass(error),
        FormatError::Columns { .. }
        | FormatError::Records { .. }
        | FormatError::Recipe { .. }
        | FormatError::TooNew { .. }
        | FormatError::TooOld { .. }
        | FormatError::Requires { .. } => false,
    }
}

const fn of_a_disk_may_pass(error: &StoreError) -> bool {
    match error {
        StoreError::DiskFull { .. } | StoreError::InUse { .. } => true,
        StoreError::Io { .. } | StoreError::AlreadyExists { .. } | StoreError::Damaged { .. } => false,
    }
}

fn hub_hint(error: &HubError) -> Option<String> {
    Some(match error {
        HubError::Gated { ask_at, token: None, .. } => {
            format!("ask for access at {ask_at}, then set HF_TOKEN or run `hf auth login`")
        }
        HubError::Gated { ask_at, .. } => format!("ask for access at {ask_at} with that account"),
        HubError::RepoNotFound { token: None, .. } => {
            "check the name; if it is private, set HF_TOKEN or run `hf auth login`".into()
        }
        HubError::RepoNotFound { .. } => "check the name, and that the token's account may see it".into(),
        HubError::BadToken { .. } | HubError::InvalidToken { .. } => {
            "make a new token and set HF_TOKEN or run `hf auth login`".into()
        }
        HubError::Offline { .. } | HubError::NotCached { .. } => "unset HF_HUB_OFFLINE to fetch it".into(),
        HubError::Unreachable { .. } | HubError::NotAHub { .. } => {
            "check the network, HTTPS_PROXY and HF_ENDPOINT; run the same command again to resume".into()
        }
        HubError::RateLimited { .. } => {
            "wait a little, or send a token with HF_TOKEN; run the same command again to resume".into()
        }
        HubError::Status { status: 408 | 429 | 500..=599, .. } => {
            "wait a little; run the same command again to resume".into()
        }
        HubError::Status { .. } => "check HF_ENDPOINT, the proxy and the token: it was refused for good".into(),
        HubError::Checksum { .. } => {
            "something between here and the Hub changes it, or keeps an older one: run the same command to fetch it again"
                .into()
        }
        HubError::Listing { .. } => {
            "name another `revision` in a file for `--catalog`, or check HF_ENDPOINT: the list is the server's".into()
        }
        HubError::EntryNotFound { .. } | HubError::RevisionNotFound { .. } => {
            "run the command with `--update` to take the current version, or name another `revision` in a file for `--catalog`"
                .into()
        }
        HubError::Changed { .. } => "run the command with `--update` to take the current version".into(),
        HubError::TooLittleSpace { .. } => {
            "make space, then run the same command again to resume".into()
        }
        HubError::Interrupted => "run the same command again to resume".into(),
        HubError::InvalidRepoId { .. } => "name it as organization/name, as its page on the Hub does".into(),
        HubError::InvalidRevision { .. } => {
            "give a branch, a tag or a commit as `revision` in the file for `--catalog`".into()
        }
        HubError::InvalidSetting { variable, .. } => format!("correct {variable}, or unset it"),
        HubError::Disabled { .. } => {
            "leave it out: name the others with `--dataset`, or a category with `--category`".into()
        }
        HubError::InUse { pid, .. } => wait_hint(*pid),
        HubError::TooLarge { .. } => "leave the file out with `files` in a file for `--catalog`".into(),
        HubError::DamagedCache { path, .. } => format!("remove it: rm {}", path.display()),
        HubError::Store(error) => return store_hint(error),
    })
}

/// What to do while another process fetches the same file.
pub(super) fn wait_hint(pid: Option<u32>) -> String {
    match pid {
        Some(pid) => format!("wait for process {pid}, then run the same command again"),
        None => "wait until it is done, then run the same command again".into(),
    }
}
