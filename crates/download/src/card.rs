//! Which of a repository's files the dataset's card gives to training.
//!
//! Where a card describes configurations, they and not the files' paths say what belongs together: two configurations
//! are often the same rows twice, or two tasks, and a split that is no `train` is often kept from training.

use std::collections::HashSet;

use mashbill_hub::{Config, ConfigSplit, RemoteFile};

use crate::error::{Error, Result};
use crate::glob::{is_for_testing, matches};

/// Steps that a card's patterns may take over a repository's files, a second of them.
const STEPS_MAX: u64 = 400_000_000;

/// Names of configurations that an error shows.
const NAMES_SHOWN: usize = 12;

/// The files that a card's configuration names.
#[derive(Debug, Default)]
pub(crate) struct CardFiles<'a> {
    /// To train on.
    train: HashSet<&'a str>,
    /// Of its other splits, which may be of any name.
    other: HashSet<&'a str>,
}

/// What a card makes of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FileUse {
    Train,
    OtherSplit,
    OtherConfig,
}

impl<'a> CardFiles<'a> {
    /// What the card's configurations say of these files, the ones with data. None where they name none of them, as on
    /// a branch with other files than the card's.
    ///
    /// The default is taken where there are several: the one that says so, or is called `default`.
    ///
    /// # Errors
    /// [`Error::SeveralConfigs`], [`Error::CardTooLong`].
    pub(crate) fn of(repo: &str, configs: &[Config], files: &[&'a RemoteFile]) -> Result<Option<Self>> {
        let mut steps = 0;
        let mut found = Vec::new();
        for config in configs {
            let card = Self::of_config(config, files, &mut steps)
                .ok_or_else(|| Error::CardTooLong { repo: repo.to_owned() })?;
            if !card.train.is_empty() || !card.other.is_empty() {
                found.push((config, card));
            }
        }
        let default = found.iter().position(|(config, _)| config.default);
        let default = default.or_else(|| found.iter().position(|(config, _)| config.name == "default"));
        match (default, found.len()) {
            (_, 0) => Ok(None),
            (Some(default), _) => Ok(Some(found.swap_remove(default).1)),
            (None, 1) => Ok(found.pop().map(|(_, card)| card)),
            (None, count) => {
                let mut names: Vec<_> =
                    found.iter().take(NAMES_SHOWN).map(|(config, _)| format!("`{}`", config.name)).collect();
                if count > NAMES_SHOWN {
                    names.push("…".to_owned());
                }
                let example =
                    found[0].1.train.iter().min().map(|path| (*path).to_owned()).unwrap_or_default();
                Err(Error::SeveralConfigs { repo: repo.to_owned(), names, example })
            }
        }
    }

    /// The files of one configuration, none where that takes too long.
    fn of_config(config: &Config, files: &[&'a RemoteFile], steps: &mut u64) -> Option<Self> {
        let named = |split: &ConfigSplit| split.name.as_deref().is_none_or(is_train);
        // `load_dataset` has no rule for a configuration without `train`: what is not for testing may be trained on.
        let any_train = config.splits.iter().any(named);
        let mut card = Self::default();
        for split in &config.splits {
            let name = split.name.as_deref().unwrap_or_default();
            let to_train = if any_train { named(split) } else { !is_for_testing(name) };
            for file in files {
                let path = file.path.as_str();
                let mut is_of = false;
                for pattern in &split.patterns {
                    let fixed = pattern.split('*').next().unwrap_or_default();
                    *steps += 1;
                    if path.starts_with(fixed) {
                        *steps += pattern.len() as u64 * path.len() as u64;
                        is_of |= matches(pattern, path);
                    }
                    if *steps > STEPS_MAX {
                        return None;
                    }
                }
                // A folder without splits: their files are told by their paths.
                let by_path = split.name.is_none() && is_for_testing(path);
                match is_of {
                    true if to_train && !by_path => _ = card.train.insert(path),
                    true => _ = card.other.insert(path),
                    false => {}
                }
            }
        }
        Some(card)
    }

    /// What it makes of a file.
    pub(crate) fn place(&self, path: &str) -> FileUse {
        if self.train.contains(path) {
            FileUse::Train
        } else if self.other.contains(path) {
            FileUse::OtherSplit
        } else {
            FileUse::OtherConfig
        }
    }
}

/// Whether a split's name is that of rows to train on: `train`, `train_sft`.
fn is_train(name: &str) -> bool {
    name.get(..5).is_some_and(|start| start.eq_ignore_ascii_case("train"))
}
