//! What to look at.

use std::path::PathBuf;

use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use mashbill_tokenizer::SpecialTokensInText;

use crate::commands::tokenize::chat::ChatArgs;
use crate::commands::tokenize::special_tokens;

const EXAMPLES: &str = "\
Examples:
  mashbill inspect tokenized
  mashbill inspect tokenized --split chat --row 12
  mashbill inspect tokenized --find 'Hello' --json
  mashbill inspect data/chat.jsonl --random --seed 7
  mashbill inspect data/chat.jsonl --messages --tokenizer Qwen/Qwen3-8B --chat-template auto
  mashbill inspect tokenized --messages --doc gsm8k-17
  mashbill inspect runs/direct --step 1200
  mashbill inspect runs/direct --doc gsm8k-17
  mashbill inspect tokenized --step 40 --batch-size 32 --seed 17 --world-size 8 --rank 3";

/// Look at rows, documents and records: token borders, ids, document borders, masked labels
///
/// On a terminal, tokens alternate in color, each followed by its id; elsewhere `|` separates tokens. A position whose
/// label is masked is marked with `*`.
///
/// With `--messages`, a record or document is shown as a chat: as it stands, what is said in it, the text that it becomes,
/// and which tokens of it are learned, `⟦between these⟧`; or why it is refused. A tokenized folder knows how it was made;
/// records need `--tokenizer` and the flags for chats as `mashbill tokenize` has them.
///
/// For a training run, `--step` lists the documents in a batch and `--doc` the steps that have seen or will see a
/// document. PATH is then the folder of the run, or a file with the output of `DataLoader.recipe()`; for a loader without
/// weights it may be a tokenized folder, with `--batch-size` and the loader's other options.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct InspectArgs {
    /// A tokenized folder, a folder or file with JSON Lines or Parquet, or the folder of a training run
    #[arg(value_name = "PATH")]
    pub(super) path: PathBuf,

    /// The split, or file, to look at [default: the first for a row, all for anything else]
    #[arg(long, value_name = "NAME")]
    pub(super) split: Option<String>,

    /// The row of the split, or the record of the file, counted from 0
    #[arg(long, value_name = "N", group = "what")]
    pub(super) row: Option<u64>,

    /// The document with this key or id; for a training run, the steps that contain it
    #[arg(long, value_name = "ID", group = "what")]
    pub(super) doc: Option<String>,

    /// The first row or record whose text contains this (in a row, characters split between tokens are not found)
    #[arg(long, value_name = "TEXT", group = "what")]
    pub(super) find: Option<String>,

    /// A random row or record
    #[arg(long, group = "what")]
    pub(super) random: bool,

    /// The documents in this step of a training run, counted from 0
    #[arg(long, value_name = "N", group = "what")]
    pub(super) step: Option<u64>,

    /// Only this rank's part of the step
    #[arg(long, value_name = "R", requires = "step")]
    pub(super) rank: Option<usize>,

    /// Let `--doc` look at the steps before this one [default: the end of the run, or of an epoch]
    #[arg(long, value_name = "STEP", requires = "doc")]
    pub(super) until: Option<u64>,

    /// Rows per rank and step, for a loader over a tokenized folder
    #[arg(long, value_name = "ROWS")]
    pub(super) batch_size: Option<usize>,

    /// Number of ranks of that loader
    #[arg(long, value_name = "W", default_value = "1", requires = "batch_size")]
    pub(super) world_size: usize,

    /// The seed of `--random`, or of that loader
    #[arg(long, value_name = "N", default_value = "0")]
    pub(super) seed: u64,

    /// Tokens to show; 0 shows all
    #[arg(long, value_name = "N", default_value = "256")]
    pub(super) tokens: usize,

    /// The tokenizer, if the one that the manifest names has moved; for records, the one to tokenize with
    #[arg(long, value_name = "NAME")]
    pub(super) tokenizer: Option<String>,

    /// The field or Parquet column that holds a record's text. May be given several times: the first that a record has
    /// counts
    #[arg(long, value_name = "NAME", default_value = "text", value_parser = NonEmptyStringValueParser::new())]
    pub(super) text_field: Vec<String>,

    /// Show a record or document as a chat: what is said in it, its text, and which tokens are learned
    #[arg(long, conflicts_with_all = ["step", "batch_size"])]
    pub(super) messages: bool,

    /// What is done with special tokens that a text spells out, as for `mashbill tokenize` [default: encode]
    #[arg(long, value_name = "HOW", value_parser = special_tokens(), requires = "messages")]
    pub(super) special_tokens_in_text: Option<SpecialTokensInText>,

    /// Print what is found as JSON on stdout
    #[arg(long)]
    pub(super) json: bool,

    #[command(flatten)]
    pub(super) chat: ChatArgs,
}

/// One of `count` (1 or more) that `seed` stands for.
pub(super) fn pick(seed: u64, count: u64) -> u64 {
    // The middle of a multiplicative hash: neighboring seeds give rows far apart.
    (seed.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 16) % count.max(1)
}
