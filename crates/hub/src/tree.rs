//! A commit's files with their sizes and hashes, so that nothing has to be asked file by file.
//!
//! What a server lists is believed in nothing that costs: pages, bytes and files are counted, a page that was read is not
//! read again, and each path must be one that can lie in a folder beside all the others.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use serde::Deserialize;

use crate::client::FinalAnswer;
use crate::dataset::parse_bytes;
use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::hub::Hub;
use crate::refusal::{Asked, refusal};
use crate::repo::{Commit, RepoId, Revision};
use crate::settings::Settings;
use crate::words::escaped;

/// The Hub gives 1,000 files a page.
const PAGES_MAX: usize = 10_000;
/// A page of the Hub's has less than a megabyte.
const PAGE_BYTES_MAX: u64 = 16 << 20;
/// All pages together, which bounds the memory that a list takes.
const LIST_BYTES_MAX: u64 = 256 << 20;
/// The Hub asks for fewer than 100,000 files a repository.
const FILES_MAX: usize = 500_000;
/// A tebibyte is more than the Hub takes in one file.
const FILE_BYTES_MAX: u64 = 1 << 40;
/// A pebibyte, so that the sizes of many repositories can be summed.
const ALL_FILES_BYTES_MAX: u64 = 1 << 50;
const PATH_BYTES_MAX: usize = 1024;
/// File systems take no longer names. What is on its way has a longer one: `<name>.part.json.tmp`.
const NAME_BYTES_MAX: usize = 255 - ".part.json.tmp".len();
/// The time after which a list is given up, whatever its pages take.
const LIST_TIME_MAX: Duration = Duration::from_secs(30 * 60);

/// A file of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteFile {
    /// The repository.
    pub repo: RepoId,
    /// The commit.
    pub commit: Commit,
    /// Its path in the repository, parts divided by `/`.
    pub path: String,
    /// Its size in bytes.
    pub size: u64,
    /// The hash of its content.
    pub hash: Digest,
}

#[derive(Deserialize)]
struct TreeEntry {
    #[serde(rename = "type")]
    kind: String,
    path: String,
    #[serde(default)]
    size: u64,
    #[serde(default)]
    oid: String,
    lfs: Option<Lfs>,
}

#[derive(Deserialize)]
struct Lfs {
    oid: String,
    size: u64,
}

impl Hub<'_> {
    /// The files of a commit in the Hub's order, those below `folder` unless it is empty. One request for each
    /// 1,000 of them.
    ///
    /// # Errors
    /// [`Error::EntryNotFound`] where there is no such folder, [`Error::Listing`], and all that [`Hub::dataset`] lists.
    pub fn tree(&self, repo: &RepoId, commit: &Commit, folder: &str) -> Result<Vec<RemoteFile>> {
        self.need_network(repo, || "the list of files".to_owned())?;
        let endpoint = &self.settings().endpoint;
        let waits = self.waiting().begin(format!("the list of files of `{repo}` from {endpoint}"));
        let revision = Revision::from(commit);
        let asked = Asked { repo, revision: &revision, file: folder };
        let began = Instant::now();
        let mut list = List::new(repo, commit);
        let mut read = HashSet::new();
        let mut page = endpoint.tree(repo, commit, folder);
        for number in 1..=PAGES_MAX {
            read.insert(page.clone());
            let (contents, next) = self.persist(|| {
                self.keep_pace(&page)?;
                let answer = self.client.get(&page)?;
                if !answer.status.is_success() {
                    return Err(refusal(&answer, &asked, self.settings()));
                }
                let next = next_link(&answer).map(str::to_owned);
                let too_large = || list.unusable(format!("a page has more than {PAGE_BYTES_MAX} bytes"));
                Ok((answer.contents(PAGE_BYTES_MAX)?.ok_or_else(too_large)?, next))
            })?;
            list.add(&contents, self.settings())?;
            let Some(link) = next else { return list.finish() };
            page = endpoint
                .next_page(&link)
                .ok_or_else(|| list.unusable("its next page has an invalid address"))?;
            if read.contains(&page) {
                return Err(list.unusable("it leads back to a page that was read"));
            }
            if began.elapsed() > LIST_TIME_MAX {
                return Err(
                    list.unusable(format!("it has no end after {} minutes", LIST_TIME_MAX.as_secs() / 60))
                );
            }
            let files = list.files.len();
            waits.change(format!(
                "page {} of the list of files of `{repo}` from {endpoint}, {files} files so far",
                number + 1
            ));
        }
        Err(list.unusable(format!("it has more than {PAGES_MAX} pages")))
    }
}

/// The files of a list that is this one page.
///
/// # Errors
/// [`Error::Listing`].
pub(crate) fn parse_page(
    repo: &RepoId,
    commit: &Commit,
    contents: &[u8],
    settings: &Settings,
) -> Result<Vec<RemoteFile>> {
    let mut list = List::new(repo, commit);
    list.add(contents, settings)?;
    list.finish()
}

