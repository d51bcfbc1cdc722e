//! What can be wrong, in terms a caller can act on.

use std::fmt;

use mashbill_records::Foreign;
use mashbill_records::parquet_rows::Column;
use serde::Serialize;

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// How bad it is.
    pub severity: Severity,
    /// What it is.
    pub kind: ProblemKind,
    /// Where it is.
    pub place: ProblemPlace,
    /// What was found and what should be there, as a fragment for people.
    pub detail: String,
    /// What mends it.
    pub remedy: Remedy,
}

/// How bad a problem is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The data are not what they say they are.
    Error,
    /// The data are right, but something about them may surprise.
    Warning,
}

/// What a problem is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ProblemKind {
    /// The manifest cannot be read.
    Manifest,
    /// The manifest's numbers contradict one another.
    Sums,
    /// What the manifest says of its making does not give the identity it carries.
    Identity,
    /// A file that the manifest lists is not there.
    Missing,
    /// A file is there that nothing speaks of.
    Stray,
    /// A file has another size than was recorded.
    Size,
    /// A file's bytes are not those that were recorded.
    Checksum,
    /// A file cannot be read as what it should be.
    Unreadable,
    /// A file's columns have other names or types.
    Columns,
    /// A file has another number of rows.
    Rows,
    /// A row has another length.
    RowLength,
    /// An id is outside the vocabulary.
    Ids,
    /// Padding is something else than the pad token.
    Padding,
    /// The attention mask is wrong.
    AttentionMask,
    /// A label is not the next token, or is one where that is not learned.
    Labels,
    /// The spans of learned tokens contradict the row or the document table.
    LossSpans,
    /// The pieces of a row contradict the row or the document table.
    Pieces,
    /// A document does not begin or end with the tokens put around documents.
    SpecialTokens,
    /// The document table contradicts itself or the manifest.
    DocumentTable,
    /// The values are right, but the bytes are not those that mashbill writes for them.
    Encoding,
    /// The statistics contradict the manifest, the records or the data.
    Stats,
    /// The file of refused lines contradicts the manifest.
    Rejects,
    /// A run has not finished.
    Unfinished,
    /// A split counts for nothing, because its input is gone.
    Vanished,
    /// The dataset card says something else than the manifest.
    Card,
    /// The part to train on and the part that is held out are not each other's rest.
    HeldOut,
    /// A document is not what its source gives.
    Source,
    /// The source of a split is not there to be compared with.
    SourceGone,
    /// The lock cannot be read, or speaks of other bytes than a download was made of.
    Lock,
    /// A line is no record.
    Line,
    /// A record stands twice, or another one has its id.
    Duplicate,
    /// Files with data are of a kind that is not read, or a part of a file is none of what it is packed in.
    LeftOut,
    /// There is no document, since there was no record.
    Empty,
    /// All lines or most were refused.
    Refused,
}

impl ProblemKind {
    /// The name in JSON and in output.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Manifest => "manifest",
            Self::Sums => "sums",
            Self::Identity => "identity",
            Self::Missing => "missing",
            Self::Stray => "stray",
            Self::Size => "size",
            Self::Checksum => "checksum",
            Self::Unreadable => "unreadable",
            Self::Columns => "columns",
            Self::Rows => "rows",
            Self::RowLength => "row_length",
            Self::Ids => "ids",
            Self::Padding => "padding",
            Self::AttentionMask => "attention_mask",
            Self::Labels => "labels",
            Self::LossSpans => "loss_spans",
            Self::Pieces => "pieces",
            Self::SpecialTokens => "special_tokens",
            Self::DocumentTable => "document_table",
            Self::Encoding => "encoding",
            Self::Stats => "stats",
            Self::Rejects => "rejects",
            Self::Unfinished => "unfinished",
            Self::Vanished => "vanished",
            Self::Card => "card",
            Self::HeldOut => "held_out",
            Self::Source => "source",
            Self::SourceGone => "source_gone",
            Self::Lock => "lock",
            Self::Line => "line",
            Self::Duplicate => "duplicate",
            Self::LeftOut => "left_out",
            Self::Empty => "empty",
            Self::Refused => "refused",
        }
    }
}

