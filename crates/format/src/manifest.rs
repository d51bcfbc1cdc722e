//! `manifest.json`: what an output folder holds, complete and checked.
//!
//! The guide's fields keep their names and meanings (`tokenizer`, `max_seq_length`,
//! `shard_size_gb`, `input_path`, `output_path`, `files_processed`, `splits` with
//! `path`, `shards`, `sequences`, `samples`, `tokens`); the others stand beside them.
//! But for the names of folders nothing in it depends on where, when or by how many
//! threads it was made. Readers ignore fields they do not know and refuse a newer
//! `format_version`.

mod bounds;

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::atomic;
use crate::catalog::LicenseKind;
use crate::checksum::{Checksum, Hasher};
use crate::encode::Compression;
use crate::error::{Error, Result};
use crate::held_out::HeldOut;
use crate::layout::Output;
use crate::name;
use crate::open;
use crate::parquet_file::Tail;
use crate::record::Reason;
use crate::shard::{IGNORED, RowLayout};

/// The newest version of the output folder's format, which is the one that is written.
pub const FORMAT_VERSION: u32 = 1;

/// The largest manifest in bytes: half a million units, of some sixteen terabytes of text. A larger one is not read.
pub const MANIFEST_BYTES_MAX: u64 = 256 << 20;

/// The shortest row in tokens: one to learn from, and one to predict.
pub const MAX_SEQ_LENGTH_MIN: usize = 2;

/// The longest row in tokens.
pub const MAX_SEQ_LENGTH_MAX: usize = 1 << 24;

/// The largest vocabulary: sixty times the largest of today, and 64 MiB for a table of it.
pub const VOCABULARY_MAX: u32 = 1 << 24;

/// The most positions in a row group: memory is taken for one at a time. One row may be as long.
pub const POSITIONS_PER_GROUP_MAX: usize = MAX_SEQ_LENGTH_MAX;

/// The largest count of anything, over all splits: what a number of JSON is exact for in every reader.
pub const COUNT_MAX: u64 = 1 << 53;
/// The version of what stands in a page, which is part of every split's identity: 2 has checksums of pages.
const PAGES_VERSION: u32 = 2;

/// The contents of `manifest.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Manifest {
    /// The version of the folder's format.
    pub format_version: u32,
    /// The tokenizer as it was named on the command line.
    pub tokenizer: String,
    /// Tokens in every row.
    pub max_seq_length: usize,
    /// The largest size of a finished shard in 10^9 bytes.
    pub shard_size_gb: f64,
    /// Where the input was.
    pub input_path: String,
    /// Where the output was put.
    pub output_path: String,
    /// Input files that became splits.
    pub files_processed: u64,
    /// What was done to the input.
    pub options: Options,
    /// The tokenizer's identity.
    pub tokenizer_identity: TokenizerIdentity,
    /// What a label is.
    pub labels: Labels,
    /// How rows stand in the shards.
    pub layout: RowLayout,
    /// The finished splits by name, sorted.
    #[serde(deserialize_with = "name::by_name")]
    pub splits: BTreeMap<String, Split>,
    /// Splits whose input is gone: their files are still there, but they count for nothing.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "name::by_name")]
    pub vanished: BTreeMap<String, Split>,
}

/// The options on which the bytes of the shards depend, besides the tokenizer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Options {
    /// Tokens in every row.
    pub max_seq_length: usize,
    /// The largest size of a finished shard in bytes.
    pub shard_bytes: u64,
    /// How pages are compressed.
    pub compression: Compression,
    /// The field that holds a record's text.
    pub text_field: String,
    /// Fields that hold it where a record does not have that one, in the order in which they are looked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub other_text_fields: Vec<String>,
    /// Bytes of input in a unit; a unit ends with the first block of about a megabyte that reaches them.
    pub unit_bytes: u64,
    /// Longer texts are refused, in bytes.
    pub max_document_bytes: u64,
    /// The part of the documents that is here, where some are held out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_out: Option<HeldOut>,
}

/// Everything about a tokenizer that the ids depend on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TokenizerIdentity {
    /// SHA-256 of `tokenizer.json`, in hexadecimal digits.
    pub sha256: String,
    /// One more than the largest id.
    pub vocabulary_size: u32,
    /// The token of a document's beginning, if the tokenizer's template has one.
    pub bos: Option<SpecialToken>,
    /// The token of a document's end, if one was found.
    pub eos: Option<SpecialToken>,
    /// The token that fills the last row. Padding is known by its position, never by this id.
    pub pad: SpecialToken,
    /// The ids put before each document: BOS, unless it was not wanted.
    pub ids_before: Vec<u32>,
    /// The ids put after each document: EOS, unless it was not wanted.
    pub ids_after: Vec<u32>,
    /// What becomes of special tokens that a text spells: `encode`, `split` or `reject`.
    pub special_tokens_in_text: String,
    /// Settings of `tokenizer.json` that were cleared, since they cut or fill silently.
    pub cleared: Vec<String>,
}

