//! Why a tokenization cannot be done, in terms a caller can act on.

use std::io;
use std::path::{Path, PathBuf};

use mashbill_chat::TemplateError;
use mashbill_format::figures::size;
use mashbill_records::parquet_rows::Column;
use mashbill_records::{ReadError, listed};
use mashbill_store::class::Class;
use mashbill_store::error::of_io;
use mashbill_tokenizer as tokenizer;

/// An error of tokenizing.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The input path does not exist.
    #[error("`{}` does not exist", path.display())]
    InputMissing {
        /// The path.
        path: PathBuf,
    },
    /// The input is a file of a kind that is not read.
    #[error("`{}` is a file of a kind that is not read", path.display())]
    InputUnknown {
        /// The file.
        path: PathBuf,
    },
    /// A file cannot be read as what its name says: it is no file, or its content is another.
    #[error("cannot read `{path}`")]
    Content {
        /// The file, for people.
        path: String,
        /// Why.
        source: ReadError,
    },
    /// The input folder is the output of an earlier run.
    #[error("`{}` is already tokenized", path.display())]
    InputIsOutput {
        /// The folder.
        path: PathBuf,
    },
    /// The output is a file.
    #[error("`{}` is a file, but an output is a folder", path.display())]
    OutputIsFile {
        /// The file.
        path: PathBuf,
    },
    /// The output folder is the input folder, whose files would lie among those that are made.
    #[error("`{}` is both the input and the output", path.display())]
    OutputIsInput {
        /// The folder.
        path: PathBuf,
    },
    /// The input folder has no input file.
    #[error("no input files found in `{}`{}", path.display(), others(left_out))]
    NoInput {
        /// The folder.
        path: PathBuf,
        /// How many a walk through the folders below would find.
        deeper: usize,
        /// Files of other kinds that are there.
        left_out: Vec<String>,
    },
    /// Two input files would become the same split.
    #[error("two files would become the split `{split}`: `{}` and `{}`", first.display(), second.display())]
    SplitTwice {
        /// The split.
        split: String,
        /// One file.
        first: PathBuf,
        /// The other.
        second: PathBuf,
    },
    /// A folder that is to become one split holds files that are not to be trained on together.
    #[error("`{}` is beside `{}`: they must not be trained on together", first.display(), second.display())]
    MixedFolder {
        /// A file to train on.
        first: PathBuf,
        /// One that is not.
        second: PathBuf,
    },
    /// An input file would become a split, or stands in a folder, whose name cannot stand in a manifest.
    #[error("`{}` cannot become the split `{split}`: {why}", path.display())]
    SplitName {
        /// The split.
        split: String,
        /// The file.
        path: PathBuf,
        /// What is wrong with the name.
        why: &'static str,
    },
    /// A name is longer than file systems allow, for itself or for what is named after it.
    #[error("the name `{name}` of `{}` has {} bytes, but at most {max} are possible", path.display(), name.len())]
    NameTooLong {
        /// The split's name, or the output folder's.
        name: String,
        /// The file that would become the split, or the output folder.
        path: PathBuf,
        /// The longest name that is possible, in bytes.
        max: usize,
    },
    /// A finished split differs from what was asked for, and was not to be replaced.
    #[error("the finished split `{split}` in `{}` is different: {why}", output.display())]
    SplitDiffers {
        /// The split.
        split: String,
        /// The output folder.
        output: PathBuf,
        /// What differs.
        why: String,
    },
    /// A chat template cannot be read, or asks for what it is not given.
    #[error("the chat template `{name}` cannot be used")]
    Template {
        /// Where it was found.
        name: String,
        /// Why not.
        source: TemplateError,
    },
    /// A chat template writes control tokens that the tokenizer takes apart.
    #[error("the chat template `{name}` writes {}, which the tokenizer does not have as {}", spelled(tokens), if tokens.len() == 1 { "a token" } else { "tokens" })]
    ControlTokens {
        /// Where it was found.
        name: String,
        /// The tokens.
        tokens: Vec<String>,
    },
    /// A chat template prints nothing of what is said.
    #[error("the chat template `{name}` prints nothing that is said in messages")]
    NoWords {
        /// Where it was found.
        name: String,
    },
    /// An argument of a template is not what can be given to one.
    #[error("the argument `{}` of the chat template cannot be given: {what}", name.escape_debug())]
    TemplateArg {
        /// Its name.
        name: String,
        /// Why, as a fragment.
        what: String,
    },
    /// A date is none.
    #[error("`{}` is not a date", date.escape_debug())]
    Date {
        /// What was given.
        date: String,
    },
    /// A folder with a split's name holds files that are not mashbill's.
    #[error("`{}` holds `{file}`, which is not mashbill's", path.display())]
    ForeignFiles {
        /// The folder.
        path: PathBuf,
        /// One of the files.
        file: String,
    },
    /// Where what was held out of a dataset would be is something else, which a run without held-out documents would remove.
    #[error("`{}` was not held out of this dataset", path.display())]
    NotHeldOut {
        /// The folder.
        path: PathBuf,
    },
    /// A finished split that is not of this input was made in another way; a manifest speaks of one way only.
    #[error("the finished split `{split}`, which is not in this input, is different: {why}")]
    OthersDiffer {
        /// The split.
        split: String,
        /// Whether its input is gone.
        gone: bool,
        /// What differs.
        why: String,
    },
    /// Another run changed the output folder between the plan and its run.
    #[error("`{}` was changed by another run in the meantime", path.display())]
    OutputChanged {
        /// The output folder.
        path: PathBuf,
    },
    /// The disk is too small for what is expected.
    #[error("about {} are needed in `{}`, {} are free", size(*needed), path.display(), size(*free))]
    TooLittleSpace {
        /// The output folder.
        path: PathBuf,
        /// Bytes expected.
        needed: u64,
        /// Bytes free.
        free: u64,
    },
    /// An input file cannot be read.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// An input file is not what its name says, or contradicts itself.
    #[error("`{}` is damaged: {what}", path.display())]
    InputDamaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// A Parquet input has no text column, or one of another type.
    #[error("`{}` has no text column `{column}`; its columns are: {}", path.display(), listed(columns))]
    NoTextColumn {
        /// The file.
        path: PathBuf,
        /// The column that was looked for.
        column: String,
        /// The columns that are there.
        columns: Vec<Column>,
    },
    /// An input file changed while it was read.
    #[error("`{}` changed while it was read", path.display())]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// A line was refused and `--strict` was asked for.
    #[error("`{}`, line {line}: {detail} ({reason})", path.display())]
    Strict {
        /// The file.
        path: PathBuf,
        /// The line's number, from 1.
        line: u64,
        /// The reason's name.
        reason: &'static str,
        /// What was found.
        detail: String,
    },
    /// A plan that was written down has no such task.
    #[error("the plan has no task `{name}`")]
    NoTask {
        /// The task.
        name: String,
    },
    /// A plan that was written down names an input of no kind that is read.
    #[error("the plan names `{input}`, which is not an input")]
    PlanDamaged {
        /// The input's path.
        input: String,
    },
    /// A task was to be made with another tokenizer than its plan says.
    #[error("the plan was made with `{planned}`, but `{given}` is another tokenizer")]
    OtherTokenizer {
        /// The plan's tokenizer.
        planned: String,
        /// The other one.
        given: String,
    },
    /// Not all shards of a split are made.
    #[error("{made} shards are made{}", of.map_or_else(|| ", and more are missing".into(), |of| format!(" of {of}")))]
    ShardsMissing {
        /// Shards that are made.
        made: usize,
        /// Of how many; none where only reading the input to its end will tell.
        of: Option<u64>,
    },
    /// The run was interrupted; what was finished is kept.
    #[error("interrupted")]
    Interrupted,
    /// The tokenizer cannot be used.
    #[error(transparent)]
    Tokenizer(#[from] tokenizer::Error),
    /// A file of mashbill's own cannot be written or read.
    #[error(transparent)]
    Format(#[from] mashbill_format::Error),
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
            Self::Tokenizer(error) => error.class(),
            Self::Interrupted => Class::Interrupted,
            Self::Changed { .. }
            | Self::OutputChanged { .. }
            | Self::TooLittleSpace { .. }
            | Self::ShardsMissing { .. } => Class::Incomplete,
            Self::Read { source, .. } => of_io(source),
            Self::InputDamaged { .. }
            | Self::PlanDamaged { .. }
            | Self::InputMissing { .. }
            | Self::InputUnknown { .. }
            | Self::Content { .. }
            | Self::InputIsOutput { .. }
            | Self::OutputIsFile { .. }
            | Self::OutputIsInput { .. }
            | Self::NoInput { .. }
            | Self::SplitTwice { .. }
            | Self::MixedFolder { .. }
            | Self::NoTask { .. }
            | Self::OtherTokenizer { .. }
            | Self::SplitName { .. }
            | Self::NameTooLong { .. }
            | Self::SplitDiffers { .. }
            | Self::ForeignFiles { .. }
            | Self::NotHeldOut { .. }
            | Self::OthersDiffer { .. }
            | Self::NoTextColumn { .. }
            | Self::Template { .. }
            | Self::ControlTokens { .. }
            | Self::NoWords { .. }
            | Self::TemplateArg { .. }
            | Self::Date { .. }
            | Self::Strict { .. } => Class::Usage,
        }
    }
}

