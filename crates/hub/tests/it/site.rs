//! The stand-in crate with a dataset, and a hub that asks it without sleeping.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use mashbill_hub::{
    AccessToken, Fetched, Hub, Proxies, RemoteFile, RepoId, Result, Revision, Settings, TokenSource,
    Transfer, Wait,
};
use mashbill_stand_in::{Access, Content, Fault, Repo, RepoType, Rule, Site, StandIn, User};
use tempfile::TempDir;

use crate::world::assert_silent;

pub(crate) const SETTINGS_TOKEN: &str = "hf_GoodSecret";
pub(crate) const DATASET: &str = "org/data";

/// Bytes that do not repeat, the same for the same seed.
pub(crate) fn noise(size: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(2).wrapping_add(1);
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    (0..size.div_ceil(8)).flat_map(|_| next().to_le_bytes()).take(size).collect()
}

/// Where a test happens.
pub(crate) struct Place {
    pub(crate) stand_in: StandIn,
    pub(crate) settings: Settings,
    pub(crate) transfer: Transfer,
    pub(crate) interrupted: AtomicBool,
    pub(crate) folder: TempDir,
    pub(crate) pauses: Mutex<Vec<Duration>>,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self::with(Site::default())
    }

    pub(crate) fn with(site: Site) -> Self {
        let users = [(SETTINGS_TOKEN, true), ("hf_StrangerSecret", false)];
        let users =
            users.map(|(token, trusted)| User { name: "somebody".into(), token: token.into(), trusted });
        let stand_in = StandIn::start(Site { users: users.into(), ..site }).expect("a free port");
        let folder = tempfile::tempdir().expect("a folder");
        let settings = Settings {
            endpoint: stand_in.endpoint().parse().expect("an endpoint"),
            token: None,
            cache: folder.path().join("hub"),
            offline: false,
            proxies: Proxies::default(),
            answer_timeout: Duration::from_secs(10),
            stall_timeout: Duration::from_secs(10),
        };
        // Small files show as much as large ones.
        let transfer = Transfer {
            connections: 4,
            parallel_from: 4 << 20,
            part_size: 1 << 20,
            first_pause: Duration::from_millis(500),
            longest_pause: Duration::from_secs(30),
            failures_max: 6,
        };
        let (interrupted, pauses) = (AtomicBool::new(false), Mutex::default());
        Self { stand_in, settings, transfer, interrupted, folder, pauses }
    }

    /// The same with a token that may see everything.
    pub(crate) fn with_token() -> Self {
        let mut place = Self::new();
        place.settings.token =
            AccessToken::new(SETTINGS_TOKEN, TokenSource::Variable("HF_TOKEN")).expect("a token");
        place
    }

    /// Puts the dataset with these files on the stand-in.
    pub(crate) fn put(&self, files: &[(&str, &[u8])], access: Access) {
        let mut repo = Repo::new(RepoType::Dataset, DATASET);
        repo.access = access;
        repo.license = Some("mit".into());
        for (path, contents) in files {
            repo.put("main", path, Content::from(contents.to_vec()));
        }
        self.stand_in.put(repo);
    }

    /// Lets the next requests whose `METHOD path` contains `on` go wrong, one after the other.
    pub(crate) fn fail(&self, on: &str, faults: impl IntoIterator<Item = Fault>) {
        for fault in faults {
            self.stand_in.fail(Rule { on: on.to_owned(), times: 1, fault });
        }
    }

    pub(crate) fn store_path(&self) -> &'static str {
        "Signature="
    }

    /// Does something with the Hub, without sleeping; no error may give a secret away.
    pub(crate) fn on_hub<T>(&self, act: impl FnOnce(&Hub<'_>) -> Result<T>) -> Result<T> {
        let wait = |wait: Wait<'_>| {
            assert_silent(wait.why);
            self.pauses.lock().expect("no panic").push(wait.duration);
        };
        let hub = Hub::new(self.settings.clone(), self.transfer, &self.interrupted, &wait);
        act(&hub).inspect_err(assert_silent)
    }

    pub(crate) fn files(&self) -> Result<Vec<RemoteFile>> {
        self.on_hub(|hub| {
            let repo = dataset();
            let commit = hub.dataset(&repo, &Revision::main())?.commit;
            hub.tree(&repo, &commit, "")
        })
    }

    pub(crate) fn file(&self, path: &str) -> RemoteFile {
        let mut files = self.files().expect("a list").into_iter();
        files.find(|file| file.path == path).expect("it is listed")
    }

    pub(crate) fn destination(&self) -> PathBuf {
        self.folder.path().join("raw").join("file")
    }

    pub(crate) fn fetch(&self, file: &RemoteFile) -> Result<Fetched> {
        self.on_hub(|hub| hub.fetch(file, &self.destination(), &|_| ()))
    }

    /// Checks that the file is there, whole, and nothing beside it.
    pub(crate) fn assert_whole(&self, contents: &[u8]) {
        assert!(read(&self.destination()) == contents, "the file has other bytes");
        assert_eq!(self.beside(), ["file"]);
    }

    /// The names in the destination's folder.
    pub(crate) fn beside(&self) -> Vec<String> {
        let entries = fs::read_dir(self.folder.path().join("raw")).into_iter().flatten();
        let mut names: Vec<_> =
            entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8")).collect();
        names.sort();
        names
    }

    pub(crate) fn pauses(&self) -> Vec<Duration> {
        std::mem::take(&mut self.pauses.lock().expect("no panic"))
    }
}

pub(crate) fn dataset() -> RepoId {
    RepoId::dataset(DATASET).expect("an id")
}

pub(crate) fn read(path: &Path) -> Vec<u8> {
    fs::read(path).expect("the file is there")
}