/// Where a problem is.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct ProblemPlace {
    /// The file, relative to the folder, with `/` between folders; empty for the folder itself.
    pub file: String,
    /// The row group in the file, from 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub row_group: Option<usize>,
    /// The row in the file, from 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub row: Option<u64>,
    /// The line in the file, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
}

impl ProblemPlace {
    /// A whole file.
    #[must_use]
    pub fn file(name: impl Into<String>) -> Self {
        Self { file: name.into(), ..Self::default() }
    }

    /// A row of a row group of the same file.
    #[must_use]
    pub fn at(&self, row_group: usize, row: u64) -> Self {
        Self { row_group: Some(row_group), row: Some(row), ..self.clone() }
    }

    /// A row group of the same file.
    #[must_use]
    pub fn group(&self, row_group: usize) -> Self {
        Self { row_group: Some(row_group), ..self.clone() }
    }

    /// A line of the same file.
    #[must_use]
    pub fn line(&self, line: u64) -> Self {
        Self { line: Some(line), ..self.clone() }
    }
}

impl fmt::Display for ProblemPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.file.is_empty() { "the folder" } else { &self.file })?;
        if let Some(row_group) = self.row_group {
            write!(f, ", row group {row_group}")?;
        }
        if let Some(row) = self.row {
            write!(f, ", row {row}")?;
        }
        if let Some(line) = self.line {
            write!(f, ", line {line}")?;
        }
        Ok(())
    }
}

/// What mends a problem; how that is typed is the command line's affair.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case", tag = "action")]
pub enum Remedy {
    /// Make the split again from its input.
    MakeSplitAgain {
        /// The split.
        split: String,
    },
    /// Make everything again.
    MakeAllAgain,
    /// Say where the source is now.
    NameSource,
    /// Nothing, where the input is meant to have no record; else fill it, or take it away.
    FillInput,
    /// Get the file again.
    CopyAgain,
    /// Move the file away.
    MoveAway {
        /// The file or folder, relative to the folder that was checked.
        file: String,
    },
    /// Give the command that made the folder again: it goes on.
    RunAgain,
    /// Give the command that made the folder again: it writes the card.
    WriteCard,
    /// Remove splits whose input is gone.
    Prune,
    /// Correct the line, or leave it to be refused.
    CorrectLine,
    /// Make of the file what is read.
    Convert {
        /// The file, relative to the folder that was checked.
        file: String,
        /// What it holds.
        content: Foreign,
    },
    /// Nothing, where the file was not meant to be read; else give it the form that is.
    NotRead,
    /// Give the file another name.
    Rename,
    /// Give one of two columns of the same name another one.
    RenameColumn {
        /// The name.
        column: String,
    },
    /// Say which column of a Parquet file holds the texts.
    NameTextField {
        /// Its columns.
        columns: Vec<Column>,
    },
    /// Download the dataset again.
    DownloadAgain {
        /// The dataset.
        dataset: String,
        /// The file of its records, relative to the folder that was checked, which has to go first: a download replaces
        /// no file that it cannot tell from a user's own. Empty where there is none.
        records: String,
    },
    /// Describe the dataset's columns, of which none was recognised, and download it again.
    Describe {
        /// The dataset.
        dataset: String,
    },
    /// Remove the fetched file, and download the dataset again.
    FetchAgain {
        /// The dataset.
        dataset: String,
        /// The file, relative to the folder of all datasets.
        file: String,
    },
    /// Take the lock from where it was committed.
    RestoreLock,
    /// Correct the input, or say where its texts are, and make the split again.
    CorrectInput {
        /// The split; empty for all.
        split: String,
    },
}