/// Tokens, for people.
fn spelled(tokens: &[String]) -> String {
    tokens.iter().map(|token| format!("`{}`", token.escape_debug())).collect::<Vec<_>>().join(", ")
}

/// Names of files of other kinds, for people.
fn others(left_out: &[String]) -> String {
    let Some(first) = left_out.first() else { return String::new() };
    match left_out.len() - 1 {
        0 => format!(", only `{first}`, which is not read"),
        more => format!(", only `{first}` and {more} more of kinds that are not read"),
    }
}

impl Error {
    /// Whether it ends the whole run, not just its split.
    pub(crate) const fn ends_run(&self) -> bool {
        match self {
            Self::Interrupted
            | Self::Strict { .. }
            | Self::Format(_)
            | Self::Tokenizer(_)
            | Self::Template { .. }
            | Self::ControlTokens { .. }
            | Self::NoWords { .. }
            | Self::TemplateArg { .. }
            | Self::Date { .. } => true,
            Self::InputMissing { .. }
            | Self::InputUnknown { .. }
            | Self::Content { .. }
            | Self::InputIsOutput { .. }
            | Self::OutputIsFile { .. }
            | Self::OutputIsInput { .. }
            | Self::NoInput { .. }
            | Self::SplitTwice { .. }
            | Self::MixedFolder { .. }
            | Self::SplitName { .. }
            | Self::NameTooLong { .. }
            | Self::SplitDiffers { .. }
            | Self::ForeignFiles { .. }
            | Self::NotHeldOut { .. }
            | Self::OthersDiffer { .. }
            | Self::OutputChanged { .. }
            | Self::TooLittleSpace { .. }
            | Self::Read { .. }
            | Self::InputDamaged { .. }
            | Self::NoTextColumn { .. }
            | Self::Changed { .. }
            | Self::NoTask { .. }
            | Self::PlanDamaged { .. }
            | Self::OtherTokenizer { .. }
            | Self::ShardsMissing { .. } => false,
        }
    }

    pub(crate) fn read(path: &Path, source: io::Error) -> Self {
        Self::Read { path: path.to_owned(), source }
    }
}

/// A result whose error is [`enum@Error`].
pub type Result<T> = std::result::Result<T, Error>;
