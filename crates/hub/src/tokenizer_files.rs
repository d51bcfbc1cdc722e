//! The files that make a tokenizer, from this machine or from the Hub.
//!
//! All files of one result belong to one commit. `tokenizer.json` decides which: the
//! commit for which a cache has it, else the one that the Hub names. The optional
//! files are looked for at that commit, each first in the caches; that a commit lacks
//! one is kept too, so that from the second run on nothing is asked.

use std::path::{Path, PathBuf};

use crate::cache::{Cached, FILE_SIZE_MAX, RepoCache};
use crate::client::{Client, WantedBytes};
use crate::error::{Error, Result};
use crate::refusal::{Asked, refusal};
use crate::repo::{Commit, RepoId, Revision};
use crate::retry::{Wait, with_retries};
use crate::settings::Settings;
use crate::waiting::Waiting;

const TOKENIZER: &str = "tokenizer.json";

/// The template for conversations with tools, of those that have two.
const TOOL_TEMPLATE: &str = "additional_chat_templates/tool_use.jinja";

/// How long one of them may take, in stall timeouts: ten minutes, as a rule.
const FILE_STALLS: u32 = 60;

/// The files of a tokenizer, all of one commit.
#[derive(Debug)]
pub struct HubTokenizerFiles {
    /// The commit they belong to.
    pub commit: Commit,
    /// `tokenizer.json`.
    pub tokenizer: HubFile,
    /// `tokenizer_config.json`.
    pub tokenizer_config: Option<HubFile>,
    /// `special_tokens_map.json`.
    pub special_tokens_map: Option<HubFile>,
    /// `added_tokens.json`.
    pub added_tokens: Option<HubFile>,
    /// `config.json`, the model's.
    pub config: Option<HubFile>,
    /// `generation_config.json`.
    pub generation_config: Option<HubFile>,
    /// `chat_template.jinja`.
    pub chat_template: Option<HubFile>,
    /// `additional_chat_templates/tool_use.jinja`, which is looked for only beside the other template.
    pub chat_template_with_tools: Option<HubFile>,
    /// Set if files are missing above of which it is not known that the repository lacks them.
    pub incomplete: Option<Incomplete>,
}

/// One file's content.
#[derive(Debug)]
pub struct HubFile {
    /// The bytes, as they are.
    pub contents: Vec<u8>,
    /// Where they come from.
    pub origin: FileOrigin,
}

/// Where a file comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileOrigin {
    /// A file on this machine, in the Hub's cache or among those kept by an earlier run.
    Cache(PathBuf),
    /// This address of the endpoint.
    Endpoint(String),
}

/// Files that a cached tokenizer may have besides, but that could not be asked for.
#[derive(Debug)]
pub struct Incomplete {
    /// Their names.
    pub files: Vec<&'static str>,
    /// Why the Hub could not be asked; `None`: the network is switched off.
    pub why: Option<Error>,
}

