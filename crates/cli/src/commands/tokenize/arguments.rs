//! The flags of `mashbill tokenize`.

use std::path::PathBuf;

use clap::builder::{NonEmptyStringValueParser, PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::{Args, ValueEnum};
use mashbill_records::DOCUMENT_BYTES_MAX;
use mashbill_tokenize::plan::TASK_BYTES;
use mashbill_tokenizer::SpecialTokensInText;

use super::chat::ChatArgs;

const EXAMPLES: &str = "\
Examples:
  mashbill tokenize --input data/distillation --recursive
  mashbill tokenize --input books.jsonl.zst --tokenizer gpt2 --max-seq-length 2048 --output books
  mashbill tokenize --input chats.jsonl --tokenizer Qwen/Qwen3-8B --chat-template auto";

/// Turn JSON Lines and Parquet into packed rows of token ids: Snappy Parquet shards and a manifest.json
///
/// Reads .jsonl, .ndjson and .json (an object a line, or one array of objects), plain or in .gz, .bz2, .xz or .zst,
/// and .parquet. Each file becomes a split named after it.
/// Finished splits whose content, options and tokenizer are unchanged are skipped. To resume an interrupted run,
/// run the same command again.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct TokenizeArgs {
    /// The file or folder to tokenize
    #[arg(long, value_name = "PATH")]
    pub(crate) input: PathBuf,

    /// The folder for the splits and manifest.json [default: <INPUT>_preprocessed, of a file without its ending]
    #[arg(long, value_name = "DIR")]
    pub(crate) output: Option<PathBuf>,

    /// Also read the folders below the input folder
    #[arg(long)]
    pub(crate) recursive: bool,

    /// An embedded tokenizer (gpt2, cl100k_base, o200k_base), a tokenizer.json, its folder, or a Hub id
    #[arg(long, value_name = "NAME", default_value = "meta-llama/Llama-3.2-1B")]
    pub(crate) tokenizer: String,

    /// Tokens per row
    #[arg(long, value_name = "TOKENS", default_value = "8192")]
    pub(crate) max_seq_length: usize,

    /// Target for the average size of finished shards, in GB (10^9 bytes); decimals are fine
    #[arg(long, value_name = "GB", default_value = "2", allow_negative_numbers = true)]
    pub(crate) shard_size: f64,

    /// Hold this share of the documents out of training, in <OUTPUT>/_validation. Only a document's text decides (with a chat
    /// template, what a user says first), so the choice stays the same whatever else changes, and a larger share adds to it
    #[arg(long, value_name = "FRACTION", allow_negative_numbers = true)]
    pub(crate) val_fraction: Option<f64>,

    /// Redo finished splits that differ, saying why (default: refuse); unchanged ones are skipped either way
    #[arg(long, conflicts_with = "force")]
    pub(crate) skip_existing: bool,

    /// Redo every split
    #[arg(long)]
    pub(crate) force: bool,

    /// Worker threads [default: the cores of this machine or container]
    #[arg(long, value_name = "N")]
    pub(crate) threads: Option<usize>,

    /// The field or Parquet column that holds the text. May be given several times: the first that a record has counts
    #[arg(long, value_name = "NAME", default_value = "text", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) text_field: Vec<String>,

    /// The token that ends a document, if the tokenizer's files name none or you want another
    #[arg(long, value_name = "TOKEN", conflicts_with = "no_eos")]
    pub(crate) eos_token: Option<String>,

    /// The token that pads the last rows, if the tokenizer's files name none or you want another
    #[arg(long, value_name = "TOKEN")]
    pub(crate) pad_token: Option<String>,

    /// Put no EOS after documents
    #[arg(long)]
    pub(crate) no_eos: bool,

    /// Put no BOS before documents, even where the tokenizer's template does
    #[arg(long)]
    pub(crate) no_bos: bool,

    /// What to do with special tokens that a text spells out
    #[arg(long, value_name = "HOW", value_parser = special_tokens(), default_value = "encode")]
    pub(crate) special_tokens_in_text: SpecialTokensInText,

    /// Which files form a split, and how splits are named
    #[arg(long, value_name = "HOW", value_enum, default_value = "stem")]
    pub(crate) split_names: SplitNamesArg,

    /// How the shards' pages are compressed
    #[arg(long, value_name = "CODEC", value_enum, default_value = "snappy")]
    pub(crate) compression: CompressionArg,

    /// Refuse texts that are longer than this many bytes; memory use is up to six times the longest text
    #[arg(long, value_name = "BYTES", default_value_t = DOCUMENT_BYTES_MAX)]
    pub(crate) max_document: u64,

    /// Warn about splits with more than this share of their lines refused
    #[arg(long, value_name = "SHARE", default_value = "0.05", allow_negative_numbers = true)]
    pub(crate) warn_rejected: f64,

    /// Stop at the first bad line instead of setting it aside
    #[arg(long)]
    pub(crate) strict: bool,

    /// Read finished inputs again instead of trusting unchanged sizes and times
    #[arg(long)]
    pub(crate) rehash: bool,

    /// Remove finished splits whose input file is gone
    #[arg(long)]
    pub(crate) prune: bool,

    /// Print the result as JSON on stdout
    #[arg(long)]
    pub(crate) json: bool,

    /// Bytes of input that are recorded together, for tests of interruption: no byte of the output depends on it.
    #[arg(long, value_name = "BYTES", default_value_t = TASK_BYTES, hide = true)]
    pub(crate) task_size: u64,

    // The last, since its heading stands over whatever comes behind.
    #[command(flatten)]
    pub(crate) chat: ChatArgs,
}

