//! Why a tokenizer can't be used, in terms a caller can act on.

use std::io;
use std::path::PathBuf;

use mashbill_store::class::Class;

/// An error of loading or using a tokenizer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no tokenizer at a path.
    #[error("no tokenizer at `{}`", path.display())]
    NotFound {
        /// The file that was looked for.
        path: PathBuf,
    },
    /// A file can't be read as text.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A file isn't the JSON that it should be.
    #[error("its {file} is malformed")]
    Json {
        /// The file's name.
        file: &'static str,
        /// Where and why.
        source: serde_json::Error,
    },
    /// A file is larger than tokenizers are.
    #[error("{what} is larger than {limit} bytes, which no tokenizer is")]
    TooLarge {
        /// The file.
        what: String,
        /// The most bytes that are read.
        limit: u64,
    },
    /// The normalizer's table of replacements is shorter than it says.
    #[error("the tokenizer's `precompiled_charsmap` announces a trie of {announced} bytes, but has {there}")]
    Charsmap {
        /// What it says, in bytes.
        announced: u64,
        /// The most that can be there, in bytes.
        there: u64,
    },
    /// A token has an id beyond the largest vocabulary.
    #[error("the tokenizer has the id {id}, but ids have to be less than {limit}")]
    IdTooLarge {
        /// The largest id.
        id: u32,
        /// [`super::VOCABULARY_MAX`].
        limit: u32,
    },
    /// The normalizer may make texts that don't fit into memory of short ones.
    #[error(
        "the tokenizer's normalizer may make a text {factor} times as long, but at most {limit} is possible"
    )]
    Grows {
        /// How many times as long.
        factor: u64,
        /// The most.
        limit: u64,
    },
    /// The tokenizer isn't ready in bounded time.
    #[error(
        "the tokenizer is not ready after {seconds} s: a pattern or a list in `tokenizer.json` takes too long"
    )]
    TooSlow {
        /// The bound.
        seconds: u64,
    },
    /// An engine panics over the tokenizer.
    #[error("`tokenizers` fails on the tokenizer: something in `tokenizer.json` contradicts itself")]
    BreaksLibrary,
    /// There is no thread to load the tokenizer on.
    #[error("cannot start a thread")]
    NoThread {
        /// Why not.
        source: io::Error,
    },
    /// The reference refuses the tokenizer.
    #[error("`tokenizers` can't load the tokenizer")]
    Refused {
        /// Its message.
        source: tokenizers::Error,
    },
    /// The template does more than put ids around a document.
    #[error("the tokenizer's template doesn't hold a document exactly once")]
    Template,
    /// No file and no well-known name tells what ends a document.
    #[error("the tokenizer `{tokenizer}` doesn't say which token ends a document")]
    NoEos {
        /// The tokenizer's name.
        tokenizer: String,
    },
    /// There is no token to fill rows up with.
    #[error("the tokenizer `{tokenizer}` has no token to pad with: none for padding, no EOS, no BOS")]
    NoPad {
        /// The tokenizer's name.
        tokenizer: String,
    },
    /// A special token is named that the tokenizer doesn't have.
    #[error("the token `{token}`, {}, is not in the vocabulary", named_by(found_in))]
    NotInVocabulary {
        /// The token's spelling.
        token: String,
        /// What names it: a file, or `option`.
        found_in: String,
    },
    /// A file stands for another that Git LFS did not fetch.
    #[error("`{}` is a Git LFS pointer to a file that was not fetched", path.display())]
    LfsPointer {
        /// The file.
        path: PathBuf,
    },
    /// A file beside `tokenizer.json` has tokens that are no added tokens there.
    #[error("`{file}` adds tokens that `tokenizer.json` does not have: {}", some(tokens))]
    NotAdded {
        /// Their spellings.
        tokens: Vec<String>,
        /// The file.
        file: &'static str,
    },
    /// A document spells special tokens out, and such documents are refused.
    #[error("the text spells out special tokens ({count})")]
    LiteralSpecialTokens {
        /// How many.
        count: usize,
    },
    /// An engine failed on a text.
    #[error("cannot encode a text")]
    Encode {
        /// Its message.
        source: tokenizers::Error,
    },
    /// The reference failed on ids.
    #[error("cannot decode ids")]
    Decode {
        /// Its message.
        source: tokenizers::Error,
    },
}

impl Error {
    /// What `tokenizers` says of a file.
    pub(super) const fn refused(source: tokenizers::Error) -> Self {
        Self::Refused { source }
    }

    /// Whether what is wrong does not say itself which tokenizer it is of.
    #[must_use]
    pub const fn needs_name(&self) -> bool {
        !matches!(
            self,
            Self::NotFound { .. }
                | Self::Read { .. }
                | Self::NoEos { .. }
                | Self::NoPad { .. }
                | Self::NotInVocabulary { .. }
                | Self::LfsPointer { .. }
        )
    }

    /// What it means for the caller of the command.
    #[must_use]
    pub const fn class(&self) -> Class {
        match self {
            Self::NoThread { .. } | Self::Encode { .. } | Self::Decode { .. } => Class::Unexpected,
            Self::NotFound { .. }
            | Self::Read { .. }
            | Self::Json { .. }
            | Self::TooLarge { .. }
            | Self::Charsmap { .. }
            | Self::IdTooLarge { .. }
            | Self::Grows { .. }
            | Self::TooSlow { .. }
            | Self::BreaksLibrary
            | Self::Refused { .. }
            | Self::Template
            | Self::NoEos { .. }
            | Self::NoPad { .. }
            | Self::NotInVocabulary { .. }
            | Self::LfsPointer { .. }
            | Self::NotAdded { .. }
            | Self::LiteralSpecialTokens { .. } => Class::Usage,
        }
    }
}

/// What names a token.
fn named_by(found_in: &str) -> String {
    match found_in {
        "option" => "given with `--eos-token`".to_owned(),
        flag if flag.starts_with("--") => format!("given with `{flag}`"),
        file => format!("named by {file}"),
    }
}

/// The first tokens, escaped.
fn some(tokens: &[String]) -> String {
    const SHOWN: usize = 5;
    let shown: Vec<_> =
        tokens.iter().take(SHOWN).map(|token| format!("`{}`", token.escape_debug())).collect();
    match tokens.len().saturating_sub(SHOWN) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}
