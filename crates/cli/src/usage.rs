//! What cannot be done as it was asked for: values that no flag takes, paths with nothing for a command.

use std::path::PathBuf;

/// A value that no flag takes.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Usage {
    #[error("--max-seq-length {given} is out of range: 2 to 16777216 are possible")]
    MaxSeqLength { given: usize },
    #[error("--shard-size {given} is out of range: it is a size in GB, at least 0.000001")]
    ShardSize { given: f64 },
    #[error("--max-document {given} is out of range: 1 to 1073741823 bytes are possible")]
    MaxDocument { given: u64 },
    #[error("--val-fraction {given} is not a share: it has to be more than 0 and less than 1")]
    ValFraction { given: f64 },
    #[error("--sample {given} is not a share: 0 to 1 are possible")]
    Sample { given: f64 },
    #[error("--warn-rejected {given} is not a share: 0 to 1 are possible")]
    WarnRejected { given: f64 },
    #[error("--threads {given} is out of range: 1 to {max} are possible")]
    Threads { given: usize, max: usize },
    #[error("`{}` holds nothing to verify: no manifest.json, no JSON Lines, no Parquet", path.display())]
    NothingToVerify { path: PathBuf },
    #[error("`{}` holds nothing to look at: no manifest.json, no JSON Lines, no Parquet", path.display())]
    NothingToInspect { path: PathBuf },
    #[error("to find a text in tokens, the tokenizer is needed")]
    FindNeedsTokenizer,
    #[error("{what} was not found in `{}`", path.display())]
    NothingFound { what: String, path: PathBuf },
    #[error("the document `{document}` was not found in `{}`", path.display())]
    NotInRun { document: String, path: PathBuf },
    #[error("there is no split `{split}` in `{}`; there are {}", path.display(), available.join(", "))]
    NoSuchSplit { split: String, path: PathBuf, available: Vec<String> },
    #[error("no line in `{}` is a record with a text", path.display())]
    NoRecord { path: PathBuf },
    #[error("`{}` has no rows", path.display())]
    NoRows { path: PathBuf },
    #[error("`{}` does not say what its loader was made with", path.display())]
    NoLoader { path: PathBuf },
    #[error("`{}` is a training run, which has steps and documents", path.display())]
    NoStep { path: PathBuf },
    #[error("rank {rank} is not one of the run's {world_size}, counted from 0")]
    Rank { rank: usize, world_size: usize },
    #[error("the end of the run is not known")]
    NoEnd,
    #[error("`{}` does not exist", path.display())]
    NotThere { path: PathBuf },
    #[error("`{name}` is not the tokenizer that the folder was made with")]
    OtherTokenizer { name: String, sha256: String },
    #[error(
        "the tokenizer `{name}` that the folder was made with was not found; looked at {}",
        looked_at(looked)
    )]
    TokenizerNotFoundAgain { name: String, sha256: String, looked: Vec<String> },
    #[error("no tokenizer at `{}`", path.display())]
    NoTokenizerFile { path: PathBuf },
    #[error("`{}` already holds something else", path.display())]
    NotOurFolder { path: PathBuf },
    #[error("training needs mashbill's Python package, which `python3` does not have")]
    NoPythonPackage,
}

/// Says where a tokenizer was looked for, on one line.
fn looked_at(looked: &[String]) -> String {
    /// More places are only counted.
    const SHOWN: usize = 6;
    let mut text = looked.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
    if looked.len() > SHOWN {
        text.push_str(&format!(" and {} more", looked.len() - SHOWN));
    }
    text
}