impl Default for TokenizeArgs {
    /// The command without a flag, and without an input.
    fn default() -> Self {
        Self {
            input: PathBuf::new(),
            output: None,
            recursive: false,
            tokenizer: "meta-llama/Llama-3.2-1B".into(),
            max_seq_length: 8192,
            shard_size: 2.0,
            val_fraction: None,
            skip_existing: false,
            force: false,
            threads: None,
            text_field: vec!["text".into()],
            eos_token: None,
            pad_token: None,
            no_eos: false,
            no_bos: false,
            special_tokens_in_text: SpecialTokensInText::Encode,
            split_names: SplitNamesArg::Stem,
            chat: ChatArgs::default(),
            compression: CompressionArg::Snappy,
            max_document: DOCUMENT_BYTES_MAX,
            warn_rejected: 0.05,
            strict: false,
            rehash: false,
            prune: false,
            json: false,
            task_size: TASK_BYTES,
        }
    }
}

/// The choices of `--special-tokens-in-text`, under the names that files have for them.
pub(crate) fn special_tokens() -> impl TypedValueParser<Value = SpecialTokensInText> {
    let choices = SpecialTokensInText::ALL.map(|choice| {
        PossibleValue::new(choice.name()).help(match choice {
            SpecialTokensInText::Encode => "Encode them as their ids, as Hugging Face tokenizers do",
            SpecialTokensInText::Split => "Treat them as text like any other",
            SpecialTokensInText::Reject => "Refuse documents that contain one",
        })
    });
    PossibleValuesParser::new(choices)
        .map(|name| SpecialTokensInText::named(&name).expect("it is one of the possible values"))
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum SplitNamesArg {
    /// After the file: code/apps.jsonl is apps
    Stem,
    /// After the folders, too: code/apps.jsonl is code__apps
    Path,
    /// As path, but files whose names differ only in a part number form one split: code/apps-0*-of-02.jsonl are code__apps
    Parts,
    /// All files of a folder form one split, named after the folder: code/*.jsonl are code
    Folder,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum CompressionArg {
    /// Fast, and every Parquet reader supports it
    Snappy,
    /// Smaller, slower to write
    Zstd,
    /// No compression
    None,
}
