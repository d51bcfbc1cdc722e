//! What the Hub says about a dataset: which commit a revision is, and who may have it.

use serde::Deserialize;
use serde_json::Value;

use crate::card::{Config, configs};
use crate::error::{Error, Result};
use crate::hub::Hub;
use crate::refusal::{Asked, refusal};
use crate::repo::{Commit, RepoId, Revision};
use crate::settings::Settings;

/// Descriptions list every file's name; the largest known are a few megabytes.
const ANSWER_SIZE_MAX: u64 = 64 << 20;
/// Licenses have short names.
const LICENSE_CHARS_MAX: usize = 100;

/// A dataset at a revision.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DatasetInfo {
    /// The commit that the revision is now.
    pub commit: Commit,
    /// Whether terms have to be accepted before files can be had.
    pub gated: Gated,
    /// Whether it is hidden from others.
    pub private: bool,
    /// Whether the Hub has taken it offline.
    pub disabled: bool,
    /// The license as the dataset's card names it, such as `apache-2.0`.
    pub license: Option<String>,
    /// The configurations that the dataset's card describes, as far as they name files.
    pub configs: Vec<Config>,
}

/// Whether a dataset's terms have to be accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Gated {
    /// Everybody may have it.
    No,
    /// Whoever accepts the terms may.
    Auto,
    /// The owners decide about each request.
    Manual,
}

#[derive(Deserialize)]
struct Answer {
    sha: String,
    #[serde(default)]
    gated: Value,
    #[serde(default)]
    private: bool,
    #[serde(default)]
    disabled: bool,
    #[serde(default)]
    tags: Vec<String>,
    #[serde(default, rename = "cardData")]
    card: Value,
}

impl Hub<'_> {
    /// Asks which commit a dataset's revision is, and who may have it. One request.
    ///
    /// That a dataset is [`Gated`] here does not tell whether the token gives access to its files; a file's
    /// answer does.
    ///
    /// # Errors
    /// [`Error::RepoNotFound`], [`Error::RevisionNotFound`], [`Error::Gated`], [`Error::BadToken`],
    /// [`Error::Disabled`], [`Error::Offline`], [`Error::RateLimited`], [`Error::Unreachable`],
    /// [`Error::Status`], [`Error::NotAHub`], [`Error::Interrupted`].
    pub fn dataset(&self, repo: &RepoId, revision: &Revision) -> Result<DatasetInfo> {
        self.need_network(repo, || format!("the commit of `{revision}`"))?;
        let settings = self.settings();
        let _waits = self.waiting().begin(format!("the description of `{repo}` from {}", settings.endpoint));
        let address = settings.endpoint.info(repo, revision);
        let asked = Asked { repo, revision, file: "" };
        let answer: Answer = self.persist(|| {
            self.keep_pace(&address)?;
            let answer = self.client.get(&address)?;
            if !answer.status.is_success() {
                return Err(refusal(&answer, &asked, settings));
            }
            parse(answer, settings)
        })?;
        let Some(commit) = Commit::parse(&answer.sha) else {
            let why = "its description of a dataset names no commit".to_owned();
            return Err(Error::NotAHub { origin: settings.endpoint.origin().clone(), why });
        };
        // It is written down, and shown.
        let license = answer.tags.iter().find_map(|tag| tag.strip_prefix("license:"));
        let license = license.map(|id| settings.shown(id).chars().take(LICENSE_CHARS_MAX).collect());
        Ok(DatasetInfo {
            commit,
            gated: match answer.gated.as_str() {
                Some("auto") => Gated::Auto,
                Some(_) => Gated::Manual,
                None => Gated::No,
            },
            private: answer.private,
            disabled: answer.disabled,
            license,
            configs: configs(&answer.card, settings),
        })
    }

    /// Fails where the settings forbid to ask.
    pub(crate) fn need_network(&self, repo: &RepoId, what: impl FnOnce() -> String) -> Result<()> {
        if self.settings().offline {
            return Err(Error::Offline { repo: repo.clone(), what: what() });
        }
        Ok(())
    }
}

/// The JSON of an answer.
fn parse<T: for<'de> Deserialize<'de>>(answer: crate::client::FinalAnswer, settings: &Settings) -> Result<T> {
    let origin = answer.origin.clone();
    let not_a_hub = |why: String| Error::NotAHub { origin: origin.clone(), why };
    let Some(contents) = answer.contents(ANSWER_SIZE_MAX)? else {
        return Err(not_a_hub(format!("its answer is larger than {ANSWER_SIZE_MAX} bytes")));
    };
    // What is wrong may quote what was sent.
    parse_bytes(&contents)
        .map_err(|why| not_a_hub(settings.shown(&format!("its answer has an unexpected form: {why}"))))
}

/// The value that is spelled in JSON. What is nested too deep for the parser's stack is refused by it.
pub(crate) fn parse_bytes<T: for<'de> Deserialize<'de>>(contents: &[u8]) -> serde_json::Result<T> {
    serde_json::from_slice(contents)
}
