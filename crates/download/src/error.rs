//! Why a download cannot be done, in terms a caller can act on.

use std::io;
use std::path::{Path, PathBuf};

use mashbill_format::figures::size;
use mashbill_format::untaken::UntakenFiles;
use mashbill_store::class::Class;
use mashbill_store::error::of_io;

/// An error of planning, fetching or converting.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A catalogue has a mistake.
    #[error("`{}`, {mistake}", path.display())]
    Catalog {
        /// The file.
        path: PathBuf,
        /// The line and what is wrong with it.
        mistake: mashbill_format::catalog::Mistake,
    },
    /// A user's catalogue names a dataset that is there already.
    #[error("`{}` names the dataset `{name}`, which is already in the catalog", path.display())]
    DatasetTwice {
        /// The file.
        path: PathBuf,
        /// The dataset.
        name: String,
    },
    /// No dataset has this name.
    #[error("there is no dataset `{name}`{}", meant(suggestion))]
    UnknownDataset {
        /// What was asked for.
        name: String,
        /// What was probably meant.
        suggestion: Option<String>,
    },
    /// No category has this name.
    #[error("there is no category `{name}`{}", meant(suggestion))]
    UnknownCategory {
        /// What was asked for.
        name: String,
        /// What was probably meant.
        suggestion: Option<String>,
    },
    /// The dataset cannot be taken.
    #[error("`{name}` cannot be taken: {why}")]
    Refused {
        /// The dataset.
        name: String,
        /// Why.
        why: String,
    },
    /// The repository has no file that the dataset's globs choose, or that the rule takes where it has none.
    #[error("`{repo}` has no file {}", chosen_by(globs))]
    NoFiles {
        /// The repository.
        repo: String,
        /// The globs.
        globs: Vec<String>,
        /// The files that it has.
        untaken: Vec<UntakenFiles>,
    },
    /// The repository's card has several configurations, and none is the default.
    #[error("`{repo}` has several configurations and no default: {}", names.join(", "))]
    SeveralConfigs {
        /// The repository.
        repo: String,
        /// The first of them, quoted.
        names: Vec<String>,
        /// A file of the first.
        example: String,
    },
    /// The repository's card has more patterns for its files than can be looked through.
    #[error("the card of `{repo}` has too many patterns for its files")]
    CardTooLong {
        /// The repository.
        repo: String,
    },
    /// A file has the dataset's name that no download made.
    #[error("`{}` already exists, and no download made it", path.display())]
    NotOurs {
        /// The file.
        path: PathBuf,
    },
    /// An entry of the lock cannot be one that mashbill wrote.
    #[error("the entry of `{}` in curriculum.lock has `{}`, which cannot be fetched", repo.escape_debug(), file.escape_debug())]
    Pin {
        /// The repository.
        repo: String,
        /// The file.
        file: String,
    },
    /// A file's name is longer than a disk takes.
    #[error("`{}` of `{repo}` has a name that is too long for a disk", file.escape_debug())]
    Unfetchable {
        /// The repository.
        repo: String,
        /// The file.
        file: String,
    },
    /// More would be fetched than is allowed.
    #[error("{} would be fetched, but --max-download is {}", size(*needed), size(*limit))]
    TooMuch {
        /// Bytes to be fetched.
        needed: u64,
        /// Bytes allowed.
        limit: u64,
    },
    /// The disk is too small.
    #[error("about {} are needed in `{}`, {} are free", size(*needed), path.display(), size(*free))]
    TooLittleSpace {
        /// The folder.
        path: PathBuf,
        /// Bytes expected.
        needed: u64,
        /// Bytes free.
        free: u64,
    },
    /// A file's format is not told by its name, and the catalogue does not name one.
    #[error("`{}` of `{dataset}` has a name that does not show its format", file.escape_debug())]
    UnknownFormat {
        /// The dataset.
        dataset: String,
        /// The file.
        file: String,
    },
    /// A fetched file is whole, but not what its format promises.
    #[error("`{}` cannot be converted: {what}", file.escape_debug())]
    BrokenFile {
        /// The file in its repository.
        file: String,
        /// The file on this machine.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// Not one row became a record.
    #[error("none of {rows} rows became a record{}", no_records(reason, detail, columns))]
    NoRecords {
        /// The repository.
        repo: String,
        /// Rows read.
        rows: u64,
        /// The most frequent reason.
        reason: String,
        /// What was found in the first such row.
        detail: String,
        /// The rows' columns, where that is why: none of them is one that is looked for.
        columns: Vec<String>,
    },
    /// A file cannot be read.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The user ended the run.
    #[error("interrupted")]
    Interrupted,
    /// An error of a file of mashbill's.
    #[error(transparent)]
    Format(#[from] mashbill_format::Error),
    /// An error of the Hub.
    #[error(transparent)]
    Hub(#[from] mashbill_hub::Error),
}

impl From<mashbill_store::Error> for Error {
    fn from(error: mashbill_store::Error) -> Self {
        Self::Format(error.into())
    }
}

impl Error {
    /// What it means for the caller of the command.
    #[must_use]
    pub fn class(&self) -> Class {
        match self {
            Self::Format(error) => error.class(),
            Self::Hub(error) => error.class(),
            Self::Interrupted => Class::Interrupted,
            Self::TooLittleSpace { .. } => Class::Incomplete,
            Self::Read { source, .. } => of_io(source),
            Self::Catalog { .. }
            | Self::DatasetTwice { .. }
            | Self::UnknownDataset { .. }
            | Self::UnknownCategory { .. }
            | Self::Refused { .. }
            | Self::NoFiles { .. }
            | Self::SeveralConfigs { .. }
            | Self::CardTooLong { .. }
            | Self::NotOurs { .. }
            | Self::Pin { .. }
            | Self::Unfetchable { .. }
            | Self::TooMuch { .. }
            | Self::UnknownFormat { .. }
            | Self::BrokenFile { .. }
            | Self::NoRecords { .. } => Class::Usage,
        }
    }
}

impl Error {
    pub(crate) fn read(path: &Path, source: io::Error) -> Self {
        Self::Read { path: path.to_owned(), source }
    }
}

/// A result whose error is [`enum@Error`].
pub type Result<T> = std::result::Result<T, Error>;

fn chosen_by(globs: &[String]) -> String {
    if globs.is_empty() {
        return "to train on whose name ends with .parquet, .jsonl, .json or .csv".to_owned();
    }
    let globs: Vec<_> = globs.iter().map(|glob| format!("`{}`", glob.escape_debug())).collect();
    format!("that {} chooses", globs.join(", "))
}

/// Why no row became a record.
fn no_records(reason: &str, detail: &str, columns: &[String]) -> String {
    /// More columns are only counted.
    const SHOWN: usize = 12;
    if columns.is_empty() {
        return format!(", most because of `{reason}`: {detail}");
    }
    let shown = columns.iter().take(SHOWN).map(|name| name.escape_debug().to_string()).collect::<Vec<_>>();
    let more = columns.len() - shown.len();
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!(": its columns are {}{more}, and none of them is recognized", shown.join(", "))
}

fn meant(suggestion: &Option<String>) -> String {
    suggestion.as_ref().map_or_else(String::new, |name| format!("; did you mean `{name}`?"))
}
