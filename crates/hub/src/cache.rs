//! A folder of files of the Hub, in the layout of the Hub's own cache.
//!
//! ```text
//!  models--org--name/refs/<revision>              the commit it stood for, 40 digits
//!                    snapshots/<commit>/<file>    often a link to ../../blobs/<hash>
//!                    .no_exist/<commit>/<file>    an empty file: the commit has no such file
//! ```
//!
//! The same code reads the Hub's cache, which is never written to because its locks
//! and its shared store belong to others, and the folder in which this crate keeps
//! what it fetched. Kept files are plain files; a link's name is the hash of what
//! lies behind it, so linked files are checked against it: the official client
//! stores what arrived without looking.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use mashbill_store::open;

use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::repo::{Commit, RepoId, Revision};

/// The largest tokenizer files known are below 40 MB.
pub(crate) const FILE_SIZE_MAX: u64 = 200_000_000;

/// The part of a cache folder that belongs to one repository.
#[derive(Debug)]
pub(crate) struct RepoCache {
    repo: PathBuf,
}

/// What a cache knows about a file of a commit.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Cached {
    /// It is here.
    Found { path: PathBuf, contents: Vec<u8> },
    /// The commit has no such file.
    Absent,
    /// Nobody asked yet.
    Unknown,
}

impl RepoCache {
    pub(crate) fn new(root: &Path, repo: &RepoId) -> Self {
        Self { repo: root.join(repo.folder()) }
    }

    /// The commit that `revision` is, or stood for when it was last asked for.
    pub(crate) fn commit(&self, revision: &Revision) -> Result<Option<Commit>> {
        if let Some(commit) = Commit::parse(revision.as_str()) {
            return Ok(Some(commit));
        }
        let path = self.repo.join("refs").join(revision.as_str());
        let Some(text) = read(&path)? else { return Ok(None) };
        match std::str::from_utf8(&text).ok().and_then(|text| Commit::parse(text.trim())) {
            Some(commit) => Ok(Some(commit)),
            None => Err(Error::DamagedCache { path, what: "it holds no commit".to_owned() }),
        }
    }

    /// The commit of the only snapshot that has `file`; `None` where there are more or none.
    pub(crate) fn lone_snapshot(&self, file: &str) -> Result<Option<Commit>> {
        let snapshots = self.repo.join("snapshots");
        let entries = match fs::read_dir(&snapshots) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::io("read", &snapshots, error)),
        };
        let mut commits = Vec::new();
        for entry in entries {
            let entry = entry.map_err(|error| Error::io("read", &snapshots, error))?;
            if let Some(commit) = entry.file_name().to_str().and_then(Commit::parse)
                && entry.path().join(file).is_file()
            {
                commits.push(commit);
            }
        }
        Ok(if commits.len() == 1 { commits.pop() } else { None })
    }

    /// Looks for a file of a commit.
    pub(crate) fn find(&self, commit: &Commit, file: &str) -> Result<Cached> {
        let path = self.snapshot_file(commit, file);
        if let Some(contents) = read(&path)? {
            check_blob_name(&path, &contents)?;
            return Ok(Cached::Found { path, contents });
        }
        Ok(if self.marker(commit, file).is_file() { Cached::Absent } else { Cached::Unknown })
    }

    /// Keeps a file of a commit.
    pub(crate) fn keep(&self, commit: &Commit, file: &str, contents: &[u8]) -> Result<()> {
        publish(&self.snapshot_file(commit, file), contents)
    }

    /// Keeps the knowledge that a commit has no such file.
    pub(crate) fn keep_absence(&self, commit: &Commit, file: &str) -> Result<()> {
        publish(&self.marker(commit, file), b"")
    }

    /// Keeps the commit that `revision` stands for now.
    pub(crate) fn keep_commit(&self, revision: &Revision, commit: &Commit) -> Result<()> {
        publish(&self.repo.join("refs").join(revision.as_str()), commit.as_str().as_bytes())
    }

    fn snapshot_file(&self, commit: &Commit, file: &str) -> PathBuf {
        self.repo.join("snapshots").join(commit.as_str()).join(file)
    }

    fn marker(&self, commit: &Commit, file: &str) -> PathBuf {
        self.repo.join(".no_exist").join(commit.as_str()).join(file)
    }
}

/// The contents of a file, `None` where there is none.
fn read(path: &Path) -> Result<Option<Vec<u8>>> {
    match open::read(path, FILE_SIZE_MAX) {
        Ok(contents) => Ok(Some(contents)),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            Ok(None)
        }
        Err(error) => Err(Error::io("read", path, error)),
    }
}

/// A file that links to `blobs/<hash>` must have that hash.
fn check_blob_name(path: &Path, contents: &[u8]) -> Result<()> {
    let Ok(blob) = fs::read_link(path) else { return Ok(()) };
    let Some(expected) = blob.file_name().and_then(|name| name.to_str()).and_then(Digest::parse) else {
        return Ok(());
    };
    let found = expected.of_same_kind(contents);
    if found == expected {
        return Ok(());
    }
    let what = format!("its name says {expected}, its content has {found}");
    let path = path.parent().map_or_else(|| path.to_owned(), |folder| folder.join(&blob));
    Err(Error::DamagedCache { path, what })
}

/// Puts a file under its name in one step, so that it is never seen half written.
fn publish(path: &Path, contents: &[u8]) -> Result<()> {
    let folder = path.parent().expect("a file of the cache lies in a folder");
    fs::create_dir_all(folder).map_err(|error| Error::io("create", folder, error))?;
    let mut options = tempfile::Builder::new();
    options.prefix(".part-");
    #[cfg(unix)]
    {
        // Readable to those who may read other new files: cache folders are shared.
        use std::os::unix::fs::PermissionsExt as _;
        options.permissions(fs::Permissions::from_mode(0o666));
    }
    let mut file = options.tempfile_in(folder).map_err(|error| Error::io("create", path, error))?;
    let written = file.write_all(contents).and_then(|()| file.as_file().sync_all());
    written.map_err(|error| Error::io("write", path, error))?;
    file.persist(path).map_err(|error| Error::io("write", path, error.error))?;
    Ok(())
}