/// The tokenizer files of a repository. `tokenizer.json` must be there, the others may be missing.
///
/// Found in the Hub's cache they are used without asking the Hub, then in `kept`; what has to be
/// fetched is kept there, in the layout of the Hub's cache; without a folder nothing is kept. `wait`
/// is given each pause before another try and sleeps through it; `waiting` says what is asked for meanwhile.
///
/// Offline, where `revision` is `main` and no cache says which commit that is, the only
/// snapshot that a cache has is taken.
///
/// # Errors
/// All that [`enum@Error`] lists. After `tokenizer.json` was found in a cache, a Hub that refuses or
/// cannot be reached is no error: the result is [`Incomplete`].
pub fn tokenizer_files(
    repo: &RepoId,
    revision: &Revision,
    settings: &Settings,
    kept: Option<&Path>,
    wait: &dyn Fn(Wait<'_>),
    waiting: &Waiting,
) -> Result<HubTokenizerFiles> {
    let places = Places {
        repo,
        client: Client::new(settings.clone()),
        hub_cache: RepoCache::new(&settings.cache, repo),
        kept: kept.map(|kept| RepoCache::new(kept, repo)),
        wait,
        waiting,
    };
    let (commit, tokenizer) = match places.cached_tokenizer(revision)? {
        Some(cached) => cached,
        None => places.fetch_tokenizer(revision)?,
    };
    let mut files = HubTokenizerFiles {
        commit,
        tokenizer,
        tokenizer_config: None,
        special_tokens_map: None,
        added_tokens: None,
        config: None,
        generation_config: None,
        chat_template: None,
        chat_template_with_tools: None,
        incomplete: None,
    };
    places.add_optional(&mut files)?;
    Ok(files)
}

/// Optional files of which it is not known whether the commit has them.
struct UnknownFiles {
    /// Whether it is an error that the Hub cannot be asked: what is fetched is fetched whole.
    is_error: bool,
    names: Vec<&'static str>,
    /// Why the Hub could not be asked.
    why: Option<Error>,
}

/// Where the files of one repository may lie.
struct Places<'a> {
    repo: &'a RepoId,
    client: Client,
    hub_cache: RepoCache,
    kept: Option<RepoCache>,
    wait: &'a dyn Fn(Wait<'_>),
    waiting: &'a Waiting,
}

