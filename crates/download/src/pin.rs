//! What a dataset is made of: commit, files, sizes, hashes, as the Hub tells them once.

use mashbill_format::catalog::CatalogDataset;
use mashbill_format::lock::{Pin, PinnedFile};
use mashbill_hub::{Commit, Digest, Gated, Hub, RemoteFile, RepoId, Revision};
use mashbill_store::checksum::Checksum;

use crate::choice::choose;
use crate::error::{Error, Result};

/// Asks the Hub what a dataset is made of: two requests, and one more for each further 1,000 files.
///
/// Files stand in the order of their paths' checksums, so that the first few of a thousand are a
/// mixture and not the first language by name.
///
/// # Errors
/// [`Error::NoFiles`]; those of the Hub.
pub(crate) fn pin(hub: &Hub<'_>, dataset: &CatalogDataset) -> Result<Pin> {
    let repo = RepoId::dataset(&dataset.repo)?;
    let revision: Revision = dataset.revision.parse()?;
    let info = hub.dataset(&repo, &revision)?;
    let tree = hub.tree(&repo, &info.commit, "")?;
    let choice = choose(dataset, &tree, &info.configs)?;
    if let Some(file) = choice.taken.iter().find(|file| !file.can_be_fetched()) {
        return Err(Error::Unfetchable { repo: dataset.repo.clone(), file: file.path.clone() });
    }
    let mut files: Vec<PinnedFile> = choice
        .taken
        .into_iter()
        .map(|file| PinnedFile { path: file.path.clone(), size: file.size, hash: file.hash.to_string() })
        .collect();
    if files.is_empty() {
        let (repo, globs) = (dataset.repo.clone(), dataset.files.clone());
        return Err(Error::NoFiles { repo, globs, untaken: choice.untaken });
    }
    files.sort_by_key(|file| (Checksum::of(file.path.as_bytes()), file.path.clone()));
    let license = match (&dataset.license.id, info.license) {
        (Some(id), _) => id.clone(),
        (None, Some(tag)) => tag,
        (None, None) => dataset.license.label().to_owned(),
    };
    Ok(Pin {
        repo: dataset.repo.clone(),
        revision: dataset.revision.clone(),
        commit: info.commit.to_string(),
        license,
        gated: info.gated != Gated::No,
        globs: dataset.files.clone(),
        files,
        untaken: choice.untaken,
    })
}

/// Whether a pin is one of what the catalogue speaks of.
pub(crate) fn is_of(pin: &Pin, dataset: &CatalogDataset) -> bool {
    pin.repo == dataset.repo && pin.revision == dataset.revision && pin.globs == dataset.files
}

/// A pinned file, as the Hub knows it; none where a lock file was changed by hand into something else.
pub(crate) fn remote(pin: &Pin, file: &PinnedFile) -> Result<RemoteFile> {
    let damaged = || Error::Pin { repo: pin.repo.clone(), file: file.path.clone() };
    let digits = file.hash.rsplit([':', ' ']).next().unwrap_or_default();
    let remote = RemoteFile {
        repo: RepoId::dataset(&pin.repo)?,
        commit: Commit::parse(&pin.commit).ok_or_else(damaged)?,
        path: file.path.clone(),
        size: file.size,
        hash: Digest::parse(digits).ok_or_else(damaged)?,
    };
    if remote.can_be_fetched() { Ok(remote) } else { Err(damaged()) }
}
