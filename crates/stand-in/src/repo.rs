//! A repository: its branches, its commits, and who may have it.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value;

use crate::content::{Content, HashedContent, id_of};

/// What a repository holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RepoType {
    /// A model.
    Model,
    /// A dataset.
    Dataset,
}

/// Who may have a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Access {
    /// Everybody.
    Open,
    /// Whoever accepted its terms; everybody may see that it exists and list its files.
    Gated,
    /// Those it was given to; for others it does not exist.
    Private,
    /// Nobody.
    Disabled,
}

pub(crate) type RepoFiles = BTreeMap<String, HashedContent>;

/// A repository and all its commits.
#[derive(Debug, Clone)]
pub struct Repo {
    pub(crate) kind: RepoType,
    pub(crate) id: String,
    /// Who may have it.
    pub access: Access,
    /// The license that its card names, such as `mit`.
    pub license: Option<String>,
    /// The `configs` of its card, as JSON.
    pub configs: Option<Value>,
    /// The id under which it is found now; requests for the old one are redirected.
    pub moved_to: Option<String>,
    branches: BTreeMap<String, Arc<RepoFiles>>,
    commits: BTreeMap<String, Arc<RepoFiles>>,
}

impl Repo {
    /// An empty repository, open to everybody.
    #[must_use]
    pub fn new(kind: RepoType, id: &str) -> Self {
        Self {
            kind,
            id: id.to_owned(),
            access: Access::Open,
            license: None,
            configs: None,
            moved_to: None,
            branches: BTreeMap::from([("main".to_owned(), Arc::default())]),
            commits: BTreeMap::new(),
        }
    }

    /// Puts a file on a branch (`main`, `refs/convert/parquet`), which is made if need be.
    ///
    /// # Panics
    /// If the content is a file that cannot be read.
    pub fn put(&mut self, branch: &str, path: &str, content: Content) {
        let entry = HashedContent::new(path, content).expect("the content can be read");
        let files = Arc::make_mut(self.branches.entry(branch.to_owned()).or_default());
        files.insert(path.to_owned(), entry);
    }

    /// Puts all files of a folder on a branch, those in folders below it included.
    ///
    /// # Errors
    /// Something cannot be read.
    pub fn put_folder(&mut self, branch: &str, folder: &Path) -> io::Result<()> {
        self.put_below(branch, folder, "")
    }

    fn put_below(&mut self, branch: &str, folder: &Path, prefix: &str) -> io::Result<()> {
        for entry in std::fs::read_dir(folder)? {
            let entry = entry?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            let path = format!("{prefix}{name}");
            if entry.file_type()?.is_dir() {
                self.put_below(branch, &entry.path(), &format!("{path}/"))?;
            } else {
                self.put(branch, &path, Content::Disk(entry.path()));
            }
        }
        Ok(())
    }

    /// Its branches with their commits, by which the files can be had from now on.
    pub(crate) fn commit(&mut self) {
        for files in self.branches.values() {
            self.commits.insert(commit_of(&self.id, files), Arc::clone(files));
        }
    }

    /// The commits of an older state can still be had.
    pub(crate) fn keep_commits_of(&mut self, older: &Self) {
        self.commits.extend(older.commits.iter().map(|(commit, files)| (commit.clone(), Arc::clone(files))));
    }

    /// The commit and the files of a branch or a commit.
    pub(crate) fn at(&self, revision: &str) -> Option<(String, Arc<RepoFiles>)> {
        if let Some(files) = self.branches.get(revision) {
            return Some((commit_of(&self.id, files), Arc::clone(files)));
        }
        self.commits.get(revision).map(|files| (revision.to_owned(), Arc::clone(files)))
    }

    /// The branches and their commits.
    pub(crate) fn branches(&self) -> impl Iterator<Item = (&str, String)> {
        self.branches.iter().map(|(branch, files)| (branch.as_str(), commit_of(&self.id, files)))
    }

    /// A large file by its SHA-256, of any commit.
    pub(crate) fn large(&self, sha256: &str) -> Option<HashedContent> {
        let mut entries = self.commits.values().flat_map(|files| files.values());
        entries.find(|entry| entry.large && entry.sha256 == sha256).cloned()
    }
}

/// The same files are the same commit.
fn commit_of(id: &str, files: &RepoFiles) -> String {
    let names: String = files.iter().map(|(path, entry)| format!("{path} {}\n", entry.sha256)).collect();
    id_of(&format!("commit {id}\n{names}"))
}
