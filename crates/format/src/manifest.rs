//! `manifest.json`: what an output folder holds, complete and checked.
//!
//! The guide's fields keep their names and meanings (`tokenizer`, `max_seq_length`,
//! `shard_size_gb`, `input_path`, `output_path`, `files_processed`, `splits` with
//! `path`, `shards`, `sequences`, `samples`, `tokens`); the others stand beside them.
//! But for the names of folders nothing in it depends on where, when or by how many
//! threads it was made. Readers ignore fields they do not know, and refuse another
//! `format_version` and a name in `requires` that they do not know.

mod bounds;
mod difference;
mod feature;
mod ledger;

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::io;
use std::path::Path;

pub use feature::Feature;
pub use ledger::Ledger;
pub(crate) use ledger::is_zero;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::catalog::LicenseKind;
use crate::chat::{Chat, TemplateIdentity};
use crate::error::{Error, Result};
use crate::held_out::HeldOut;
use crate::layout::{Output, ShardId};
use crate::loss_spans::Loss;
use crate::name;
use crate::shard::{IGNORED, RowLayout};
use crate::special_tokens::SpecialTokensInText;
use mashbill_parquet::encode::Compression;
use mashbill_parquet::file::Tail;
use mashbill_records::record::Reason;
use mashbill_store::atomic;
use mashbill_store::checksum::{Checksum, Hasher};
use mashbill_store::open;

/// The newest version of the output folder's format, which is the one that is written.
pub const FORMAT_VERSION: u32 = 2;

/// The largest manifest in bytes: some quarter of a million shards. A larger one is not read.
pub const MANIFEST_BYTES_MAX: u64 = 256 << 20;

/// The shortest row in tokens: one to learn from, and one to predict.
pub const MAX_SEQ_LENGTH_MIN: usize = 2;

/// The longest row in tokens.
pub const MAX_SEQ_LENGTH_MAX: usize = 1 << 24;

/// The largest vocabulary: sixty times the largest of today, and 64 MiB for a table of it.
pub const VOCABULARY_MAX: u32 = 1 << 24;

/// The most positions in a row group: memory is taken for one at a time. One row may be as long.
pub const POSITIONS_PER_GROUP_MAX: usize = MAX_SEQ_LENGTH_MAX;

/// Digits of a tokenizer's hash that are shown: enough to see that it is another one.
const HASH_CHARS_SHOWN: usize = 8;

/// The most bytes that a shard's stretch may begin after its stride does, to begin at the record with the greatest hash.
const BORDER_WINDOW_BYTES_MAX: u64 = 16 << 20;

/// The largest count of anything, over all splits: what a number of JSON is exact for in every reader.
pub const COUNT_MAX: u64 = 1 << 53;

/// The contents of `manifest.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Manifest {
    /// The version of the folder's format.
    pub format_version: u32,
    /// Names of what a reader has to know, besides the format's version, to read rightly: it refuses a folder with a name that
    /// it does not know. `loss_spans`: shards and document tables have a column of that name, which says which tokens are learned.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub requires: Vec<String>,
    /// The tokenizer as it was named on the command line.
    pub tokenizer: String,
    /// Tokens in every row.
    pub max_seq_length: usize,
    /// The size that finished shards are to have on average, in 10^9 bytes.
    pub shard_size_gb: f64,
    /// Where the input was.
    pub input_path: String,
    /// Where the output was put.
    pub output_path: String,
    /// Input files that became splits.
    pub files_processed: u64,
    /// What was done to the input.
    pub options: ShardOptions,
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
pub struct ShardOptions {
    /// Tokens in every row.
    pub max_seq_length: usize,
    /// The size that finished shards are to have on average, in bytes.
    pub shard_bytes: u64,
    /// Bytes of decoded input from where one shard begins to where the next one does, before each border moves to a record
    /// near it; of Parquet input, bytes of its text columns before compression. It follows from `shard_bytes`, layout and
    /// compression.
    pub stride_bytes: u64,
    /// How documents become rows.
    pub packing: Packing,
    /// How pages are compressed.
    pub compression: Compression,
    /// The field that holds a record's text.
    pub text_field: String,
    /// Fields that hold it where a record does not have that one, in the order in which they are looked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub other_text_fields: Vec<String>,
    /// Longer texts are refused, in bytes.
    pub max_document_bytes: u64,
    /// How conversations become documents; none where a record is its text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chat: Option<Chat>,
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
    /// What becomes of special tokens that a text spells.
    pub special_tokens_in_text: SpecialTokensInText,
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

/// How documents become rows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Packing {
    /// The documents of a shard follow one another in the order of the input, and are cut where a row ends.
    #[default]
    Concat,
}