/// A list as far as it was read.
struct List<'a> {
    repo: &'a RepoId,
    commit: &'a Commit,
    files: Vec<RemoteFile>,
    bytes: u64,
}

impl<'a> List<'a> {
    fn new(repo: &'a RepoId, commit: &'a Commit) -> Self {
        Self { repo, commit, files: Vec::new(), bytes: 0 }
    }

    fn unusable(&self, why: impl Into<String>) -> Error {
        Error::Listing { repo: self.repo.clone(), why: why.into() }
    }

    /// Adds the files of a page.
    fn add(&mut self, contents: &[u8], settings: &Settings) -> Result<()> {
        self.bytes += contents.len() as u64;
        if self.bytes > LIST_BYTES_MAX {
            return Err(self.unusable(format!("it has more than {LIST_BYTES_MAX} bytes")));
        }
        let entries: Vec<TreeEntry> = parse_bytes(contents)
            .map_err(|why| self.unusable(settings.shown(&format!("a page has an unexpected form: {why}"))))?;
        for entry in entries.into_iter().filter(|entry| entry.kind == "file") {
            if self.files.len() == FILES_MAX {
                return Err(self.unusable(format!("it has more than {FILES_MAX} files")));
            }
            let file = match &settings.token {
                Some(token) if token.occurs_in(&entry.path) => Err((entry.path, "it holds the token")),
                _ => remote_file(entry, self.repo, self.commit),
            };
            let refused =
                |(path, why): (String, &str)| self.unusable(format!("`{}`: {why}", settings.shown(&path)));
            self.files.push(file.map_err(refused)?);
        }
        Ok(())
    }

    /// The files, if they can lie beside one another.
    fn finish(self) -> Result<Vec<RemoteFile>> {
        if self.files.iter().map(|file| file.size).sum::<u64>() > ALL_FILES_BYTES_MAX {
            return Err(self.unusable(format!("its files have more than {ALL_FILES_BYTES_MAX} bytes")));
        }
        let mut paths = HashSet::with_capacity(self.files.len());
        for file in &self.files {
            if !paths.insert(file.path.as_str()) {
                return Err(self.unusable(format!("`{}` is listed twice", escaped(&file.path))));
            }
        }
        for file in &self.files {
            let mut folders = file.path.match_indices('/').map(|(at, _)| &file.path[..at]);
            if let Some(both) = folders.find(|folder| paths.contains(folder)) {
                return Err(self.unusable(format!("`{}` is a file and a folder", escaped(both))));
            }
        }
        drop(paths);
        Ok(self.files)
    }
}

/// An entry as a file; else its path and what is wrong with it.
fn remote_file(
    entry: TreeEntry,
    repo: &RepoId,
    commit: &Commit,
) -> std::result::Result<RemoteFile, (String, &'static str)> {
    let (oid, size) = match &entry.lfs {
        Some(lfs) => (&lfs.oid, lfs.size),
        None => (&entry.oid, entry.size),
    };
    let why = match Digest::parse(oid) {
        _ if !is_inside(&entry.path) => "that is not a path within a folder",
        _ if entry.path.len() > PATH_BYTES_MAX => "its path is too long",
        _ if size > FILE_BYTES_MAX => "no file is as large as that",
        None => "its hash is none",
        Some(hash) => {
            return Ok(RemoteFile {
                repo: repo.clone(),
                commit: commit.clone(),
                path: entry.path,
                size,
                hash,
            });
        }
    };
    Err((entry.path, why))
}

/// Whether a path names something below the folder that it is put behind, on every system.
fn is_inside(path: &str) -> bool {
    let named = path.split('/').all(|part| !["", ".", ".."].contains(&part));
    named && !path.chars().any(|c| c.is_control() || c == '\\')
}

impl RemoteFile {
    /// Whether it can be fetched to below a folder: its size is one that a list may have, and so is its path, whose
    /// names a disk takes. For files that are named by something else, such as a lock.
    #[must_use]
    pub fn can_be_fetched(&self) -> bool {
        let short = self.path.len() <= PATH_BYTES_MAX
            && self.path.split('/').all(|name| name.len() <= NAME_BYTES_MAX);
        is_inside(&self.path) && short && self.size <= FILE_BYTES_MAX
    }
}

/// The address of `Link: <address>; rel="next"`.
fn next_link(answer: &FinalAnswer) -> Option<&str> {
    let links = answer.header("link")?;
    links.split(',').find_map(|link| {
        let (address, parameters) = link.trim().strip_prefix('<')?.split_once('>')?;
        parameters.split(';').any(|part| part.trim() == r#"rel="next""#).then_some(address)
    })
}
