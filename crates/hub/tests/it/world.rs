//! A stand-in, empty cache folders and settings that point to them.

use std::cell::RefCell;
use std::error::Error as _;
use std::path::PathBuf;
use std::time::Duration;

use mashbill_hub::{
    AccessToken, Commit, Error, HubTokenizerFiles, Proxies, Result, Settings, TokenSource, Waiting,
    tokenizer_files,
};
use tempfile::TempDir;

use crate::stand_in::{COMMIT, GOOD_TOKEN, STRANGER_TOKEN, StandIn};

pub(crate) struct World {
    pub(crate) stand_in: StandIn,
    pub(crate) settings: Settings,
    folder: TempDir,
    pauses: RefCell<Vec<Duration>>,
    reasons: RefCell<Vec<String>>,
}

impl World {
    pub(crate) fn new() -> Self {
        let stand_in = StandIn::start();
        let folder = tempfile::tempdir().expect("a folder");
        let settings = Settings {
            endpoint: stand_in.hub.url().parse().expect("an endpoint"),
            token: None,
            cache: folder.path().join("hub"),
            offline: false,
            proxies: Proxies::default(),
            answer_timeout: Duration::from_secs(10),
            stall_timeout: Duration::from_secs(10),
        };
        Self { stand_in, settings, folder, pauses: RefCell::default(), reasons: RefCell::default() }
    }

    pub(crate) fn with_token(token: &str) -> Self {
        let mut world = Self::new();
        world.settings.token = AccessToken::new(token, TokenSource::Variable("HF_TOKEN")).expect("a token");
        world
    }

    /// Our own cache folder.
    pub(crate) fn kept(&self) -> PathBuf {
        self.folder.path().join("kept")
    }

    pub(crate) fn fetch(&self, repo: &str) -> Result<HubTokenizerFiles> {
        self.fetch_at(repo, "main")
    }

    /// Fetches without sleeping; no error may give a secret away.
    pub(crate) fn fetch_at(&self, repo: &str, revision: &str) -> Result<HubTokenizerFiles> {
        let result = tokenizer_files(
            &repo.parse()?,
            &revision.parse()?,
            &self.settings,
            Some(&self.kept()),
            &|wait| {
                assert_silent(wait.why);
                self.reasons.borrow_mut().extend(wait.why.source().map(ToString::to_string));
                self.pauses.borrow_mut().push(wait.duration);
            },
            &Waiting::default(),
        );
        result.inspect_err(assert_silent)
    }

    /// The pauses since the last call, in milliseconds.
    pub(crate) fn pauses(&self) -> Vec<u128> {
        self.pauses.take().iter().map(Duration::as_millis).collect()
    }

    /// The sources of the errors that were waited for.
    pub(crate) fn reasons(&self) -> Vec<String> {
        self.reasons.borrow().clone()
    }
}

pub(crate) fn commit() -> Commit {
    Commit::parse(COMMIT).expect("a commit")
}

pub(crate) fn assert_silent(error: &Error) {
    let mut texts = vec![format!("{error:?} {error}")];
    let mut source = error.source();
    while let Some(error) = source {
        texts.push(format!("{error:?} {error}"));
        source = error.source();
    }
    for text in texts {
        for secret in [GOOD_TOKEN, STRANGER_TOKEN, "Secret", "Bearer"] {
            assert!(!text.contains(secret), "`{secret}` in: {text}");
        }
    }
}