/// What a label is. Labels are stored shifted: Hugging Face's models shift once more by themselves,
/// so readers have to know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Labels {
    /// What the label of a position is.
    pub convention: LabelConvention,
    /// The label of a position without a target.
    pub ignore_index: i32,
    /// What the last token of a document is labelled with.
    pub boundary: LabelBoundary,
    /// What the last position of a row is labelled with.
    pub last_position: LastLabel,
}

/// What the label of a position is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LabelConvention {
    /// The next token.
    Shifted,
}

/// What the last token of a document is labelled with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LabelBoundary {
    /// The first token of the next document in its row.
    Crossing,
}

/// What the last position of a row is labelled with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LastLabel {
    /// The token with which its document goes on in another row, and `ignore_index` where the document ends there.
    NextToken,
}

impl Default for Labels {
    fn default() -> Self {
        Self {
            convention: LabelConvention::Shifted,
            ignore_index: IGNORED,
            boundary: LabelBoundary::Crossing,
            last_position: LastLabel::NextToken,
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
    pub source: SplitSource,
    /// What the input may be used for, where `<name>.stats.json` beside a file says so: each license once, sorted. The
    /// split's bytes do not depend on it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub license: Vec<License>,
    /// Where every token comes from.
    pub ledger: Ledger,
    /// The stretches that the input was cut into, in order, and what was made of each.
    pub shard_list: Vec<Shard>,
    /// Refused lines by reason.
    #[serde(deserialize_with = "name::once_each")]
    pub rejected: BTreeMap<Reason, u64>,
}

/// The input of a split.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SplitSource {
    /// The file, relative to `input_path`, with `/` between folders. Of many, what they have in common, with `*` for the rest:
    /// `books/part-*-of-00004.jsonl`; each shard says which it is made of.
    #[serde(deserialize_with = "name::path")]
    pub file: String,
    /// Bytes of text or JSON Lines after decompression.
    pub bytes: u64,
    /// The checksum over the checksums of the shards' stretches: [`source_checksum`].
    pub checksum: Checksum,
}

/// A stretch of the input and what was made of it, which depends on nothing else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Shard {
    /// The group of files that it is cut from, from 0, where the split is many files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<usize>,
    /// The stretch: of the file, or of the group's files one after another.
    pub input: InputRange,
    /// Where the split is many files, those that the stretch has records of, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<SourceFile>,
    /// Documents kept.
    pub documents: u64,
    /// Real tokens in its rows.
    pub tokens: u64,
    /// Positions without a token in its last row.
    pub padding: u64,
    /// Its rows; none where no document was kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<ShardFile>,
    /// Its document table, where it has rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table: Option<TableFile>,
}

/// A file among those that are cut as one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SourceFile {
    /// The file, relative to `input_path`, with `/` between folders.
    #[serde(deserialize_with = "name::path")]
    pub file: String,
    /// Where it begins in the group: the sum of the bytes, or rows, of the files before it.
    pub start: u64,
    /// Lines of the shard before it, where it begins in the shard; else 0.
    pub line: u64,
}

/// A stretch of whole records of an input.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct InputRange {
    /// Where it begins: the byte offset in the decoded input, or the row of a Parquet file.
    pub start: u64,
    /// Where it ends.
    pub end: u64,
    /// Its bytes: of its lines, or of the texts in its rows.
    pub bytes: u64,
    /// Its checksum, over those of blocks of about a megabyte.
    pub checksum: Checksum,
}

/// What a downloaded dataset may be used for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct License {
    /// The license's id, as on the Hub; `not stated` where there is none.
    pub id: String,
    /// Its kind.
    pub kind: LicenseKind,
}

/// A shard: packed rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ShardFile {
    /// The name in the split's folder.
    #[serde(deserialize_with = "name::plain")]
    pub name: String,
    /// Number of rows.
    pub rows: u64,
    /// Size in bytes.
    pub bytes: u64,
    /// Checksum of the file.
    pub checksum: Checksum,
    /// What stands behind its row groups. Whoever opens a shard compares it and knows from it where each page stands
    /// and which checksum it has.
    pub tail: Tail,
}

