//! The tokens of a vocabulary and their ids, as a `tokenizer.json` lists them.

use std::collections::HashMap;
use std::hash::BuildHasherDefault;

use crate::error::{Error, refuse, unsupported};
use crate::merges::IDS_MAX;
use crate::tokenizer_json::Vocab;
use crate::words::WordHasher;

/// Longest token, in bytes: merging one alone takes quadratic time. Those in use are far shorter.
pub(crate) const TOKEN_BYTES_MAX: usize = 4096;

/// See the [module](self).
pub(crate) struct Ids<'a> {
    list: Vec<(&'a str, u32)>,
    by_token: HashMap<&'a str, u32, BuildHasherDefault<WordHasher>>,
}

impl<'a> Ids<'a> {
    pub(crate) fn new(vocab: &'a Vocab<'_>) -> Result<Self, Error> {
        let list: Vec<(&str, u32)> = match vocab {
            Vocab::Ids(ids) => ids.iter().map(|(token, id)| (&**token, *id)).collect(),
            Vocab::Scores(scores) => scores.iter().map(|(token, _)| &**token).zip(0..).collect(),
        };
        let mut by_token = HashMap::with_capacity_and_hasher(list.len(), BuildHasherDefault::default());
        let mut seen = vec![false; list.len() * 2];
        for (token, id) in &list {
            refuse(*id >= IDS_MAX, "an id is too large")?;
            refuse(token.len() > TOKEN_BYTES_MAX, "a token is too long")?;
            if seen.len() <= *id as usize {
                seen.resize(*id as usize + 1, false);
            }
            let twice = std::mem::replace(&mut seen[*id as usize], true);
            refuse(twice || by_token.insert(*token, *id).is_some(), "a token or an id occurs twice")?;
        }
        Ok(Self { list, by_token })
    }

    /// All of them, in the order of the file.
    pub(crate) fn list(&self) -> &[(&'a str, u32)] {
        &self.list
    }

    /// The greatest id.
    pub(crate) fn max(&self) -> Option<u32> {
        self.list.iter().map(|(_, id)| *id).max()
    }

    pub(crate) fn find(&self, token: &str) -> Option<u32> {
        self.by_token.get(token).copied()
    }

    /// The id of a token that must be there.
    pub(crate) fn get(&self, token: &str) -> Result<u32, Error> {
        self.find(token).ok_or_else(|| unsupported(format!("{token:?} is not in the vocabulary")))
    }
}