impl Places<'_> {
    /// `tokenizer.json` at a commit that a cache has for the revision; `None`: ask the Hub.
    fn cached_tokenizer(&self, revision: &Revision) -> Result<Option<(Commit, HubFile)>> {
        let offline = self.client.settings().offline;
        let mut absent = false;
        for cache in self.caches() {
            let Some(commit) = cache.commit(revision)? else { continue };
            match self.find(&commit, TOKENIZER)? {
                Cached::Found { path, contents } => return Ok(Some((commit, cached(path, contents)))),
                Cached::Absent => absent = true,
                Cached::Unknown => {}
            }
        }
        // A branch may have the file by now, a commit never will.
        if absent && (offline || Commit::parse(revision.as_str()).is_some()) {
            let (repo, revision) = (self.repo.clone(), revision.clone());
            return Err(Error::EntryNotFound { repo, revision, file: TOKENIZER.to_owned() });
        }
        if !offline {
            return Ok(None);
        }
        if *revision == Revision::main() {
            for cache in self.caches() {
                if let Some(commit) = cache.lone_snapshot(TOKENIZER)?
                    && let Cached::Found { path, contents } = cache.find(&commit, TOKENIZER)?
                {
                    return Ok(Some((commit, cached(path, contents))));
                }
            }
        }
        let cache = self.client.settings().cache.clone();
        Err(Error::NotCached { repo: self.repo.clone(), revision: revision.clone(), cache })
    }

    /// Fetches `tokenizer.json` and keeps it, and then the commit that the revision stands for.
    fn fetch_tokenizer(&self, revision: &Revision) -> Result<(Commit, HubFile)> {
        let (commit, file) = self.fetch(revision, TOKENIZER)?;
        if let Some(kept) = &self.kept {
            kept.keep(&commit, TOKENIZER, &file.contents)?;
            if Commit::parse(revision.as_str()).is_none() {
                kept.keep_commit(revision, &commit)?;
            }
        }
        Ok((commit, file))
    }

    /// The caches that there are, in the order in which they are asked.
    fn caches(&self) -> impl Iterator<Item = &RepoCache> {
        [&self.hub_cache].into_iter().chain(&self.kept)
    }

    fn add_optional(&self, files: &mut HubTokenizerFiles) -> Result<()> {
        let mut unknown = UnknownFiles {
            is_error: !matches!(files.tokenizer.origin, FileOrigin::Cache(_)),
            names: Vec::new(),
            why: None,
        };
        for (name, place) in [
            ("tokenizer_config.json", &mut files.tokenizer_config),
            ("special_tokens_map.json", &mut files.special_tokens_map),
            ("added_tokens.json", &mut files.added_tokens),
            ("config.json", &mut files.config),
            ("generation_config.json", &mut files.generation_config),
            ("chat_template.jinja", &mut files.chat_template),
        ] {
            *place = self.optional(&files.commit, name, &mut unknown)?;
        }
        if files.chat_template.is_some() {
            files.chat_template_with_tools = self.optional(&files.commit, TOOL_TEMPLATE, &mut unknown)?;
        }
        let UnknownFiles { names, why, .. } = unknown;
        files.incomplete = (!names.is_empty()).then_some(Incomplete { files: names, why });
        Ok(())
    }

    /// A file that the commit may lack.
    fn optional(
        &self,
        commit: &Commit,
        name: &'static str,
        unknown: &mut UnknownFiles,
    ) -> Result<Option<HubFile>> {
        match self.find(commit, name)? {
            Cached::Found { path, contents } => return Ok(Some(cached(path, contents))),
            Cached::Absent => return Ok(None),
            Cached::Unknown if self.client.settings().offline || unknown.why.is_some() => {
                unknown.names.push(name);
                return Ok(None);
            }
            Cached::Unknown => {}
        }
        match self.fetch_optional(commit, name) {
            Err(error) if !unknown.is_error && !matches!(error, Error::Store(_)) => {
                unknown.names.push(name);
                unknown.why = Some(error);
                Ok(None)
            }
            found => found,
        }
    }

    /// Fetches a file that the commit may lack, and keeps it or its absence.
    fn fetch_optional(&self, commit: &Commit, file: &str) -> Result<Option<HubFile>> {
        match self.fetch(&Revision::from(commit), file) {
            Ok((_, found)) => {
                if let Some(kept) = &self.kept {
                    kept.keep(commit, file, &found.contents)?;
                }
                Ok(Some(found))
            }
            Err(Error::EntryNotFound { .. }) => {
                if let Some(kept) = &self.kept {
                    kept.keep_absence(commit, file)?;
                }
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    fn find(&self, commit: &Commit, file: &str) -> Result<Cached> {
        for cache in self.caches() {
            match cache.find(commit, file)? {
                Cached::Unknown => {}
                known => return Ok(known),
            }
        }
        Ok(Cached::Unknown)
    }

    fn fetch(&self, revision: &Revision, file: &str) -> Result<(Commit, HubFile)> {
        let asked = Asked { repo: self.repo, revision, file };
        let endpoint = &self.client.settings().endpoint;
        let _waits = self.waiting.begin(format!("`{file}` of `{}` from {endpoint}", self.repo));
        with_retries(self.wait, || fetch_once(&self.client, &asked))
    }
}

/// Fetches a file whole and checks it against the hash that the Hub announces.
fn fetch_once(client: &Client, asked: &Asked<'_>) -> Result<(Commit, HubFile)> {
    let settings = client.settings();
    let address = settings.endpoint.resolve(asked.repo, asked.revision, asked.file);
    let body_max = FILE_STALLS * settings.stall_timeout;
    let answer = client.get_wanted(&address, WantedBytes { bytes: None, body_max })?;
    if !answer.status.is_success() {
        return Err(refusal(&answer, asked, settings));
    }
    let named = answer.commit.clone();
    let Some(commit) =
        named.filter(|commit| Commit::parse(asked.revision.as_str()).is_none_or(|pinned| pinned == *commit))
    else {
        let why = "its answer names no commit, or another than the one asked for".to_owned();
        return Err(Error::NotAHub { origin: settings.endpoint.origin().clone(), why });
    };
    let expected = answer.digest.clone();
    let (repo, file) = (asked.repo.clone(), asked.file.to_owned());
    let Some(contents) = answer.contents(FILE_SIZE_MAX)? else {
        return Err(Error::TooLarge { repo, file, limit: FILE_SIZE_MAX });
    };
    if let Some(expected) = expected {
        let received = expected.of_same_kind(&contents);
        if received != expected {
            return Err(Error::Checksum { repo, file, expected, received });
        }
    }
    Ok((commit, HubFile { contents, origin: FileOrigin::Endpoint(address.to_string()) }))
}

fn cached(path: PathBuf, contents: Vec<u8>) -> HubFile {
    HubFile { contents, origin: FileOrigin::Cache(path) }
}