/// A document table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TableFile {
    /// The name in the folder of document tables.
    #[serde(deserialize_with = "name::plain")]
    pub name: String,
    /// Number of rows.
    pub rows: u64,
    /// Size in bytes.
    pub bytes: u64,
    /// Checksum of the file.
    pub checksum: Checksum,
}

impl Split {
    /// The shards that have rows, in order.
    pub fn shard_files(&self) -> impl DoubleEndedIterator<Item = &ShardFile> {
        self.shard_list.iter().filter_map(|shard| shard.file.as_ref())
    }

    /// The document tables, in order.
    pub fn tables(&self) -> impl DoubleEndedIterator<Item = &TableFile> {
        self.shard_list.iter().filter_map(|shard| shard.table.as_ref())
    }

    /// The shards' ids, in order.
    pub fn shard_ids(&self) -> impl Iterator<Item = ShardId> {
        let mut next = ShardId::of_file(0);
        self.shard_list.iter().map(move |shard| {
            if shard.group != next.group {
                next = ShardId { group: shard.group, index: 0 };
            }
            let id = next;
            next.index += 1;
            id
        })
    }

    /// The entries of the shards that have rows, each with its file, in order.
    pub fn shards_with_rows(&self) -> impl DoubleEndedIterator<Item = (&Shard, &ShardFile)> {
        self.shard_list.iter().filter_map(|shard| Some((shard, shard.file.as_ref()?)))
    }
}

/// The file among `sources`, those of a shard, in which the key `key` of their group lies; none where there are none.
#[must_use]
pub fn source_of(sources: &[SourceFile], key: u64) -> Option<&SourceFile> {
    let behind = sources.partition_point(|source| source.start <= key);
    sources[..behind].last()
}

impl SplitSource {
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
    /// [`Error::TooNew`], [`Error::TooOld`], [`Error::Requires`], [`Damaged`](mashbill_store::Error::Damaged), [`Io`](mashbill_store::Error::Io).
    pub fn read(path: &Path) -> Result<Option<Self>> {
        let Some(bytes) = read_whole(path, MANIFEST_BYTES_MAX)? else { return Ok(None) };
        let manifest: Self = parse_versioned(path, &bytes, FORMAT_VERSION)?;
        if let Some(feature) = manifest.requires.iter().find(|name| Feature::of(name).is_none()).cloned() {
            return Err(Error::Requires { path: path.to_owned(), feature });
        }
        bounds::check(&manifest).map_err(|what| Error::damaged(path, what))?;
        Ok(Some(manifest))
    }

    /// On which tokens there is a loss.
    #[must_use]
    pub fn loss(&self) -> Loss {
        let spans = self.requires.iter().any(|name| Feature::of(name) == Some(Feature::LossSpans));
        if spans { Loss::Spans } else { Loss::All }
    }

    /// Replaces the manifest of `output`, going through the file `temporary`.
    ///
    /// # Errors
    /// [`DiskFull`](mashbill_store::Error::DiskFull), [`Io`](mashbill_store::Error::Io).
    pub fn write(&self, output: &Output, temporary: &Path) -> Result<()> {
        let mut text = to_json(self);
        text.push(b'\n');
        Ok(atomic::replace(&output.manifest(), temporary, &text)?)
    }
}

impl ShardOptions {
    /// The fields that a record's text is looked for in, in order.
    #[must_use]
    pub fn text_fields(&self) -> Vec<&str> {
        std::iter::once(&self.text_field).chain(&self.other_text_fields).map(String::as_str).collect()
    }

    /// The chat template that makes text of conversations, where one does.
    #[must_use]
    pub fn template(&self) -> Option<&TemplateIdentity> {
        self.chat.as_ref()?.template.as_ref()
    }

    /// On which tokens there is a loss.
    #[must_use]
    pub fn loss(&self) -> Loss {
        if self.template().is_some() { Loss::Spans } else { Loss::All }
    }

    /// The names in [`Manifest::requires`] of what is made with these options.
    #[must_use]
    pub fn requires(&self) -> Vec<String> {
        match self.loss() {
            Loss::All => Vec::new(),
            Loss::Spans => vec![Feature::LossSpans.name().to_owned()],
        }
    }

    /// The stride of shards that are to have `shard_bytes`, 1 or more: how many bytes of JSON Lines become as many bytes of
    /// rows with labels and masks, measured on 72 MB of mixed text with GPT-2 and Llama 3.
    #[must_use]
    pub fn stride_of(shard_bytes: u64, compression: Compression) -> u64 {
        let percent = match compression {
            Compression::Snappy => 110,
            Compression::Zstd => 135,
            Compression::None => 66,
        };
        let stride = u128::from(shard_bytes) * percent / 100;
        u64::try_from(stride).unwrap_or(u64::MAX).max(1)
    }