/// A special token by its id and its text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SpecialToken {
    /// The id.
    pub id: u32,
    /// The text.
    pub token: String,
}

/// What a label is. Labels are stored shifted: Hugging Face's models shift once more by themselves,
/// so readers have to know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Labels {
    /// `shifted`: the label of a position is the next token.
    pub convention: String,
    /// The label of a position without a target.
    pub ignore_index: i32,
    /// `crossing`: the last token of a document is labelled with the first of the next one in its row.
    pub boundary: String,
    /// `next_token`: a row's last position has the token with which its document goes on in another
    /// row, and `ignore_index` where the document ends there.
    pub last_position: String,
}

impl Default for Labels {
    fn default() -> Self {
        Self {
            convention: "shifted".into(),
            ignore_index: IGNORED,
            boundary: "crossing".into(),
            last_position: "next_token".into(),
        }
    }
}

/// One finished split.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Split {
    /// Where the split was put. Readers look beside the manifest first.
    pub path: String,
    /// Number of shards.
    pub shards: u64,
    /// Number of rows.
    pub sequences: u64,
    /// Number of documents kept.
    pub samples: u64,
    /// Real tokens in the rows, BOS and EOS included, padding excluded.
    pub tokens: u64,
    /// What the split is made of and how: the same identity, the same bytes.
    pub identity: Checksum,
    /// The input.
    pub source: Source,
    /// What the input may be used for, where `<name>.stats.json` beside it says so. The split's bytes do not
    /// depend on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub license: Option<License>,
    /// Where every token comes from.
    pub ledger: Ledger,
    /// The shards in order.
    pub shard_files: Vec<DataFile>,
    /// `documents.parquet`.
    pub documents: DataFile,
    /// The units in order.
    pub units: Vec<Unit>,
    /// Refused lines by reason.
    #[serde(deserialize_with = "name::once_each")]
    pub rejected: BTreeMap<Reason, u64>,
}

/// The input of a split.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Source {
    /// The file, relative to `input_path`, with `/` between folders.
    #[serde(deserialize_with = "name::path")]
    pub file: String,
    /// Bytes of text or JSON Lines after decompression.
    pub bytes: u64,
    /// The checksum over the units' checksums.
    pub checksum: Checksum,
}

/// What a downloaded dataset may be used for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct License {
    /// The license's id, as on the Hub; `not stated` where there is none.
    pub id: String,
    /// Its kind.
    pub kind: LicenseKind,
}

/// The books of a split: `text_tokens + special_tokens = tokens`, and
/// `sequences × max_seq_length = tokens + padding`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Ledger {
    /// Tokens of the texts.
    pub text_tokens: u64,
    /// BOS and EOS tokens put around the texts.
    pub special_tokens: u64,
    /// Positions without a token in the last row.
    pub padding: u64,
    /// Special tokens and tokens of those around documents that texts spelled, among `text_tokens`.
    pub literal_special_tokens: u64,
}

/// A Parquet file of a split.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DataFile {
    /// The name in the split's folder.
    #[serde(deserialize_with = "name::plain")]
    pub name: String,
    /// Number of rows.
    pub rows: u64,
    /// Size in bytes.
    pub bytes: u64,
    /// Checksum of the file.
    pub checksum: Checksum,
    /// For a shard: what stands behind its row groups. Whoever opens a shard compares it and knows from it where
    /// each page stands and which checksum it has. Shards of mashbill 0.1.0 have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tail: Option<Tail>,
}

/// A part of the input that was packed by itself. Its full rows stand together; what remains, its
/// tail, stands in the split's last rows: the tails of all units follow one another there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Unit {
    /// The key at which it begins: a byte offset in the decompressed input, or a row of a Parquet file.
    pub first_key: u64,
    /// Bytes of input.
    pub bytes: u64,
    /// Checksum over the checksums of its blocks.
    pub checksum: Checksum,
    /// Documents kept.
    pub documents: u64,
    /// The split's row at which its full rows begin.
    pub first_row: u64,
    /// Full rows.
    pub rows: u64,
    /// Tokens in its tail: fewer than a row.
    pub tail_tokens: u64,
}

