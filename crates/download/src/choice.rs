//! Which files of a repository are taken, and why the others are not.
//!
//! A catalogue's globs decide, else the dataset's card where it describes configurations, else a rule: the files with the
//! best format's ending whose path does not speak of test or validation. Every other file is counted with its reason, so
//! that nobody misses one without a line.

use mashbill_format::catalog::{CatalogDataset, FileFormat};
use mashbill_format::untaken::{UntakenFiles, WhyUntaken, add_untaken};
use mashbill_hub::{Config, RemoteFile};

use crate::card::{CardFiles, FileUse};
use crate::catalog::takes;
use crate::error::Result;
use crate::glob::is_for_testing;

/// The same rows are often there in two formats: of these the first that a repository has is taken.
const FORMATS: [FileFormat; 4] = [FileFormat::Parquet, FileFormat::Jsonl, FileFormat::Json, FileFormat::Csv];

/// Metadata of the Hub's and of the datasets library has data's endings.
const DESCRIPTIONS: [&str; 2] = ["dataset_infos.json", "dataset_info.json"];

/// What is taken of a repository, and what is not.
#[derive(Debug)]
pub(crate) struct Choice<'a> {
    pub(crate) taken: Vec<&'a RemoteFile>,
    pub(crate) untaken: Vec<UntakenFiles>,
}

/// Chooses among the files of a commit, whose card describes these configurations.
///
/// # Errors
/// [`crate::error::Error::SeveralConfigs`], [`crate::error::Error::CardTooLong`], where no globs choose.
pub(crate) fn choose<'a>(
    dataset: &CatalogDataset,
    tree: &'a [RemoteFile],
    configs: &[Config],
) -> Result<Choice<'a>> {
    let by_rule = dataset.files.is_empty();
    let card = if by_rule { CardFiles::of(&dataset.repo, configs, &with_rows(tree))? } else { None };
    let why_not = |path: &str| why_no_data(path).or_else(|| why_not_to_train(path, card.as_ref()));
    let is_data = |file: &&RemoteFile| why_not(&file.path).is_none();
    let best = FORMATS.into_iter().find(|&format| {
        tree.iter().filter(is_data).any(|file| FileFormat::of_name(&file.path) == Some(format))
    });
    let mut choice = Choice { taken: Vec::new(), untaken: Vec::new() };
    for file in tree {
        let why = match why_not(&file.path) {
            _ if !by_rule && takes(dataset, &file.path) => None,
            Some(why) => Some(why),
            None if !by_rule => Some(WhyUntaken::NotChosen),
            None if FileFormat::of_name(&file.path) == best => None,
            None => Some(WhyUntaken::OtherFormat),
        };
        match why {
            None => choice.taken.push(file),
            Some(why) => add_untaken(&mut choice.untaken, why, &file.path, file.size),
        }
    }
    Ok(choice)
}

/// The files with rows.
fn with_rows(tree: &[RemoteFile]) -> Vec<&RemoteFile> {
    tree.iter().filter(|file| why_no_data(&file.path).is_none()).collect()
}

/// Why a file with rows is not there to train on: the card says so, or its path where there is no card.
fn why_not_to_train(path: &str, card: Option<&CardFiles<'_>>) -> Option<WhyUntaken> {
    match card.map(|card| card.place(path)) {
        Some(FileUse::Train) => None,
        None | Some(FileUse::OtherSplit) if is_for_testing(path) => Some(WhyUntaken::ForTesting),
        None => None,
        Some(FileUse::OtherSplit) => Some(WhyUntaken::OtherSplit),
        Some(FileUse::OtherConfig) => Some(WhyUntaken::OtherConfig),
    }
}