    /// Bytes from the beginning of each stride in which a shard may begin, 1 or more.
    #[must_use]
    pub fn border_window_bytes(&self) -> u64 {
        (self.stride_bytes / 8).clamp(1, BORDER_WINDOW_BYTES_MAX)
    }
}

/// What the bytes of a split depend on besides its input.
#[derive(Serialize)]
struct RunIdentity<'a> {
    format_version: u32,
    requires: &'a [String],
    options: &'a ShardOptions,
    tokenizer_identity: &'a TokenizerIdentity,
    labels: &'a Labels,
    layout: RowLayout,
}

impl Manifest {
    /// The identity of options and tokenizer: what the bytes of a split depend on besides its input.
    #[must_use]
    pub fn run_identity(&self) -> Checksum {
        Checksum::of(&serde_json::to_vec(&self.identity()).expect("plain types with string keys"))
    }

    /// What [`Manifest::run_identity`] is the checksum of.
    fn identity(&self) -> RunIdentity<'_> {
        RunIdentity {
            format_version: self.format_version,
            requires: &self.requires,
            options: &self.options,
            tokenizer_identity: &self.tokenizer_identity,
            labels: &self.labels,
            layout: self.layout,
        }
    }

    /// What is different between the options and tokenizers of two manifests, for people; none where the identity of
    /// both is the same. `other` is what was, `self` what is.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Option<String> {
        let value = |manifest: &Self| {
            serde_json::to_value(manifest.identity()).expect("plain types with string keys")
        };
        let (mut was, mut is) = (value(other), value(self));
        let mut changes = Vec::new();
        if self.tokenizer_identity.sha256 != other.tokenizer_identity.sha256 {
            // Everything about another tokenizer is different.
            changes.push(format!(
                "the tokenizer was {} and is {}",
                other.tokenizer_named(),
                self.tokenizer_named()
            ));
            for value in [&mut was, &mut is] {
                value["tokenizer_identity"] = serde_json::Value::Null;
            }
        }
        changes.extend(difference::between(&was, &is));
        if changes.is_empty() && self.run_identity() != other.run_identity() {
            changes.push("--template-args is written otherwise, which a template can see".into());
        }
        (!changes.is_empty()).then(|| changes.join(", "))
    }

    fn tokenizer_named(&self) -> String {
        let hash = &self.tokenizer_identity.sha256;
        format!("{} ({})", self.tokenizer, hash.get(..HASH_CHARS_SHOWN).unwrap_or(hash))
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

/// The checksum of an input, of those of its stretches in order.
#[must_use]
pub fn source_checksum<'a>(stretches: impl Iterator<Item = &'a InputRange>) -> Checksum {
    let mut hasher = Hasher::new();
    stretches.for_each(|range| hasher.update(&range.checksum.to_bytes()));
    hasher.finish()
}

/// The bytes of a file of ours that is read whole; none where it is not there.
///
/// # Errors
/// [`Damaged`](mashbill_store::Error::Damaged) where it has more than `most` bytes, [`Io`](mashbill_store::Error::Io).
pub(crate) fn read_whole(path: &Path, most: u64) -> Result<Option<Vec<u8>>> {
    match open::read(path, most) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(source) if source.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) if source.kind() == io::ErrorKind::FileTooLarge => {
            Err(Error::damaged(path, source.to_string()))
        }
        Err(source) => Err(Error::io("read", path, source)),
    }
}

/// Parses a file of ours that carries `format_version`, which has to be `supported`.
pub(crate) fn parse_versioned<T: for<'de> Deserialize<'de>>(
    path: &Path,
    bytes: &[u8],
    supported: u32,
) -> Result<T> {
    #[derive(Deserialize)]
    struct Version {
        format_version: u32,
    }
    let damaged = |error: serde_json::Error| Error::malformed(path, &error);
    let Version { format_version: found } = serde_json::from_slice(bytes).map_err(damaged)?;
    match found.cmp(&supported) {
        Ordering::Greater => Err(Error::TooNew { path: path.to_owned(), found, supported }),
        Ordering::Less => Err(Error::TooOld { path: path.to_owned(), found, supported }),
        Ordering::Equal => serde_json::from_slice(bytes).map_err(damaged),
    }
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