impl Source {
    /// The category: the folder that the file lies in, where it is below the input. What `mashbill download` writes lies in
    /// its dataset's category, which its records name, too.
    #[must_use]
    pub fn category(&self) -> Option<&str> {
        category_of(&self.file)
    }
}

/// The category of an input file, by its path below the input: the last folder in it.
#[must_use]
pub fn category_of(file: &str) -> Option<&str> {
    let (folders, _) = file.rsplit_once('/')?;
    folders.rsplit('/').next()
}

impl Manifest {
    /// Reads the manifest of an output folder; none where there is none.
    ///
    /// Names in it are plain names and its numbers have a size that can be worked with; whether they are right is
    /// another question.
    ///
    /// # Errors
    /// [`Error::TooNew`], [`Error::Damaged`], [`Error::Io`].
    pub fn read(path: &Path) -> Result<Option<Self>> {
        let Some(bytes) = read_whole(path, MANIFEST_BYTES_MAX)? else { return Ok(None) };
        let manifest: Self = parse_versioned(path, &bytes)?;
        bounds::check(&manifest).map_err(|what| Error::Damaged { path: path.to_owned(), what })?;
        Ok(Some(manifest))
    }

    /// Replaces the manifest of `output`. The state folder exists.
    ///
    /// # Errors
    /// [`Error::DiskFull`], [`Error::Io`].
    pub fn write(&self, output: &Output) -> Result<()> {
        let mut text = to_json(self);
        text.push(b'\n');
        atomic::replace(&output.manifest(), &output.state().join("manifest.tmp"), &text)
    }
}

impl Options {
    /// The fields that a record's text is looked for in, in order.
    #[must_use]
    pub fn text_fields(&self) -> Vec<&str> {
        std::iter::once(&self.text_field).chain(&self.other_text_fields).map(String::as_str).collect()
    }
}

impl Manifest {
    /// The identity of options and tokenizer: what the bytes of a split depend on besides its input.
    #[must_use]
    pub fn run_identity(&self) -> Checksum {
        let parts = (FORMAT_VERSION, PAGES_VERSION, &self.options, &self.tokenizer_identity, self.layout);
        Checksum::of(&serde_json::to_vec(&parts).expect("plain types with string keys"))
    }
}

/// The identity of a split of the input `source` in a run: the same identity, the same bytes.
#[must_use]
pub fn split_identity(run: Checksum, source: Checksum) -> Checksum {
    let mut hasher = Hasher::new();
    hasher.update(&run.to_bytes());
    hasher.update(&source.to_bytes());
    hasher.finish()
}

/// The bytes of a file of ours that is read whole; none where it is not there.
///
/// # Errors
/// [`Error::Damaged`] where it has more than `most` bytes, [`Error::Io`].
pub(crate) fn read_whole(path: &Path, most: u64) -> Result<Option<Vec<u8>>> {
    match open::read(path, most) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(source) if source.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) if source.kind() == io::ErrorKind::FileTooLarge => {
            Err(Error::Damaged { path: path.to_owned(), what: source.to_string() })
        }
        Err(source) => Err(Error::io("read", path, source)),
    }
}

/// Parses a file of ours that carries `format_version`.
pub(crate) fn parse_versioned<T: for<'de> Deserialize<'de>>(path: &Path, bytes: &[u8]) -> Result<T> {
    #[derive(Deserialize)]
    struct Version {
        format_version: u32,
    }
    let damaged =
        |error: serde_json::Error| Error::Damaged { path: path.to_owned(), what: error.to_string() };
    let Version { format_version } = serde_json::from_slice(bytes).map_err(damaged)?;
    if format_version > FORMAT_VERSION {
        return Err(Error::TooNew {
            path: path.to_owned(),
            found: format_version,
            supported: FORMAT_VERSION,
        });
    }
    serde_json::from_slice(bytes).map_err(damaged)
}

/// A value of ours as indented JSON.
pub(crate) fn to_json<T: Serialize>(value: &T) -> Vec<u8> {
    serde_json::to_vec_pretty(value).expect("our own types have string keys and finite numbers")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_category_is_the_folder_that_a_file_lies_in_wherever_the_input_begins() {
        for (file, category) in [
            ("apps.jsonl", None),
            ("code/apps.jsonl", Some("code")),
            ("distillation/code/apps.jsonl", Some("code")),
            ("data/distillation/code/apps.jsonl.zst", Some("code")),
        ] {
            assert_eq!(category_of(file), category, "{file}");
        }
    }
}