/// Why a file is none of those with rows, by its path; none where it seems to be one.
fn why_no_data(path: &str) -> Option<WhyUntaken> {
    let name = path.rsplit('/').next().unwrap_or_default().to_ascii_lowercase();
    let (stem, ending) = name.rsplit_once('.').unwrap_or((&name, ""));
    if path.split('/').any(|part| part.starts_with('.')) {
        return Some(WhyUntaken::Hidden);
    }
    let is_about = ["readme", "license", "licence", "citation", "notice"].contains(&stem);
    if DESCRIPTIONS.contains(&name.as_str()) || ending == "md" || is_about {
        return Some(WhyUntaken::Description);
    }
    match FileFormat::of_name(&name) {
        Some(_) => None,
        None if ["py", "sh", "ipynb"].contains(&ending) => Some(WhyUntaken::Script),
        None => Some(WhyUntaken::UnreadEnding),
    }
}

#[cfg(test)]
mod tests {
    use mashbill_hub::{Commit, Digest, RepoId};

    use super::*;

    fn tree(paths: &[&str]) -> Vec<RemoteFile> {
        let file = |path: &&str| RemoteFile {
            repo: RepoId::dataset("org/d").expect("an id"),
            commit: Commit::parse(&"a".repeat(40)).expect("a commit"),
            path: (*path).to_owned(),
            size: 1,
            hash: Digest::parse(&"b".repeat(64)).expect("a hash"),
        };
        paths.iter().map(file).collect()
    }

    /// The paths that are taken, and the others with their reasons.
    fn chosen(globs: &[&str], paths: &[&str]) -> (Vec<String>, Vec<(WhyUntaken, Vec<String>)>) {
        let files = globs.iter().map(|&glob| glob.to_owned()).collect();
        let dataset = CatalogDataset { files, ..CatalogDataset::of_repo("org/d") };
        let tree = tree(paths);
        let choice = choose(&dataset, &tree, &[]).expect("no card");
        let taken = choice.taken.iter().map(|file| file.path.clone()).collect();
        assert_eq!(
            choice.untaken.iter().map(|untaken| untaken.files as usize).sum::<usize>() + choice.taken.len(),
            paths.len()
        );
        (taken, choice.untaken.into_iter().map(|untaken| (untaken.why, untaken.examples)).collect())
    }

    const REPOSITORY: [&str; 15] = [
        "data/train.jsonl",
        "data/train.parquet",
        "data/TRAIN-2.PARQUET",
        "data/test.parquet",
        "extra/more.csv",
        "extra/columns.json",
        ".gitattributes",
        ".cache/a.parquet",
        "README.md",
        "LICENSE",
        "dataset_infos.json",
        "make.py",
        "all.zip",
        "old/train.arrow",
        "notes.txt",
    ];

    #[test]
    fn every_file_is_taken_or_has_its_reason() {
        let strings = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
        let (taken, untaken) = chosen(&[], &REPOSITORY);
        assert_eq!(taken, ["data/train.parquet", "data/TRAIN-2.PARQUET"]);
        let expected = [
            (WhyUntaken::OtherFormat, strings(&["data/train.jsonl", "extra/more.csv", "extra/columns.json"])),
            (WhyUntaken::ForTesting, strings(&["data/test.parquet"])),
            (WhyUntaken::UnreadEnding, strings(&["all.zip", "old/train.arrow", "notes.txt"])),
            (WhyUntaken::Script, strings(&["make.py"])),
            (WhyUntaken::Hidden, strings(&[".gitattributes", ".cache/a.parquet"])),
            (WhyUntaken::Description, strings(&["README.md", "LICENSE", "dataset_infos.json"])),
        ];
        assert_eq!(untaken, expected);
        let (taken, untaken) = chosen(&["data/*.jsonl", "notes.txt"], &REPOSITORY);
        assert_eq!(taken, ["data/train.jsonl", "notes.txt"]);
        assert_eq!((untaken[0].0, untaken[0].1.len()), (WhyUntaken::NotChosen, 3));
        assert_eq!(untaken[1], (WhyUntaken::ForTesting, strings(&["data/test.parquet"])));
    }
}
