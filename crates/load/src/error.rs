//! What can go wrong between a folder and a batch, in terms a caller can act on.

use std::path::PathBuf;
use std::sync::Arc;

use mashbill_format::figures::counted;
use mashbill_format::recipe::NoState;
use mashbill_format::shard::IGNORED;
use mashbill_store::class::Class;

/// An error of opening a dataset or loading from it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file is missing, damaged or cannot be read.
    #[error(transparent)]
    File(#[from] mashbill_format::Error),
    /// The folder holds no manifest.
    #[error("`{}` is not a tokenized dataset: it has no manifest.json", folder.display())]
    NoManifest {
        /// The folder.
        folder: PathBuf,
    },
    /// What was held out of a folder was asked for, and there is no such thing.
    #[error("`{}` has no validation part: {why}", folder.display())]
    NoValidation {
        /// The folder.
        folder: PathBuf,
        /// Why there is none.
        why: String,
    },
    /// A split was asked for that the manifest does not list.
    #[error("there is no split `{split}`; there {} {}", are(available), list(available))]
    UnknownSplit {
        /// What was asked for.
        split: String,
        /// What there is.
        available: Vec<String>,
    },
    /// There is nothing to load.
    #[error("the chosen splits have no rows")]
    NoRows,
    /// A shard that the manifest lists is not there, or has another size.
    #[error("shard `{}` of split `{split}` {what}", path.display())]
    Shard {
        /// The split.
        split: String,
        /// Where the shard should be.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// A shard's document table is missing, damaged, or does not fit to the rows.
    #[error("document table `{}` of split `{split}` {what}", path.display())]
    Table {
        /// The split.
        split: String,
        /// Where the table should be.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// The decoded rows cannot be kept where they were wanted.
    #[error("the cache folder `{}` is not trusted: {why}", path.display())]
    Distrusted {
        /// The folder.
        path: PathBuf,
        /// Who else can write to it.
        why: &'static str,
    },
    /// Somebody asked to stop.
    #[error("interrupted")]
    Interrupted,
    /// What went wrong before, told again.
    #[error(transparent)]
    Again(Arc<Self>),
    /// Positions without a target are labelled with another number.
    #[error("the manifest's labels have the ignore_index {found}, but only {IGNORED} can be read")]
    IgnoreIndex {
        /// The number that the manifest names.
        found: i32,
    },
    /// A name in the weights is neither a split nor a category.
    #[error(
        "`{name}` in the weights is neither a split nor a category; there {} {}",
        are(available),
        list(available)
    )]
    UnknownSource {
        /// The name.
        name: String,
        /// Splits and categories.
        available: Vec<String>,
    },
    /// A split belongs to two of the weights, or to none.
    #[error("split `{split}` {what}")]
    SplitWeight {
        /// The split.
        split: String,
        /// What is wrong with its weight.
        what: String,
    },
    /// Weights or stages make no sense.
    #[error("{what}")]
    Weights {
        /// What is wrong.
        what: String,
    },
    /// A source would be seen more often than was asked for.
    #[error(
        "`{source_name}` would be seen {epochs:.1} times by step {step}, but at most {max} epochs of a source are allowed"
    )]
    TooManyEpochs {
        /// The source.
        source_name: String,
        /// How many times it would be seen.
        epochs: f64,
        /// The step by which.
        step: u64,
        /// How many are allowed.
        max: u64,
    },
    /// An option is out of its range.
    #[error("{what}")]
    Option {
        /// What is wrong.
        what: String,
    },
    /// An epoch has fewer rows than one step takes.
    #[error(
        "an epoch has {} and a step takes {global_batch}: with the last batch dropped nothing is left",
        counted(*rows, "row")
    )]
    TooFewRows {
        /// Rows in an epoch.
        rows: u64,
        /// Rows a step takes, over all ranks.
        global_batch: u64,
    },
    /// A state is of another version, dataset, seed or mixture.
    #[error("the state does not fit: {what}")]
    State {
        /// What differs.
        what: String,
    },
    /// A thread of the loader ended without a result.
    #[error("a loader thread panicked: {message}")]
    Thread {
        /// What it said.
        message: String,
    },
    /// A document was asked for that the split does not have.
    #[error("split `{split}` has no document `{document}`")]
    UnknownDocument {
        /// The split.
        split: String,
        /// The document's key or id.
        document: String,
    },
    /// A document of a split of many files was asked for by a key alone, which begins again with each group of files.
    #[error("split `{split}` is many files: a document of it is known by the group of its file and its key")]
    NoGroup {
        /// The split.
        split: String,
    },
}

impl From<mashbill_store::Error> for Error {
    fn from(error: mashbill_store::Error) -> Self {
        Self::File(error.into())
    }
}

impl Error {
    /// What it means for the caller of the command.
    #[must_use]
    pub fn class(&self) -> Class {
        match self {
            Self::File(error) => error.class(),
            Self::Again(error) => error.class(),
            Self::Interrupted => Class::Interrupted,
            Self::Shard { .. } | Self::Table { .. } | Self::Thread { .. } => Class::Unexpected,
            Self::NoManifest { .. }
            | Self::NoValidation { .. }
            | Self::UnknownSplit { .. }
            | Self::NoRows
            | Self::Distrusted { .. }
            | Self::IgnoreIndex { .. }
            | Self::UnknownSource { .. }
            | Self::SplitWeight { .. }
            | Self::Weights { .. }
            | Self::TooManyEpochs { .. }
            | Self::Option { .. }
            | Self::TooFewRows { .. }
            | Self::State { .. }
            | Self::UnknownDocument { .. }
            | Self::NoGroup { .. } => Class::Usage,
        }
    }
}

impl Error {
    /// What went wrong, whether it is told for the first time or again.
    #[must_use]
    pub fn first(&self) -> &Self {
        match self {
            Self::Again(error) => error.first(),
            error => error,
        }
    }

    /// Whether there was no room left on a disk.
    #[must_use]
    pub fn is_disk_full(&self) -> bool {
        matches!(
            self.first(),
            Self::File(mashbill_format::Error::Store(mashbill_store::Error::DiskFull { .. }))
        )
    }
}

impl From<NoState> for Error {
    fn from(NoState(what): NoState) -> Self {
        Self::State { what }
    }
}

/// A result whose error is [`enum@Error`].
pub type Result<T> = std::result::Result<T, Error>;

fn are(names: &[String]) -> &'static str {
    if names.len() == 1 { "is" } else { "are" }
}

fn list(names: &[String]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}
