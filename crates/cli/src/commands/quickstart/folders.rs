//! Where the quickstart puts everything, and the commands over it, as values.

use std::path::{Path, PathBuf};

use crate::commands::download::DownloadArgs;
use crate::commands::tokenize::TokenizeArgs;
use crate::commands::verify::VerifyArgs;

/// The folders of a quickstart.
#[derive(Debug)]
pub(super) struct Folders {
    pub(super) all: PathBuf,
    pub(super) data: PathBuf,
    pub(super) tokenized: PathBuf,
}

impl Folders {
    pub(super) fn of(all: &Path) -> Self {
        Self { all: all.to_owned(), data: all.join("data"), tokenized: all.join("tokenized") }
    }

    /// What is downloaded, with a catalogue that lies where it can be looked at.
    pub(super) fn download(&self) -> DownloadArgs {
        DownloadArgs {
            dataset: ["gsm8k", "human_eval", "nq_open"].map(str::to_owned).into(),
            catalog: vec![self.all.join("catalog.toml")],
            output: self.data.clone(),
            ..DownloadArgs::default()
        }
    }

    pub(super) fn tokenize(&self) -> TokenizeArgs {
        TokenizeArgs {
            recursive: true,
            skip_existing: true,
            tokenizer: "gpt2".into(),
            max_seq_length: 512,
            input: self.data.clone(),
            output: Some(self.tokenized.clone()),
            ..TokenizeArgs::default()
        }
    }

    pub(super) fn verify(&self) -> VerifyArgs {
        VerifyArgs { paths: vec![self.data.clone(), self.tokenized.clone()], ..VerifyArgs::default() }
    }
}
