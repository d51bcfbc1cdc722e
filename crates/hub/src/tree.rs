//! A commit's files with their sizes and hashes, so that nothing has to be asked file by file.

use serde::Deserialize;

use crate::client::Answer;
use crate::dataset::parse;
use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::hub::Hub;
use crate::refusal::{Asked, refusal};
use crate::repo::{Commit, RepoId, Revision};

/// The Hub gives 1,000 files a page.
const PAGES_MAX: usize = 10_000;

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
struct Entry {
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
    /// [`Error::EntryNotFound`] where there is no such folder, and all that [`Hub::dataset`] lists.
    pub fn tree(&self, repo: &RepoId, commit: &Commit, folder: &str) -> Result<Vec<RemoteFile>> {
        self.need_network(repo, || "the list of files".to_owned())?;
        let endpoint = &self.settings().endpoint;
        let revision = Revision::from(commit);
        let asked = Asked { repo, revision: &revision, file: folder };
        let not_a_hub = |why: String| Error::NotAHub { origin: endpoint.origin().clone(), why };
        let mut files = Vec::new();
        let mut page = Some(endpoint.tree(repo, commit, folder));
        for _ in 0..PAGES_MAX {
            let Some(address) = page else { return Ok(files) };
            let (entries, next): (Vec<Entry>, _) = self.persist(|| {
                self.keep_pace(&address)?;
                let answer = self.client.get(&address)?;
                if !answer.status.is_success() {
                    return Err(refusal(&answer, &asked, self.settings()));
                }
                let next = next_link(&answer).map(str::to_owned);
                Ok((parse(answer)?, next))
            })?;
            for entry in entries.into_iter().filter(|entry| entry.kind == "file") {
                let file = remote_file(entry, repo, commit);
                files.push(
                    file.map_err(|path| not_a_hub(format!("it lists `{path}`, which is no file's path")))?,
                );
            }
            let next = next.map(|link| {
                let address = endpoint.next_page(&link);
                address.ok_or_else(|| not_a_hub("its list of files goes on at no valid address".to_owned()))
            });
            page = next.transpose()?;
        }
        Err(not_a_hub(format!("its list of files has more than {PAGES_MAX} pages")))
    }
}

/// An entry as a file. Its path must not lead out of a folder, and its hash must be one; else the path is returned.
fn remote_file(entry: Entry, repo: &RepoId, commit: &Commit) -> std::result::Result<RemoteFile, String> {
    let inside = entry.path.split('/').all(|part| !["", ".", ".."].contains(&part));
    let clean = !entry.path.chars().any(|c| c.is_control() || c == '\\');
    let (oid, size) = match &entry.lfs {
        Some(lfs) => (&lfs.oid, lfs.size),
        None => (&entry.oid, entry.size),
    };
    match Digest::parse(oid) {
        Some(hash) if inside && clean => {
            Ok(RemoteFile { repo: repo.clone(), commit: commit.clone(), path: entry.path, size, hash })
        }
        _ => Err(entry.path),
    }
}

/// The address of `Link: <address>; rel="next"`.
fn next_link(answer: &Answer) -> Option<&str> {
    let links = answer.header("link")?;
    links.split(',').find_map(|link| {
        let (address, parameters) = link.trim().strip_prefix('<')?.split_once('>')?;
        parameters.split(';').any(|part| part.trim() == r#"rel="next""#).then_some(address)
    })
}
